"""What a call that changes something says when its answer is lost: it may have been done, unless it was certainly not sent."""

import concurrent.futures
import re
import signal

import pytest
import requests

from client import eventually
from daemons import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("outcome"), room=2)
    yield running
    running.stop()


def changes(cluster):
    """How many calls that change something the center has made."""
    text = requests.get(f"http://127.0.0.1:{cluster.center.ports['ops']}/metrics", timeout=20).text
    return sum(int(n) for n in re.findall(r"^hawser_center_(?:register_catalog_put|room_drain)_calls_total (\d+)", text, re.M))


def lost(cluster, daemon, method, path, body=None):
    """The answer to a call whose daemon hears it, stands still and then dies."""
    before = changes(cluster)
    daemon.process.send_signal(signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(cluster.call, method, path, body)
        eventually(lambda: changes(cluster) > before or answer.done())
        daemon.kill()
        return answer.result()


def test_a_drain_whose_room_dies(cluster):
    """Before the register is restarted: its directory fills anew then."""
    room = cluster.daemons["room"][1]

    def names():
        ids = [d["id"] for d in cluster.call("GET", "/v1/cluster").json()["items"]]
        return [i for i in ids if i.startswith("room-") and i.endswith(f"-{room.ports['room']}")]

    eventually(names)
    answer = lost(cluster, room, "POST", f"/v1/rooms/{names()[0]}/drain", {})
    assert answer.status_code == 503 and answer.json()["outcome"] == "unknown", answer.text
    room.start()


def test_a_change_whose_register_dies(cluster):
    """DELETE, PATCH and a new key may all have been done; once the register is known to be gone they were not."""
    product = cluster.product()
    path = f"/v1/products/{product.name}"
    for method, where, body in (("PATCH", path, {"limits": {"push_per_s": 7}}), ("POST", path + "/keys", {"kind": "api"}), ("DELETE", path, None)):
        eventually(lambda: cluster.call("PATCH", path, {}).status_code == 200)
        answer = lost(cluster, cluster.register, method, where, body)
        assert answer.status_code == 503 and answer.json()["outcome"] == "unknown", answer.text
        answer = cluster.call(method, where, body)
        assert answer.status_code == 503 and "outcome" not in answer.json(), answer.text
        cluster.register.start()

"""What a device has again and again and never acknowledges is parked: the device is told of a gap and goes on, and the message is a dead
letter, which can be looked at, sent anew and thrown away. The clients here take a message and go without an Ack, as an application does
that crashes over it."""

import base64
import json
import subprocess

import pytest

from client import Client, eventually, pb
from cluster import BIN
from daemons import Cluster, Redis

# The first attempt was ten minutes ago: as if that time had passed.
AGE = r"""
local field = ARGV[1] .. '\0a'
local name, seq, parked, count, since, g1, g2, g3 = struct.unpack('<Bc0I7BBI6I7I7I7', redis.call('HGET', KEYS[1], field))
redis.call('HSET', KEYS[1], field, struct.pack('<B', #name) .. name .. struct.pack('<I7BBI6I7I7I7', seq, parked, count, since - 600000, g1, g2, g3))
return count
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parked")
    redis = Redis(folder / "redis")
    running = Cluster(folder, redis=redis, saver=2, center=2)
    yield running
    running.stop()
    redis.stop()


def room(cluster):
    return cluster.room.ports["room"]


def crash_over(cluster, token, device="phone"):
    """Logs in, has what there is, and is gone without an Ack, which the room tells the saver."""
    before = cluster.room.metric("attempts_total")
    with Client(room(cluster)) as client:
        frames = client.login(device, token)[1]
    eventually(lambda: cluster.room.metric("attempts_total") > before)
    return frames


def age_attempts(redis, user):
    counts = [redis.command("EVAL", AGE, "1", key, user) for key in redis.command("--scan", "--pattern", "hw:*:l").split("\n")
              if redis.command("EVAL", "return redis.call('HEXISTS', KEYS[1], ARGV[1] .. '\\0a')", "1", key, user) == "1"]
    assert len(counts) == 1, counts
    return int(counts[0])


def park(cluster, product, user):
    """Its first message, by five crashes over ten minutes."""
    token = product.token(user)
    for _ in range(4):
        crash_over(cluster, token)
    assert age_attempts(cluster.redis, user) == 4
    assert user_of(cluster, product, user)["parked"] == 0
    return crash_over(cluster, token)


def path(product, user, behind=""):
    return f"/v1/products/{product.name}/users/{user}{behind}"


def user_of(cluster, product, user):
    return cluster.call("GET", path(product, user)).json()


def letters(cluster, product, user, query=""):
    answer = cluster.call("GET", path(product, user, "/parked") + query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def stats(cluster, product):
    sums = cluster.call("GET", f"/v1/products/{product.name}/stats").json()
    assert sums["accepted"] == sum(sums[name] for name in ("acked", "pending", "expired", "overflowed", "collapsed", "recalled", "parked"))
    return sums


def pushes(frames):
    return [m.payload for name, m in frames if name == "Push"]


def test_parked_and_sent_anew(cluster):
    """Five attempts in five sessions are too soon; over ten minutes they park it. The device is told of a gap, and what follows is no longer
    held up. Sent anew it comes as another message, once, however often that is asked for."""
    product = cluster.product()
    first = product.push_user("ann", "poison")
    product.push_user("ann", "good")
    token = product.token("ann")
    assert pushes(park(cluster, product, "ann")) == [b"poison", b"good"]
    with Client(room(cluster)) as client:
        frames = client.login("phone", token)[1]
        gap = frames[0][1]
        assert (frames[0][0], gap.first, gap.last, gap.reason) == ("Gap", 1, 1, pb.GAP_PARKED)
        assert pushes(frames) == [b"good"]
        client.ack_push(frames[1][1])
        eventually(lambda: user_of(cluster, product, "ann")["pending"] == 0)
        assert (stats(cluster, product)["parked"], user_of(cluster, product, "ann")["parked"]) == (1, 1)
        letter, = letters(cluster, product, "ann")["items"]
        assert (letter["id"], letter["class"], letter["seq"], letter["payload"], letter["device"]) == (first["id"], "stored", 1, "poison", "phone")
        answer = cluster.call("POST", path(product, "ann", "/parked/redeliver")).json()
        result, = answer["results"]
        assert (result["was"], result["status"], result["seq"]) == (first["id"], 202, 3) and result["id"] != first["id"]
        again = client.expect("Push")
        assert (again.id, again.payload, again.seq) == (result["id"], b"poison", 3)
        assert cluster.call("POST", path(product, "ann", "/parked/redeliver"), center=1).json() == {"results": []}
        assert letters(cluster, product, "ann") == {"items": [], "next": None}
        client.ack_push(again)
        client.nothing_comes()
        eventually(lambda: stats(cluster, product)["acked"] == 2)
        assert stats(cluster, product)["parked"] == 1


def test_another_device_handles_it(cluster):
    """What is parked for one device still comes to the other; once that has handled it, it is no dead letter."""
    product = cluster.product()
    with Client(room(cluster)) as desk:
        desk.login("desk", product.token("bob"))
    product.push_user("bob", "for both")
    park(cluster, product, "bob")
    assert len(letters(cluster, product, "bob")["items"]) == 1
    with Client(room(cluster)) as desk:
        frames = desk.login("desk", product.token("bob"))[1]
        assert pushes(frames) == [b"for both"]
        desk.ack_push(frames[0][1])
        eventually(lambda: letters(cluster, product, "bob")["items"] == [])
        sums = stats(cluster, product)
        assert (sums["acked"], sums["parked"]) == (1, 0)


def test_thrown_away(cluster):
    """A dead letter of bytes that are no text, read page by page; after it is thrown away nobody has it."""
    product = cluster.product()
    payload = b"\xff\x00\xfe"
    body = {"to": {"user": "eve"}, "payload_base64": base64.b64encode(payload).decode(), "content_type": "application/x"}
    assert cluster.call("POST", f"/v1/products/{product.name}/messages", body).status_code == 202
    park(cluster, product, "eve")
    letter, = letters(cluster, product, "eve", "?limit=1")["items"]
    assert base64.b64decode(letter["payload_base64"]) == payload and letter["content_type"] == "application/x"
    assert letters(cluster, product, "eve", "?after=1")["items"] == []
    for query, field in (("?limit=0", "limit"), ("?after=x", "after"), ("?after=-1", "after")):
        answer = cluster.call("GET", path(product, "eve", "/parked") + query)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert cluster.call("DELETE", path(product, "eve", "/parked")).status_code == 204
    assert cluster.call("DELETE", path(product, "eve", "/parked")).status_code == 204
    assert letters(cluster, product, "eve")["items"] == []
    assert stats(cluster, product)["parked"] == 1
    with Client(room(cluster)) as client:
        assert pushes(client.login("phone", product.token("eve"))[1]) == []


def test_the_command_line(cluster):
    """hawserctl prints dead letters, sends them anew and throws them away; where one could not be sent it fails."""
    def ctl(*words, code=0):
        center = f"127.0.0.1:{cluster.center.ports['center']}"
        done = subprocess.run([BIN / "hawserctl", "--center", center, "--key", cluster.info["admin_key"], *words], capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == code, done
        return json.loads(done.stdout) if done.stdout else None

    product = cluster.product()
    product.push_user("zoe", "hello")
    park(cluster, product, "zoe")
    assert [item["payload"] for item in ctl("parked", product.name, "zoe")["items"]] == ["hello"]
    assert [result["seq"] for result in ctl("redeliver", product.name, "zoe")["results"]] == [2]
    assert ctl("parked", product.name, "zoe")["items"] == []
    park(cluster, product, "zoe")
    limits = {"limits": {"inbox_messages": 10, "reject_new": True}}
    assert cluster.call("PATCH", f"/v1/products/{product.name}", limits).status_code == 200
    push = (f"/v1/products/{product.name}/messages", {"to": {"user": "zoe"}, "payload": "x"})
    eventually(lambda: cluster.call("POST", *push).status_code == 507)
    result, = ctl("redeliver", product.name, "zoe", code=1)["results"]
    assert (result["status"], result["code"]) == (507, "inbox_full")
    assert ctl("discard", product.name, "zoe") is None
    assert ctl("parked", product.name, "zoe")["items"] == []


def test_unknown_users(cluster):
    """Nothing of them is parked."""
    product = cluster.product()
    assert letters(cluster, product, "nobody") == {"items": [], "next": None}
    assert cluster.call("POST", path(product, "nobody", "/parked/redeliver")).json() == {"results": []}
    assert cluster.call("DELETE", path(product, "nobody", "/parked")).status_code == 204
    assert cluster.call("PUT", path(product, "nobody", "/parked")).status_code == 405
    assert cluster.call("DELETE", path(product, "nobody", "/parked"), {}).status_code == 204
    for method, behind in (("DELETE", "/parked"), ("POST", "/parked/redeliver")):
        assert cluster.call(method, path(product, "nobody", behind), {"seq": [1]}).json()["code"] == "unknown_field"
    assert cluster.call("GET", path(product, "x" * 65, "/parked")).status_code == 422

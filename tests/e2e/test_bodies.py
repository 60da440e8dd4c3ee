"""Products of one center: what one of them does with its API key does not stop the pushes of the others."""

import json
import socket
import time

import pytest

from client import eventually
from daemons import Cluster

MIB = 1 << 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    settings = {"HAWSER_CENTER__BODIES_MAX": "8MiB", "HAWSER_CENTER__BODY_MAX": "1MiB"}
    running = Cluster(tmp_path_factory.mktemp("bodies"), settings=settings)
    yield running
    running.stop()


def started(cluster, product, length):
    """A push whose last byte does not come."""
    head = (f"POST /v1/products/{product.name}/messages HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n"
            f"Authorization: Bearer {product.keys['api']['secret']}\r\n\r\n")
    s = socket.create_connection(("127.0.0.1", cluster.center.ports["center"]), timeout=20)
    s.sendall(head.encode() + b" " * (length - 1))
    return s


def status(s):
    """Of an answer that is there already; None: there is none yet."""
    s.setblocking(False)
    try:
        return s.recv(65536).split(b" ", 2)[1]
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return b"429"


def test_bodies_of_one_product(cluster):
    """Sixteen bodies of 1 MiB for one product, where 8 MiB is the bound for all: most are refused and counted, and another product's
    push of nearly 1 MiB goes through at once. Then the first product's own do again."""
    greedy, other = cluster.product(), cluster.product()
    held = []
    for _ in range(16):
        try:
            held.append(started(cluster, greedy, MIB))
        except (ConnectionResetError, BrokenPipeError):  # refused while it was being sent
            pass
    eventually(lambda: cluster.center.metric("http_refused_quota_exceeded_total") >= 14)
    assert [status(s) for s in held].count(None) <= 2
    body = json.dumps({"to": {"user": "ann"}, "payload": "x"}) + " " * (MIB - 1000)
    path = "/v1/products/{}/messages"
    start = time.monotonic()
    assert cluster.call("POST", path.format(other.name), body, key=other.keys["api"]["secret"]).status_code == 202
    assert time.monotonic() - start < 10
    answer = cluster.call("POST", path.format(greedy.name), body, key=greedy.keys["api"]["secret"])
    assert answer.status_code == 429 and answer.json()["code"] == "quota_exceeded" and answer.headers["Retry-After"] == "1"
    assert cluster.center.metric("http_refused_overloaded_total") == 0
    for s in held:
        s.close()
    eventually(lambda: cluster.call("POST", path.format(greedy.name), body, key=greedy.keys["api"]["secret"]).status_code == 202)


def test_what_is_made_of_bodies(cluster):
    """A body of many small values needs many times its length while it is worked on, which counts with the bodies of its product.
    Beside others of it, it is over the product's quarter and refused with 429, though the texts alone have place. Alone it may have
    what there is for all, and over that it is 503."""
    greedy, other = cluster.product(), cluster.product()
    path = "/v1/products/{}/messages"
    bodies = [json.dumps({"to": {"user": "ann"}, "payload": "x", "nope": [0] * n}, separators=(",", ":")) for n in (40000, 100000)]
    held = [started(cluster, greedy, 300000) for _ in range(3)]
    eventually(lambda: cluster.center.metric("http_bodies_bytes") >= 3 * 299999)
    for body in bodies:
        answer = cluster.call("POST", path.format(greedy.name), body, key=greedy.keys["api"]["secret"])
        assert answer.status_code == 429 and answer.json()["code"] == "quota_exceeded" and answer.headers["Retry-After"] == "1"
    small = {"to": {"user": "ann"}, "payload": "x"}
    for product in (greedy, other):
        assert cluster.call("POST", path.format(product.name), small, key=product.keys["api"]["secret"]).status_code == 202
    for s in held:
        s.close()
    eventually(lambda: cluster.center.metric("http_bodies_bytes") == 0)
    alone = [cluster.call("POST", path.format(greedy.name), body, key=greedy.keys["api"]["secret"]) for body in bodies]
    assert [(a.status_code, a.json()["code"]) for a in alone] == [(422, "unknown_field"), (503, "overloaded")]

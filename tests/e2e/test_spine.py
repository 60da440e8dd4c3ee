"""A push reaches a client through the whole cluster."""

import base64
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from client import Client, eventually, pb


def room(cluster):
    return cluster.info["rooms"][0]


@pytest.mark.parametrize("payload", [b"", b"plain", bytes(range(256)), os.urandom(4096)], ids=len)
def test_stored_push_to_online_user(cluster, payload):
    """A stored push to an online user arrives once, byte for byte, with the id of the answer."""
    product = cluster.product()
    with Client(room(cluster)) as client:
        client.login("d1", product.token("ann"))
        answer = product.push({"user": "ann"}, payload_base64=base64.b64encode(payload).decode())
        push = client.expect("Push")
        assert (push.payload, push.id, push.stream) == (payload, answer["id"], pb.INBOX)
        client.ack_push(push)
        client.nothing_comes()


def test_offline_user_gets_backlog_in_order_then_synced(cluster):
    """What was pushed to an offline user arrives at login, in order, followed by Synced; once acked it never comes again."""
    product = cluster.product()
    sent = [f"message {i}" for i in range(100)]
    for text in sent:
        product.push_user("bob", text)
    with Client(room(cluster)) as client:
        client.hello("d1", pb.Bind(token=product.token("bob")))
        client.welcome = client.expect("Welcome")
        client.product = client.welcome.bound[0].product
        got = []
        while True:
            name, message = client.receive()
            if name == "Synced":
                break
            assert name == "Push"
            got.append(message.payload.decode())
            client.ack_push(message)
        assert got == sent
        client.nothing_comes()
        client.send("Bye")
    eventually(lambda: cluster.call("GET", f"/v1/products/{product.name}/users/bob").json()["pending"] == 0)
    with Client(room(cluster)) as client:
        _, before = client.login("d1", product.token("bob"))
        assert before == []


def test_broadcast(cluster):
    """A broadcast reaches who is online, and at login a known device that was not."""
    product = cluster.product()
    with Client(room(cluster)) as away:
        away.login("d1", product.token("away"))
        away.send("Bye")
    with Client(room(cluster)) as one, Client(room(cluster)) as two:
        one.login("d1", product.token("one"))
        two.login("d1", product.token("two"))
        product.push({"all": True}, payload="to everyone")
        for client in (one, two):
            push = client.expect("Push")
            assert (push.payload, push.stream) == (b"to everyone", pb.NEWS)
            client.ack_push(push)
    with Client(room(cluster)) as away:
        _, before = away.login("d1", product.token("away"))
        assert [m.payload for n, m in before if n == "Push"] == [b"to everyone"]


def test_second_login_closes_the_first(cluster):
    """The newest login of a device wins: the older connection ends with 4001."""
    product = cluster.product()
    with Client(room(cluster)) as old, Client(room(cluster)) as new:
        old.login("d1", product.token("cid"))
        new.login("d1", product.token("cid"))
        close = old.expect("Close")
        assert close.code == 4001
        product.push_user("cid", "to the new one")
        assert new.expect("Push").payload == b"to the new one"


def test_idempotency_key(cluster):
    """The same key and body give the first answer again and one message; another body is refused with 409."""
    product = cluster.product()
    headers = {"Idempotency-Key": "k1"}
    first = product.push({"user": "dan"}, payload="x", headers=headers)
    again = product.push({"user": "dan"}, payload="x", headers=headers)
    assert again["id"] == first["id"] and again["replayed"] is True
    refused = product.push({"user": "dan"}, payload="y", headers=headers, expect=409)
    assert refused["code"] == "idempotency_mismatch"
    with Client(room(cluster)) as client:
        _, before = client.login("d1", product.token("dan"))
        assert [m.payload for _, m in before] == [b"x"]


@pytest.mark.parametrize("body, status, code, field", [
    (b"{", 400, "malformed", None),
    ({"to": {"user": "u"}}, 422, "missing_field", "payload"),
    ({"to": {}, "payload": "x"}, 422, "missing_field", "to"),
    ({"to": {"user": "u"}, "payload": "x", "nope": 1}, 422, "unknown_field", "nope"),
    ({"to": {"user": "u", "all": True}, "payload": "x"}, 422, "conflicting_fields", "to"),
    ({"to": {"user": "u" * 65}, "payload": "x"}, 422, "invalid_value", "to.user"),
    ({"to": {"user": "u"}, "payload": "x" * 4097}, 422, "payload_too_large", "payload"),
])
def test_bad_pushes(cluster, body, status, code, field):
    """Each fault of a push is a problem with its code and field, and nothing is stored."""
    product = cluster.product()
    answer = cluster.call("POST", f"/v1/products/{product.name}/messages", body)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["code"] == code and problem.get("field") == field
    assert problem["request_id"] == answer.headers["Hawser-Request-Id"]
    assert cluster.call("GET", f"/v1/products/{product.name}/stats").json()["accepted"] == 0


@pytest.mark.parametrize("frame, code", [
    (b"\x43\x00\x00\x00", 4302),                     # Push, which only rooms send
    (b"\x01\x00\x10\x01" + bytes(0x1001), 4301),     # over 4 KiB before Welcome
    (b"\x01\x00\x00\x02\xff\xff", 4300),             # does not decode
])
def test_bad_frames(cluster, frame, code):
    """Every frame fault before Welcome has its Close code."""
    with Client(room(cluster)) as client:
        client.send_raw(frame)
        assert client.expect("Close").code == code


@pytest.mark.parametrize("claims, code", [
    ({"aud": "nobody"}, 4004), ({"exp": 1}, 4005), ({"dev": "other"}, 4002), ({"sub": ""}, 4002),
])
def test_bad_tokens(cluster, claims, code):
    """A token fault of the only binding closes the connection with its code."""
    product = cluster.product()
    with Client(room(cluster)) as client:
        client.hello("d1", pb.Bind(token=product.token("eve", **claims)))
        assert client.expect("Close").code == code


def metric(cluster, role, name):
    """The sum of a counter over the daemons of a role."""
    ops = [d.ports["ops"] for d in cluster.daemons[role]] if hasattr(cluster, "daemons") else [cluster.info["ops"][role]]
    total = 0
    for port in ops:
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        total += int(re.search(rf"^hawser_{role}_{name} (\d+)$", text, re.M).group(1))
    return total


def test_blink_costs_no_call(cluster):
    """Who comes back within linger with its resume bytes goes on where it was: same generation, nothing lost, no call to the register."""
    product = cluster.product()
    hints = metric(cluster, "center", "delivered_total")
    with Client(room(cluster)) as client:
        welcome, _ = client.login("d1", product.token("fay"))
        product.push_user("fay", "before")
        client.ack_push(client.expect("Push"))
        client.nothing_comes()
    logins, attaches = metric(cluster, "register", "logins_total"), metric(cluster, "saver", "attaches_total")
    product.push_user("fay", "meanwhile")
    eventually(lambda: metric(cluster, "center", "delivered_total") == hints + 2)  # the room has heard of it
    with Client(room(cluster)) as client:
        client.hello("d1", pb.Bind(token=product.token("fay")), resume=welcome.resume)
        again = client.expect("Welcome")
        assert again.bound[0].resumed and again.bound[0].generation == welcome.bound[0].generation
        assert again.resume != welcome.resume
        assert client.expect("Push").payload == b"meanwhile"
        client.expect("Synced")
    assert (metric(cluster, "register", "logins_total"), metric(cluster, "saver", "attaches_total")) == (logins, attaches)
    with Client(room(cluster)) as client:  # the first bytes have served
        client.hello("d1", pb.Bind(token=product.token("fay")), resume=welcome.resume)
        assert not client.expect("Welcome").bound[0].resumed


def take_in_order(client, count):
    for n in range(count):
        push = client.expect("Push")
        assert push.payload.decode() == str(n)
        client.ack_push(push)


def test_two_of_each_keep_the_order(cluster):
    """Pushes through different centers, to users of different savers' buckets, at different rooms: each inbox is in the order of its answers.
    The clients read meanwhile, since a room ends those that leave its pings unanswered."""
    product = cluster.product()
    users = [f"user{i}" for i in range(8)]
    rooms = cluster.info["rooms"]
    clients = [Client(rooms[i % len(rooms)]) for i in range(len(users))]
    try:
        for user, client in zip(users, clients):
            client.login(f"device-{user}", product.token(user))
        with ThreadPoolExecutor(len(clients)) as readers:
            taken = [readers.submit(take_in_order, client, 100) for client in clients]
            for n in range(100):
                for i, user in enumerate(users):
                    other = {"center": n % 2} if hasattr(cluster, "daemons") else {}
                    answer = cluster.call("POST", f"/v1/products/{product.name}/messages", {"to": {"user": user}, "payload": f"{n}"}, **other)
                    assert answer.status_code == 202 and answer.json()["seq"] % (1 << 20) == n + 1
        for reader in taken:
            reader.result()
    finally:
        for client in clients:
            client.close()

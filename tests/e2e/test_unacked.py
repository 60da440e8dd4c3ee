"""What a client does not acknowledge: the room asks with a Ping, and sends again what is still open after the answer. The clients here
do by hand what the contract leaves to them."""

import time

import pytest

from client import Client, pb
from test_spine import room

pytestmark = pytest.mark.parametrize("cluster", ["memory"], indirect=True)


def receive_until_ping(client):
    """What comes before the room's next Ping, and how long that took."""
    began, before = time.monotonic(), []
    client.socket.settimeout(60)
    while True:
        name, message = client.receive()
        if name == "Ping":
            return before, time.monotonic() - began
        before.append((name, message))


def payloads(frames):
    return [m.payload for name, m in frames if name == "Push"]


def test_unacknowledged_is_asked_for_and_sent_again(cluster):
    """30 s without an Ack bring one Ping. After the answer all from the first unacknowledged message on comes again, in order; an Ack of
    what the room has not sent again yet is taken; who does not answer is closed with 4201. Both streams alike."""
    product = cluster.product()
    with Client(room(cluster)) as client, Client(room(cluster)) as silent:
        client.login("d1", product.token("ann"))
        silent.login("d1", product.token("bob"))
        for text in ("one", "two", "three"):
            product.push_user("ann", text)
        product.push({"all": True}, payload="to all")
        began = time.monotonic()
        before, seconds = receive_until_ping(client)
        assert sorted(payloads(before)) == [b"one", b"three", b"to all", b"two"]
        assert 25 < seconds < 45
        pushes = {m.payload: m for _, m in before}
        client.ack_push(pushes[b"one"])
        client.send("Pong")
        client.ack_push(pushes[b"two"])
        again = []
        while b"three" not in payloads(again) or b"to all" not in payloads(again):
            again.append(client.receive())
            if again[-1][0] == "Ping":  # for the other stream, a moment later
                client.send("Pong")
        assert [p for p in payloads(again) if p != b"to all"] in ([b"two", b"three"], [b"three"])
        assert time.monotonic() - began < 50
        client.expect("Synced")
        client.ack_push(pushes[b"three"])
        client.ack_push(pushes[b"to all"])
        client.nothing_comes()
        assert payloads(receive_until_ping(silent)[0]) == [b"to all"]
        assert silent.expect("Close").code == 4201


def receive_by_the_old_rule(client, count):
    """Acks after 16 messages, and before it answers a Ping."""
    got, unacked = [], 0
    while len(got) < count:
        name, message = client.receive()
        if name == "Push":
            got.append(message)
            unacked += 1
        if got and (unacked == 16 or name == "Ping"):
            client.ack_push(got[-1])
            unacked = 0
        if name == "Ping":
            client.send("Pong")
    return got


def test_a_shut_window_is_asked_about(cluster):
    """A client that acks by messages alone has the window of bytes shut every 5 messages of 60 kB. A Ping a second later makes it say what
    it has handled: 30 of them take a few such rounds, not half a minute each five."""
    product = cluster.product()
    answer = cluster.call("PATCH", f"/v1/products/{product.name}", {"limits": {"payload_bytes": 61440}})
    assert answer.status_code == 200, answer.text
    with Client(room(cluster)) as client:
        client.login("d1", product.token("ann"))
        for number in range(30):
            product.push_user("ann", f"{number}".ljust(60_000))
        began = time.monotonic()
        got = receive_by_the_old_rule(client, 30)
        assert [int(m.payload) for m in got] == list(range(30))
        assert time.monotonic() - began < 30


def test_a_shut_window_is_asked_about_once(cluster):
    """A Ping that is answered while nothing can be acknowledged is not sent every second."""
    product = cluster.product()
    with Client(room(cluster)) as client:
        client.login("d1", product.token("ann"))
        for number in range(33):
            product.push_user("ann", f"{number}")
        before, seconds = receive_until_ping(client)
        assert len(payloads(before)) == 32 and seconds < 15
        client.send("Pong")
        again, seconds = receive_until_ping(client)
        assert again == [] and seconds > 20

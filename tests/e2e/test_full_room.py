"""A room at its connections_max: who comes is told so, who lingers gives way, who resumes needs no place."""

import socket
import struct
import time

import pytest
import requests

from client import TYPES, Client, eventually, pb
from daemons import Cluster

PLACES = 5


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("full"), settings={"HAWSER_ROOM__CONNECTIONS_MAX": str(PLACES)})
    yield running
    running.stop()


@pytest.fixture
def product(cluster):
    return cluster.product()


def fill(cluster, product, prefix):
    clients = [Client(cluster.info["rooms"][0]) for _ in range(PLACES)]
    for number, client in enumerate(clients):
        client.login(f"{prefix}{number}", product.token(f"{prefix}{number}"))
    return clients


def leave(cluster, clients):
    """With a good-bye, so that the next test finds an empty room."""
    for client in clients:
        client.send("Bye")
        client.close()


def locate(cluster):
    with Client(cluster.info["dispatcher"]) as asking:
        asking.send("Locate", device="d1")
        return asking.expect("Located").endpoint


def test_newcomers_are_told_and_the_dispatcher_knows(cluster, product):
    """Each newcomer gets Close 4102 and then a clean end, whether it says Hello or only the preface; who says nothing is ended without a
    word, as soon. Those who are there stay, and the dispatcher names the room again only when a place is free."""
    clients = fill(cluster, product, "a")
    for _ in range(10):
        with Client(cluster.info["rooms"][0]) as newcomer:
            newcomer.hello("new", pb.Bind(token=product.token("new")))
            assert newcomer.expect("Close").code == 4102
            newcomer.socket.shutdown(socket.SHUT_WR)
            newcomer.expect_end()
    silent_before = cluster.room.metric("silent_total")
    only_preface = [Client(cluster.info["rooms"][0]) for _ in range(10)]
    silent = [Client(cluster.info["rooms"][0], preface=preface) for preface in (b"", b"HWS")]
    for newcomer in silent:
        newcomer.expect_end()
        newcomer.close()
    assert cluster.room.metric("silent_total") == silent_before + len(silent)
    for newcomer in only_preface:
        assert newcomer.expect("Close").code == 4102
        newcomer.close()
    eventually(lambda: not locate(cluster))
    for client in clients:
        client.nothing_comes()
    leave(cluster, clients[:1])
    eventually(lambda: locate(cluster))
    with Client(cluster.info["rooms"][0]) as newcomer:
        newcomer.login("new", product.token("new"))
        leave(cluster, clients[1:] + [newcomer])


def test_who_lingers_gives_way(cluster, product):
    """Five clients that are lost linger; five others, and then the first ones again, are let in at once."""
    welcome = None
    for prefix in ("b", "c", "b"):
        clients = fill(cluster, product, prefix)
        welcome = welcome or clients[0].welcome
        for client in clients:
            client.close()
    with Client(cluster.info["rooms"][0]) as client:  # its first session gave way: it logs in anew
        client.hello("b0", pb.Bind(token=product.token("b0")), resume=welcome.resume)
        assert not client.expect("Welcome").bound[0].resumed
        client.send("Bye")


def bad_token(product):
    head, body, _ = product.token("z").split(".")
    return ".".join((head, body, "A" * 43))


def answer_to(cluster, *tokens):
    with Client(cluster.info["rooms"][0]) as stranger:
        stranger.hello("z", *[pb.Bind(token=token) for token in tokens])
        return stranger.expect("Close").code


def test_nobody_gives_way_to_a_stranger(cluster, product):
    """Five clients that are lost linger on, whoever says Hello without a token that is right: no token, one by a key that is not
    the product's, or more of them than the room has places for sessions. Each can resume afterwards."""
    clients = fill(cluster, product, "e")
    for client in clients:
        client.close()
    eventually(lambda: locate(cluster))
    for tokens in ([], ["x"], [bad_token(product)], ["x"] * 16, [bad_token(product)] + ["x"] * 15):
        assert [answer_to(cluster, *tokens) for _ in range(PLACES + 1)] == [4002] * (PLACES + 1)
    for number, old in enumerate(clients):
        clients[number] = Client(cluster.info["rooms"][0])
        clients[number].hello(f"e{number}", pb.Bind(token=product.token(f"e{number}")), resume=old.welcome.resume)
        assert clients[number].expect("Welcome").bound[0].resumed
    leave(cluster, clients)


def test_who_resumes_needs_no_place(cluster, product):
    """In a full room a client goes on where it was, when it was lost and also when its room has not noticed that yet."""
    clients = fill(cluster, product, "d")
    for is_noticed in (True, False):
        old = clients[0]
        if is_noticed:
            old.close()
        clients[0] = Client(cluster.info["rooms"][0])
        clients[0].hello("d0", pb.Bind(token=product.token("d0")), resume=old.welcome.resume)
        clients[0].welcome = clients[0].expect("Welcome")
        assert clients[0].welcome.bound[0].resumed
        clients[0].expect("Synced")
        old.close()
    leave(cluster, clients)


def preface_and_half_a_hello(cluster, product, count):
    """Connections that never say a whole Hello: one that says none of it, the next all but its last byte, in turn."""
    body = pb.Hello(device="d", bind=[pb.Bind(token=product.token("f"))]).SerializeToString()
    hello = struct.pack(">I", TYPES["Hello"] << 24 | len(body)) + body
    strangers = [Client(cluster.info["rooms"][0]) for _ in range(count)]
    for stranger in strangers[::2]:
        stranger.send_raw(hello[:-1])
    return strangers


def test_half_a_hello_holds_no_place(cluster, product):
    """Four times as many as the room has places open and say no whole Hello: as many as it has places log in at once, and the dispatcher
    names the room until they have."""
    strangers = preface_and_half_a_hello(cluster, product, 4 * PLACES)
    eventually(lambda: cluster.room.metric("connections_count") >= len(strangers))
    assert locate(cluster)
    clients = fill(cluster, product, "f")
    for stranger in strangers:
        stranger.close()
    leave(cluster, clients)


def test_a_drained_room_is_not_ready(cluster, product):
    """After a drain by the API the room's process goes on, and /readyz says why nobody is sent there. Who came before it and opens after
    it is told so, in the words of what it opens with."""
    late = Client(cluster.info["rooms"][0], preface=b"HW")
    silent = Client(cluster.info["rooms"][0], preface=b"")
    eventually(lambda: cluster.room.metric("connections_count") > 1)
    ops = cluster.room.ports["ops"]
    assert requests.get(f"http://127.0.0.1:{ops}/readyz", timeout=10).status_code == 200
    room = next(r for r in cluster.call("GET", "/v1/cluster").json()["items"] if r["role"] == "room")
    drained = time.monotonic()
    assert cluster.call("POST", f"/v1/rooms/{room['id']}/drain", {}).status_code == 202
    answer = requests.get(f"http://127.0.0.1:{ops}/readyz", timeout=10)
    assert (answer.status_code, "draining" in answer.text) == (503, True)
    late.send_raw(b"S1")
    assert late.expect("Close").code == 4200
    late.close()
    silent.expect_end()
    assert time.monotonic() < drained + 4  # a silent one has 5 s elsewhere
    silent.close()

"""Takeovers and the number of a user's devices, as clients of one token meet them."""

import socket
import struct

import pytest

from client import Client, eventually, pb


def rooms(cluster):
    return cluster.info["rooms"]


def refused(port, device, token):
    """The Close of a login that is refused."""
    with Client(port) as client:
        client.hello(device, pb.Bind(token=token))
        return client.expect("Close")


def test_takeovers_of_the_living(cluster):
    """Five takeovers a minute of one binding, whichever room: the sixth is refused with 4103, and the one that is there stays."""
    product = cluster.product()
    token = product.token("ann")
    clients = []
    for i in range(6):
        clients.append(Client(rooms(cluster)[i % len(rooms(cluster))]))
        clients[-1].login("d1", token)
        if i > 0:
            assert clients[-2].expect("Close").code == 4001
    close = refused(rooms(cluster)[0], "d1", token)
    assert close.code == 4103 and 0 < close.retry_after_ms <= 60000
    clients[-1].nothing_comes()
    for client in clients:
        client.close()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_program_that_is_killed_again_and_again(cluster, reset):
    """A client that is killed and started ten times at once is never refused: it takes nobody's place."""
    product = cluster.product()
    token = product.token("bob")
    for i in range(10):
        client = Client(rooms(cluster)[i % len(rooms(cluster))])
        client.login("d1", token)
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()


def devices(cluster, product, user):
    answer = cluster.call("GET", f"/v1/products/{product.name}/users/{user}").json()
    return {d["device"] for d in answer["positions"]}, {s["device"] for s in answer["sessions"]}


def test_devices_of_a_user(cluster):
    """A 17th device beside 16 that are online is refused; one that has gone gives way to it, in the register and the saver alike."""
    product = cluster.product()
    token = product.token("cid")
    clients = [Client(rooms(cluster)[i % len(rooms(cluster))]) for i in range(16)]
    for i, client in enumerate(clients):
        client.login(f"d{i}", token)
    close = refused(rooms(cluster)[0], "d16", token)
    assert close.code == 4103 and close.reason == "too many devices" and close.retry_after_ms > 0
    clients[5].send("Bye")
    clients[5].expect_end()
    eventually(lambda: len(devices(cluster, product, "cid")[1]) == 15)
    with Client(rooms(cluster)[0]) as last:
        last.login("d16", token)
        known, online = devices(cluster, product, "cid")
        assert known == online == {f"d{i}" for i in range(17) if i != 5}
    for client in clients:
        client.close()

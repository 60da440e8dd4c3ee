"""A center keeps where a user's sessions are, as long as appends tell that no other has arrived: a push to one who is online asks no register."""

import os
import signal

import pytest

from client import Client, eventually
from daemons import Cluster, Redis


@pytest.fixture(name="cluster", scope="module", params=["memory", "redis"])
def a_cluster(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("known_rows")
    redis = Redis(folder / "redis") if request.param == "redis" else None
    running = None
    try:
        running = Cluster(folder, redis=redis, room=2)
        yield running
        running.stop()
    finally:
        if running:
            running.kill_all()
        if redis:
            redis.stop()


def receive(client, payload):
    push = client.expect("Push")
    assert push.payload == payload.encode()
    client.ack_push(push)


def test_who_comes_is_told(cluster):
    """A second device logs in, in another room, between two pushes to a user who is known: it gets the second one at once, as the first
    device does. When it has gone, and come again elsewhere, it is found, too."""
    product, center = cluster.product(), cluster.center
    rooms = cluster.info["rooms"]
    with Client(rooms[0]) as first:
        first.login("d1", product.token("ann"))
        for word in ("one", "two"):
            product.push_user("ann", word)
            receive(first, word)
        assert center.metric("rows_known_total") > 0
        for room in (rooms[1], rooms[0]):
            with Client(room) as second:
                second.login("d2", product.token("ann"))
                asked = center.metric("rows_asked_total")
                for word in ("three", "four"):
                    product.push_user("ann", word)
                    receive(second, word)
                    receive(first, word)
                assert center.metric("rows_asked_total") == asked + 1
        assert cluster.daemons["room"][0].metric("heads_ahead_total") == 0


def test_the_register_stands_still(cluster):
    """A push to a user who is known needs no register."""
    product, register = cluster.product(), cluster.register.process.pid
    with Client(cluster.info["rooms"][0]) as bob:
        bob.login("d1", product.token("bob"))
        product.push_user("bob", "before")
        receive(bob, "before")
        product.push_user("bob", "known")
        receive(bob, "known")
        asked = cluster.center.metric("rows_asked_total")
        os.kill(register, signal.SIGSTOP)
        try:
            for n in range(5):
                product.push_user("bob", f"now{n}")
                receive(bob, f"now{n}")
        finally:
            os.kill(register, signal.SIGCONT)
        assert cluster.center.metric("rows_asked_total") == asked


def test_a_room_that_does_not_answer(cluster):
    """What a room does not take is kept for it, once for the session; and where the user is a register is asked again at the next push,
    since the session may be elsewhere by then."""
    product, center, room = cluster.product(), cluster.center, cluster.daemons["room"][0].process.pid
    with Client(cluster.info["rooms"][0]) as cleo:
        cleo.login("d1", product.token("cleo"))
        for word in ("before", "known"):
            product.push_user("cleo", word)
            receive(cleo, word)
        kept = center.metric("hints_kept_total")
        os.kill(room, signal.SIGSTOP)
        try:
            product.push_user("cleo", "first")
            eventually(lambda: center.metric("hints_kept_total") == kept + 1)
            asked, known = center.metric("rows_asked_total"), center.metric("rows_known_total")
            product.push_user("cleo", "second")
            assert center.metric("rows_asked_total") == asked + 1
            assert center.metric("rows_known_total") == known
        finally:
            os.kill(room, signal.SIGCONT)
        receive(cleo, "first")
        receive(cleo, "second")

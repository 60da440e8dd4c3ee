"""A session that waits for nothing sleeps in a few bytes (sessions_awake_count says how many do not); whatever comes wakes it."""

import pytest

from client import Client, eventually, pb
from daemons import Cluster


@pytest.fixture(name="cluster", scope="module")
def a_cluster(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("sleep"), room=2)
    yield running
    running.stop()


def all_sleep(cluster):
    eventually(lambda: all(r.metric("sessions_awake_count") == 0 for r in cluster.daemons["room"]))


def test_what_wakes_a_session(cluster):
    """An inbox message, a broadcast, one for other tags (which it passes over), a live message and broadcast, new tags, a Ping."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as ann:
        ann.login("d1", product.token("ann"), tags=["a"])
        all_sleep(cluster)
        product.push_user("ann", "one")
        product.push({"all": True}, payload="two")
        for _ in range(2):
            ann.ack_push(ann.expect("Push"))
        all_sleep(cluster)
        product.push({"tags": {"any": ["b"]}}, payload="for others")
        product.push({"all": True}, payload="three")
        push = ann.expect("Push")
        assert push.payload == b"three"
        ann.ack_push(push)
        all_sleep(cluster)
        product.push_user("ann", "live", **{"class": "live"})
        product.push({"all": True}, payload="live to all", **{"class": "live"})
        assert {ann.expect("Push").payload for _ in range(2)} == {b"live", b"live to all"}
        ann.send("Bind", token=product.token("ann"), tags=["b"])
        assert ann.expect("Bound").error == 0
        all_sleep(cluster)
        product.push({"tags": {"any": ["b"]}}, payload="for b")
        push = ann.expect("Push")
        assert push.payload == b"for b"
        ann.send("Ping")
        ann.expect("Pong")
        ann.send("Bye")


def test_a_sleeper_is_replaced_and_resumed(cluster):
    """It goes on by its resume bytes behind what it had handled; and a newer login ends it."""
    product = cluster.product()
    ann = Client(cluster.info["rooms"][0])
    ann.login("d1", product.token("ann"))
    product.push_user("ann", "one")
    push = ann.expect("Push")
    ann.ack_push(push)
    all_sleep(cluster)
    ann.close()
    product.push_user("ann", "two")
    with Client(cluster.info["rooms"][0]) as again:
        again.hello("d1", pb.Bind(token=product.token("ann")), resume=ann.welcome.resume)
        again.welcome, again.product = again.expect("Welcome"), ann.product
        assert again.welcome.bound[0].resumed
        came = dict(again.receive() for _ in range(2))  # the room may hear of it after the Hello
        assert came.keys() == {"Push", "Synced"} and came["Push"].payload == b"two"
        again.ack_push(came["Push"])
        all_sleep(cluster)
        with Client(cluster.info["rooms"][1]) as newer:
            newer.login("d1", product.token("ann"))
            assert again.expect("Close").code == 4001
            all_sleep(cluster)

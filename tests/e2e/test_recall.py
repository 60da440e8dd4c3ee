"""Recalls on real daemons: what is taken back goes to nobody any more, and whoever has not handled it is told of a gap."""

import os
import signal

import pytest

from client import Client, eventually, pb
from daemons import Cluster
from test_ctl import ctl
from test_durable import push, readiness, received
from test_landing import savers


def recall(cluster, product, message, status=200):
    answer = cluster.call("DELETE", f"/v1/products/{product.name}/messages/{message}")
    assert answer.status_code == status, answer.text
    return answer.json()


def recall_state(cluster, product, message):
    return cluster.call("DELETE", f"/v1/products/{product.name}/messages/{message}").json()["state"]


def sums(cluster, product):
    stats = cluster.call("GET", f"/v1/products/{product.name}/stats").json()
    assert stats["accepted"] == sum(stats[k] for k in ("acked", "pending", "expired", "overflowed", "collapsed", "recalled", "parked"))
    return {name: stats[name] for name in ("pending", "recalled", "acked")}


def told(frames):
    return [m.payload.decode() if name == "Push" else (m.first, m.last, m.reason) for name, m in frames]


def test_recalled_while_away(cluster):
    """Who was away gets a gap in its place. A repeat says the same, and so does one of an id that was handled by one device of two."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as ann:
        ann.login("phone", product.token("ann"))
    ids = [product.push_user("ann", str(i), headers={"Idempotency-Key": f"key {i}"})["id"] for i in range(3)]
    first = recall(cluster, product, ids[1])
    assert (first["id"], first["state"]) == (ids[1], "recalled") and first["accepted_at"] < first["expires_at"]
    assert recall(cluster, product, ids[1]) == first
    assert sums(cluster, product) == {"pending": 2, "recalled": 1, "acked": 0}
    again = product.push_user("ann", "1", headers={"Idempotency-Key": "key 1"})
    assert again["id"] == ids[1] and again["replayed"] is True
    with Client(cluster.info["rooms"][0]) as ann:
        _, before = ann.login("phone", product.token("ann"))
        assert told(before) == ["0", (2, 2, pb.GAP_RECALLED), "2"]
        ann.ack_push(before[-1][1])
        eventually(lambda: sums(cluster, product) == {"pending": 0, "recalled": 1, "acked": 2})


def test_recalled_behind_a_shut_window(cluster):
    """A device that takes no more for now is not sent what is recalled meanwhile: of its inbox and of the news alike."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as ann:
        ann.login("phone", product.token("ann"))
        for i in range(32):
            product.push_user("ann", str(i))
            product.push({"all": True}, payload=f"news {i}")
        got = [ann.expect("Push") for _ in range(64)]
        last = [[m for m in got if m.stream == stream][-1] for stream in (0, 1)]
        taken_back = [product.push_user("ann", "no"), product.push({"all": True}, payload="no")]
        product.push_user("ann", "yes")
        product.push({"all": True}, payload="yes")
        for message in taken_back:
            recall(cluster, product, message["id"])
        ann.nothing_comes()
        for message in last:
            ann.ack_push(message)
            gap = ann.expect("Gap")
            assert (gap.stream, gap.first, gap.last, gap.reason) == (message.stream, 33, 33, pb.GAP_RECALLED)
            assert ann.expect("Push").payload == b"yes"
    assert sums(cluster, product)["recalled"] == 1


def test_unknown_and_refused(cluster):
    """What no log has is unknown, whatever its id looks like; a message to many is refused by its name."""
    product, other = cluster.product(), cluster.product()
    message = product.push_user("ann", "x")["id"]
    for unknown in ("x", "z" * 26, message[:-1], message[:-1] + ("0" if message[-1] != "0" else "1"), message + "0"):
        assert recall(cluster, product, unknown, 404)["code"] == "not_found"
    assert recall(cluster, other, message, 404)["code"] == "not_found"
    live = product.push({"all": True}, payload="x", **{"class": "live"})["id"]
    assert recall(cluster, product, live, 404)["code"] == "not_found"
    many = product.push({"users": ["ann", "bob"]}, payload="x")["id"]
    assert recall(cluster, product, many, 422)["field"] == "id"
    assert recall(cluster, product, message)["state"] == "recalled"


@pytest.mark.parametrize("kind", ["stored", "durable"])
def test_it_does_not_come_back(tmp_path, stores, kind):
    """Redis loses everything behind a recall: what was recalled is not put back, and a repeat of the recall says the same."""
    redis, maria = stores
    with savers(tmp_path, stores) as cluster:
        product = cluster.product()
        ids = [push(cluster, product, str(i), durable=kind).json()["id"] for i in range(3)]
        news = [push(cluster, product, f"news {i}", to={"all": True}, durable=kind).json()["id"] for i in range(2)]
        eventually(lambda: maria.sql("SELECT COUNT(*) FROM hawser.hawser_messages WHERE unmarked IS NULL") == [(5,)])
        first = recall(cluster, product, ids[1])
        recall(cluster, product, news[0])
        redis.command("FLUSHALL")
        eventually(lambda: received(cluster, product, "ann", "new") == [b"0", b"2"], seconds=60)
        assert recall(cluster, product, ids[1]) == first
        assert maria.sql("SELECT COUNT(*) FROM hawser.hawser_recalls") == [(2,)]


def test_by_hand(cluster):
    """An operator asks what waits for a user, takes one of it back, and lists the jobs."""
    product = cluster.product()
    message = product.push_user("ann", "no")["id"]
    job = product.push({"users": [f"user{i}" for i in range(101)]}, payload="x")["id"]
    assert [m["state"] for m in ctl(cluster, "why", product.name, "ann")["items"]] == ["pending"]
    assert ctl(cluster, "recall", product.name, message)["state"] == "recalled"
    assert [m["id"] for m in ctl(cluster, "jobs", product.name)["items"]] == [job]
    assert ctl(cluster, "message", product.name, job)["counts"]["targets"] == 101
    assert ctl(cluster, "recall", product.name, "nope", expect=1) is None


def test_it_is_what_became_of_it(tmp_path, stores):
    """Whoever asks what became of a message hears that it was recalled: of one user's, and of a broadcast."""
    with savers(tmp_path, stores) as cluster:
        product = cluster.product()
        message, other = [push(cluster, product, str(i), durable="stored").json()["id"] for i in range(2)]
        news = push(cluster, product, "news", to={"all": True}, durable="durable").json()["id"]
        messages = f"/v1/products/{product.name}/messages"

        def states():
            answers = [cluster.call("GET", f"{messages}/{m}").json() for m in (message, other, news)]
            return [a.get("state") for a in answers]

        for taken_back in (message, news):
            recall(cluster, product, taken_back)
        eventually(lambda: states() == ["recalled", "done", "recalled"])
        assert cluster.call("GET", f"{messages}/{message}").json()["counts"]["recalled"] == 1
        assert cluster.call("GET", f"{messages}/{message}/users/ann").json()["state"] == "recalled"
        assert [m["state"] for m in cluster.call("GET", f"/v1/products/{product.name}/users/ann/messages").json()["items"]] == ["recalled", "pending"]


def test_mariadb_is_away(tmp_path, stores):
    """As long as MariaDB cannot say that a recall is there it is not answered as done, though nobody is sent the message. A row that lands
    behind the recall is not put back either."""
    redis, maria = stores
    with savers(tmp_path, stores) as cluster:
        product = cluster.product()
        maria.freeze()
        message = push(cluster, product, "no", durable="stored").json()["id"]
        push(cluster, product, "yes", durable="stored")
        assert recall(cluster, product, message, 202)["state"] == "recalling"
        with Client(cluster.info["rooms"][0]) as ann:
            assert told(ann.login("phone", product.token("ann"))[1]) == ["yes"]
        maria.process.send_signal(signal.SIGCONT)
        assert recall(cluster, product, message)["state"] == "recalled"
        eventually(lambda: maria.sql("SELECT COUNT(*) FROM hawser.hawser_messages") == [(2,)])
        redis.command("FLUSHALL")
        eventually(lambda: received(cluster, product, "ann", "new") == [b"yes"], seconds=60)


def test_a_room_that_stands_still(tmp_path, stores):
    """A frozen room may hold the broadcast: the recall is answered when its lease has ended. What the room had waits for nobody when it
    comes back."""
    redis, _ = stores
    cluster = Cluster(tmp_path, redis=redis, room=2)
    try:
        product = cluster.product()
        room = cluster.daemons["room"][0]
        with Client(room.ports["room"]) as ann:
            ann.login("phone", product.token("ann"))
            for i in range(32):
                product.push({"all": True}, payload=str(i))
            last = [ann.expect("Push") for _ in range(32)][-1]
            message = product.push({"all": True}, payload="no")["id"]
            os.kill(room.process.pid, signal.SIGSTOP)
            try:
                assert recall(cluster, product, message, 202)["state"] == "recalling"
                ann.ack_push(last)
                eventually(lambda: recall_state(cluster, product, message) == "recalled", seconds=60)
            finally:
                os.kill(room.process.pid, signal.SIGCONT)
            gap = ann.expect("Gap")
            assert (gap.stream, gap.first, gap.last, gap.reason) == (1, 33, 33, pb.GAP_RECALLED)
    finally:
        cluster.stop()

"""collapse_key on real daemons: a push takes the place of the user's message with its key that no device has handled."""

import json
import subprocess

from client import Client, eventually, pb
from cluster import BIN


def sums(cluster, product):
    stats = cluster.call("GET", f"/v1/products/{product.name}/stats").json()
    assert stats["accepted"] == sum(stats[k] for k in ("acked", "pending", "expired", "overflowed", "collapsed", "recalled", "parked"))
    return {name: stats[name] for name in ("pending", "collapsed", "acked")}


def told(frames):
    return [(m.payload.decode(), m.collapse_key) if name == "Push" else (m.first, m.last, m.reason) for name, m in frames]


def test_replaced_while_away(cluster):
    """Who was away gets a gap and the newest of each key, in order; a repeat of a push replaces nothing; a message for one device does
    not take the place of one for all."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as ann:
        ann.login("phone", product.token("ann"))
    product.push_user("ann", "1:0", collapse_key="score")
    product.push_user("ann", "plain")
    first = product.push_user("ann", "1:1", collapse_key="score", headers={"Idempotency-Key": "once"})
    product.push_user("ann", "rain", collapse_key="weather")
    again = product.push_user("ann", "1:1", collapse_key="score", headers={"Idempotency-Key": "once"})
    assert again["id"] == first["id"] and again["replayed"] is True
    product.push({"devices": [{"user": "ann", "device": "phone"}]}, payload="2:1", collapse_key="score")
    assert sums(cluster, product) == {"pending": 4, "collapsed": 1, "acked": 0}
    with Client(cluster.info["rooms"][0]) as ann:
        _, before = ann.login("phone", product.token("ann"))
        assert told(before) == [(1, 1, pb.GAP_COLLAPSED), ("plain", ""), ("1:1", "score"), ("rain", "weather"), ("2:1", "score")]
        ann.ack_push(before[-1][1])
        eventually(lambda: sums(cluster, product) == {"pending": 0, "collapsed": 1, "acked": 4})
        product.push_user("ann", "3:1", collapse_key="score")  # handled ones stay
        assert ann.expect("Push").payload == b"3:1"


def test_replaced_behind_a_shut_window(cluster):
    """A device that takes no more for now never gets what was replaced meanwhile; users of one push each have their own."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as ann:
        ann.login("phone", product.token("ann"))
        for i in range(32):
            product.push_user("ann", str(i))
        last = [ann.expect("Push") for _ in range(32)][-1]
        for score in ("1:0", "1:1", "2:1"):
            product.push({"users": ["ann", "bob"]}, payload=score, collapse_key="score")
        ann.nothing_comes()
        ann.ack_push(last)
        gap = ann.expect("Gap")
        assert (gap.first, gap.last, gap.reason) == (33, 34, pb.GAP_COLLAPSED)
        assert ann.expect("Push").payload == b"2:1"
    assert sums(cluster, product)["collapsed"] == 4


def test_batch_and_hawserctl(cluster):
    """In a batch each message has a key of its own; hawserctl gives one, and shows the refusal of a broadcast with one."""
    product = cluster.product()
    batch = [{"to": {"user": "ann"}, "payload": str(i), "collapse_key": "k" if i < 3 else "l"} for i in range(5)]
    answer = cluster.call("POST", f"/v1/products/{product.name}/messages/batch", {"messages": batch})
    assert [r["status"] for r in answer.json()["results"]] == [202] * 5
    assert sums(cluster, product) == {"pending": 2, "collapsed": 3, "acked": 0}
    port = cluster.info.get("center") or cluster.center.ports["center"]
    center = [f"--center=127.0.0.1:{port}", f"--key={cluster.info['admin_key']}"]
    ctl = lambda *words: subprocess.run([BIN / "hawserctl", *center, "push", *words], capture_output=True, text=True, timeout=30)
    done = ctl(product.name, "ann", "newest", "--collapse-key", "k")
    assert done.returncode == 0 and json.loads(done.stdout)["seq"] == 6, done
    assert sums(cluster, product) == {"pending": 2, "collapsed": 4, "acked": 0}
    assert "conflicting_fields" in ctl("--all", product.name, "x", "--collapse-key", "k").stderr

"""What became of a message for whom, on real daemons: each end, with MariaDB and from the log alone, by user and by message."""

import pytest
import requests

from client import Client, eventually
from daemons import Cluster, Redis, wait_until
from test_parked import crash_over, age_attempts


@pytest.fixture
def cluster(tmp_path, stores):
    redis, maria = stores
    running = Cluster(tmp_path, redis=redis, maria=maria)
    running.redis = redis
    wait_until(lambda: requests.get(f"http://127.0.0.1:{running.saver.ports['ops']}/readyz", timeout=10).text == "ready\n",
               "MariaDB is not taken", running.saver.process, running.saver.log_path)
    yield running
    running.stop()


@pytest.fixture
def small(tmp_path):
    """Without a MariaDB."""
    redis = Redis(tmp_path / "redis")
    running = Cluster(tmp_path, redis=redis)
    yield running
    running.stop()
    redis.stop()


def push(cluster, product, user="ann", **more):
    to = {"to": {"user": user}} if user else {}
    answer = cluster.call("POST", f"/v1/products/{product.name}/messages", {**to, "payload": "x", **more})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def get(cluster, product, path, status=200):
    answer = cluster.call("GET", f"/v1/products/{product.name}/{path}")
    assert answer.status_code == status, answer.text
    return answer.json()


def states(cluster, product, user="ann", query=""):
    return [item["state"] for item in get(cluster, product, f"users/{user}/messages{query}")["items"]]


def counts(cluster, product, message):
    return {name: count for name, count in get(cluster, product, f"messages/{message}")["counts"].items() if count}


def take(cluster, product, acks, device="phone", user="ann"):
    """A device that takes what there is, and acknowledges so many of it."""
    with Client(cluster.info["rooms"][0]) as client:
        frames = [frame for name, frame in client.login(device, product.token(user))[1] if name == "Push"]
        for frame in frames[:acks]:
            client.ack_push(frame)
        if acks:
            eventually(lambda: any(d["device"] == device and d["streams"]["inbox"]["seq"] == frames[acks - 1].seq
                                   for d in get(cluster, product, f"users/{user}")["positions"]))


def test_why(cluster):
    """Why did ann not get it: each end is told, with when it was and by which device it was acknowledged, by user and by message."""
    product = cluster.product()
    assert cluster.call("PATCH", f"/v1/products/{product.name}", {"limits": {"inbox_messages": 10}}).status_code == 200
    got, replaced, short = push(cluster, product), push(cluster, product, collapse_key="k"), push(cluster, product, ttl_s=1)
    push(cluster, product, collapse_key="k")
    eventually(lambda: states(cluster, product) == ["pending", "collapsed", "expired", "pending"])
    take(cluster, product, 1)
    eventually(lambda: states(cluster, product) == ["acked", "collapsed", "expired", "pending"])
    eventually(lambda: get(cluster, product, f"messages/{got}/users/ann")["ended_at"])
    one = get(cluster, product, f"messages/{got}/users/ann")
    assert one["id"] == got and one["seq"] == 1 and one["class"] == "stored" and one["ended_at"] >= one["accepted_at"], one
    assert one["devices"] == [{"device": "phone", "state": "acked", "sent_at": None, "acked_at": one["ended_at"], "attempts": None}]
    assert get(cluster, product, f"messages/{short}/users/ann")["devices"][0]["state"] in ("expired", "unknown")
    assert counts(cluster, product, replaced) == {"targets": 1, "collapsed": 1}
    status = get(cluster, product, f"messages/{got}")
    assert (status["state"], status["unit"], status["progress"], status["class"]) == ("done", "users", 1, "stored"), status
    for _ in range(11):
        push(cluster, product)
    eventually(lambda: states(cluster, product, query="?state=overflowed") == ["overflowed"])
    assert states(cluster, product, query="?state=acked") == ["acked"]


def test_many(cluster):
    """One message for many: its users page by page and by state, and counted; durable ones are known, too."""
    product = cluster.product()
    users = [f"u{i}" for i in range(5)]
    message = push(cluster, product, user=None, to={"users": users}, **{"class": "durable"})
    take(cluster, product, 1, user="u3")
    eventually(lambda: counts(cluster, product, message) == {"targets": 5, "pending": 4, "acked": 1})
    page = get(cluster, product, f"messages/{message}/users?limit=2")
    assert [item["user"] for item in page["items"]] == ["u0", "u1"]
    page = get(cluster, product, f"messages/{message}/users?after={page['next']}")
    assert [(item["user"], item["state"]) for item in page["items"]] == [("u2", "pending"), ("u3", "acked"), ("u4", "pending")]
    assert page["next"] is None and page["items"][1]["devices"][0]["device"] == "phone"
    assert [item["user"] for item in get(cluster, product, f"messages/{message}/users?state=acked")["items"]] == ["u3"]
    broadcast = push(cluster, product, user=None, to={"all": True})
    eventually(lambda: cluster.call("GET", f"/v1/products/{product.name}/messages/{broadcast}").status_code == 200)
    assert get(cluster, product, f"messages/{broadcast}")["unit"] == "devices"
    get(cluster, product, f"messages/{broadcast}/users", 422)


def test_parked(cluster):
    """What a device had five times is parked, and acknowledged by another one after all."""
    product = cluster.product()
    token = product.token("pat")
    message = push(cluster, product, user="pat")
    for _ in range(4):
        crash_over(cluster, token)
    device, = get(cluster, product, f"messages/{message}/users/pat")["devices"]
    assert device["attempts"] == 4 and device["state"] == "pending", device
    assert age_attempts(cluster.redis, "pat") == 4
    crash_over(cluster, token)
    eventually(lambda: get(cluster, product, f"messages/{message}/users/pat")["state"] == "parked")
    eventually(lambda: counts(cluster, product, message) == {"targets": 1, "parked": 1})
    parked, = get(cluster, product, f"messages/{message}/users")["items"]
    assert [(d["device"], d["state"], d["acked_at"]) for d in parked["devices"]] == [("phone", "parked", None)], parked
    take(cluster, product, 1, device="laptop", user="pat")
    eventually(lambda: counts(cluster, product, message) == {"targets": 1, "acked": 1})


def test_mariadb_is_away(cluster, stores):
    """Nothing is answered that may be wrong while MariaDB is away; what happened meanwhile is known when it is back."""
    product = cluster.product()
    message = push(cluster, product)
    eventually(lambda: cluster.call("GET", f"/v1/products/{product.name}/messages/{message}").status_code == 200)
    stores[1].kill()
    for path in ("users/ann/messages", f"messages/{message}", f"messages/{message}/users", f"messages/{message}/users/ann"):
        assert get(cluster, product, path, 503)["code"] == "store_unavailable"
    take(cluster, product, 1)
    push(cluster, product)
    stores[1].start()
    eventually(lambda: cluster.call("GET", f"/v1/products/{product.name}/users/ann/messages").status_code == 200)
    eventually(lambda: states(cluster, product) == ["acked", "pending"])
    eventually(lambda: counts(cluster, product, message) == {"targets": 1, "acked": 1})


def test_log_alone(small):
    """Without a MariaDB a user's log answers what is in it, page by page, and what left it is not known."""
    product = small.product()
    messages = [push(small, product) for _ in range(5)]
    assert states(small, product) == ["pending"] * 5
    page = get(small, product, "users/ann/messages?limit=2")
    assert [item["id"] for item in page["items"]] == messages[:2]
    page = get(small, product, f"users/ann/messages?after={page['next']}")
    assert [item["id"] for item in page["items"]] == messages[2:] and page["next"] is None
    take(small, product, 0, device="laptop")
    take(small, product, 2)
    assert states(small, product) == ["acked", "acked", "pending", "pending", "pending"]
    one = get(small, product, f"messages/{messages[1]}/users/ann")
    assert {d["device"]: d["state"] for d in one["devices"]} == {"phone": "acked", "laptop": "pending"}, one
    take(small, product, 5, device="laptop")
    assert states(small, product) == ["pending"] * 3 or states(small, product)[0] == "acked"
    get(small, product, f"messages/{messages[0]}/users/ann", 404)
    get(small, product, f"messages/{messages[4]}", 404)
    assert get(small, product, "users/nobody/messages") == {"items": [], "next": None}


def test_dry_run(small):
    """A push that is only checked: how many it is for, and who is there; nothing is stored, and what a push is refused for is refused."""
    product = small.product()
    path = f"/v1/products/{product.name}/messages"

    def dry(to, **more):
        return small.call("POST", path, {"to": to, "payload": "x", "dry_run": True, **more})

    with Client(small.info["rooms"][0]) as client:
        client.login("phone", product.token("ann"))
        for to, targets, online in (({"user": "ann"}, 1, 1), ({"users": ["ann", "bob", "ann"]}, 2, 1), ({"all": True}, None, 1),
                                    ({"devices": [{"user": "ann", "device": "tv"}, {"user": "ann", "device": "phone"}]}, 1, 1),
                                    ({"devices": [{"user": "ann", "device": "tv"}]}, 1, 0), ({"tags": {"any": ["t"]}}, None, None)):
            answer = dry(to)
            assert answer.status_code == 200 and answer.json() == {"class": "stored", "targets": targets, "online": online}, answer.text
    assert dry({"user": "ann"}, **{"class": "durable"}).json()["field"] == "class"
    assert dry({"user": "ann"}, payload_base64="eA==").status_code == 422
    assert dry({"user": "ann"}, dry_run="yes").json()["field"] == "dry_run"
    results = small.call("POST", path + "/batch", {"messages": [{"to": {"user": "ann"}, "payload": "x", "dry_run": True}]}).json()["results"]
    assert results[0].pop("online") in (0, 1)  # the session is over soon
    assert results == [{"status": 200, "class": "stored", "targets": 1}], results
    assert states(small, product) == []


def test_refused(small):
    """What names no message, state or page is refused by its field."""
    product = small.product()
    for path, field in (("users/ann/messages?state=lost", "state"), ("users/ann/messages?after=x", "after"),
                        ("users/ann/messages?limit=0", "limit"), ("messages/a-b", "id"), ("messages/a-b/users", "id"),
                        ("messages/abc/users/%0A", "user"), ("messages/abc/users?state=", "state")):
        assert get(small, product, path, 422)["field"] == field
    get(small, product, "messages/abc", 404)
    get(small, product, "messages/abc/users", 404)
    get(small, product, "messages/abc/users/ann", 404)

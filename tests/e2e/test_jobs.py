"""Pushes to more than 100 targets: stored whole before the answer, then spread by all centers."""

import threading

import pytest

from client import Client, eventually
from daemons import Cluster, MariaDB, Redis


def users(count):
    return [f"user{i}" for i in range(count)]


def jobs(cluster, product, query="", **center):
    answer = cluster.call("GET", f"/v1/products/{product.name}/messages{query}", **center)
    assert answer.status_code == 200, answer.text
    return answer.json()


def done(cluster, product, job, **center):
    """The job as the list shows it, when it is done."""
    def found():
        return next(i for i in jobs(cluster, product, **center)["items"] if i["id"] == job)
    eventually(lambda: found()["state"] == "done", 60)
    return found()


def stats(cluster, product, **center):
    return cluster.call("GET", f"/v1/products/{product.name}/stats", **center).json()


def test_a_job(cluster):
    """It is answered with its id and the number of its targets; each has the message once, under that id; who is connected is told."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d1", product.token("user7"))
        answer = product.push({"users": users(250)}, payload="to many", ttl_s=60)
        assert answer["targets"] == 250 and "seq" not in answer and "replayed" not in answer
        push = client.expect("Push")
        assert (push.payload, push.id) == (b"to many", answer["id"])
        client.ack_push(push)
        job = done(cluster, product, answer["id"])
        assert job["counts"] == {"targets": 250, "rejected": 0} and job["progress"] == 1
        assert job["class"] == "stored" and job["expires_at"] == answer["expires_at"]
        client.nothing_comes()
    assert cluster.call("GET", f"/v1/products/{product.name}/messages/{job['id']}").json() == job
    assert stats(cluster, product)["accepted"] == 250
    answer = product.push({"users": users(100)}, payload="to a hundred")  # is none
    assert [i["id"] for i in jobs(cluster, product)["items"]] == [job["id"]] and stats(cluster, product)["accepted"] == 350


def test_devices(cluster):
    """Of a job to devices each gets its own."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as phone, Client(cluster.info["rooms"][0]) as desk:
        phone.login("phone", product.token("user3"))
        desk.login("desk", product.token("user3"))
        answer = product.push({"devices": [{"user": u, "device": "phone"} for u in users(101)]}, payload="x")
        assert phone.expect("Push").id == answer["id"]
        assert desk.expect("Gap").first == 1
        done(cluster, product, answer["id"])


@pytest.mark.parametrize("count", [2, 100, 101, 300])
def test_keys(cluster, count):
    """For any number of targets: the same body is replayed, another one is 409 before anything of it is stored, other targets too."""
    product, head, to = cluster.product(), {"Idempotency-Key": "k"}, {"users": users(count)}
    first = product.push(to, payload="first", headers=head)
    assert "replayed" not in first
    for other in ({"to": to, "payload": "second"}, {"to": {"users": users(count + 1)}, "payload": "first"},
                  {"to": {"users": users(count)[:-1] + ["bob"]}, "payload": "first"}):
        assert product.push(**other, headers=head, expect=409)["code"] == "idempotency_mismatch"
    again = product.push(to, payload="first", headers=head)
    assert again["id"] == first["id"] and again["replayed"] is True and again["expires_at"] == first["expires_at"]
    eventually(lambda: stats(cluster, product)["accepted"] == count)
    if count > 100:
        done(cluster, product, first["id"])
        assert product.push(to, payload="first", headers=head)["replayed"] is True
    assert stats(cluster, product)["accepted"] == count


def test_rejected(cluster):
    """Targets whose inbox is full are left out, counted once, and hold up no others."""
    product = cluster.product()
    path = f"/v1/products/{product.name}"
    cluster.call("PATCH", path, {"limits": {"inbox_messages": 10, "reject_new": True}})
    for user in ("user3", "user120"):
        eventually(lambda u=user: cluster.call("POST", path + "/messages", {"to": {"user": u}, "payload": "x"}).status_code == 507)
    answer = product.push({"users": users(200)}, payload="x")
    assert done(cluster, product, answer["id"])["counts"] == {"targets": 200, "rejected": 2}
    seen = stats(cluster, product)
    assert seen["rejected"] == 2 and seen["accepted"] == 20 + 198


def test_the_list(cluster):
    """Newest first, page by page; of one state."""
    product = cluster.product()
    ids = [product.push({"users": users(101)}, payload=str(i))["id"] for i in range(5)]
    for job in ids:
        done(cluster, product, job)
    page = jobs(cluster, product, "?limit=3")
    assert [i["id"] for i in page["items"]] == ids[:1:-1] and page["next"]
    page = jobs(cluster, product, "?limit=3&state=done&after=" + page["next"])
    assert [i["id"] for i in page["items"]] == ids[1::-1] and page["next"] is None
    assert jobs(cluster, product, "?state=queued")["items"] == []
    for query in ("?state=some", "?after=x", "?limit=0"):
        assert cluster.call("GET", f"/v1/products/{product.name}/messages{query}").status_code == 422


def test_batch(cluster):
    """A message of a batch is a job as one alone is."""
    product = cluster.product()
    body = {"messages": [{"to": {"users": users(150)}, "payload": "x", "idempotency_key": "k"}, {"to": {"user": "ann"}, "payload": "y"}]}
    first, again = (cluster.call("POST", f"/v1/products/{product.name}/messages/batch", body).json()["results"][0] for _ in range(2))
    assert first["status"] == again["status"] == 202 and first["id"] == again["id"] and again["replayed"] is True
    done(cluster, product, first["id"])


class Reader(threading.Thread):
    """A device that handles what comes until it has so many."""

    def __init__(self, port, product, user, count):
        super().__init__(daemon=True)
        self.client, self.count, self.got = Client(port), count, []
        self.client.login("d1", product.token(user))
        self.start()

    def run(self):
        while len(self.got) < self.count:
            push = self.client.expect("Push")
            self.got.append((push.seq, push.payload.decode()))
            self.client.ack_push(push)


@pytest.mark.parametrize("payload_bytes", [10, 4000])
def test_a_center_dies(tmp_path, payload_bytes):
    """Centers are killed in the midst of jobs of 10,000 targets: others go on, and each target has each message once, in one order."""
    redis = Redis(tmp_path / "redis")
    cluster = Cluster(tmp_path, redis, center=3, saver=2)
    try:
        product = cluster.product()
        eventually(lambda: all(cluster.call("GET", f"/v1/products/{product.name}", center=n).status_code == 200 for n in range(3)))
        readers = [Reader(cluster.info["rooms"][0], product, f"user{n * 99}", 3) for n in range(8)]
        answers = []
        for n in range(3):
            answer = cluster.call("POST", f"/v1/products/{product.name}/messages",
                                  {"to": {"users": users(10000)}, "payload": str(n) + "x" * payload_bytes}, center=n)
            assert answer.status_code == 202, answer.text
            answers.append(answer.json()["id"])
        killed = [cluster.daemons["center"][n] for n in (0, 1)]
        eventually(lambda: killed[0].metric("appends_total") > 500 and killed[1].metric("appends_total") > 500)
        for center in killed:
            center.kill()
        for job in answers:
            assert done(cluster, product, job, center=2)["counts"] == {"targets": 10000, "rejected": 0}
        seen = stats(cluster, product, center=2)
        assert seen["accepted"] == 30000 and seen["rejected"] == 0
        for reader in readers:
            reader.join(60)
            assert [seq for seq, _ in reader.got] == [1, 2, 3] and len({text for _, text in reader.got}) == 3, reader.got
            reader.client.nothing_comes()
            reader.client.close()
        for center in killed:
            center.start()
        cluster.stop()
    finally:
        cluster.kill_all()
        redis.stop()


def test_durable(tmp_path):
    """With a MariaDB a job is committed there first, and leaves when it is done; while that is away none is taken."""
    redis, maria = Redis(tmp_path / "redis"), MariaDB(tmp_path / "maria")
    cluster = Cluster(tmp_path, redis, maria)
    try:
        product = cluster.product()
        eventually(lambda: cluster.call("POST", f"/v1/products/{product.name}/messages",
                                        {"to": {"user": "ann"}, "payload": "x", "class": "durable"}).status_code == 202)
        for kind in ("durable", "stored"):
            answer = product.push({"users": users(150)}, payload=kind, **{"class": kind})
            assert done(cluster, product, answer["id"])["counts"] == {"targets": 150, "rejected": 0}

            def status():
                found = cluster.call("GET", f"/v1/products/{product.name}/messages/{answer['id']}").json()
                return found["state"], found["class"], {name: count for name, count in found["counts"].items() if count}

            eventually(lambda: status() == ("done", kind, {"targets": 150, "pending": 150}))
        assert maria.sql("SELECT COUNT(DISTINCT user) FROM hawser.hawser_messages WHERE class = 2 AND user LIKE 'user%'")[0][0] == 150
        maria.sql("UPDATE hawser.hawser_jobs SET landed_ms = 0")
        eventually(lambda: maria.sql("SELECT COUNT(*) FROM hawser.hawser_jobs")[0][0] == 0)
        maria.kill()
        assert product.push({"users": users(150)}, payload="x", expect=503)["code"] == "class_unavailable"
        cluster.stop()
    finally:
        cluster.kill_all()
        redis.stop()
        maria.stop()

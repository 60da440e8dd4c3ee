"""The class durable on real daemons: committed in MariaDB before it is answered, and delivered once, whoever is away or dies meanwhile."""

import concurrent.futures
import contextlib
import shutil
import signal
import time

import pytest
import requests

from client import Client, eventually, pb
from daemons import Cluster, MariaDB, Redis, wait_until


@pytest.fixture
def cluster(tmp_path, stores):
    redis, maria = stores
    running = Cluster(tmp_path, redis=redis, maria=maria)
    wait_until(lambda: readiness(running).text == "ready\n", "MariaDB is not taken", running.saver.process, running.saver.log_path)
    yield running
    running.stop()


def readiness(cluster):
    return requests.get(f"http://127.0.0.1:{cluster.saver.ports['ops']}/readyz", timeout=10)


def push(cluster, product, payload, key=None, to=None, durable="durable"):
    return cluster.call("POST", f"/v1/products/{product.name}/messages", {"to": to or {"user": "ann"}, "payload": payload, "class": durable},
                        headers={"Idempotency-Key": key} if key else {})


def rows(maria, condition="1"):
    """Of durable messages."""
    return maria.sql(f"SELECT id, seq, unmarked FROM hawser.hawser_messages WHERE class = 2 AND {condition} ORDER BY row_no")


def received(cluster, product, user="ann", device="d1"):
    """All payloads that a device that was never there gets at its login; None where it is told to come again (4101)."""
    with Client(cluster.info["rooms"][0]) as client:
        try:
            _, before = client.login(device, product.token(user))
        except AssertionError as refusal:
            assert "code: 4101" in str(refusal)
            return None
        return [message.payload for name, message in before if name == "Push"]


def test_journey(cluster, stores):
    """A durable push reaches a client, and its row has the seq; by key it is one message; to many and to all it is durable, too."""
    maria = stores[1]
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d1", product.token("ann"))
        first = push(cluster, product, "1", key="k").json()
        assert first["class"] == "durable" and first["seq"] == 1, first
        assert client.expect("Push").payload == b"1"
        again = push(cluster, product, "1", key="k").json()
        assert again["replayed"] and again["id"] == first["id"] and again["seq"] == 1, again
        assert push(cluster, product, "2", key="k").status_code == 409
        assert push(cluster, product, "s", durable="stored").json()["class"] == "stored"
        assert client.expect("Push").payload == b"s"
        assert push(cluster, product, "all", to={"all": True}).json()["class"] == "durable"
        assert client.expect("Push").payload == b"all"
        many = push(cluster, product, "m", key="many", to={"users": ["ann", "bob"]})
        assert many.status_code == 202 and many.json()["targets"] == 2, many.text
        assert client.expect("Push").payload == b"m"
    eventually(lambda: len(rows(maria, "unmarked IS NULL AND seq > 0")) == 4)
    assert rows(maria)[0][:2] == (first["id"].encode(), 1) and len(rows(maria)) == 4
    eventually(lambda: cluster.saver.metric("mariadb_rows_marked_total") == 4)
    assert cluster.saver.metric("mariadb_rows_landed_total") == 4
    eventually(lambda: cluster.saver.metric("mariadb_statements_total") > 8)  # as of a second ago


def test_a_batch_keeps_its_order(cluster):
    """Durable messages take longer than others; a user's messages of one batch come in its order all the same."""
    product = cluster.product()
    classes = ["durable", "stored", "stored", "durable", "stored", "durable", "durable", "live", "stored"]
    messages = [{"to": {"user": "ann"}, "payload": str(i), "class": name} for i, name in enumerate(classes)]
    messages.insert(4, {"to": {"user": "ann"}})
    results = cluster.call("POST", f"/v1/products/{product.name}/messages/batch", {"messages": messages}).json()["results"]
    assert [r["status"] for r in results] == [202] * 4 + [422] + [202] * 5
    assert [r["seq"] for r in results if "seq" in r] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_full_inbox_keeps_no_row(cluster, stores):
    """What is refused with 507 is in neither store, also when there is room later."""
    maria = stores[1]
    product = cluster.product()
    limits = {"limits": {"inbox_messages": 10, "reject_new": True}}
    assert cluster.call("PATCH", f"/v1/products/{product.name}", limits).status_code == 200
    eventually(lambda: push(cluster, product, "x").status_code == 507)
    held = len(received(cluster, product))
    assert push(cluster, product, "no").status_code == 507
    eventually(lambda: len(rows(maria)) == held == len(rows(maria, "unmarked IS NULL")))


def test_a_full_redis_keeps_no_row(cluster, stores):
    """What a Redis without memory does not take is refused for good, with nothing left to be delivered later."""
    redis, maria = stores
    product = cluster.product()
    assert push(cluster, product, "1").status_code == 202
    redis.command("CONFIG", "SET", "maxmemory", "1")
    answer = push(cluster, product, "2").json()
    assert answer["code"] == "store_unavailable" and "outcome" not in answer, answer
    assert len(rows(maria)) == 1
    redis.command("CONFIG", "SET", "maxmemory", "0")
    eventually(lambda: push(cluster, product, "3").status_code == 202)
    assert received(cluster, product) == [b"1", b"3"]


def test_mariadb_refuses_rows(cluster, stores):
    """It is there and takes no rows, as on a full disk: 503 soon, /readyz and the log say why."""
    maria = stores[1]
    product = cluster.product()
    maria.sql("CREATE TRIGGER hawser.full_disk BEFORE INSERT ON hawser.hawser_messages FOR EACH ROW "
              "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'The table is full'")
    answer = push(cluster, product, "1").json()
    assert answer["code"] == "class_unavailable" and "outcome" not in answer, answer
    assert "The table is full" in readiness(cluster).text
    eventually(lambda: cluster.saver.metric("mariadb_statements_failed_total") == 6)
    assert 'event="mariadb refused a statement"' in cluster.saver.log_path.read_text()
    assert push(cluster, product, "s", durable="stored").status_code == 202
    maria.sql("DROP TRIGGER hawser.full_disk")
    assert push(cluster, product, "2").status_code == 202
    assert readiness(cluster).text == "ready\n"
    assert received(cluster, product) == [b"s", b"2"]


@pytest.mark.parametrize("how", ["killed", "ended", "frozen", "read_only"])
def test_mariadb_is_away(cluster, stores, how):
    """Durable is refused with 503 and Retry-After, /readyz says why, stored goes on; then all resumes by itself, and what was refused is not there."""
    maria = stores[1]
    product = cluster.product()
    assert push(cluster, product, "1").status_code == 202
    if how == "killed":
        maria.kill()
    elif how == "ended":
        maria.process.terminate()
        maria.process.wait(60)
    elif how == "frozen":
        maria.freeze()
    else:
        maria.sql("SET GLOBAL read_only = 1")
    refused = push(cluster, product, "lost", key="lost")
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0, refused.text
    is_unknown = refused.json().get("outcome") == "unknown"
    assert is_unknown or refused.json()["code"] == "class_unavailable", refused.text
    assert not (is_unknown and how == "read_only"), refused.text
    assert push(cluster, product, "2", durable="stored").status_code == 202
    eventually(lambda: "class durable is refused: mariadb: " in readiness(cluster).text)
    assert readiness(cluster).status_code == 200
    if how in ("killed", "ended"):
        maria.start()
    elif how == "frozen":
        maria.process.send_signal(signal.SIGCONT)
    else:
        maria.sql("SET GLOBAL read_only = 0")
    eventually(lambda: push(cluster, product, "3", key="3").status_code == 202)
    got = received(cluster, product)
    assert [p for p in got if p != b"lost"] == [b"1", b"2", b"3"] and got.count(b"lost") <= (1 if is_unknown else 0), got
    eventually(lambda: rows(maria, "unmarked = 1") == [] and readiness(cluster).text == "ready\n")


def push_into_frozen_redis(cluster, stores, product, pool):
    """A durable push that has landed and is not appended: Redis stands still."""
    redis, maria = stores
    redis.process.send_signal(signal.SIGSTOP)
    answer = pool.submit(push, cluster, product, "landed", "key")
    wait_until(lambda: len(rows(maria, "unmarked = 1")) == 1, "it does not land", cluster.saver.process, cluster.saver.log_path)
    return answer


@pytest.mark.parametrize("how", ["killed", "emptied"])
def test_redis_loses_it(cluster, stores, how):
    """Redis loses everything between the landing and the append: the message is there once, whatever its push was answered; so is a stored one
    that had landed."""
    redis, maria = stores
    product = cluster.product()
    assert push(cluster, product, "before", durable="stored").status_code == 202
    eventually(lambda: maria.sql("SELECT COUNT(*) FROM hawser.hawser_messages") == [(1,)])
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = push_into_frozen_redis(cluster, stores, product, pool)
        cluster.saver.process.send_signal(signal.SIGSTOP)  # or it might append, and mark, what is flushed then
        redis.kill()
        for path in redis.dir.glob("appendonly*"):
            shutil.rmtree(path)
        redis.start()
        if how == "emptied":
            redis.command("FLUSHALL")
        cluster.saver.process.send_signal(signal.SIGCONT)
        answer = answer.result()
    assert answer.status_code == 202 or (answer.status_code == 503 and answer.json()["outcome"] == "unknown"), answer.text
    eventually(lambda: rows(maria, "unmarked = 1") == [], seconds=60)
    eventually(lambda: received(cluster, product) == [b"before", b"landed"], seconds=60)
    assert len(rows(maria, "seq > 0")) == 1


def goes_back(redis, to):
    """The server dies, and comes up with what it had when it was kept; or with nothing."""
    redis.kill()
    shutil.rmtree(redis.dir / "appendonlydir")
    if to:
        shutil.copytree(to, redis.dir / "appendonlydir")
    redis.start()


def test_redis_goes_back(cluster, stores, tmp_path):
    """What Redis lost is back, under its old seqs, for who was away; who was there and had it all sees a gap and no message twice."""
    redis, maria = stores
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as there:
        there.login("d1", product.token("ann"))
        for user in ("ann", "bob"):
            assert push(cluster, product, "1", to={"user": user}).status_code == 202
        there.ack_push(there.expect("Push"))
        eventually(lambda: rows(maria, "unmarked = 1") == [])
        shutil.copytree(redis.dir / "appendonlydir", tmp_path / "kept")
        for payload, kind in (("2", "durable"), ("s", "stored"), ("3", "durable")):
            for user in ("ann", "bob"):
                assert push(cluster, product, payload, to={"user": user}, durable=kind).status_code == 202
            there.ack_push(there.expect("Push"))
        eventually(lambda: maria.sql("SELECT user FROM hawser.hawser_messages WHERE ended_ms AND seq = 4") == [(b"ann",)])
        eventually(lambda: maria.sql("SELECT COUNT(*) FROM hawser.hawser_messages WHERE user = 'bob' AND seq") == [(4,)])
        goes_back(redis, tmp_path / "kept")
        eventually(lambda: push(cluster, product, "4").status_code == 202, seconds=60)
        gap = there.expect("Gap")
        assert (gap.first, gap.reason) == (5, pb.GAP_STORE_RESTARTED)
        assert there.expect("Push").payload == b"4"
        there.nothing_comes()
    with Client(cluster.info["rooms"][0]) as away:
        _, before = away.login("d1", product.token("bob"))
        told = [m.payload if name == "Push" else (m.first, m.last, m.reason) for name, m in before if name in ("Push", "Gap", "Reset")]
        assert told[:4] == [b"1", b"2", b"s", b"3"] and len(told) <= 5, told
    eventually(lambda: cluster.saver.metric("mariadb_rows_restored_total") == 3)
    assert readiness(cluster).text == "ready\n"


def test_redis_is_not_asked_before_it_is_whole(cluster, stores, tmp_path):
    """While MariaDB cannot say what a Redis that went back has lost nobody is told of a gap: pushes are refused, the saver says why, and all
    goes on by itself when it can."""
    redis, maria = stores
    product = cluster.product()
    shutil.copytree(redis.dir / "appendonlydir", tmp_path / "kept")
    assert push(cluster, product, "1").status_code == 202
    eventually(lambda: rows(maria, "unmarked = 1") == [])
    maria.kill()
    eventually(lambda: "mariadb" in readiness(cluster).text)
    goes_back(redis, tmp_path / "kept")
    eventually(lambda: "what it may have lost is put back from MariaDB" in readiness(cluster).text, seconds=60)
    assert readiness(cluster).status_code == 503
    refused = push(cluster, product, "s", durable="stored")
    assert refused.status_code == 503 and "outcome" not in refused.json(), refused.text
    maria.start()
    eventually(lambda: received(cluster, product) == [b"1"], seconds=60)


def test_saver_dies_between_the_steps(cluster, stores):
    """Rows that a dead saver left behind are appended by the next one, once, in the order in which they landed."""
    redis, maria = stores
    product = cluster.product()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = push_into_frozen_redis(cluster, stores, product, pool)
        cluster.saver.kill()
        redis.process.send_signal(signal.SIGCONT)
        cluster.saver.start()
        answer.result()
    eventually(lambda: rows(maria, "unmarked = 1") == [], seconds=60)
    columns = "product, stream, user, class, body_hash, message, ttl_ms, kept_ms, id_until_ms"
    made = [f"INSERT INTO hawser.hawser_messages ({columns}, id, landed_ms) SELECT {columns}, 'made-{i}', landed_ms - 60000 FROM "
            "hawser.hawser_messages ORDER BY row_no LIMIT 1" for i in range(5)]
    maria.sql("; ".join(made))
    eventually(lambda: rows(maria, "unmarked = 1") == [], seconds=60)
    assert [row[:2] for row in rows(maria, "id LIKE 'made-%'")] == [(f"made-{i}".encode(), i + 2) for i in range(5)]
    assert received(cluster, product) == [b"landed"] * 6
    assert cluster.saver.metric("mariadb_rows_taken_up_total") >= 5


def test_an_id_is_kept_until_its_row_is_marked(cluster, stores):
    """In Redis the id of a durable message is kept for weeks while its row has no seq, and half a minute from then on."""
    redis, maria = stores
    product = cluster.product()
    longest = """local most = 0
        for _, key in ipairs(redis.call('KEYS', 'hw:{*}:due')) do
            local all = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
            for i = 1, #all, 2 do if string.sub(all[i], 1, 1) == 'k' then most = math.max(most, tonumber(all[i + 1])) end end
        end
        return math.floor(most / 1000 - redis.call('TIME')[1])"""
    maria.sql("CREATE TRIGGER hawser.no_marks BEFORE UPDATE ON hawser.hawser_messages FOR EACH ROW SIGNAL SQLSTATE '45000'")
    assert push(cluster, product, "1").status_code == 202
    assert int(redis.command("EVAL", longest, "0")) > 30 * 86400
    maria.sql("DROP TRIGGER hawser.no_marks")
    eventually(lambda: rows(maria, "unmarked = 1") == [], seconds=60)
    eventually(lambda: int(redis.command("EVAL", longest, "0")) <= 30)
    assert received(cluster, product) == [b"1"]


def test_whatever_sessions_begin_with(tmp_path):
    """A server whose sessions begin without autocommit, read only or in a zone of their own: a message is committed when it is answered, all the same."""
    with contextlib.ExitStack() as running:
        redis = Redis(tmp_path / "redis")
        running.callback(redis.stop)
        maria = MariaDB(tmp_path / "mariadb")
        running.callback(maria.stop)
        maria.sql("SET GLOBAL autocommit = 0, GLOBAL tx_read_only = 1, GLOBAL time_zone = '+05:00'")
        cluster = Cluster(tmp_path, redis=redis, settings={"HAWSER_MARIADB__URL": maria.url})
        running.callback(cluster.stop)
        wait_until(lambda: readiness(cluster).text == "ready\n", "MariaDB is not taken", cluster.saver.process, cluster.saver.log_path)
        product = cluster.product()
        answer = push(cluster, product, "committed")
        assert answer.status_code == 202, answer.text
        assert [row[0].decode() for row in rows(maria)] == [answer.json()["id"]]


def slowed(maria, seconds):
    """Each row takes so long to land."""
    maria.sql(f"CREATE TRIGGER hawser.slow BEFORE INSERT ON hawser.hawser_messages FOR EACH ROW SET NEW.ttl_ms = NEW.ttl_ms + SLEEP({seconds})")


def test_mariadb_is_slow(cluster, stores):
    """While it answers in time durable pushes wait for it and are taken; stored ones do not wait. When it is too slow durable is refused, or
    unknown, and stored goes on. Then all resumes by itself, once and in order."""
    maria = stores[1]
    product = cluster.product()
    slowed(maria, 0.4)
    begin = time.monotonic()
    assert push(cluster, product, "1").status_code == 202
    assert time.monotonic() - begin > 0.4
    maria.sql("DROP TRIGGER hawser.slow")
    slowed(maria, 3)
    refused = push(cluster, product, "late", key="late")
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0, refused.text
    assert refused.json().get("outcome") == "unknown" or refused.json()["code"] == "class_unavailable", refused.text
    for payload in ("2", "3"):
        assert push(cluster, product, payload, durable="stored").status_code == 202
    maria.sql("DROP TRIGGER hawser.slow")
    eventually(lambda: push(cluster, product, "late", key="late").status_code == 202)
    assert push(cluster, product, "4").status_code == 202
    eventually(lambda: rows(maria, "unmarked = 1") == [] and readiness(cluster).text == "ready\n")
    got = received(cluster, product)
    assert [p for p in got if p != b"late"] == [b"1", b"2", b"3", b"4"] and got.count(b"late") == 1, got

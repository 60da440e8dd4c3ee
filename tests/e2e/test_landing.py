"""Stored messages on real daemons: answered when Redis has them, in MariaDB soon after, back from there when Redis lost them; bounded while MariaDB is away."""

import contextlib
import signal

import pytest

from client import Client, eventually
from daemons import Cluster, MariaDB, Redis, wait_until
from test_durable import goes_back, push, readiness, received


@contextlib.contextmanager
def savers(tmp_path, stores, **settings):
    redis, maria = stores
    cluster = Cluster(tmp_path, redis=redis, maria=maria, settings=settings)
    wait_until(lambda: readiness(cluster).text == "ready\n", "MariaDB is not taken", cluster.saver.process, cluster.saver.log_path)
    try:
        yield cluster
    finally:
        cluster.stop()


def stored(cluster, product, payload, to=None, key=None):
    return push(cluster, product, payload, key=key, to=to, durable="stored")


def landed(maria):
    return maria.sql("SELECT COUNT(*) FROM hawser.hawser_messages WHERE class = 0 AND unmarked IS NULL")[0][0]


@pytest.mark.parametrize("how", ["flushed", "emptied"])
def test_redis_loses_all(tmp_path, stores, how):
    """Redis loses everything: what was stored is there again under its old seqs, to one, to many and to all, and what all devices had
    handled is not."""
    redis, maria = stores
    with savers(tmp_path, stores) as cluster:
        product = cluster.product()
        with Client(cluster.info["rooms"][0]) as there:
            there.login("d1", product.token("ann"))
            for payload, to in (("1", {"user": "ann"}), ("2", {"users": ["ann", "bob"]}), ("all", {"all": True})):
                assert stored(cluster, product, payload, to=to).status_code == 202
            for _ in range(3):
                there.ack_push(there.expect("Push"))
        assert stored(cluster, product, "3").json()["seq"] == 3
        eventually(lambda: maria.sql("SELECT user FROM hawser.hawser_messages WHERE ended_ms AND seq = 2") == [(b"ann",)])
        eventually(lambda: maria.sql("SELECT COUNT(*) FROM hawser.hawser_messages WHERE ended_ms IS NULL") == [(3,)])
        if how == "flushed":
            redis.command("FLUSHALL")
        else:
            goes_back(redis, None)
        eventually(lambda: received(cluster, product, "ann", "new") == [b"3"], seconds=60)
        assert received(cluster, product, "bob") == [b"2"]
        eventually(lambda: cluster.saver.metric("mariadb_rows_restored_total") >= 3)


def test_saver_is_killed(tmp_path, stores):
    """A saver that is killed with a backlog loses no message: Redis has them. The next one goes on, and one that ends in its own time leaves
    no backlog."""
    redis, maria = stores
    with savers(tmp_path, stores) as cluster:
        product = cluster.product()
        maria.freeze()
        for i in range(20):
            assert stored(cluster, product, str(i)).status_code == 202
        cluster.saver.kill()
        maria.process.send_signal(signal.SIGCONT)
        cluster.saver.start()
        eventually(lambda: readiness(cluster).text == "ready\n")
        assert landed(maria) < 20
        assert received(cluster, product) == [str(i).encode() for i in range(20)]
        before = landed(maria)
        for i in range(50):
            assert stored(cluster, product, str(i), to={"user": "bob"}).status_code == 202
        cluster.saver.stop()
        assert landed(maria) == before + 50
        assert "have not landed" not in cluster.saver.log_path.read_text()
        cluster.saver.start()
        maria.kill()
        eventually(lambda: "mariadb" in readiness(cluster).text)
        eventually(lambda: stored(cluster, product, "left").status_code == 202)
        cluster.saver.stop()
        assert 'event="stored messages have not landed" rows=1 ' in cluster.saver.log_path.read_text()
        maria.start()
        cluster.saver.start()


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_mariadb_is_away(tmp_path, stores, how):
    """Stored pushes go on while their rows wait, until the backlog is full: then 503 and Retry-After, nothing is stored, and /readyz and
    /metrics say so. When MariaDB is back all that was answered lands, and nothing else."""
    redis, maria = stores
    with savers(tmp_path, stores, HAWSER_MARIADB__BACKLOG_MAX="64KiB") as cluster:
        product = cluster.product()
        maria.kill() if how == "killed" else maria.freeze()
        taken = 0
        while (answer := stored(cluster, product, "x" * 4000)).status_code == 202:
            taken += 1
        assert 10 <= taken <= 16, taken
        problem = answer.json()
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0, answer.text
        assert problem["code"] == "store_unavailable" and "outcome" not in problem, problem
        eventually(lambda: "class stored is refused: mariadb.backlog_max has yet to land" in readiness(cluster).text)
        assert readiness(cluster).status_code == 200
        eventually(lambda: cluster.saver.metric("mariadb_stored_refused_total") >= 1)
        eventually(lambda: cluster.saver.metric("mariadb_stored_backlog_seconds") >= 1)
        assert 40000 < cluster.saver.metric("mariadb_stored_backlog_bytes") <= 65536
        assert cluster.saver.metric("mariadb_stored_backlog_number") == taken
        if how == "killed":
            maria.start()
        else:
            maria.process.send_signal(signal.SIGCONT)
        eventually(lambda: landed(maria) == taken and readiness(cluster).text == "ready\n")
        assert stored(cluster, product, "last").status_code == 202
        assert len(received(cluster, product)) == taken + 1
        eventually(lambda: landed(maria) == taken + 1)

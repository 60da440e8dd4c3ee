"""What the savers and registers owe to a Redis that is not as it should be, and to whoever runs it."""

import os
import signal
import socket
import subprocess

import pytest
import requests

from client import Client
from cluster import BIN, WAIT_S
from daemons import ADMIN_KEY, SECRET, Cluster, Redis, wait_until

KEYS = 30000


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path / "redis")
    yield server
    server.stop()


def start_alone(role, folder, url):
    """A daemon on that Redis, without waiting for it; where its ops port will be."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    config = folder / f"{role}.yaml"
    config.write_text(f"cluster:\n  secrets: [{SECRET}]\n  admin_keys: [{ADMIN_KEY}]\n")
    with open(folder / f"{role}.log", "ab") as log:
        process = subprocess.Popen([BIN / f"hawser-{role}", "--config", config], stdout=log, stderr=log,
                                   env={**os.environ, "HAWSER_REDIS__URL": url, "HAWSER_CLUSTER__REGISTERS": "127.0.0.1:1",
                                        f"HAWSER_{role.upper()}__LISTEN": "127.0.0.1:0",
                                        f"HAWSER_{role.upper()}__OPS_LISTEN": f"127.0.0.1:{port}"})
    return process, f"http://127.0.0.1:{port}"


def readiness(base):
    try:
        return requests.get(base + "/readyz", timeout=10)
    except requests.RequestException:
        return None


@pytest.mark.parametrize("role", ["saver", "register"])
def test_waits_while_it_loads(tmp_path, redis, role):
    """A Redis that reads its data is waited for, longer than one that is not there, and /readyz says why; then it is taken."""
    redis.command("EVAL", f"for i = 1, {KEYS} do redis.call('SET', i, i) end", "0")
    redis.kill()
    redis.start("--key-load-delay", "500", wait=False)
    process, base = start_alone(role, tmp_path, redis.url)
    log = tmp_path / f"{role}.log"
    try:
        wait_until(lambda: (r := readiness(base)) is not None and "loading" in r.text, "it does not say that Redis loads", process, log)
        started = wait_until(lambda: redis.loaded_keys() > KEYS // 2, "Redis does not load", process, log)
        assert started and readiness(base).status_code == 503 and process.poll() is None
        redis.command("CONFIG", "SET", "key-load-delay", "0")
        wait_until(lambda: (r := readiness(base)) is not None and "loading" not in r.text, "it did not take Redis", process, log)
        assert process.poll() is None and "without AOF" not in log.read_text()
    finally:
        process.kill()
        process.wait(WAIT_S)


def test_an_unsafe_store_is_named(tmp_path, redis):
    """A Redis that may evict takes no push, and the refusal says why; nobody waits for what only an operator can change."""
    cluster = Cluster(tmp_path, redis=redis)
    try:
        product = cluster.product()

        def push():
            return cluster.call("POST", f"/v1/products/{product.name}/messages", {"to": {"user": "ann"}, "payload": "a"})

        assert push().status_code == 202
        redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        wait_until(lambda: push().status_code == 503, "an unsafe store is not noticed")
        retries = cluster.center.metric("append_retries_total")
        answer = push().json()
        assert answer["code"] == "store_unavailable" and "may evict" in answer["detail"], answer
        assert cluster.center.metric("append_retries_total") == retries
        redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        wait_until(lambda: push().status_code == 202, "it is not taken again")
    finally:
        cluster.stop()


def test_no_secret_is_told(tmp_path):
    """A run with known secrets, right and wrong ones: none of them is in a log, on a port, in a configuration shown or in argv."""
    password, wrong = "redis-p@ss:word/%41-1", "wrong-p@ss:word-2"
    server = Redis(tmp_path / "redis", password=password)
    cluster = Cluster(tmp_path, redis=server)
    try:
        said = ""
        product = cluster.product()
        cluster.call("POST", f"/v1/products/{product.name}/messages", {"to": {"user": "u"}, "payload": "x"})
        for daemon in cluster.all():
            base = f"http://127.0.0.1:{daemon.ports['ops']}"
            said += "".join(requests.get(base + path, timeout=10).text for path in ("/config", "/metrics", "/readyz", "/healthz"))
            said += open(f"/proc/{daemon.process.pid}/cmdline", encoding="utf-8").read()
        server.kill()
        wait_until(lambda: readiness(f"http://127.0.0.1:{cluster.saver.ports['ops']}").status_code == 503, "it does not miss Redis")
        said += readiness(f"http://127.0.0.1:{cluster.saver.ports['ops']}").text
        server.start()
        for role in ("saver", "register"):
            for url in (server.url_with(wrong), server.url_with(password).replace(f":{server.port}", ":1")):
                environment = {**os.environ, **cluster.environment(), "HAWSER_REDIS__URL": url,
                               f"HAWSER_{role.upper()}__LISTEN": "127.0.0.1:0", f"HAWSER_{role.upper()}__OPS_LISTEN": "127.0.0.1:0"}
                for option in ([], ["--print-config"], ["--check-config"]):
                    ended = subprocess.run([BIN / f"hawser-{role}", "--config", cluster.config, *option], env=environment,
                                           capture_output=True, text=True, timeout=WAIT_S)
                    said += ended.stdout + ended.stderr
                    assert option or (ended.returncode == 1 and "redis.url" in ended.stderr), ended.stderr
        cluster.stop()
        said += "".join(d.log_path.read_text(errors="replace") for d in cluster.all())
        secrets = [key[part] for key in product.keys.values() for part in ("secret", "key") if part in key]
        assert secrets
        for secret in (SECRET, ADMIN_KEY, *secrets, password, wrong, server.quoted(password), server.quoted(wrong)):
            assert secret not in said, said[max(0, said.index(secret) - 200):said.index(secret) + 80]
    finally:
        cluster.kill_all()
        server.stop()


def test_found_by_heads_after_a_register_was_away(tmp_path, redis):
    """What was pushed while no register could say where the user is comes soon after it answers again, and a counter shows it."""
    cluster = Cluster(tmp_path, redis=redis)
    try:
        product = cluster.product()
        with Client(cluster.room.ports["room"]) as client:
            client.login("d1", product.token("ann"))
            os.kill(cluster.register.process.pid, signal.SIGSTOP)
            try:
                product.push_user("ann", "meanwhile")
                wait_until(lambda: readiness(f"http://127.0.0.1:{cluster.room.ports['ops']}").status_code == 503, "the room does not miss it")
            finally:
                os.kill(cluster.register.process.pid, signal.SIGCONT)
            push = client.expect("Push")
            assert push.payload == b"meanwhile"
            client.ack_push(push)
        metrics = requests.get(f"http://127.0.0.1:{cluster.room.ports['ops']}/metrics", timeout=10).text
        assert "hawser_room_heads_ahead_total 1\n" in metrics
        cluster.stop()
    finally:
        cluster.kill_all()


def test_rows_written_anew(tmp_path, redis):
    """A register's Redis that lost all rows has them again: each room confirms its sessions, and tells all that a row shows."""
    cluster = Cluster(tmp_path, redis=redis)
    try:
        product = cluster.product()

        def shown():
            answer = cluster.call("GET", f"/v1/products/{product.name}/users/ann")
            sessions = answer.json()["sessions"] if answer.status_code == 200 else []
            return [(s["device"], s["room"], s["address"]) for s in sessions]

        with Client(cluster.room.ports["room"]) as client:
            client.login("d1", product.token("ann"))
            before = shown()
            assert before[0][2].startswith("127.0.0.1:"), before
            redis.command("FLUSHALL")
            wait_until(lambda: shown(), "the row is not written again")
            assert shown() == before
        cluster.stop()
    finally:
        cluster.kill_all()

"""Products and keys on real daemons with a MariaDB: committed there before they are answered, and there again whatever Redis has lost."""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess

import pytest
import requests

from client import Client, eventually
from cluster import BIN
from daemons import Cluster, MariaDB, Redis, wait_until

TOKEN_REFUSED, PRODUCT_CLOSED, COME_AGAIN = 4002, 4004, 4101


@pytest.fixture
def cluster(tmp_path, stores):
    redis, maria = stores
    running = Cluster(tmp_path, redis=redis, maria=maria, register=2)
    for register in running.daemons["register"]:
        wait_until(lambda r=register: readiness(r) == "ready\n", "it is not ready", register.process, register.log_path)
    yield running
    running.stop()


def readiness(daemon):
    return requests.get(f"http://127.0.0.1:{daemon.ports['ops']}/readyz", timeout=10).text


def rows(maria):
    """Of the catalog: (name, version, whether it is deleted, number)."""
    return [(name.decode(), *rest) for name, *rest in
            maria.sql("SELECT name, version, deleted, number FROM hawser.hawser_catalog ORDER BY name")]


def login(cluster, product, key=None):
    """The close code of a login, by another key than the product's first if one is given; 0: it is welcome."""
    first = product.keys["token"]
    product.keys["token"] = key or first
    token = product.token("ann")
    product.keys["token"] = first
    with Client(cluster.info["rooms"][0]) as client:
        try:
            client.login("d1", token)
            return 0
        except AssertionError as refusal:
            return int(re.search(r"code: (\d+)", str(refusal))[1])


def until_login(cluster, product, wanted, key=None):
    """Until then nobody is told anything else than to come again."""
    codes = set()

    def is_wanted():
        codes.add(login(cluster, product, key))
        return wanted in codes

    eventually(is_wanted, seconds=60)
    assert codes <= {wanted, COME_AGAIN}, codes


class Some:
    """A product with a key that was deleted, and one that was deleted itself."""

    def __init__(self, cluster):
        self.cluster, self.kept, self.gone = cluster, cluster.product(), cluster.product()
        self.path, self.keys = f"/v1/products/{self.kept.name}", f"/v1/products/{self.kept.name}/keys"
        self.old_key = cluster.call("POST", self.keys, {"kind": "token"}).json()
        self.new_key = cluster.call("POST", self.keys, {"kind": "token"}).json()

    def delete(self):
        assert self.cluster.call("DELETE", f"{self.keys}/{self.old_key['kid']}").status_code == 204
        assert self.cluster.call("PATCH", self.path, {"limits": {"payload_bytes": 1234}}).status_code == 200
        assert self.cluster.call("DELETE", f"/v1/products/{self.gone.name}").status_code == 204
        # The room has heard of all that by then: from now on nobody is let in by what was deleted.
        eventually(lambda: login(self.cluster, self.kept, self.old_key) == TOKEN_REFUSED)
        eventually(lambda: login(self.cluster, self.gone) == PRODUCT_CLOSED)
        self.etag = self.cluster.call("GET", self.path).headers["ETag"]

    def check(self):
        """All of it is there as it was."""
        until_login(self.cluster, self.kept, 0)
        until_login(self.cluster, self.kept, 0, self.new_key)
        until_login(self.cluster, self.kept, TOKEN_REFUSED, self.old_key)
        until_login(self.cluster, self.gone, PRODUCT_CLOSED)
        shown = self.cluster.call("GET", self.path)
        assert shown.json()["limits"]["payload_bytes"] == 1234 and shown.headers["ETag"] == self.etag
        kids = {key["kid"] for key in self.cluster.call("GET", self.keys).json()["items"]}
        assert self.new_key["kid"] in kids and self.old_key["kid"] not in kids
        assert self.cluster.call("GET", f"/v1/products/{self.gone.name}").status_code == 404


def loses(redis, kept=None):
    """Redis dies, and comes up with what it had when it was kept; or with nothing."""
    redis.kill()
    shutil.rmtree(redis.dir / "appendonlydir")
    if kept:
        shutil.copytree(kept, redis.dir / "appendonlydir")
    redis.start()


def test_journey(cluster, stores):
    """Each change is a row before it is answered, and its version is the ETag."""
    maria = stores[1]
    product = cluster.product()
    path = f"/v1/products/{product.name}"
    assert [row[:3] for row in rows(maria)] == [(f"product/{product.name}", 1, 0)]
    assert cluster.call("PATCH", path, {"limits": {"push_per_s": 5}}).headers["ETag"] == '"2"'
    key = cluster.call("POST", f"{path}/keys", {"kind": "token"}).json()
    assert rows(maria)[0][1] == 3
    assert login(cluster, product, key) == 0
    assert cluster.call("DELETE", f"{path}/keys/{key['kid']}").status_code == 204
    assert cluster.call("DELETE", path, headers={"If-Match": '"1"'}).status_code == 409
    number = rows(maria)[0][3]
    assert cluster.call("DELETE", path).status_code == 204
    assert rows(maria) == [(f"product/{product.name}", 5, 1, number)]
    assert cluster.call("PUT", path, {}).status_code == 201
    assert rows(maria)[0][:3] == (f"product/{product.name}", 6, 0) and rows(maria)[0][3] > number
    eventually(lambda: sum(r.metric("mariadb_changes_committed_total") for r in cluster.daemons["register"]) == 6)


@pytest.mark.parametrize("how", ["killed", "read_only"])
def test_mariadb_is_away(cluster, stores, how):
    """Changes are refused and change nothing; pushes, logins and reads go on, and then all does by itself."""
    maria = stores[1]
    some = Some(cluster)
    before, shown = rows(maria), cluster.call("GET", some.path)
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d2", some.kept.token("bob"))
        if how == "killed":
            maria.kill()
        else:
            maria.sql("SET GLOBAL read_only = 1")
        for register in cluster.daemons["register"]:
            eventually(lambda r=register: "changes of products and keys are refused: mariadb: " in readiness(r))
        calls = (("PUT", f"{some.path}x", {}), ("PUT", some.path, {}), ("PATCH", some.path, {"limits": {"push_per_s": 1}}), ("DELETE", some.path, None),
                 ("POST", some.keys, {"kind": "api"}), ("DELETE", f"{some.keys}/{some.old_key['kid']}", None))
        for method, path, body in calls:
            answer = cluster.call(method, path, body)
            assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0, (method, path, answer.text)
            assert answer.json()["code"] == "store_unavailable" and "outcome" not in answer.json(), (method, path, answer.text)
        some.kept.push_user("bob", "on it goes")
        assert client.expect("Push").payload == b"on it goes"
    assert login(cluster, some.kept, some.old_key) == 0
    again = cluster.call("GET", some.path)
    assert (again.text, again.headers["ETag"]) == (shown.text, shown.headers["ETag"])
    assert cluster.call("GET", f"{some.path}x").status_code == 404
    if how == "killed":
        maria.start()
    else:
        maria.sql("SET GLOBAL read_only = 0")
    eventually(lambda: cluster.call("PATCH", some.path, {"limits": {"push_per_s": 2}}).status_code == 200)
    assert [row[:2] for row in before if row[0] != f"product/{some.kept.name}"] == [row[:2] for row in rows(maria) if row[0] != f"product/{some.kept.name}"]


def test_mariadb_is_frozen(cluster, stores):
    """A change that has no answer is answered soon, as not known or as refused; then the two stores agree, whichever it was. All else goes on."""
    maria = stores[1]
    some = Some(cluster)
    maria.freeze()
    answer = cluster.call("DELETE", f"{some.keys}/{some.old_key['kid']}")
    assert answer.status_code == 503 and answer.json()["code"] == "store_unavailable", answer.text
    assert login(cluster, some.kept) == 0
    some.kept.push_user("bob", "on it goes")
    maria.process.send_signal(signal.SIGCONT)
    eventually(lambda: cluster.call("PATCH", some.path, {"limits": {"push_per_s": 2}}).status_code == 200)
    version = dict(row[:2] for row in rows(maria))[f"product/{some.kept.name}"]
    eventually(lambda: cluster.call("GET", some.path).headers["ETag"] == f'"{version}"')
    kids = {key["kid"] for key in cluster.call("GET", some.keys).json()["items"]}
    expected = 0 if some.old_key["kid"] in kids else TOKEN_REFUSED
    eventually(lambda: login(cluster, some.kept, some.old_key) == expected)  # when the room has heard of it too
    assert recover(cluster, "--check")[0] == 0


def test_redis_is_emptied(cluster, stores):
    """All keys are deleted under registers that run: what was deleted stays so, what was there is there, and no login is refused meanwhile."""
    redis, maria = stores
    some = Some(cluster)
    some.delete()
    highest = max(row[3] for row in rows(maria))
    redis.command("FLUSHALL")
    some.check()
    cluster.product()
    assert max(row[3] for row in rows(maria)) > highest


def test_nobody_holds_anything(cluster, stores):
    """Redis comes up empty, and so do registers, room and center: all is there again before a register says that it is ready. While MariaDB
    is away, too, none does, and nobody is told that there is no such product."""
    redis, maria = stores
    some = Some(cluster)
    some.delete()
    everybody = [*cluster.daemons["register"], cluster.room, cluster.center]
    for daemon in everybody:
        daemon.kill()
    maria.kill()
    loses(redis)
    for daemon in everybody:
        daemon.start(wait=False)
    first = cluster.register
    wait_until(lambda: "filled from mariadb" in first.log_path.read_text() or is_waiting(first), "it says nothing", first.process, first.log_path)
    assert not first.ports_path.exists()
    maria.start()
    for daemon in everybody:
        daemon.wait_ready()
    assert redis.command("HEXISTS", "hw:{dir}:c", f"product/{some.gone.name}") == "1"
    some.check()


def is_waiting(register):
    try:
        return "the catalog is not filled from mariadb yet: mariadb: " in readiness(register)
    except requests.ConnectionError:
        return False


def test_redis_goes_back(cluster, stores, tmp_path):
    """An older file of Redis is brought forward: the key that it has is deleted, and the limits are the later ones."""
    redis = stores[0]
    some = Some(cluster)
    redis.command("CONFIG", "SET", "appendfsync", "always")
    cluster.product()
    shutil.copytree(redis.dir / "appendonlydir", tmp_path / "kept")
    some.delete()
    loses(redis, tmp_path / "kept")
    until_login(cluster, some.kept, 0)
    some.check()


@pytest.mark.parametrize("dies", [True, False])
def test_cut_between_the_stores(cluster, stores, dies):
    """Committed in MariaDB, and not in Redis: the register is dead, or its Redis says nothing. The answer says that it is not known, and the
    deletion is done without anybody asking again."""
    redis, maria = stores
    some = Some(cluster)
    path = f"/v1/products/{some.gone.name}"
    maria.sql("CREATE TRIGGER hawser.slow BEFORE UPDATE ON hawser.hawser_catalog FOR EACH ROW DO SLEEP(0.7)")
    row = f"SELECT 1 FROM hawser.hawser_catalog WHERE name = 'product/{some.gone.name}' AND deleted"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(cluster.call, "DELETE", path)
        wait_until(lambda: maria.sql("SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep'"), "it does not commit")
        redis.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: maria.sql(row), "it does not commit")
        if dies:
            for register in cluster.daemons["register"]:
                register.kill()
        answer = answer.result()
        redis.process.send_signal(signal.SIGCONT)
    maria.sql("DROP TRIGGER hawser.slow")
    assert answer.status_code == 503 and answer.json()["outcome"] == "unknown", answer.text
    if dies:
        for register in cluster.daemons["register"]:
            register.start()
    eventually(lambda: cluster.call("GET", path).status_code == 404, seconds=60)
    until_login(cluster, some.gone, PRODUCT_CLOSED)
    assert cluster.call("PUT", path, {}).status_code == 201
    assert rows(maria)[[r[0] for r in rows(maria)].index(f"product/{some.gone.name}")][1:3] == (3, 0)


def test_strange_tables(cluster, stores):
    """A row that cannot be read is named and costs no other; tables of a newer program are left alone, as by savers."""
    redis, maria = stores
    some = Some(cluster)
    some.delete()
    maria.sql("INSERT INTO hawser.hawser_catalog SELECT 'product/broken', 1, 0, 1, 'x', 0, 0")
    redis.command("FLUSHALL")
    some.check()
    for register in cluster.daemons["register"]:
        eventually(lambda r=register: '1 catalog entries are left out, one of them "product/broken"' in readiness(r))
        assert 'event="a catalog entry is left out"' in register.log_path.read_text()
    maria.sql("INSERT INTO hawser.hawser_schema (version, only_adds) VALUES (1000, 0)")
    maria.kill()
    maria.start()
    for register in cluster.daemons["register"]:
        eventually(lambda r=register: "start a newer one" in readiness(r))
    assert cluster.call("PATCH", some.path, {"limits": {"push_per_s": 2}}).status_code == 503
    some.check()


def recover(cluster, *options):
    """`hawserctl recover`: (exit code, what it prints)."""
    ended = subprocess.run([BIN / "hawserctl", "recover", "--config", cluster.config, *options], env={**os.environ, **cluster.environment()},
                           capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout or ended.stderr


def test_recover_check(cluster, stores):
    """What the two stores do not have alike is named, with and without daemons that run; where one does not answer it says so."""
    maria = stores[1]
    some = Some(cluster)
    some.delete()
    assert recover(cluster, "--check") == (0, "2 entries, 0 differ\n")
    assert recover(cluster)[0] == 2
    kept, gone = f"product/{some.kept.name}", f"product/{some.gone.name}"
    for register in cluster.daemons["register"]:
        register.stop()
    maria.sql(f"UPDATE hawser.hawser_catalog SET version = 77 WHERE name = '{kept}'; DELETE FROM hawser.hawser_catalog WHERE name = '{gone}'; "
              "INSERT INTO hawser.hawser_catalog SELECT 'product/broken', 1, 0, 1, 'x', 0, 0")
    code, text = recover(cluster, "--check", "--json")
    told = json.loads(text)
    version = int(some.etag.strip('"'))
    assert (code, told["same"], told["entries"]) == (1, False, 3)
    assert {d.pop("key"): d for d in told["differing"]} == {
        kept: {"redis": {"version": version, "deleted": False}, "mariadb": {"version": 77, "deleted": False}},
        gone: {"redis": {"version": 2, "deleted": True}, "mariadb": None}, "product/broken": {"redis": None, "mariadb": {"unreadable": True}}}
    code, text = recover(cluster, "--check")
    assert code == 1 and re.search(rf"^{kept} +version {version} +version 77$", text, re.M) and text.endswith("3 entries, 3 differ\n"), text
    maria.kill()
    code, text = recover(cluster, "--check")
    assert code == 2 and "mariadb: " in text, text
    maria.start()
    for register in cluster.daemons["register"]:
        register.start()

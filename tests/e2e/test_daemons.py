"""Daemons as separate processes: how they come up, what they refuse, how they end."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest
import requests

from client import Client, eventually
from cluster import BIN
from daemons import ROLES, SECRET, Cluster, wait_until

GOOD = f"cluster:\n  secrets: [{SECRET}]\n  admin_keys: [admin-key-0123456789abcdef]\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("daemons"), room=2, center=2)
    yield running
    running.stop()


def run(role, folder, text, *arguments, environment=None):
    """A daemon that is expected to end by itself."""
    path = folder / "hawser.yaml"
    path.write_text(text)
    return subprocess.run([BIN / f"hawser-{role}", "--config", path, *arguments], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(environment or {})})


def test_push_through_separate_daemons(cluster):
    """A message pushed at one center reaches a client at the other room; both rooms serve both products' users."""
    product = cluster.product()
    with Client(cluster.daemons["room"][1].ports["room"]) as client:
        client.login("d1", product.token("ann"))
        for center in (0, 1):
            body = {"to": {"user": "ann"}, "payload": f"by center {center}"}
            eventually(lambda: cluster.call("POST", f"/v1/products/{product.name}/messages", body, center=center).status_code == 202)
            push = client.expect("Push")
            assert push.payload.decode() == f"by center {center}"
            client.ack_push(push)


@pytest.mark.parametrize("role", ROLES)
def test_ops_port(cluster, role):
    """Every daemon answers health, readiness, metrics and configuration, and shows no secret."""
    base = f"http://127.0.0.1:{cluster.daemons[role][0].ports['ops']}"
    assert requests.get(base + "/healthz", timeout=10).status_code == 200
    assert requests.get(base + "/readyz", timeout=10).text == "ready\n"
    metrics = requests.get(base + "/metrics", timeout=10)
    assert f"hawser_{role}_resident_bytes" in metrics.text and metrics.headers["Content-Type"].startswith("text/plain")
    helps = [line.split(" ", 3)[3] for line in metrics.text.splitlines() if line.startswith("# HELP ") and " HTTP " not in line]
    assert len(set(helps)) == len(helps), "two numbers with one explanation; those of HTTP are of two ports"
    config = requests.get(base + "/config", timeout=10).text
    assert "listen" in config and SECRET not in config
    assert requests.get(base + "/nope", timeout=10).status_code == 404


@pytest.mark.parametrize("role", ROLES)
def test_arguments(tmp_path, role):
    """--version, --check-config and --print-config do what they say, and the last shows no secret."""
    assert run(role, tmp_path, GOOD, "--version").stdout.startswith(f"hawser-{role} ")
    checked = run(role, tmp_path, GOOD, "--check-config")
    assert checked.returncode == 0, checked.stderr
    printed = run(role, tmp_path, GOOD, "--print-config").stdout
    assert "drain_within" in printed and SECRET not in printed
    assert run(role, tmp_path, GOOD, "--nope").returncode == 2


@pytest.mark.parametrize("text, says", [
    (GOOD + "room:\n  lingr: 5s\n", "hawser.yaml:5: room.lingr"),
    (GOOD + "room:\n  linger: 5\n", "hawser.yaml:5: room.linger"),
    (GOOD + "room:\n  linger: 9h\n", "hawser.yaml:5: room.linger"),
    (GOOD + "room:\n  linger: 5s\n  linger: 6s\n", "hawser.yaml:6: room.linger"),
    ("cluster:\n  secrets: [changeme]\n  admin_keys: [admin-key-0123456789abcdef]\n", "cluster.secrets"),
    ("cluster:\n  name: x\n", "cluster.secrets"),
    ("cluster: [", "hawser.yaml:"),
    (GOOD + "  log_level: loud\n", "hawser.yaml:4: cluster.log_level"),
    (GOOD + "  registers: [nowhere]\n", "hawser.yaml:4: cluster.registers"),
    (GOOD + "room:\n  listen: 7200\n", "hawser.yaml:5: room.listen"),
    (GOOD + "redis:\n  url: redis-sentinel://h:1/s\n", "hawser.yaml:5: redis.url"),
])
@pytest.mark.parametrize("check", [False, True], ids=["start", "check"])
def test_bad_configuration(tmp_path, text, says, check):
    """A wrong configuration is one line that names the file, the line and the key; exit 2, whether it is checked or started with."""
    ended = run("room", tmp_path, text, *(["--check-config"] if check else []))
    assert ended.returncode == 2
    assert says in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr


def test_no_configuration(tmp_path):
    """A file that is not there is named as it was given: there is no line to look at."""
    ended = subprocess.run([BIN / "hawser-room", "--config", "nope.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and ended.stderr == "hawser-room: nope.yaml: No such file or directory\n", ended


@pytest.mark.parametrize("variable", ["HAWSER_ROOM__FILE", "HAWSER__X_FILE", "HAWSER___FILE", "HAWSER_ROOM__LINGER_FILE"])
def test_odd_environment(tmp_path, variable):
    """A variable that only looks like one of ours ends nothing but the start, with one line."""
    ended = run("room", tmp_path, GOOD, "--check-config", environment={variable: "/etc"})
    if variable == "HAWSER__X_FILE":  # no section: not ours
        assert ended.returncode == 0, ended
    else:
        assert ended.returncode == 2 and variable in ended.stderr and ended.stderr.count("\n") == 1, ended


def test_warns_of_addresses(tmp_path):
    """Who listens at all addresses and names none is warned of what others are told, when checked and when started."""
    checked = run("room", tmp_path, GOOD, "--check-config")
    assert checked.returncode == 0 and "room.advertise" in checked.stderr and "127.0.0.1" in checked.stderr
    checked = run("room", tmp_path, GOOD + "room:\n  advertise: [a.test]\n  rpc_advertise: b.test\n", "--check-config")
    assert checked.returncode == 0 and checked.stderr == ""


@pytest.mark.parametrize("role, environment", [
    ("room", "HAWSER_ROOM__LISTEN"), ("register", "HAWSER_REGISTER__LISTEN"), ("saver", "HAWSER_SAVER__LISTEN"),
    ("center", "HAWSER_CENTER__LISTEN"), ("coordinator", "HAWSER_COORDINATOR__LISTEN"), ("dispatcher", "HAWSER_DISPATCHER__LISTEN"),
])
def test_port_in_use(tmp_path, role, environment):
    """A port that is taken is one line that says which and why; exit not 0."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        at = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run(role, tmp_path, GOOD, environment={environment: at})
    assert ended.returncode == 1
    line = next(line for line in ended.stderr.splitlines() if not line.startswith("ts="))
    assert at in line and "in use" in line, ended.stderr


@pytest.mark.parametrize("key, made", [("rpc_listen", 500), ("ops_listen", 1000)])
def test_made_port_in_use(tmp_path, key, made):
    """A taken port that nobody wrote down is named with its address, the key that sets it, and the key that it is made from."""
    with socket.socket() as client_port, socket.socket() as taken:
        for port in range(20011, 32000, 7):  # below what the kernel gives away
            try:
                client_port.bind(("127.0.0.1", port))
                taken.bind(("127.0.0.1", port + made))
                break
            except OSError:
                client_port.close()
                client_port = socket.socket()
        taken.listen()
        client_port.close()
        ended = run("room", tmp_path, GOOD, environment={"HAWSER_ROOM__LISTEN": f"127.0.0.1:{port}"})
    assert ended.returncode == 1
    line = next(line for line in ended.stderr.splitlines() if not line.startswith("ts="))
    assert f"room.{key}: cannot listen at 127.0.0.1:{port + made}: " in line and "in use" in line, ended.stderr
    assert f"room.{key} is empty, so its port is made from room.listen" in line, ended.stderr


def test_warns_of_mariadb(tmp_path):
    """A saver in memory does not use its MariaDB and says so once, when checked and when started; the password stays out."""
    text = GOOD + "saver:\n  listen: 127.0.0.1:0\nmariadb:\n  url: mariadb://u:hidden@h:3306/db\n"
    checked = run("saver", tmp_path, text, "--check-config")
    assert checked.returncode == 0 and checked.stderr.count("mariadb.url is not used, since redis.url is memory:") == 1, checked
    assert checked.stderr.count("\n") == 1 and "hidden" not in checked.stderr
    log = tmp_path / "log"
    environment = {**os.environ, "HAWSER_CLUSTER__REGISTERS": "127.0.0.1:1", "HAWSER_SAVER__OPS_LISTEN": "127.0.0.1:0"}
    process = subprocess.Popen([BIN / "hawser-saver", "--config", tmp_path / "hawser.yaml"], stderr=open(log, "wb"), env=environment)
    wait_until(lambda: "mariadb.url" in log.read_text(), "no warning", process, log)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    warned = [line for line in log.read_text().splitlines() if "mariadb.url is not used, since redis.url is memory:" in line]
    assert len(warned) == 1 and "level=warn" in warned[0] and "hidden" not in log.read_text(), warned
    assert "mariadb" not in run("center", tmp_path, text, "--check-config").stderr


def test_help_of_workers(tmp_path):
    """--workers is a room's option, and stands in a room's --help alone."""
    assert "--workers N" in run("room", tmp_path, GOOD, "--help").stdout
    assert "--workers" not in run("saver", tmp_path, GOOD, "--help").stdout


def test_unwritable_ports_file(tmp_path, cluster):
    """A ports file that cannot be written ends the daemon with one line that names it."""
    ended = run("coordinator", tmp_path, GOOD, "--ports-file", tmp_path / "no" / "ports.json",
                environment={**cluster.environment(), "HAWSER_COORDINATOR__LISTEN": "127.0.0.1:0",
                             "HAWSER_COORDINATOR__OPS_LISTEN": "127.0.0.1:0"})
    assert ended.returncode == 1 and "no/ports.json" in ended.stderr


@pytest.mark.parametrize("role", ["saver", "register"])
@pytest.mark.parametrize("url, code", [("redis-sentinel://127.0.0.1:1", 2), ("rediss://127.0.0.1:1", 2), ("nonsense", 2),
                                       ("unix:///nonexistent/redis.sock", 1)])
def test_redis_absent(tmp_path, role, url, code):
    """A Redis that cannot be had is one line that names it and says why; exit 2 where it is the configuration that is wrong."""
    ended = run(role, tmp_path, GOOD, environment={"HAWSER_REDIS__URL": url, f"HAWSER_{role.upper()}__LISTEN": "127.0.0.1:0",
                                                   f"HAWSER_{role.upper()}__OPS_LISTEN": "127.0.0.1:0"})
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("ts=")]
    assert ended.returncode == code and len(lines) == 1 and "redis.url" in lines[0], ended.stderr


def test_memory_beside_others(tmp_path, cluster):
    """A saver or register whose store is memory says in its log what that means. The saver is ready as long as it is the only one; beside
    another one it says that what it accepts is not known there."""
    readyz, log = f"http://127.0.0.1:{cluster.saver.ports['ops']}/readyz", tmp_path / "saver.log"
    said = "".join(daemon.log_path.read_text() for daemon in cluster.all())
    assert said.count("nothing survives") == 2 and requests.get(readyz, timeout=10).text == "ready\n"
    environment = {**os.environ, **cluster.environment(), "HAWSER_SAVER__LISTEN": "127.0.0.1:0", "HAWSER_SAVER__OPS_LISTEN": "127.0.0.1:0"}
    with open(log, "wb") as stderr:
        other = subprocess.Popen([BIN / "hawser-saver", "--config", cluster.config], stderr=stderr, env=environment)
    try:
        wait_until(lambda: "there is another saver" in requests.get(readyz, timeout=10).text, "it is ready beside another one", other, log)
        assert requests.get(readyz, timeout=10).status_code == 503
    finally:
        other.terminate()
        assert other.wait(30) == 0
    wait_until(lambda: requests.get(readyz, timeout=10).status_code == 200, "it is not ready again")


@pytest.mark.parametrize("registers, code, text", [
    ("127.0.0.1:1", 200, "ready\n"),
    ("127.0.0.1:1,127.0.0.1:2", 503, "cluster.registers names others"),
])
def test_memory_register_of_several(tmp_path, registers, code, text):
    """A register whose store is memory never hears of another one; it is not ready where the configuration names more than one."""
    config = tmp_path / "hawser.yaml"
    config.write_text(GOOD)
    with socket.create_server(("127.0.0.1", 0)) as free:
        ops = f"127.0.0.1:{free.getsockname()[1]}"  # what is not ready writes no ports file
    environment = {**os.environ, "HAWSER_REDIS__URL": "memory:", "HAWSER_CLUSTER__REGISTERS": registers,
                   "HAWSER_REGISTER__LISTEN": "127.0.0.1:0", "HAWSER_REGISTER__OPS_LISTEN": ops}
    with open(tmp_path / "register.log", "wb") as log:
        register = subprocess.Popen([BIN / "hawser-register", "--config", config], stderr=log, env=environment)

    def said():
        try:
            return requests.get(f"http://{ops}/readyz", timeout=10)
        except requests.ConnectionError:
            return None

    try:
        wait_until(lambda: (answer := said()) is not None and text in answer.text, "it says another thing", register, tmp_path / "register.log")
        assert said().status_code == code
    finally:
        register.terminate()
        assert register.wait(30) == 0


def test_wrong_secret(tmp_path, cluster):
    """A daemon with another secret ends with one line that names the key."""
    ended = run("coordinator", tmp_path, GOOD.replace(SECRET, "another-secret-0123456789abcdef"),
                environment={**cluster.environment(), "HAWSER_COORDINATOR__LISTEN": "127.0.0.1:0",
                             "HAWSER_COORDINATOR__OPS_LISTEN": "127.0.0.1:0"})
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("ts=")]
    assert ended.returncode == 1 and len(lines) == 1 and "cluster.secrets" in lines[0], ended.stderr


def test_a_register_port_of_another(tmp_path, cluster):
    """A daemon whose cluster.registers leads to a saver ends with one line that names that key, and not the secrets."""
    saver = f"127.0.0.1:{cluster.saver.ports['saver']}"
    ended = run("coordinator", tmp_path, GOOD, environment={**cluster.environment(), "HAWSER_CLUSTER__REGISTERS": saver,
                                                            "HAWSER_COORDINATOR__LISTEN": "127.0.0.1:0",
                                                            "HAWSER_COORDINATOR__OPS_LISTEN": "127.0.0.1:0"})
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("ts=")]
    assert ended.returncode == 1 and len(lines) == 1 and "cluster.registers" in lines[0], ended.stderr
    assert "secret" not in lines[0]


def log_lines(daemon):
    """The log as dicts: each line of it must be logfmt."""
    pair = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?: |$)')
    lines = []
    for line in daemon.log_path.read_text().splitlines():
        assert line.startswith("ts=") and pair.sub("", line) == "", line
        lines.append({k: v.strip('"') for k, v in pair.findall(line)})
    return lines


def test_reload(cluster):
    """SIGHUP takes a new configuration whole; a bad one changes nothing and says so in the log."""
    room = cluster.daemons["room"][0]
    before = cluster.config.read_text()
    base = f"http://127.0.0.1:{room.ports['ops']}/config"
    try:
        cluster.config.write_text(before + "room:\n  heartbeat: 77s\n")
        room.process.send_signal(signal.SIGHUP)
        eventually(lambda: "heartbeat: 77s" in requests.get(base, timeout=10).text)
        cluster.config.write_text(before + "room:\n  heartbeat: 1ms\n")
        room.process.send_signal(signal.SIGHUP)
        eventually(lambda: "stays as it was" in room.log_path.read_text())
        assert "heartbeat: 77s" in requests.get(base, timeout=10).text
        refused = next(line for line in log_lines(room) if "stays as it was" in line["event"])
        assert refused["level"] == "error" and "hawser.yaml:5: room.heartbeat" in refused["reason"]
    finally:
        cluster.config.write_text(before)


def test_reload_names_what_needs_a_restart(cluster):
    """SIGHUP names each key that is read at the start only and has changed, to the daemons that read it; /config shows what is in force."""
    room, saver = cluster.daemons["room"][0], cluster.saver
    before = cluster.config.read_text()
    ask = lambda daemon: requests.get(f"http://127.0.0.1:{daemon.ports['ops']}/config", timeout=10).text
    told = lambda daemon: {line["key"] for line in log_lines(daemon) if line["event"] == "changed, and needs a restart"}
    kept = ['  idc: ""\n', "  connections_max: 0\n", "  advertise: []\n", "  body_max: 8MiB\n", "  timeout: 3s\n"]
    try:
        cluster.config.write_text(before + "  idc: elsewhere\nroom:\n  connections_max: 7\n  advertise: [a.test]\n"
                                  "center:\n  body_max: 1MiB\nredis:\n  timeout: 7s\n")
        for daemon in (room, saver):
            daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: told(room) == {"cluster.idc", "room.connections_max", "room.advertise"})
        eventually(lambda: told(saver) == {"cluster.idc", "redis.timeout"})
        eventually(lambda: "reloaded" in [line["event"] for line in log_lines(saver)])
        assert all(line in ask(daemon) for line in kept for daemon in (room, saver))
    finally:
        cluster.config.write_text(before)


def test_ids_differ_by_machine(cluster):
    """An address that each machine takes for itself names none: the ids in the directory have the machine's name instead."""
    ids = [item["id"] for item in cluster.call("GET", "/v1/cluster").json()["items"]]
    assert len(set(ids)) == len(ids) == 8 and all(socket.gethostname() in i for i in ids), ids


def test_listens_at_a_name(tmp_path, cluster):
    """A name to listen at is looked up at the start; one that there is not is one line, and exit 2."""
    ports = tmp_path / "ports.json"
    (tmp_path / "hawser.yaml").write_text(GOOD)
    environment = {**os.environ, **cluster.environment(), "HAWSER_COORDINATOR__LISTEN": "localhost:0",
                   "HAWSER_COORDINATOR__OPS_LISTEN": "localhost:0"}
    process = subprocess.Popen([BIN / "hawser-coordinator", "--config", tmp_path / "hawser.yaml", "--ports-file", ports],
                               stderr=subprocess.DEVNULL, env=environment)
    try:
        eventually(ports.exists)
        at = json.loads(ports.read_text())["ops"]
        assert requests.get(f"http://localhost:{at}/healthz", timeout=10).status_code == 200
    finally:
        process.terminate()
        assert process.wait(60) == 0
    ended = run("coordinator", tmp_path, GOOD, environment={"HAWSER_COORDINATOR__LISTEN": "no-such-host.invalid:0"})
    assert ended.returncode == 2 and "coordinator.listen: no-such-host.invalid" in ended.stderr and ended.stderr.count("\n") == 1


def test_drain_sends_clients_elsewhere(tmp_path):
    """SIGTERM at a room: its clients get GoAway, new ones are not sent there, and it ends with 0."""
    running = Cluster(tmp_path, room=2)
    try:
        product = running.product()
        first, second = running.daemons["room"]
        with Client(first.ports["room"]) as client:
            client.login("d1", product.token("ann"))
            first.process.send_signal(signal.SIGTERM)
            client.expect("GoAway")
            client.send("Bye")
        assert first.process.wait(60) == 0
        url = f"http://127.0.0.1:{running.dispatcher.ports['dispatcher_http']}/v1/locate?device=d1"
        eventually(lambda: [e["port"] for e in requests.get(url, timeout=10).json()["endpoint"]] == [second.ports["room"]])
    finally:
        running.stop()


def test_a_drain_can_be_hurried(tmp_path):
    """A second drain that ends sooner counts: the clients hear of it, and those that stay are closed. One that ends later does not."""
    running = Cluster(tmp_path)
    try:
        with Client(running.daemons["room"][0].ports["room"]) as client:
            client.login("d0", running.product().token("ann"))
            room = next(r for r in running.call("GET", "/v1/cluster").json()["items"] if r["role"] == "room")
            for within_s in (600, 3000, 2):
                assert running.call("POST", f"/v1/rooms/{room['id']}/drain", {"within_s": within_s}).status_code == 202
            assert [client.expect("GoAway").within_ms for _ in range(2)] == [480000, 1600]
            assert client.expect("Close").code == 4200
        assert running.daemons["room"][0].log_path.read_text().count("clients sent away") == 2
    finally:
        running.stop()


def test_workers(tmp_path):
    """--workers 2 starts two rooms with ports of their own, restarts one that is killed, and ends with 0. The ports file has those of all
    rooms and the files beside it those of each; what an earlier run left in these is not taken for theirs."""
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster")
    ports = tmp_path / "rooms.json"
    config = tmp_path / "hawser.yaml"
    config.write_text(GOOD)
    for i in range(2):
        (tmp_path / f"rooms.json.{i}").write_text('{"room": 1, "room_rpc": 2, "ops": 3}\n')
    process = subprocess.Popen([BIN / "hawser-room", "--workers", "2", "--config", config, "--ports-file", ports],
                               stderr=open(tmp_path / "log", "wb"),
                               env={**os.environ, **cluster.environment(), "HAWSER_ROOM__LISTEN": "127.0.0.1:0",
                                    "HAWSER_ROOM__OPS_LISTEN": "127.0.0.1:0"})
    try:
        eventually(ports.exists)
        told = json.loads(ports.read_text())
        each = [json.loads((tmp_path / f"rooms.json.{i}").read_text()) for i in range(2)]
        assert told == {"rooms": [e["room"] for e in each], "rooms_rpc": [e["room_rpc"] for e in each], "ops": [e["ops"] for e in each]}
        rooms = told["rooms"]
        assert len(set(rooms)) == 2
        product = cluster.product()
        for port in rooms:
            with Client(port) as client:
                client.login(f"d{port}", product.token("ann"))
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout.split()
        os.kill(int(children[0]), signal.SIGKILL)
        listed = lambda: subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout.split()
        eventually(lambda: len(listed()) == 2 and children[0] not in listed())
        said = [line for line in (tmp_path / "log").read_text().splitlines() if 'event="a worker ended"' in line]
        assert len(said) == 1 and f" pid={children[0]} signal=9 restart_in_ms=1000" in said[0] and "level=warn" in said[0], said
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        cluster.stop()
    assert code == 0, (tmp_path / "log").read_text()


def test_workers_at_one_port(tmp_path):
    """Two workers and one port: the second cannot start, and so the whole ends at once, saying why, instead of trying for ever."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run("room", tmp_path, GOOD, "--workers", "2",
                    environment={"HAWSER_ROOM__LISTEN": listen, "HAWSER_CLUSTER__REGISTERS": "127.0.0.1:1"})
    assert ended.returncode == 1, ended.stderr
    assert f"cannot listen at {listen}" in ended.stderr and "cannot start: all end" in ended.stderr


def test_dispatcher_framed_and_http(cluster):
    """Locate gives the same rooms framed and over HTTP, and the same device the same order."""
    port = cluster.dispatcher.ports["dispatcher"]
    answers = []
    for _ in range(2):
        with Client(port) as client:
            client.send("Locate", device="device-1")
            located = client.expect("Located")
            assert located.error == 0 and located.ttl_s > 0
            answers.append([(e.host, e.port) for e in located.endpoint])
    assert answers[0] == answers[1] and len(answers[0]) == 2
    url = f"http://127.0.0.1:{cluster.dispatcher.ports['dispatcher_http']}/v1/locate"
    answer = requests.get(url, params={"device": "device-1"}, timeout=10)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert [(e["host"], e["port"]) for e in answer.json()["endpoint"]] == answers[0]
    failed = f"{answers[0][0][0]}:{answers[0][0][1]}"
    rest = requests.get(url, params={"device": "device-1", "failed": failed}, timeout=10).json()["endpoint"]
    assert rest[0]["port"] == answers[0][1][1]
    for field, value, allowed in (("want", "99", "1 to 16"), ("network", "wifi", "NETWORK_UNKNOWN, WIFI, CELL_2G"), ("product", "A", "[a-z0-9]"),
                                  ("transport", "tcp", "one of PLAIN, TLS"), ("device", "", "1..64 bytes"), ("failed", "h", "host:port")):
        refused = requests.get(url, params={field: value}, timeout=10)
        assert refused.status_code == 422 and refused.json()["field"] == field and allowed in refused.json()["detail"], refused.text
    lost = requests.get(url + "s", timeout=10)
    assert lost.status_code == 404 and lost.json()["title"] == "Not found" and "/v1/locate" in lost.json()["detail"]

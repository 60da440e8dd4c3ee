"""Doors under attack: peers that never read, and crowds that take every descriptor. What is held for a peer is bounded, a crowd at one
door shuts no other, and all is well within a second of its going."""

import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import time

import pytest
import requests

from client import TYPES, Client, pb
from cluster import BIN
from daemons import ADMIN_KEY, SECRET, Cluster, wait_until

DESCRIPTORS = 120
CROWD = 200
SENT_MAX = 64 << 20  # above what kernels keep for a connection whose ends do not read


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("doors"), descriptors=DESCRIPTORS,
                      settings={"ASAN_OPTIONS": "quarantine_size_mb=1"})  # freed memory is free there too
    yield running
    running.stop()


def frame(name, **fields):
    body = getattr(pb, name)(**fields).SerializeToString()
    return struct.pack(">I", TYPES[name] << 24 | len(body)) + body


def send_until_stuck(s, piece):
    """Never reads; returns the bytes sent before nothing more was taken for two seconds."""
    s.setblocking(False)
    data, sent = piece * (65536 // len(piece)), 0
    offset = 0
    while sent < SENT_MAX and select.select([], [s], [], 2)[1]:
        try:
            n = s.send(data[offset:])
        except BlockingIOError:
            continue
        sent, offset = sent + n, (offset + n) % len(data)
    return sent


def located(port):
    with Client(port) as client:
        client.send("Locate", device="d1")
        return client.expect("Located")


def test_locates_without_reading(cluster):
    """A client that asks without end and never reads is not read any more, and others are answered meanwhile."""
    dispatcher = cluster.dispatcher
    before = dispatcher.metric("resident_bytes")
    with socket.create_connection(("127.0.0.1", dispatcher.ports["dispatcher"])) as s:
        s.sendall(b"HWS1")
        assert send_until_stuck(s, frame("Locate", device="d1")) < SENT_MAX
        assert dispatcher.metric("resident_bytes") < before + (8 << 20)
        assert located(dispatcher.ports["dispatcher"]).ttl_s > 0


def crowd_of(port):
    """Connections that say nothing, and stay while the other end lets them."""
    crowd = []
    for _ in range(CROWD):
        s = socket.socket()
        s.settimeout(10)
        s.connect(("127.0.0.1", port))
        crowd.append(s)
    return crowd


DOORS = [("dispatcher", "dispatcher"), ("room", "room"), ("room", "room_rpc"), ("register", "register"), ("saver", "saver"),
         ("center", "center"), ("dispatcher", "dispatcher_http"), ("center", "ops")]


@pytest.mark.parametrize("role,door", DOORS)
def test_a_crowd(cluster, role, door):
    """More connections than a process has descriptors come to one door: its ops port answers, it stays ready, and after they have gone
    clients are served within a second."""
    daemon = getattr(cluster, role)
    crowd = crowd_of(daemon.ports[door])
    try:
        for path in ("healthz", "readyz"):
            assert requests.get(f"http://127.0.0.1:{daemon.ports['ops']}/{path}", timeout=5).status_code == 200
    finally:
        for s in crowd:
            s.close()
    gone = time.monotonic()
    if door == "dispatcher":
        assert located(daemon.ports[door]).ttl_s > 0
    elif door == "room":
        wait_until(lambda: daemon.metric("connections_count") == 0, "the crowd is still there")
        with Client(daemon.ports[door]) as client:
            client.login("d1", cluster.product().token("ann"))
    assert time.monotonic() - gone < 5


def test_a_rooms_table_fits_its_descriptors(cluster):
    """The table that a room announces leaves descriptors for all else: with 120 it is half of them."""
    assert f"connections_max={DESCRIPTORS // 2}" in cluster.room.log_path.read_text()


def test_newcomers_displace_the_silent(cluster):
    """A client that asks is answered while a crowd of silent ones fills the dispatcher."""
    crowd = crowd_of(cluster.dispatcher.ports["dispatcher"])
    try:
        for _ in range(20):
            assert located(cluster.dispatcher.ports["dispatcher"]).ttl_s > 0
        assert cluster.dispatcher.metric("visitors_displaced_total") > 0
    finally:
        for s in crowd:
            s.close()


def test_a_silent_crowd_takes_no_place(cluster):
    """As many silent ones as the room has places are there, and a client logs in at once; whoever of them goes on saying nothing is ended
    without a word, and counted."""
    before = cluster.room.metric("silent_total")
    crowd = [socket.create_connection(("127.0.0.1", cluster.room.ports["room"]), timeout=20) for _ in range(DESCRIPTORS // 2)]
    try:
        wait_until(lambda: cluster.room.metric("connections_count") >= len(crowd), "some are not in yet")
        with Client(cluster.room.ports["room"]) as client:
            client.login("d1", cluster.product().token("ann"))
            client.send("Bye")
        for s in crowd:
            assert s.recv(1) == b""
    finally:
        for s in crowd:
            s.close()
    assert cluster.room.metric("silent_total") == before + len(crowd)


def test_a_silent_crowd_beyond_the_descriptors(tmp_path):
    """More silent ones than the room may have descriptors: the first of them give way at the door, nobody is closed there for want of a
    descriptor, and a client logs in."""
    running = Cluster(tmp_path, descriptors=1024)
    crowd = []
    try:
        room, token = running.room, running.product().token("ann")
        for _ in range(1100):
            crowd.append(socket.create_connection(("127.0.0.1", room.ports["room"]), timeout=20))
        wait_until(lambda: room.metric("refused_total") > 0, "nobody gave way")
        with Client(room.ports["room"]) as client:
            client.login("d1", token)
            client.send("Bye")
        assert room.metric("accepts_refused_total") == 0
        running.stop()
    finally:
        for s in crowd:
            s.close()
        running.kill_all()


def test_who_says_no_hello_gives_way(cluster):
    """More connections than the room has slots open and say no Hello: those that came first give way to the next, silently and counted, and
    clients log in while the crowd comes and is there. A session that was there before stays."""
    room, product = cluster.room, cluster.product()
    before = room.metric("strangers_displaced_total")
    crowd = []
    try:
        with Client(room.ports["room"]) as first:
            first.login("d1", product.token("ann"))
            for n in range(CROWD):
                crowd.append(Client(room.ports["room"]))
                if n % 50 == 49:
                    with Client(room.ports["room"]) as client:
                        client.login(f"e{n}", product.token("bob"))
                        client.send("Bye")
            assert room.metric("strangers_displaced_total") > before
            crowd[0].expect_end()
            first.send("Ping")
            first.expect("Pong")
            first.send("Bye")
    finally:
        for s in crowd:
            s.close()


def drip(port):
    """A byte a second of an opening that is never whole; what came, until the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
        for byte in (b"H", b"W", b"S", b"", b"", b"", b"", b"", b"", b"", b"", b""):
            try:
                s.sendall(byte)
                return s.recv(100)
            except TimeoutError:
                pass
    return None


@pytest.mark.parametrize("role", ["room", "dispatcher"])
def test_what_strangers_open_with(cluster, role):
    """Openings of TLS, HTTP, MQTT and of nothing known are ended at once, without a word, and counted, and so is one that is drawn out;
    half an opening and an end are nothing. Clients are served all the while."""
    daemon = getattr(cluster, role)
    port = daemon.ports[role]
    openings = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"GET /v1/locate HTTP/1.1\r\nHost: h\r\n\r\n",
                b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02d1", b"HWS2", b"\xff" * 100000, b"hws1"]
    wait_until(lambda: daemon.metric("connections_count") == 0, "others are still there")
    errors, silent = daemon.metric("protocol_errors_total"), daemon.metric("silent_total")
    for first in openings:
        assert knock(port, first) == b""
    for half in (b"", b"H", b"HWS"):
        with Client(port, preface=half):
            pass
    assert drip(port) == b""
    assert daemon.metric("protocol_errors_total") == errors + len(openings)
    assert daemon.metric("silent_total") == silent + 1
    wait_until(lambda: daemon.metric("connections_count") == 0, "some are still there")
    if role == "dispatcher":
        assert located(port).ttl_s > 0


def knock(port, first=b"\xff" * 64):
    """A peer that proves nothing; returns what it was told, once it has been refused."""
    told = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        try:
            s.sendall(first)
            while piece := s.recv(4096):
                told += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
    return told


def test_a_log_that_nobody_reads(tmp_path):
    """A daemon whose stderr is a pipe that nobody reads is knocked at 3,000 times by strangers and told to say all: it answers all the
    while, the log has a few lines of it, and the rest is counted."""
    config = tmp_path / "hawser.yaml"
    config.write_text(f"cluster:\n  secrets: [{SECRET}]\n  admin_keys: [{ADMIN_KEY}]\n  log_level: debug\n")
    ports_path = tmp_path / "ports.json"
    process = subprocess.Popen(
        [BIN / "hawser-register", "--config", config, "--ports-file", ports_path], stderr=subprocess.PIPE,
        env={**os.environ, "HAWSER_REGISTER__LISTEN": "127.0.0.1:0", "HAWSER_REGISTER__OPS_LISTEN": "127.0.0.1:0"})
    try:
        ports = json.loads(wait_until(lambda: ports_path.exists() and ports_path.read_text(), "no register", process))
        fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        for _ in range(3000):
            knock(ports["register"])
        text = requests.get(f"http://127.0.0.1:{ports['ops']}/metrics", timeout=5).text
        figures = {line.split()[0]: int(line.split()[1]) for line in text.splitlines() if line[0] != "#"}
        assert figures["hawser_register_peers_refused_total"] == 3000
        assert figures["hawser_register_log_kept_back_total"] >= 2900
    finally:
        process.terminate()
        lines = process.communicate(timeout=60)[1].decode().splitlines()
    assert process.returncode == 0, lines
    refused = [line for line in lines if 'event="peer refused"' in line]
    assert 1 <= len(refused) <= 30 and "from=127.0.0.1" in refused[0]


def test_answers_without_reading(cluster):
    """A client that asks and never reads is not read any more; once it reads again it is answered, and an Upstream's id is held to
    its length. The last test of this room, in which both linger for a while."""
    port = cluster.room.ports["room"]
    product = "chatty"
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    url = f"http://127.0.0.1:{cluster.center.ports['center']}/v1/products/{product}"
    assert requests.put(url, headers=headers, json={}).status_code == 201
    token = requests.post(url + "/tokens", headers=headers, json={"user": "ann"}).json()["token"]
    with Client(port) as client:
        client.login("d1", token)
        asked = frame("Upstream", product=client.product, type="t", id=b"i" * 16) * 100
        assert send_until_stuck(client.socket, asked) < SENT_MAX
        client.socket.settimeout(20)
        for _ in range(1000):
            assert client.receive()[1].status == 503
    with Client(port) as client:
        client.login("d2", token)
        client.send("Upstream", product=client.product, type="t", id=b"i" * 15)
        assert client.expect("Close").code == 4300


def test_no_body_without_a_key(cluster):
    """What needs no key is answered by its head: a body that it announces takes no place among those of others."""
    with socket.create_connection(("127.0.0.1", cluster.center.ports["center"]), timeout=20) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 200 ")


def test_strangers_while_the_register_sleeps(cluster):
    """While no register answers, strangers ask for a product that nobody knows, on more connections than there are places: what waits
    for them is bounded, the others are told so at once, and who has a key is served."""
    center, product = cluster.center, cluster.product()
    places = DESCRIPTORS // 4  # keyless_max is below
    request = b"GET /v1/products/nobody-knows-it HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer k\r\nX: " + b"x" * 30000 + b"\r\n\r\n"
    strangers = []

    def one_more():
        strangers.append(socket.create_connection(("127.0.0.1", center.ports["center"]), timeout=20))
        strangers[-1].sendall(request)
        return center.metric("http_no_wait_total") > 0

    os.kill(cluster.register.process.pid, signal.SIGSTOP)
    try:
        wait_until(one_more, "all of them wait")
        assert center.metric("http_abandoned_count") < 2 * places
        answer = cluster.call("GET", f"/v1/products/{product.name}")
        assert answer.status_code == 200, answer.text
    finally:
        os.kill(cluster.register.process.pid, signal.SIGCONT)
        for s in strangers:
            s.close()
    wait_until(lambda: center.metric("http_abandoned_count") == 0, "some wait for ever")


@pytest.mark.alone
def test_hints_while_the_register_sleeps(cluster):
    """While no register says where users are, what hints hold is bounded: those beyond it are counted, and every message is stored."""
    center, product = cluster.center, cluster.product()
    cluster.call("PATCH", f"/v1/products/{product.name}", {"limits": {"payload_bytes": 60000}})
    users = [f"u{i}" for i in range(700)]
    pushes = 0

    def one_more():
        nonlocal pushes
        assert product.push({"users": users}, payload="x" * 60000)["targets"] == len(users)
        pushes += 1
        return center.metric("hints_dropped_total") > 0

    os.kill(cluster.register.process.pid, signal.SIGSTOP)
    try:
        wait_until(one_more, "hints take all they like")
    finally:
        os.kill(cluster.register.process.pid, signal.SIGCONT)
    wait_until(lambda: cluster.call("GET", f"/v1/products/{product.name}/stats").json()["pending"] == pushes * len(users), "some are missing")


def test_the_reader_of_the_log_goes(tmp_path):
    """A daemon whose log nobody takes any more goes on."""
    config = tmp_path / "hawser.yaml"
    config.write_text(f"cluster:\n  secrets: [{SECRET}]\n  admin_keys: [{ADMIN_KEY}]\n")
    ports = tmp_path / "ports.json"
    env = {**os.environ, "HAWSER_REGISTER__LISTEN": "127.0.0.1:0", "HAWSER_REGISTER__OPS_LISTEN": "127.0.0.1:0"}
    daemon = subprocess.Popen([BIN / "hawser-register", "--config", config, "--ports-file", ports], stderr=subprocess.PIPE, env=env)
    try:
        wait_until(ports.exists, "no ports file")
        daemon.stderr.close()
        for _ in range(3):
            daemon.send_signal(1)  # SIGHUP: a line in the log
            url = f"http://127.0.0.1:{json.loads(ports.read_text())['ops']}/healthz"
            assert requests.get(url, timeout=20).status_code == 200
    finally:
        daemon.terminate()
        assert daemon.wait(20) == 0


def test_frames_that_are_never_whole(tmp_path):
    """Sessions that begin a frame and do not end it hold `room.frames_max` together and no more: who adds to that is told 4101. The rest go
    on, and end their frames."""
    cluster = Cluster(tmp_path, settings={"HAWSER_ROOM__FRAMES_MAX": "1MiB"})
    clients = []
    try:
        product = cluster.product()
        for n in range(24):
            clients.append(Client(cluster.room.ports["room"]))
            clients[-1].login("d1", product.token(f"u{n}"))
        whole = frame("Upstream", product=clients[0].product, type="t", id=b"i" * 16, payload=b"x" * 64000)
        for client in clients:
            client.send_raw(whole[:-1])
        wait_until(lambda: cluster.room.metric("frames_refused_total") == 8, "too few are refused")  # 16 of 64,000 bytes are less than 1 MiB
        assert cluster.room.metric("unfinished_bytes") <= 1 << 20
        refused = 0
        for n, client in enumerate(clients):
            client.send_raw(whole[-1:])
            name, message = client.receive()
            assert name == "UpstreamReply" or (name == "Close" and message.code == 4101), (name, message)
            refused += name == "Close"
        assert refused == 8
        wait_until(lambda: cluster.room.metric("unfinished_bytes") == 0, "something is kept")
        cluster.stop()
    finally:
        for client in clients:
            client.close()
        cluster.kill_all()


def test_hellos_that_are_never_whole(tmp_path):
    """Strangers that begin a Hello and do not end it hold a quarter of `room.frames_max` together and no more: who adds to that is told
    4101 and counted. Sessions have the rest for their own frames."""
    cluster = Cluster(tmp_path, settings={"HAWSER_ROOM__FRAMES_MAX": "1MiB"})
    clients = []
    try:
        room, product = cluster.room, cluster.product()
        for n in range(12):
            clients.append(Client(room.ports["room"]))
            clients[-1].login("d1", product.token(f"u{n}"))
        members = list(clients)
        for _ in range(80):
            clients.append(Client(room.ports["room"]))
            clients[-1].send_raw(struct.pack(">I", TYPES["Hello"] << 24 | 4000) + b"x" * 3996)  # 65 of 4,000 bytes are less than 256 KiB
        wait_until(lambda: room.metric("hellos_refused_total") == 15, "too few are refused")
        assert clients[-1].expect("Close").code == 4101
        whole = frame("Upstream", product=members[0].product, type="t", id=b"i" * 16, payload=b"x" * 64000)
        for client in members:
            client.send_raw(whole[:-1])
        for client in members:
            client.send_raw(whole[-1:])
            client.expect("UpstreamReply")
        assert room.metric("frames_refused_total") == 0
        for client in clients:
            client.close()
        wait_until(lambda: room.metric("unfinished_bytes") == 0, "something is kept")
        cluster.stop()
    finally:
        for client in clients:
            client.close()
        cluster.kill_all()

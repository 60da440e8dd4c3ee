"""HTTP under attack, and by the letter: half requests, slow ones, bodies without a key, floods without reading, requests that two
readers would read differently; at the center, and where it applies at the dispatcher and the ops ports."""

import json
import os
import select
import socket
import threading
import time

import pytest
import requests

from daemons import ADMIN_KEY, Cluster, wait_until

WITHIN_S = 1
KEY = f"Authorization: Bearer {ADMIN_KEY}\r\n"
MIB = 1 << 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    settings = {f"HAWSER_CENTER__{name}_WITHIN": f"{WITHIN_S}s" for name in ("HEAD", "BODY", "READ")}
    settings["ASAN_OPTIONS"] = "quarantine_size_mb=1"  # freed memory is free here too
    running = Cluster(tmp_path_factory.mktemp("http"), settings=settings)
    yield running
    running.stop()


def dial(cluster, port="center"):
    daemon = cluster.dispatcher if port.startswith("dispatcher") else cluster.center
    return socket.create_connection(("127.0.0.1", daemon.ports[port]), timeout=20)


def answer(s):
    """One answer: status, head in lower case, body; and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = s.recv(65536)
        assert chunk, data
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])}
    while len(rest) < int(fields.get("content-length", 0)):
        rest += s.recv(65536)
    length = int(fields.get("content-length", 0))
    return int(head.split()[1]), fields, rest[:length], rest[length:]


def ask(cluster, request, port="center"):
    with dial(cluster, port) as s:
        s.sendall(request if isinstance(request, bytes) else request.encode())
        return answer(s)[:3]


def ends(s):
    """The peer's end, in order or not."""
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def is_served(cluster):
    start = time.monotonic()
    assert requests.get(f"http://127.0.0.1:{cluster.center.ports['center']}/healthz", timeout=20).status_code == 200
    assert cluster.call("GET", "/v1/products").status_code == 200
    return time.monotonic() - start < 5


def descriptors(cluster):
    return len(os.listdir(f"/proc/{cluster.center.process.pid}/fd"))


def peak(cluster):
    """The most memory that the center ever had."""
    with open(f"/proc/{cluster.center.process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) * 1024


HEAD = "POST /v1/products/x/messages HTTP/1.1\r\nHost: h\r\n"
REFUSED = {
    "space before colon": (HEAD + KEY + "Content-Length : 3\r\n\r\nabc", 400, "malformed"),
    "unknown coding": (HEAD + KEY + "Transfer-Encoding: xchunked\r\n\r\n", 400, "malformed"),
    "NUL": (HEAD + "X: a\0b\r\n\r\n", 400, "malformed"),
    "bare LF": ("GET /healthz HTTP/1.1\nHost: h\n\n", 400, "malformed"),
    "bare CR": (HEAD + "X: a\rb\r\n\r\n", 400, "malformed"),
    "fold": (HEAD + "X: a\r\n b\r\n\r\n", 400, "malformed"),
    "two hosts": (HEAD + "Host: i\r\n\r\n", 400, "malformed"),
    "no host": ("GET /healthz HTTP/1.1\r\n\r\n", 400, "malformed"),
    "two lengths": (HEAD + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, "malformed"),
    "length and coding": (HEAD + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "malformed"),
    "bad chunk": (HEAD.replace("/x/messages", "") + KEY + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX", 405, "method_not_allowed"),
    "large": (HEAD + KEY + f"Content-Length: {8 * MIB + 1}\r\n\r\n", 413, "body_too_large"),
    "long target": (f"GET /{'x' * 9000} HTTP/1.1\r\nHost: h\r\n\r\n", 414, "target_too_long"),
    "expectation": (HEAD + "Expect: 200-ok\r\n\r\n", 417, "expectation_failed"),
    "long head": (HEAD + "X: " + "x" * 33000, 431, "head_too_large"),
    "many fields": (HEAD + "X: y\r\n" * 101 + "\r\n", 431, "head_too_large"),
    "method": ("BREW /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 501, "method_unknown"),
    "version": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version_unknown"),
    "no key": (HEAD + "Content-Length: 8000000\r\n\r\n", 401, "unauthorized"),
    "no product": (HEAD + KEY + "Content-Length: 8000000\r\n\r\n", 404, "not_found"),
    "long key": (HEAD + f"Authorization: Bearer hwk_{'x' * 30000}\r\nContent-Length: 8000000\r\n\r\n", 401, "unauthorized"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(cluster, name):
    """Each is our own problem+json with the request's id, before any body was sent; then the connection ends."""
    request, status, code = REFUSED[name]
    with dial(cluster) as s:
        s.sendall(request.encode())
        got, head, body, rest = answer(s)
        assert (got, head["content-type"], rest) == (status, "application/problem+json", b"")
        problem = json.loads(body)
        assert problem["code"] == code and problem["status"] == status and problem["type"] == f"urn:hawser:error:{code}"
        assert problem["request_id"] == head["hawser-request-id"] and problem["title"] and problem["detail"]
        assert head["connection"] == "close" and ends(s)


@pytest.mark.parametrize("port", ["center", "dispatcher_http", "ops"])
def test_by_the_letter(cluster, port):
    """HEAD, OPTIONS, absolute targets, HTTP/1.0, pipelining, and an end of the client's half."""
    length = ask(cluster, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", port)[1]["content-length"]
    with dial(cluster, port) as s:
        s.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET http://h/healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        s.shutdown(socket.SHUT_WR)
        data = b""
        while chunk := s.recv(65536):
            data += chunk
    first, second = data.split(b"\r\n\r\n", 1)
    assert b"200 OK" in first and f"Content-Length: {length}".encode() in first
    assert second.startswith(b"HTTP/1.1 200 OK\r\n") and b"Connection: close" in second
    path = "/v1/locate" if port == "dispatcher_http" else "/healthz"
    status, head, _ = ask(cluster, f"OPTIONS {path} HTTP/1.1\r\nHost: h\r\n\r\n", port)
    assert status == 204 and head["allow"] == "GET, HEAD, OPTIONS" and "content-length" not in head
    assert ("access-control-allow-origin" in head) == (port == "dispatcher_http")
    with dial(cluster, port) as s:
        s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert answer(s)[0] == 200 and ends(s)


def test_options(cluster):
    head = ask(cluster, "OPTIONS /v1/products/x HTTP/1.1\r\nHost: h\r\n\r\n")[1]
    assert head["allow"] == "PUT, PATCH, GET, DELETE, HEAD, OPTIONS"
    assert ask(cluster, "OPTIONS /v1/nope HTTP/1.1\r\nHost: h\r\n\r\n")[0] == 404
    assert "POST" in ask(cluster, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")[1]["allow"]


def test_expect_and_chunks(cluster):
    """100 Continue comes once the key is known, and a chunked body is one."""
    product = cluster.product()
    head = f"POST /v1/products/{product.name}/messages HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
    with dial(cluster) as s:
        s.sendall(f"{head}{KEY}\r\n".encode())
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        body = json.dumps({"to": {"user": "ann"}, "payload": "x" * 3000})
        for i in range(0, len(body), 100):
            s.sendall(f"{len(body[i:i + 100]):x}\r\n{body[i:i + 100]}\r\n".encode())
        s.sendall(b"0\r\n\r\n")
        assert answer(s)[0] == 202
    assert ask(cluster, f"{head}Authorization: Bearer hwk_x_y\r\n\r\n")[0] == 401


def test_half_requests(cluster):
    """Thousands that send a part and go leave nothing behind, thousands that stay give way; who has a key is served meanwhile."""
    before = descriptors(cluster)
    product = cluster.product()
    parts = [b"G", b"GET /healthz HTTP/1.1\r\nHost:", f"{HEAD}{KEY}Content-Length: 100\r\n\r\nhalf".encode()]
    for i in range(3000):
        with dial(cluster) as s:
            s.sendall(parts[i % 2])
            if i % 500 == 0:
                product.push_user("ann", "x")
    assert is_served(cluster)
    stay = []
    for i in range(400):
        stay.append(dial(cluster))
        stay[-1].sendall(parts[i % 3])
    product.push_user("ann", "x")
    # A newcomer makes them give way, once they had their time to speak.
    wait_until(lambda: is_served(cluster) and cluster.center.metric("http_gave_way_total") > 0, "none gives way")
    wait_until(lambda: descriptors(cluster) <= before + 10, "half requests stay open")
    for s in stay:
        s.close()


def test_slow_requests(cluster):
    """Bytes that trickle in do not move a deadline: a head, a body without end of either kind, and an answer that nobody reads."""
    product = cluster.product()
    path = f"POST /v1/products/{product.name}/messages HTTP/1.1\r\nHost: h\r\n{KEY}"
    starts = ["GET /healthz HTTP/1.1\r\nX: ", f"{path}Content-Length: 5000\r\n\r\n", f"{path}Transfer-Encoding: chunked\r\n\r\n5;"]
    slow = [dial(cluster) for _ in starts]
    for s, start in zip(slow, starts):
        s.sendall(start.encode())
    deadline = time.monotonic() + 60
    heard = [b""] * len(slow)
    # The body of 8 MiB that a chunked one may be has its time too.
    while not all(b"408 Request Timeout" in text for text in heard[:2]):
        assert time.monotonic() < deadline, heard
        for i, s in enumerate(slow):
            try:
                s.send(b"x")
            except OSError:
                pass
        for s in select.select(slow, [], [], 0.1)[0]:
            heard[slow.index(s)] += s.recv(65536)
    assert cluster.center.metric("http_refused_request_timeout_total") >= 2
    for s in slow:
        s.close()


def push_into(s, total):
    """Sends up to so many bytes, as long as they are taken."""
    block, sent = b"x" * 65536, 0
    try:
        while sent < total:
            sent += s.send(block)
    except OSError:
        pass


def test_bodies_without_a_key(cluster):
    """60 bodies of 8 MB without a key, most of them sent before the answer is read: 401 for each, and no memory for any."""
    before = peak(cluster)
    for i in range(60):
        coding = f"Content-Length: {8 * MIB}" if i % 2 else "Transfer-Encoding: chunked"
        with dial(cluster) as s:
            s.sendall(f"{HEAD}{coding}\r\n\r\n".encode())
            push_into(s, 8 * MIB)
            s.shutdown(socket.SHUT_WR)
            assert answer(s)[0] == 401
    assert peak(cluster) < before + 16 * MIB
    assert is_served(cluster)


def test_endless_chunks(cluster):
    """A chunked body without end, with a key: 413 at the bound, and no more than it in memory."""
    product = cluster.product()
    before = peak(cluster)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with dial(cluster) as s:
        s.sendall(f"{HEAD.replace('/x/', f'/{product.name}/')}{KEY}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(300):
            try:
                s.sendall(chunk)
            except OSError:
                break
            if select.select([s], [], [], 0)[0]:
                break
        assert answer(s)[0] == 413
    assert peak(cluster) < before + 32 * MIB


def test_three_of_eight(cluster):
    """Clients that send 3 MB of 8 and go: their memory and descriptors are back at once, and their bodies bounded while they stay."""
    product = cluster.product()
    head = f"{HEAD.replace('/x/', f'/{product.name}/')}{KEY}Content-Length: {8 * MIB}\r\n\r\n".encode()
    before = descriptors(cluster)
    crowd = [dial(cluster) for _ in range(20)]
    for s in crowd:
        s.sendall(head)
        push_into(s, 3 * MIB)
    for s in crowd:
        s.close()
    wait_until(lambda: descriptors(cluster) <= before + 2 and cluster.center.metric("http_bodies_bytes") == 0, "bodies stay")
    assert is_served(cluster)


def test_flood_without_reading(cluster):
    """Requests without end of which no answer is read: the server stops reading, and ends the connection."""
    before = peak(cluster)
    flood = b"GET /v1/openapi.yaml HTTP/1.1\r\nHost: h\r\n\r\n" * 2000
    with dial(cluster) as s:
        push_into_until_stuck(s, flood)
        assert is_served(cluster)
        wait_until(lambda: cluster.center.metric("http_unread_total") > 0, "nobody reads, and it waits")
    assert peak(cluster) < before + 16 * MIB


def push_into_until_stuck(s, data):
    s.setblocking(False)
    sent = 0
    while sent < 64 * MIB and select.select([], [s], [], 0.5)[1]:
        try:
            sent += s.send(data)
        except OSError:
            return
    assert sent < 64 * MIB


@pytest.mark.parametrize("role", ["center", "dispatcher"])
def test_end_under_load(tmp_path, role):
    """SIGTERM amid pipelined requests: it ends in order, with 0."""
    cluster = Cluster(tmp_path, settings={f"HAWSER_{role.upper()}__DRAIN_WITHIN": "100ms"})
    product = cluster.product()
    body = json.dumps({"to": {"user": "ann"}, "payload": "x"})
    push = f"POST /v1/products/{product.name}/messages HTTP/1.1\r\nHost: h\r\n{KEY}Content-Length: {len(body)}\r\n\r\n{body}"
    port, request = ("center", push) if role == "center" else ("dispatcher_http", "GET /v1/locate?device=d HTTP/1.1\r\nHost: h\r\n\r\n")
    is_over = threading.Event()

    def load():
        while not is_over.is_set():
            try:
                with dial(cluster, port) as s:
                    s.settimeout(1)
                    while s.send(request.encode() * 100):
                        s.recv(65536)
            except OSError:
                pass

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    daemon = getattr(cluster, role)
    count = "requests_total" if role == "center" else "http_requests_total"
    try:
        wait_until(lambda: daemon.metric(count) > 500, "no load")
        daemon.stop()
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    cluster.stop()

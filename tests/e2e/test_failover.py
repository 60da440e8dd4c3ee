"""A Redis failover, as a floating address makes it: the servers are told one address, which leads to the other server from one moment on.
What was accepted is there, and what is pushed afterwards comes soon, though nobody could say meanwhile where its user is."""

import concurrent.futures
import os
import select
import signal
import socket
import threading
import time

import pytest

from client import Client, pb
from daemons import Cluster, Redis, wait_until
from traffic import Subscriber, push_all, wait_for_all

pytestmark = pytest.mark.alone

PASSWORD = "failover-password-1"
USERS = 4
MESSAGES = 3000
SOON_S = 8  # 30 s without the question for the heads


class FloatingAddress:
    """A port that leads to a server, and can be led to another one; who is connected stays where they are."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.waker, self.woken = socket.socketpair()
        self.peers = {}
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _accept(self):
        client, _ = self.listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            client.close()
            return
        self.peers[client], self.peers[server] = server, client

    def _pass_on(self, s):
        if s not in self.peers:
            return  # ended with its peer
        try:
            data = s.recv(65536)
            self.peers[s].sendall(data)
        except OSError:
            data = b""
        if not data:
            peer = self.peers.pop(s)
            del self.peers[peer]
            s.close()
            peer.close()

    def _run(self):
        while True:
            ready, _, _ = select.select([self.listener, self.woken, *self.peers], [], [])
            if self.woken in ready:
                break
            for s in ready:
                if s is self.listener:
                    self._accept()
                else:
                    self._pass_on(s)
        for s in [self.listener, self.waker, self.woken, *self.peers]:
            s.close()

    def stop(self):
        self.waker.send(b"x")
        self.thread.join()


class Pair:
    """A primary and its replica behind one address; `url` is what the daemons are told."""

    def __init__(self, folder):
        self.primary, self.replica = (Redis(folder / name, password=PASSWORD) for name in ("one", "two"))
        for server in (self.primary, self.replica):
            server.command("CONFIG", "SET", "masterauth", PASSWORD, "repl-diskless-sync-delay", "0")
        self.replica.command("REPLICAOF", "127.0.0.1", str(self.primary.port))
        self.address = FloatingAddress(self.primary.port)
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.address.port}"
        self.wait_in_step()

    def wait_in_step(self):
        wait_until(lambda: self.replica.info("master_link_status") == "up" and
                   self.replica.info("slave_repl_offset") == self.primary.info("master_repl_offset"), "the replica is behind")

    def move(self):
        """The other one is the primary from now on, and the address leads there."""
        self.address.target = self.replica.port

    def stop(self):
        self.address.stop()
        for server in (self.primary, self.replica):
            server.stop()


@pytest.fixture
def pair(tmp_path):
    running = Pair(tmp_path / "redis")
    yield running
    running.stop()


def receive_pushes(client, count):
    """So many, each acknowledged; the payloads. A Gap tells of the other server."""
    payloads = []
    while len(payloads) < count:
        name, message = client.receive()
        assert name in ("Ping", "Push", "Gap", "Synced"), (name, message)
        if name == "Ping":
            client.send("Pong")
        elif name == "Push":
            client.ack_push(message)
            payloads.append(message.payload)
    return payloads


def pushes_before_pong(client):
    client.send("Ping")
    names = []
    while "Pong" not in names:
        names.append(client.receive()[0])
    return [name for name in names if name == "Push"]


def welcomed(cluster, token, have=()):
    """A client that is logged in, or None: the register has yet to find its store."""
    client = Client(cluster.room.ports["room"])
    client.hello("d1", pb.Bind(token=token, have=have))
    name, client.welcome = client.receive()
    if name == "Welcome":
        client.product = client.welcome.bound[0].product
        return client
    client.close()
    assert name == "Close" and client.welcome.code == 4101, (name, client.welcome)
    return None


def push_until_accepted(cluster, product, user, payload):
    def accepted():
        body = {"to": {"user": user}, "payload": payload}
        answer = cluster.call("POST", f"/v1/products/{product.name}/messages", body, headers={"Idempotency-Key": payload})
        assert answer.status_code in (202, 503), answer.text
        return answer.status_code == 202
    wait_until(accepted, "it is not accepted")


def test_the_primary_is_killed(tmp_path, pair):
    """The primary of a replica in step dies while no register answers, so that no hint can find the client: the rooms see the other
    server and ask for the heads at once. What had been accepted is there, once."""
    cluster = Cluster(tmp_path, redis=pair)
    try:
        product = cluster.product()
        with Client(cluster.room.ports["room"]) as ann:
            ann.login("d1", product.token("ann"))
            for n in range(5):
                product.push_user("ann", f"a{n}")
                product.push_user("bob", f"b{n}")
            assert receive_pushes(ann, 5) == [b"a%d" % n for n in range(5)]
            path = f"/v1/products/{product.name}/users/ann"
            wait_until(lambda: cluster.call("GET", path).json()["pending"] == 0, "its acks are not stored")
            pair.wait_in_step()
            os.kill(cluster.register.process.pid, signal.SIGSTOP)
            try:
                pair.primary.kill()
                pair.replica.command("REPLICAOF", "NO", "ONE")
                pair.move()
                push_until_accepted(cluster, product, "ann", "after")
                accepted = time.monotonic()
                assert receive_pushes(ann, 1) == [b"after"]
                assert time.monotonic() - accepted < SOON_S
            finally:
                os.kill(cluster.register.process.pid, signal.SIGCONT)
            assert pushes_before_pong(ann) == []
        push_until_accepted(cluster, product, "bob", "after")
        with wait_until(lambda: welcomed(cluster, product.token("bob")), "bob is not let in") as bob:
            assert receive_pushes(bob, 6) == [b"b%d" % n for n in range(5)] + [b"after"]
        cluster.stop()
    finally:
        cluster.kill_all()


def test_the_primary_changes_under_load(tmp_path, pair):
    """Redis' own FAILOVER in the middle of three thousand pushes, repeated by their app server until they are accepted: the connections stay
    at the server that was demoted until it says so. Each message comes, once."""
    cluster = Cluster(tmp_path, redis=pair, saver=2, register=2, room=2)
    subscribers = []
    try:
        product = cluster.product()
        subscribers = [Subscriber(cluster, tmp_path, f"u{i}", product.token(f"u{i}")) for i in range(USERS)]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pusher = pool.submit(push_all, cluster, product, MESSAGES, USERS)
            wait_until(lambda: len(subscribers[0].messages()) > 5, "nothing comes")
            assert pair.primary.command("FAILOVER", "TO", "127.0.0.1", str(pair.replica.port)) == "OK"
            wait_until(lambda: pair.replica.info("role") == "master", "it is not promoted")
            assert not pusher.done(), "all was pushed before it began"
            pair.move()
            pusher.result()
        wait_for_all(subscribers, MESSAGES, 30)
        for subscriber in subscribers:
            subscriber.stop()
        subscribers = []
        cluster.stop()
    finally:
        for subscriber in subscribers:
            subscriber.process.kill()
        cluster.kill_all()


def received(client, last):
    """What it is told from its login until that message, as words."""
    words = []
    while "Push " + last not in words:
        name, message = client.receive()
        if name == "Push":
            client.ack_push(message)
            words.append("Push " + message.payload.decode())
        elif name in ("Gap", "Reset"):
            words.append(name)
    return words


def test_back_to_the_first_server(tmp_path, pair):
    """A replica that misses a tail takes over, both take appends, and then the first server follows it and is the primary again, under the
    run id that it had. An inbox that nobody touched meanwhile gives no seq of the lost tail to another message: who has that one is told, and
    gets what came behind."""
    cluster = Cluster(tmp_path, redis=pair)
    first, second = pair.primary, pair.replica
    try:
        product = cluster.product()
        with Client(cluster.room.ports["room"]) as ann:
            ann.login("d1", product.token("ann"))
            product.push_user("ann", "kept")
            assert receive_pushes(ann, 1) == [b"kept"]
            path = f"/v1/products/{product.name}/users/ann"
            wait_until(lambda: cluster.call("GET", path).json()["pending"] == 0, "its acks are not stored")
            pair.wait_in_step()
            second.command("REPLICAOF", "NO", "ONE")
            for n in range(3):
                product.push_user("ann", f"lost{n}")
            pushes = [ann.expect("Push") for _ in range(3)]
            position = pb.Position(stream=pb.INBOX, seq=pushes[-1].seq,
                                   epoch=next(p.epoch for p in ann.welcome.bound[0].after if p.stream == pb.INBOX))
            ann.send("Bye")
        run_id = first.info("run_id")
        first.command("REPLICAOF", "127.0.0.1", str(second.port))
        pair.move()
        push_until_accepted(cluster, product, "bob", "meanwhile")
        pair.primary, pair.replica = second, first
        pair.wait_in_step()
        first.command("REPLICAOF", "NO", "ONE")
        pair.move()
        second.command("REPLICAOF", "127.0.0.1", str(first.port))
        assert first.info("run_id") == run_id and first.info("role") == "master"
        for n in range(5):
            push_until_accepted(cluster, product, "ann", f"after{n}")
        with wait_until(lambda: welcomed(cluster, product.token("ann"), [position]), "ann is not let in") as ann:
            words = received(ann, "after4")
            assert words[0] in ("Gap", "Reset") and [w for w in words if w.startswith("Push")] == [f"Push after{n}" for n in range(5)], words
        cluster.stop()
    finally:
        cluster.kill_all()

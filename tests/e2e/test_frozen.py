"""A daemon that stands still is not a slow cluster: one of each role is stopped by SIGSTOP, its links stay up, and what it would have been
asked is asked of the other. Nothing here is timed; what went wrong is counted."""

import contextlib
import os
import signal

import pytest

from client import Client, pb
from daemons import Cluster, Redis, wait_until

pytestmark = pytest.mark.alone

USERS = 8
PUSHES = 48
MANY_USERS = 64


@pytest.fixture(name="cluster", scope="module")
def a_cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    redis = Redis(folder / "redis")
    running = None
    try:
        running = Cluster(folder, redis=redis, register=2, saver=2, room=2, coordinator=2, dispatcher=2)
        yield running
        running.stop()
    finally:
        if running:
            running.kill_all()
        redis.stop()


@contextlib.contextmanager
def frozen(daemon):
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def clients_of(cluster, product, room):
    with contextlib.ExitStack() as stack:
        clients = []
        for n in range(USERS):
            clients.append(stack.enter_context(Client(cluster.daemons["room"][room].ports["room"])))
            clients[-1].login(f"d{n}", product.token(f"u{n}"))
        yield clients


def push_to_all(product, word):
    for n in range(PUSHES):
        product.push_user(f"u{n % USERS}", f"{word}{n}")


def receive_all(clients, word):
    for n in range(PUSHES):
        client = clients[n % USERS]
        push = client.expect("Push")
        assert push.payload == f"{word}{n}".encode()
        client.ack_push(push)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("role", ["saver", "register", "coordinator", "dispatcher"])
def test_one_stands_still(cluster, role, which):
    """Pushes one after another: the first that needs it waits until it is found to be silent, none fails, and the rest ask the other one.
    Without that, each of half of the pushes would wait for its deadline, and count as a failure."""
    product = cluster.product()
    daemon = cluster.daemons[role][which]
    with clients_of(cluster, product, 0) as clients:
        push_to_all(product, "before")
        receive_all(clients, "before")
        failed = cluster.center.metric("saver_append_call_failures_total")
        with frozen(daemon):
            push_to_all(product, "meanwhile")
            receive_all(clients, "meanwhile")
            assert cluster.center.metric("saver_append_call_failures_total") - failed <= (2 if role == "saver" else 0)
        push_to_all(product, "after")
        receive_all(clients, "after")


def logs_in(cluster, product, user):
    """A login may be told to come again."""
    with Client(cluster.daemons["room"][0].ports["room"]) as client:
        client.hello("d", pb.Bind(token=product.token(user)))
        name, message = client.receive()
        assert name == "Welcome" or (name == "Close" and message.code == 4101), message
        return name == "Welcome"


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("role", ["saver", "register"])
def test_logins_go_on(cluster, role, which):
    """A login's own calls are not made twice, so the one that meets the frozen daemon is told to come again; the next ones ask the other.
    One more may be under way to it from somewhere else."""
    product = cluster.product()
    with frozen(cluster.daemons[role][which]):
        refused = [n for n in range(24) if not logs_in(cluster, product, f"u{n}")]
        assert len(refused) <= 2, refused
        assert all(logs_in(cluster, product, f"u{n}") for n in refused)


def test_it_is_asked_again_when_it_moves(cluster):
    """Both savers get appends, before and after. Of a few users it may be that one saver has all."""
    product = cluster.product()
    savers = cluster.daemons["saver"]

    def all_get_appends():
        before = [s.metric("appends_total") for s in savers]
        for n in range(MANY_USERS):
            product.push_user(f"u{n}", "x")
        return all(s.metric("appends_total") > n for s, n in zip(savers, before))

    wait_until(all_get_appends, "a saver gets nothing")
    with frozen(savers[0]):
        push_to_all(product, "y")
    wait_until(all_get_appends, "a saver gets nothing any more")


def test_a_room_stands_still(cluster):
    """Pushes to its users are accepted and wait for it; those of the other room get theirs."""
    product = cluster.product()
    with clients_of(cluster, product, 0) as clients, Client(cluster.daemons["room"][1].ports["room"]) as ann:
        ann.login("d1", product.token("ann"))
        with frozen(cluster.daemons["room"][0]):
            push_to_all(product, "kept")
            product.push_user("ann", "now")
            assert ann.expect("Push").payload == b"now"
        receive_all(clients, "kept")

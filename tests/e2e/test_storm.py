"""More want in than a register answers: a room asks it for so many at once, and tells the others when to come. Nothing here is timed."""

import os
import signal

import pytest

from client import Client, pb
from daemons import Cluster, wait_until

pytestmark = pytest.mark.alone

AT_ONCE = 512  # of a room that knows nothing yet
OTHERS = 60


@pytest.fixture(name="cluster", scope="module")
def a_cluster(tmp_path_factory):
    running = Cluster(tmp_path_factory.mktemp("storm"))
    try:
        yield running
        running.stop()
    finally:
        running.kill_all()


def say_hello(clients, product):
    """All at once: tokens and connections are ready before."""
    binds = [pb.Bind(token=product.token(f"u{n}")) for n in range(len(clients))]
    for n, client in enumerate(clients):
        client.hello(f"d{n}", binds[n])


def test_who_finds_a_room_busy_gets_a_time_of_its_own(cluster):
    """The register stands still: as many wait for it as may. The others are told to come again, one after the other, and get in then."""
    product, room = cluster.product(), cluster.daemons["room"][0]
    port = room.ports["room"]
    with Client(port) as first:
        first.login("first", product.token("first"))  # the room knows the product
    clients = [Client(port) for _ in range(AT_ONCE + OTHERS)]
    register = cluster.daemons["register"][0].process.pid
    os.kill(register, signal.SIGSTOP)
    try:
        say_hello(clients, product)
        wait_until(lambda: room.metric("logins_put_off_total") == OTHERS, "the others are told")
    finally:
        os.kill(register, signal.SIGCONT)
    answers = [client.receive() for client in clients]
    told = [answer for name, answer in answers if name == "Close" and answer.reason == "others are logging in"]
    assert len(told) == OTHERS and {close.code for close in told} == {4101}
    assert all(900 <= close.retry_after_ms <= 30000 for close in told)  # how far apart: tests/unit/room_core/test_admission.c
    for client in clients:
        client.close()
    for n in range(OTHERS):
        with Client(port) as again:
            again.login(f"d{n}", product.token(f"again{n}"))
    assert room.metric("logins_put_off_total") == OTHERS
    assert room.metric("logins_under_way_count") == 0

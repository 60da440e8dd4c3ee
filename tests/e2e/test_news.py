"""Broadcasts for those who are behind: what a room reads of the log in blocks, and what it gives back."""

import contextlib
import re
import select
import socket
import time

import pytest
import requests

from client import Client, eventually, pb
from daemons import Cluster, Redis

LARGE = "x" * 59_000


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    running = Redis(tmp_path_factory.mktemp("redis"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, redis):
    running = Cluster(tmp_path_factory.mktemp("news"), redis=redis)
    yield running
    running.stop()


def gauge(cluster, name):
    text = requests.get(f"http://127.0.0.1:{cluster.room.ports['ops']}/metrics", timeout=10).text
    return int(re.search(rf"^hawser_room_{name}(?:{{[^}}]*}})? (\d+)", text, re.M).group(1))


def a_product(cluster):
    product = cluster.product()
    answer = cluster.call("PUT", f"/v1/products/{product.name}", {"limits": {"payload_bytes": 61440}})
    assert answer.status_code == 200, answer.text
    return product


def broadcast(product, *texts):
    """In calls of many messages; each must be stored."""
    for at in range(0, len(texts), 100):
        body = {"messages": [{"to": {"all": True}, "payload": text} for text in texts[at:at + 100]]}
        answer = product.cluster.call("POST", f"/v1/products/{product.name}/messages/batch", body)
        assert answer.status_code == 200, answer.text
        assert all(one["status"] == 202 for one in answer.json()["results"]), answer.text


def numbered(count, first=1, text=""):
    return [f"{i} {text}" for i in range(first, first + count)]


class Reader:
    """A device that starts at a place in the news, and checks that each message is the next one."""

    def __init__(self, cluster, product, device, epoch, at):
        self.client = Client(cluster.info["rooms"][0])
        self.client.hello(device, pb.Bind(token=product.token(device), have=[
            pb.Position(stream=pb.NEWS, epoch=epoch, seq=at)]))
        self.client.welcome = self.client.expect("Welcome")
        self.client.product = self.client.welcome.bound[0].product
        self.epoch, self.at, self.acked = epoch, at, at

    def has_data(self, seconds=0.0):
        return len(self.client.unread) > 4 or bool(select.select([self.client.socket], [], [], seconds)[0])

    def take(self):
        """One frame; the text when it was a Push."""
        name, message = self.client.receive()
        if name == "Ping":
            self.client.send("Pong")
        of_another = name == "Reset" and message.position.stream != pb.NEWS  # each log is lost at a time of its own
        assert of_another or name in ("Push", "Synced", "Ping"), (name, message)
        if name != "Push":
            return None
        assert message.seq == self.at + 1
        self.at = message.seq
        return message.payload.decode()

    def ack(self, every=1):
        if self.at >= self.acked + every:
            self.client.ack(pb.Position(stream=pb.NEWS, epoch=self.epoch, seq=self.at))
            self.acked = self.at

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        with contextlib.suppress(OSError):
            self.client.send("Bye")
        self.client.close()


def epoch_of(cluster, product):
    with Client(cluster.info["rooms"][0]) as client:
        client.login("first", product.token("first"))
        epoch = next(p.epoch for p in client.synced.at if p.stream == pb.NEWS)
        client.send("Bye")
    return epoch


def read_until(reader, last, every=16):
    texts = []
    while reader.at < last:
        text = reader.take()
        if text is not None:
            texts.append(text)
            reader.ack(every)
    return texts


def test_far_behind(cluster):
    """A lone reader who is 9,000 short broadcasts behind gets them without standing still, each once and in order."""
    product = a_product(cluster)
    epoch = epoch_of(cluster, product)
    broadcast(product, *numbered(9000))
    with Reader(cluster, product, "far", epoch, 0) as reader:
        start = time.monotonic()
        assert read_until(reader, 9000) == numbered(9000)
        took = time.monotonic() - start
    print(f"9,000 broadcasts in {took:.2f} s")
    assert took < 12  # a second is usual; it was 17 s when each 1,024 cost 6 s


def test_many_behind_at_different_places(cluster):
    """Sixty devices spread over 2,500 broadcasts all arrive, and none of them stands still for long."""
    product = a_product(cluster)
    epoch = epoch_of(cluster, product)
    broadcast(product, *numbered(2500, text="x" * 1000))  # more than the room keeps at hand
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Reader(cluster, product, f"d{i}", epoch, i * 40)) for i in range(60)]
        last, silence = [time.monotonic()] * 60, 0.0
        while open_ones := [i for i in range(60) if readers[i].at < 2500]:
            ready = [i for i in open_ones if readers[i].has_data()]
            for i in ready:
                if readers[i].take() is not None:
                    silence = max(silence, time.monotonic() - last[i])
                    last[i] = time.monotonic()
                    readers[i].ack(16)
            if not ready:
                assert select.select([readers[i].client.socket for i in open_ones], [], [], 60)[0], "all stand still"
    print(f"longest silence {silence:.2f} s")
    assert silence < 4  # 5.5 s when blocks stayed for 5 s with those who had read them


def test_slow_reader_while_broadcasts_go_on(cluster):
    """A block that was read when the log was shorter does not hide what came after it, however often others are sent news meanwhile."""
    product = a_product(cluster)
    epoch = epoch_of(cluster, product)
    broadcast(product, *numbered(20, text=LARGE))
    with Reader(cluster, product, "slow", epoch, 0) as reader:
        texts = read_until(reader, 20, every=1)
        for first in range(21, 51, 10):  # the room's window passes it by
            broadcast(product, *numbered(10, first, LARGE))
        count, deadline = 50, time.monotonic() + 20
        while reader.at < 50 and time.monotonic() < deadline:
            count += 1
            broadcast(product, f"{count} short")
            while reader.has_data(0.05) and reader.at < 50:
                texts.append(reader.take())
            reader.ack()
        assert reader.at >= 50, "it starves"
        assert [t for t in texts if t] == numbered(50, text=LARGE)


def flush(redis):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(redis.path))
        s.sendall(b"FLUSHALL\r\n")
        assert s.recv(100).startswith(b"+OK")


def test_another_log(cluster, redis):
    """When the store has lost everything, nobody gets a message of the old log under a seq of the new one."""
    product = a_product(cluster)
    epoch = epoch_of(cluster, product)
    broadcast(product, *numbered(24, text=LARGE))
    path = f"/v1/products/{product.name}/messages"
    with Reader(cluster, product, "slow", epoch, 0) as reader:
        read_until(reader, 24, every=1)
        flush(redis)
        eventually(lambda: cluster.call("POST", path, {"to": {"all": True}, "payload": "again"}).status_code == 202)
        name, message = reader.client.receive()
        while name != "Reset" or message.position.stream != pb.NEWS:
            name, message = reader.client.receive()
        reader.epoch = message.position.epoch
        reader.at = reader.acked = message.position.seq
        for i in range(1, 25):  # one by one: their order is that of the calls; the window passes the reader by
            broadcast(product, f"new {i} {LARGE}")
        texts = []
        while not texts or texts[-1] != "new 24":
            text = reader.take()
            if text:
                texts.append(" ".join(text.split()[:2]))
                reader.ack()
    while texts[0] == "again":
        texts.pop(0)
    assert texts == [f"new {i}" for i in range(1, 25)]


def test_memory_is_given_back(cluster):
    """A product whose sessions left, and one that was deleted, go from the room with their news."""
    eventually(lambda: gauge(cluster, "products_count") == 0, seconds=60)  # those of other tests
    products = [a_product(cluster) for _ in range(3)]
    epochs = [epoch_of(cluster, p) for p in products]
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Reader(cluster, p, "d", e, 0)) for p, e in zip(products, epochs)]
        for product in products:
            broadcast(product, *numbered(15, text=LARGE))
        for reader in readers:
            read_until(reader, 15, every=1)
        eventually(lambda: gauge(cluster, "news_window_bytes") > 3 * 15 * 59_000)
        assert gauge(cluster, "products_count") == 3
        for product in products[:2]:
            assert cluster.call("DELETE", f"/v1/products/{product.name}").status_code in (200, 202, 204)
        for reader in readers[:2]:
            assert reader.client.expect("Close").code == 4004
        eventually(lambda: gauge(cluster, "products_count") == 1)
        assert gauge(cluster, "news_window_bytes") < 2 * 15 * 59_000
    eventually(lambda: gauge(cluster, "products_count") == 0, seconds=60)
    assert gauge(cluster, "news_window_bytes") == 0
    eventually(lambda: gauge(cluster, "news_block_bytes") == 0)

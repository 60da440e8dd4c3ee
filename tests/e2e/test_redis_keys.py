"""docs/REDIS.md names every key: whatever a cluster leaves in Redis stands there, with its type."""

import pathlib
import re

import pytest
import requests

from client import Client
from daemons import ADMIN_KEY, Cluster, Redis

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/REDIS.md"


def described():
    """(pattern, type) of each row: P, B, USER, LOG and N stand for what they say."""
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \|", PAGE.read_text(), re.M)
    assert len(rows) > 20
    for key, kind in rows:
        pattern = re.escape(key)
        for word, means in (("P", r"\\d+"), ("B", r"\\d+"), ("USER", ".+"), ("LOG", ".+"), ("ID", r"[0-9A-Za-z]+"), ("N", r"\\d+")):
            pattern = re.sub(rf"(?<![A-Za-z]){word}(?![A-Za-z])", means, pattern)
        if not key.startswith("hw:"):
            pattern = r"hw:\{\d+(:\d+)?\}:" + pattern
        yield re.compile(pattern + r"\Z"), kind


@pytest.fixture
def cluster(tmp_path):
    redis = Redis(tmp_path / "redis")
    running = Cluster(tmp_path, redis=redis)
    yield running
    running.stop()
    redis.stop()


def test_every_key_is_described(cluster):
    """Pushes of all kinds, two logins of one device, and then each key that is there."""
    url = f"http://127.0.0.1:{cluster.center.ports['center']}/v1/products/demo"
    auth = {"Authorization": f"Bearer {ADMIN_KEY}"}
    assert requests.put(url, headers=auth, json={}).status_code == 201
    token = requests.post(url + "/tokens", headers=auth, json={"user": "ann"}).json()["token"]
    for to in ({"user": "ann"}, {"users": ["bob", "eve"]}, {"users": [f"user{i}" for i in range(101)]}, {"devices": [{"user": "ann", "device": "d1"}]}, {"all": True}):
        headers = {**auth, "Idempotency-Key": f"key-{sorted(to)[0]}-{len(str(to))}"}
        assert requests.post(url + "/messages", headers=headers, json={"to": to, "payload": "x"}).status_code == 202
        assert requests.post(url + "/messages", headers=auth, json={"to": to, "payload": "x"}).status_code == 202
    with Client(cluster.room.ports["room"]) as first, Client(cluster.room.ports["room"]) as second:
        _, before = first.login("d1", token)
        first.ack_push(before[-1][1])
        second.login("d1", token)
        keys = cluster.redis.command("--scan").split("\n")
        rows = list(described())
        for key in keys:
            kind = cluster.redis.command("TYPE", key)
            fits = [row for row in rows if row[0].match(key)]
            assert fits, f"{key} ({kind}) is not described"
            assert kind in [row[1] for row in fits] + ["none"], f"{key} is a {kind}"
            if key.endswith(":sum"):
                row = next(line for line in PAGE.read_text().splitlines() if line.startswith("| `sum` |"))
                assert set(cluster.redis.command("HKEYS", key).split("\n")) <= set(re.findall(r"`(\w+)`", row))
        assert len({key.split("}:")[-1][:2] for key in keys}) > 10

"""10,000 messages while rooms, registers, savers and centers are killed with -9 and started again: nothing that was accepted is lost,
nothing comes twice or out of order, and all is healed within 30 s."""

import json
import random
import subprocess
import threading
import time

import requests

from cluster import BIN
from daemons import Cluster, Redis

USERS = 8
MESSAGES = 10_000
BATCH = 10
HEALED_S = 30


class Subscriber:
    """hawser-sub, the SDK's own client, as a process; what it prints is what the application got."""

    def __init__(self, cluster, folder, user, token):
        self.out = folder / f"{user}.out"
        dispatchers = [a for d in cluster.daemons["dispatcher"] for a in ("--dispatcher", f"127.0.0.1:{d.ports['dispatcher']}")]
        self.process = subprocess.Popen([BIN / "hawser-sub", *dispatchers, "--device", f"device-{user}", "--token", token, "--json",
                                         "--positions", folder / f"{user}.positions"],
                                        stdout=open(self.out, "wb"), stderr=open(folder / f"{user}.err", "wb"))

    def payloads(self):
        text = self.out.read_text()
        return [json.loads(line)["payload"] for line in text.splitlines() if line.endswith("}")]

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0


def push_all(cluster, product, count, done):
    """As an app server does: batches with an Idempotency-Key for each message, repeated until every one is accepted."""
    session = requests.Session()
    session.trust_env = False
    head = {"Authorization": f"Bearer {cluster.info['admin_key']}"}
    path = f"/v1/products/{product.name}/messages/batch"
    for start in range(0, count, BATCH):
        left = {n: {"to": {"user": f"u{n % USERS}"}, "payload": f"m{n}", "idempotency_key": f"k{n}"}
                for n in range(start, min(start + BATCH, count))}
        while left:
            center = random.choice(cluster.daemons["center"])
            try:
                answer = session.post(f"http://127.0.0.1:{center.ports['center']}{path}", headers=head, timeout=15,
                                      data=json.dumps({"messages": list(left.values())}))
                results = answer.json().get("results", []) if answer.status_code == 200 else []
            except (requests.RequestException, ValueError):
                results = []
            for n, result in zip(list(left), results):
                if result["status"] == 202:
                    del left[n]
                else:
                    assert result["status"] == 503, result
            if left:
                time.sleep(0.05)  # an app server backs off; nothing is judged by it
    done.set()


def test_ten_thousand_messages_under_fire(tmp_path):
    redis = Redis(tmp_path / "redis")
    cluster = Cluster(tmp_path, redis=redis, register=2, saver=2, room=2, center=2, dispatcher=2)
    subscribers = []
    try:
        product = cluster.product()
        answer = cluster.call("PATCH", f"/v1/products/{product.name}", {"limits": {"inbox_messages": 100000, "inbox_bytes": 1 << 26}})
        assert answer.status_code == 200, answer.text
        subscribers = [Subscriber(cluster, tmp_path, f"u{i}", product.token(f"u{i}")) for i in range(USERS)]
        done = threading.Event()
        pusher = threading.Thread(target=push_all, args=(cluster, product, MESSAGES, done))
        pusher.start()
        chosen = random.Random(1)
        targets = [d for role in ("room", "register", "saver", "center") for d in cluster.daemons[role]]
        kills = 0
        while not done.wait(0.3):
            victim = chosen.choice(targets)
            victim.kill()
            victim.start(wait=False)
            kills += 1
        pusher.join()
        assert kills >= 5, "the fire was over before it began"
        for daemon in targets:
            daemon.wait_ready()
        expected = [[f"m{n}" for n in range(MESSAGES) if n % USERS == i] for i in range(USERS)]
        deadline = time.monotonic() + HEALED_S
        while [len(s.payloads()) for s in subscribers] != [len(e) for e in expected] and time.monotonic() < deadline:
            time.sleep(0.2)
        for subscriber, wanted in zip(subscribers, expected):
            got = subscriber.payloads()
            assert sorted(got) == sorted(wanted), (len(got), len(wanted), sorted(set(wanted) - set(got))[:5], cluster.log_tail())
        for subscriber in subscribers:
            subscriber.stop()
        subscribers = []
        cluster.stop()
    finally:
        for subscriber in subscribers:
            subscriber.process.kill()
        cluster.kill_all()
        redis.stop()

"""10,000 messages while rooms, registers, savers and centers are killed with -9 and started again: nothing that was accepted is lost,
nothing comes twice or out of order, and all is healed within 30 s."""

import concurrent.futures
import random
import time

import pytest

from daemons import Cluster, Redis
from traffic import Subscriber, push_all, wait_for_all

pytestmark = pytest.mark.alone

USERS = 8
MESSAGES = 10_000
HEALED_S = 30


def test_ten_thousand_messages_under_fire(tmp_path):
    redis = Redis(tmp_path / "redis")
    cluster = Cluster(tmp_path, redis=redis, register=2, saver=2, room=2, center=2, dispatcher=2)
    subscribers = []
    try:
        product = cluster.product()
        answer = cluster.call("PATCH", f"/v1/products/{product.name}", {"limits": {"inbox_messages": 100000, "inbox_bytes": 1 << 26}})
        assert answer.status_code == 200, answer.text
        subscribers = [Subscriber(cluster, tmp_path, f"u{i}", product.token(f"u{i}")) for i in range(USERS)]
        chosen = random.Random(1)
        targets = [d for role in ("room", "register", "saver", "center") for d in cluster.daemons[role]]
        kills = 0
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            accepted = []
            pusher = pool.submit(push_all, cluster, product, MESSAGES, USERS, accepted)
            last = time.monotonic()
            while not concurrent.futures.wait([pusher], timeout=0.01).done:
                # Every 0.3 s, and more often where the machine is fast: at each twelfth of the messages.
                if time.monotonic() - last < 0.3 and len(accepted) * 12 < (kills + 1) * MESSAGES:
                    continue
                victim = chosen.choice(targets)
                victim.kill()
                victim.start(wait=False)
                kills += 1
                last = time.monotonic()
            pusher.result()
        assert kills >= 5, "the fire was over before it began"
        for daemon in targets:
            daemon.wait_ready()
        wait_for_all(subscribers, MESSAGES, HEALED_S)
        for subscriber in subscribers:
            subscriber.stop()
        subscribers = []
        cluster.stop()
    finally:
        for subscriber in subscribers:
            subscriber.process.kill()
        cluster.kill_all()
        redis.stop()

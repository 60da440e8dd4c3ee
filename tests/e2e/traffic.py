"""Pushes as an app server makes them, and subscribers of them: for the tests in which things break meanwhile."""

import json
import random
import subprocess
import time

import requests

from cluster import BIN

BATCH = 10


class Subscriber:
    """hawser-sub, the SDK's own client, as a process; what it prints is what the application got."""

    def __init__(self, cluster, folder, user, token):
        self.out = folder / f"{user}.out"
        dispatchers = [a for d in cluster.daemons["dispatcher"] for a in ("--dispatcher", f"127.0.0.1:{d.ports['dispatcher']}")]
        self.process = subprocess.Popen([BIN / "hawser-sub", *dispatchers, "--device", f"device-{user}", "--token", token, "--json",
                                         "--positions", folder / f"{user}.positions"],
                                        stdout=open(self.out, "wb"), stderr=open(folder / f"{user}.err", "wb"))

    def messages(self):
        text = self.out.read_text()
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0


def push_all(cluster, product, count, users, accepted=None):
    """As an app server does: batches with an Idempotency-Key for each message, repeated until every one is accepted. `accepted` grows."""
    session = requests.Session()
    session.trust_env = False
    head = {"Authorization": f"Bearer {cluster.info['admin_key']}"}
    path = f"/v1/products/{product.name}/messages/batch"
    for start in range(0, count, BATCH):
        left = {n: {"to": {"user": f"u{n % users}"}, "payload": f"m{n}", "idempotency_key": f"k{n}"}
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
                    if accepted is not None:
                        accepted.append(n)
                else:
                    assert result["status"] == 503, result
            if left:
                time.sleep(0.05)  # an app server backs off; nothing is judged by it


def wait_for_all(subscribers, count, seconds):
    """Until each has as many as it should, or the time is over; then each must have all of its own, once, and in the order of the log."""
    expected = [sorted(f"m{n}" for n in range(count) if n % len(subscribers) == i) for i in range(len(subscribers))]
    deadline = time.monotonic() + seconds
    while [len(s.messages()) for s in subscribers] != [len(e) for e in expected] and time.monotonic() < deadline:
        time.sleep(0.2)
    for subscriber, wanted in zip(subscribers, expected):
        messages = subscriber.messages()
        got, seqs = [m["payload"] for m in messages], [m["seq"] for m in messages]
        assert sorted(got) == wanted, (len(got), len(wanted), sorted(set(wanted) - set(got))[:5])
        assert seqs == sorted(seqs)

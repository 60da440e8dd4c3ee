"""An app server: batches over raw sockets that are kept, by some threads, at a rate. What came to an unknown end is repeated with its key until it is
settled. `pusher.py SETTINGS`; a line on its standard input, or its end, means that nothing new is pushed and what is open is settled."""

import http.client
import json
import pathlib
import random
import socket
import sys
import threading
import time

from history import Writer

BATCH, DURABLE_BATCH = 100, 40
DURABLE_EACH = 6  # each sixth batch is durable, unless the settings say otherwise
COLLAPSING, COLLAPSE_KEYS = 0.05, 2  # so much of what goes to one user has one of his keys
TIMEOUT_S = 12
OPEN_MAX = 4000  # unsettled ones of a thread, above which it pushes nothing new
SETTLED_WITHIN_S = 500  # the keys are kept for longer than this
PADDING = "x" * 80
JOB_TARGETS = 150  # of a push that is a job


class Numbers:
    """Each message has a number; they are shared by all threads."""

    def __init__(self):
        self.last, self.lock = 0, threading.Lock()

    def take(self, count):
        with self.lock:
            self.last += count
            return range(self.last - count + 1, self.last + 1)


class Open:
    """A message that is not settled: its JSON, and what is known of it."""

    __slots__ = ("n", "text", "first", "unknown", "gives_up")

    def __init__(self, n, text, first, gives_up):
        self.n, self.text, self.first, self.gives_up, self.unknown = n, text, first, gives_up, False


class Thread(threading.Thread):
    def __init__(self, pusher, number):
        super().__init__(daemon=True)
        self.pusher, self.number = pusher, number
        self.random = random.Random(f"{pusher.settings['seed']}-{number}")
        self.durable_each = pusher.settings.get("durable_each", DURABLE_EACH)
        self.batch, self.durable_batch = pusher.settings.get("batches", (BATCH, DURABLE_BATCH))
        self.links = {}
        self.again = []  # of Open

    # --- messages

    def make(self, n, klass):
        """Mostly to one user; of the stored ones some to several, to so many that it is a job, to a device, or to everyone."""
        users, devices, chance = self.pusher.settings["users"], self.pusher.settings["devices"], self.random.random()
        kind, targets, to = "user", [self.random.choice(users)], None
        if klass == "stored" and chance < 0.0005 and len(users) > JOB_TARGETS:
            kind, targets = "users", self.random.sample(users, JOB_TARGETS)
            to = {"users": targets}
        elif klass == "stored" and chance < 0.002:
            kind, targets, to = "all", [], {"all": True}
        elif klass == "stored" and chance < 0.012:
            kind, targets = "users", self.random.sample(users, 4)
            to = {"users": targets}
        elif klass == "stored" and chance < 0.022:
            user, name = self.random.choice(devices)
            kind, targets, to = "devices", [name], {"devices": [{"user": user, "device": name}]}
        to = json.dumps(to) if to else f'{{"user":"{targets[0]}"}}'
        key = f"c{self.random.randrange(COLLAPSE_KEYS)}" if kind == "user" and self.random.random() < COLLAPSING else None
        collapse = f',"collapse_key":"{key}"' if key else ""
        text = f'{{"to":{to},"payload":"{n}:{PADDING}.","class":"{klass}","idempotency_key":"k{n}"{collapse}}}'
        now = time.monotonic()
        self.pusher.write("try", now, n, kind, klass, targets, *([key] if key else []))
        return Open(n, text, now, self.random.random() < 0.02)

    # --- HTTP

    def link(self, center):
        if center not in self.links:
            self.links[center] = http.client.HTTPConnection(*center, timeout=TIMEOUT_S)
        return self.links[center]

    def call(self, messages):
        """The results, or None and whether it may have been done."""
        center = self.random.choice(self.pusher.settings["centers"])
        link, body = self.link(tuple(center)), '{"messages":[' + ",".join(m.text for m in messages) + "]}"
        try:
            if link.sock is None:
                link.connect()
                link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            link.close()
            return None, False
        try:
            link.request("POST", self.pusher.settings["path"], body, self.pusher.head)
            answer = link.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            link.close()
            return None, True
        said = json.loads(data)
        return said["results"] if answer.status == 200 else [{**said, "status": answer.status}] * len(messages), False

    def push(self, messages):
        results, may_be_done = self.call(messages)
        now, write, left = time.monotonic(), self.pusher.write, []
        if results is None:
            for m in messages:
                if may_be_done:
                    m.unknown = True
                    write("unknown", now, m.n, "no answer")
            left = messages
        else:
            for m, r in zip(messages, results):
                if r["status"] == 202:
                    write("ok", now, m.n, r["id"], r.get("seq"))
                elif r.get("outcome") == "unknown":
                    m.unknown = True
                    write("unknown", now, m.n, r.get("code", ""))
                    left.append(m)
                elif r["status"] not in (503, 429):
                    write("no", now, m.n, f"{r['status']} {r.get('code')}")
                elif m.gives_up and not m.unknown:
                    write("no", now, m.n, f"{r['status']} {r.get('code')}")
                else:
                    left.append(m)
        self.again += [m for m in left if now - m.first < SETTLED_WITHIN_S]
        return not left

    # --- the pace

    def run(self):
        interval = (self.batch * (self.durable_each - 1) + self.durable_batch) / self.durable_each / self.pusher.settings["rate"] * self.pusher.settings["threads"]
        due, round_number = time.monotonic() + interval * self.random.random(), self.number
        while not (self.pusher.is_over and not self.again):
            if self.again:
                # In their first order: of one user's messages the earlier ones come first.
                durable = '"class":"durable"' in self.again[0].text
                batch = [m for m in self.again if ('"class":"durable"' in m.text) == durable][:BATCH]
                chosen = set(map(id, batch))
                self.again = [m for m in self.again if id(m) not in chosen]
                if not self.push(batch):
                    time.sleep(0.1 + 0.2 * self.random.random())
            now = time.monotonic()
            if self.pusher.is_over:
                continue
            if now < due:
                time.sleep(min(due - now, 0.05))
                continue
            due = max(due + interval, now - 4 * interval)
            if len(self.again) < OPEN_MAX:
                round_number += 1
                klass, size = ("durable", self.durable_batch) if round_number % self.durable_each == 0 else ("stored", self.batch)
                self.push([self.make(n, klass) for n in self.pusher.numbers.take(size)])


class Pusher:
    def __init__(self, settings):
        self.settings = settings
        self.head = {"Authorization": f"Bearer {settings['key']}"}
        self.numbers, self.is_over = Numbers(), False
        self.history, self.lock = Writer(settings["history"]), threading.Lock()

    def write(self, *event):
        with self.lock:
            self.history(*event)

    def flush(self):
        with self.lock:
            self.history.flush()

    def run(self):
        threads = [Thread(self, i) for i in range(self.settings["threads"])]
        for thread in threads:
            thread.start()
        threading.Thread(target=self.wait_for_the_end, daemon=True).start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
            self.flush()
        self.flush()

    def wait_for_the_end(self):
        sys.stdin.readline()
        self.is_over = True


if __name__ == "__main__":
    Pusher(json.loads(pathlib.Path(sys.argv[1]).read_text())).run()

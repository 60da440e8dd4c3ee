"""What is to be broken: several daemons of each role, each a process in a place of its own, with its stores; how each is started, watched, and
found healthy again."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import stores
from cluster import BIN
from nets import Place

COUNTS = {"register": 2, "saver": 2, "room": 3, "center": 2, "coordinator": 1, "dispatcher": 2}
PORTS = {"register": 7400, "saver": 7500, "room": 7200, "center": 7300, "coordinator": 7600, "dispatcher": 7100}
ADMIN_KEY = "test-admin-key-0123456789abcdef"
CONFIG = f"cluster:\n  secrets: [test-cluster-secret-0123456789abcdef]\n  admin_keys: [{ADMIN_KEY}]\n"
HEALED_S = 90
HERE = pathlib.Path(__file__).resolve().parent


class Crash(Exception):
    """A daemon ended by itself, did not end, or did not get well again."""


class Daemon:
    def __init__(self, bed, role, number, place):
        self.bed, self.role, self.place = bed, role, place
        self.name = place.name
        self.log = bed.dir / f"{self.name}.log"
        self.clock = bed.dir / f"{self.name}.clock"
        self.process = None
        self.number = number

    def environment(self):
        ip, role, port = self.place.ip, self.role.upper(), PORTS[self.role]
        own = {f"HAWSER_{role}__LISTEN": f"{ip}:{port}", f"HAWSER_{role}__OPS_LISTEN": f"{ip}:{port + 1000}"}
        if self.role == "dispatcher":
            own["HAWSER_DISPATCHER__HTTP_LISTEN"] = f"{ip}:7180"
        if self.role == "room":
            own["HAWSER_ROOM__RPC_LISTEN"] = f"{ip}:7700"
            own["HAWSER_ROOM__DRAIN_WITHIN"] = "2s"
        return {**os.environ, **self.bed.environment(), **own}

    def start(self, own_clock=False):
        environment = self.environment()
        if own_clock:
            self.clock.write_bytes(bytes(8))
            environment |= {"LD_PRELOAD": str(self.bed.shim), "CHAOS_CLOCK": str(self.clock)}
        command = self.place.inside(str(BIN / f"hawser-{self.role}"), "--config", str(self.bed.config))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def step_clock(self, seconds):
        """Its clock is off by so much from now on."""
        with open(self.clock, "r+b") as f:
            f.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def terminate(self):
        """It drains, and must end with 0."""
        self.process.terminate()
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Crash(f"{self.name} did not end within 60 s of SIGTERM") from None
        if code != 0:
            raise Crash(f"{self.name} ended with {code} after SIGTERM")

    def get(self, path):
        """(status, body) from its ops port; (0, "") if it says nothing."""
        connection = http.client.HTTPConnection(self.place.ip, PORTS[self.role] + 1000, timeout=3)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()


class Bed:
    def __init__(self, folder):
        self.dir = folder
        self.config = folder / "hawser.yaml"
        self.config.write_text(CONFIG)
        self.shim = folder / "clock_shim.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", self.shim, HERE / "clock_shim.c"], check=True)
        self.daemons = []
        self.losses, self.forgets = [], []
        number = 9
        for role, count in COUNTS.items():
            for i in range(count):
                number += 1
                self.daemons.append(Daemon(self, role, i, Place(f"{role}{i}", number)))
        self.clients, self.pusher = Place("clients", 2), Place("pusher", 3)
        self.make_stores()
        self.places = [*(d.place for d in self.daemons), self.clients, self.pusher, *(s.place for s in (*self.redis.servers(), self.maria))]
        self.redis.everybody = self.places
        for daemon in self.daemons:
            daemon.start()
        self.wait_healthy()

    def make_stores(self):
        places = [Place(name, 40 + i) for i, name in enumerate(("redis1", "redis2", "mariadb"))]
        self.redis = stores.RedisPair(places[:2], self.dir)
        self.maria = stores.Maria(places[2], self.dir / "mariadb")

    def environment(self):
        registers = ",".join(f"{d.place.ip}:{PORTS['register']}" for d in self.of("register"))
        return {"HAWSER_REDIS__URL": self.redis.url, "HAWSER_MARIADB__URL": self.maria.url, "HAWSER_CLUSTER__REGISTERS": registers}

    def of(self, role):
        return [d for d in self.daemons if d.role == role]

    def place(self, name):
        return next(p for p in self.places if p.name == name)

    def addresses(self, role):
        return [f"{d.place.ip}:{PORTS[role]}" for d in self.of(role)]

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.of("center")[0].place.ip, PORTS["center"], timeout=20)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, {"Authorization": f"Bearer {ADMIN_KEY}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def crashed(self):
        """The names of those that ended though nobody ended them; they are started again."""
        found = []
        for daemon in self.daemons:
            code = daemon.process.poll()
            if code is not None:
                found.append(f"{daemon.name} ended by itself with {code}")
                daemon.start()
        for server in (*self.redis.servers(), self.maria):
            if server.process.poll() is not None:
                found.append(f"{server.name} ended by itself with {server.process.returncode}")
                server.start()
        return found

    def unready(self):
        """Who is not ready, and why. A saver that has no MariaDB is ready, and says so behind it."""
        found = []
        for daemon in self.daemons:
            status, text = daemon.get("/readyz")
            if status != 200 or daemon.role == "saver" and text.strip() != "ready":
                found.append(f"{daemon.name}: {status} {text.strip()}")
        return found

    def wait_healthy(self):
        deadline = time.monotonic() + HEALED_S
        while found := self.unready():
            if time.monotonic() > deadline:
                raise Crash(f"not well again within {HEALED_S} s: {'; '.join(found)}")
            time.sleep(0.1)

    def clear(self):
        """What is left of the stores; their data goes with their disks."""
        for server in (*self.redis.servers(), self.maria):
            server.kill()
            subprocess.run(["umount", "-l", server.disk], check=True)

    def end(self):
        """SIGTERM to all, rooms first; each must end with 0."""
        for role in ("room", "dispatcher", "center", "coordinator", "saver", "register"):
            for daemon in self.of(role):
                daemon.terminate()

#!/usr/bin/python3
"""./dev power: the stores lose their power, with all that they had written and not synced, and every message is accounted for.

It is a chaos run (tests/chaos) with another kind of fault: Redis and MariaDB lie on disks of their own (disk.py), which are shut down at a random
moment under load, while their processes are killed; then both begin again with what was synced. Each cut takes Redis, MariaDB, both, or both and
the savers, as a machine with all of them on it. Accepted as durable: not one may be lost, whatever was cut. Accepted as stored: what was accepted in the
last 2 s before Redis lost its power may be lost, and must be announced. The rest of the rules are the checker's (tests/chaos/checker.py).

Last come the controls: the same with a MariaDB that forgets (innodb_flush_log_at_trx_commit=2). These must show loss of what is durable, else the
whole run shows nothing. Nothing is asked of messages that were accepted from then on.

Exit 0: nothing was lost but what may be, and the controls lost something. 1, 3: as of ./dev chaos. Exit 2: INVALID, since before some cut too few durable
messages were accepted, or since the controls lost nothing.
"""

import argparse
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "chaos"), str(HERE.parent / "e2e")]

import bed
import run
import stores
from checker import check
from disk import Disk, faults_of
from history import Tail
from nets import Place

KINDS = {"redis": ("redis",), "mariadb": ("mariadb",), "both": ("redis", "mariadb"), "machine": ("redis", "mariadb", "saver")}
MAY_LOSE_S = 2.0  # DELIVERY section 4
BEFORE_S, BEFORE_LEAST = 2.0, 10  # so many durable messages were accepted in so many seconds before each cut
TRAFFIC_S = 60
CALM_S = (0.5, 2.5)
CONTROLS = 2
CONTROL_S = 2.0  # savers ask every 10 s whether their MariaDB forgets


class Platter:
    """What makes a server's disk one whose power can be cut."""

    def mount(self):
        self.power = Disk(self.dir / "memory", self.disk)

    def again(self):
        self.process.wait(30)
        self.power.again()
        self.start()


class RedisServer(Platter, stores.RedisServer):
    pass


class Maria(Platter, stores.Maria):
    # The log goes through the page cache: else what of it was not synced would be on the disk. The tables do not (README.md).
    sizes = ["--innodb-log-file-size=32M", "--innodb-buffer-pool-size=32M", "--innodb-flush-method=O_DIRECT", "--innodb-log-file-buffering=ON",
             "--innodb-log-file-mmap=OFF", "--innodb-use-native-aio=OFF"]

    def __init__(self, place, folder):
        super().__init__(place, folder)
        self.power.sync()  # as of a server that was set up long ago


class RedisAlone:
    """The one server, at its own address."""

    def __init__(self, place, folder):
        self.first = RedisServer(place, folder / place.name)
        self.url = f"redis://{place.ip}:6379"

    def servers(self):
        return (self.first,)


class Bed(bed.Bed):
    def make_stores(self):
        self.redis = RedisAlone(Place("redis1", 40), self.dir)
        self.maria = Maria(Place("mariadb", 42), self.dir / "mariadb")
        self.cuts = []  # the moments

    def cut(self, parts):
        """All at once, as far as that goes; answers the servers."""
        servers = [s for name, s in (("redis", self.redis.first), ("mariadb", self.maria)) if name in parts]
        begin = time.monotonic()
        for server in servers:
            server.power.cut()
        for process in (*servers, *(self.of("saver") if "saver" in parts else ())):
            process.process.kill()
        self.cuts.append(begin)
        if "redis" in parts:
            self.losses.append((begin - MAY_LOSE_S, time.monotonic()))
        return servers


def cut(bed, chosen, kind):
    order = chosen.choice(("go", "stall", "away"))
    bed.order(order)
    time.sleep(chosen.uniform(*CALM_S))
    yield from cut_now(bed, chosen, KINDS[kind])
    bed.order("go")


def cut_now(bed, chosen, parts):
    servers = bed.cut(parts)
    yield chosen.uniform(0.1, 1.0)
    for server in servers:
        server.again()
    if "saver" in parts:
        for daemon in bed.of("saver"):
            daemon.process.wait(30)
            daemon.start()


def control(bed, chosen):
    """Late in a second of the wall clock, since Redis syncs early in it: what neither has synced is lost, and nobody was there to get it."""
    bed.maria.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2; SET GLOBAL innodb_flush_log_at_timeout = 60")
    bed.controls.append(time.monotonic())
    bed.order("away")
    time.sleep(CONTROL_S)
    time.sleep((0.9 - time.time()) % 1)
    yield from cut_now(bed, chosen, KINDS["machine"])
    bed.order("go")


class Traffic:
    """What is accepted as durable while the run goes on: a cut says something only if there was some just before."""

    def __init__(self, path):
        self.tail, self.durable, self.accepted = Tail(path), set(), []

    def wait(self):
        deadline = time.monotonic() + TRAFFIC_S
        while True:
            for event in self.tail.read():
                if event[0] == "try" and event[4] == "durable":
                    self.durable.add(event[2])
                elif event[0] == "ok" and event[2] in self.durable:
                    self.accepted.append(event[1])
            begin = time.monotonic() - BEFORE_S / 2
            self.accepted = [t for t in self.accepted if t >= begin]
            if len(self.accepted) >= BEFORE_LEAST:
                return
            assert time.monotonic() < deadline, f"nothing durable is accepted for {TRAFFIC_S} s"
            time.sleep(0.05)


class Run(run.Run):
    what, bed_class, pushes = "power", Bed, {"durable_each": 2, "batches": (20, 10)}
    faults = {f"cut:{kind}": lambda bed, chosen, kind=kind: cut(bed, chosen, kind) for kind in KINDS} | {"control": control}

    def break_all(self):
        self.bed.controls = []
        traffic, left = Traffic(self.dir / "pushes.history"), []
        for _ in range(self.asked.cuts):
            left = left or self.random.sample(list(KINDS), len(KINDS))
            traffic.wait()
            self.break_once("cut:" + left.pop())
        for _ in range(CONTROLS):
            traffic.wait()
            self.break_once("control")

    def judge(self):
        """What came to be in the controls stands by itself."""
        history = self.read()
        verdict = check(history)
        begin = self.bed.controls[0]
        self.control_lost = sum(v.kind == "lost" and v.message.klass == "durable" and v.t >= begin for v in verdict.violations)
        verdict.violations = [v for v in verdict.violations if v.t < begin]
        return history, verdict

    def invalid(self, history, rate):
        durable = [m.accepted for m in history.messages.values() if m.klass == "durable" and m.accepted is not None]
        counts = [sum(t - BEFORE_S <= accepted < t for accepted in durable) for t in self.bed.cuts]
        self.say(f"{len(self.bed.cuts)} cuts, before each of which {min(counts)} durable messages or more were accepted within {BEFORE_S:.0f} s")
        return f"before a cut only {min(counts)} durable messages were accepted" if min(counts) < BEFORE_LEAST else None

    def report(self):
        code = super().report()
        print(f"cuts {self.asked.cuts}, controls {CONTROLS}, durable messages that the controls lost {self.control_lost}", flush=True)
        if code == 0 and self.control_lost == 0:
            print("INVALID: a MariaDB that forgets lost nothing, so that a Hawser that forgets would not be found")
            return 2
        return code

    def whole(self):
        if found := faults_of(self.dir / "proof"):
            raise RuntimeError(f"the disk does not lose what it should, and no more: {'; '.join(found)}")
        return super().whole()


def main():
    parser = argparse.ArgumentParser(prog="./dev power", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=50, metavar="N", help="how many, without the controls (50)")
    parser.add_argument("--seed", type=int, default=1, help="which, and when (1)")
    parser.add_argument("--rate", type=int, default=300, help="pushes a second (300)")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="where logs and histories stay, also of a run without a fault")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("power: loop devices need root")
    return run.run_inside(Run, asked)


if __name__ == "__main__":
    sys.exit(main())

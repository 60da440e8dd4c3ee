#!/usr/bin/python3
"""./dev chaos: real daemons under load, broken on purpose, and every message accounted for.

It makes network namespaces of its own, starts several daemons of each role in them, with a pair of Redis servers and a MariaDB, pushes without
pause to devices that come and go, and does one fault after the other. A checker then holds what every device saw to what was accepted
(tests/chaos/checker.py says what its words mean), and the last line is

    attempted A, accepted A, delivered D, lost 0, duplicated 0, reordered 0, unexpected 0, unreported gap 0, faults F

Exit 0: the five counts are 0, every daemon ended as it should, and nothing waits anywhere. Exit 1: not so; the stories say what, and the daemons'
logs are kept. Exit 2: INVALID. The run says nothing, since too little was pushed: fewer than --rate accepted a second, on average over the whole
seconds in which no fault was active and none had ended in the 2 s before. Exit 3: the run itself failed.
"""

import argparse
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import jwt

import nets
from bed import ADMIN_KEY, Bed, Crash, PORTS
from checker import KINDS, check
from faults import FAULTS, OPEN
from history import History, Tail
from report import calm_rate, story

INSIDE = "HAWSER_CHAOS_INSIDE"
PRODUCT, USERS, PAIRS = "chaos", 40, 8  # so many users have a second device
HEADROOM = 1.3  # pushed is more than is asked for
CALM_S, SETTLE_S = 3.0, 2.0
DRAINED_S = 120  # until all has been delivered and acknowledged after the last fault
STORIES_MAX = 4  # of each kind


def seconds(text):
    m = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not m:
        raise argparse.ArgumentTypeError(f"{text}: such as 90s, 3m or 1h")
    return float(m[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[m[2]]


def arguments_read():
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--for", dest="duration", type=seconds, default=180.0, metavar="T", help="how long faults are begun (3m)")
    parser.add_argument("--seed", type=int, default=1, help="which faults, in which order, and on whom (1)")
    parser.add_argument("--faults", default="", metavar="NAME,...", help="only these; NAME may be the beginning, such as redis: (all, but those that --list marks)")
    parser.add_argument("--rate", type=int, default=1000, help="accepted pushes a second below which a run is INVALID (1000)")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="where logs and histories stay, also of a run without a fault")
    parser.add_argument("--list", action="store_true", help="the names of the faults")
    return parser.parse_args()


def chosen_faults(words):
    names = [n for n in FAULTS if (not words and n not in OPEN) or any(n == w or w.endswith(":") and n.startswith(w) for w in words.split(","))]
    unknown = [w for w in words.split(",") if w and not any(n == w or w.endswith(":") and n.startswith(w) for n in FAULTS)]
    if unknown:
        sys.exit(f"chaos: there is no fault {', '.join(unknown)}; --list names them")
    return names


class Run:
    what, bed_class, faults, pushes = "chaos", Bed, FAULTS, {}  # pushes: further settings of the pusher

    def __init__(self, asked, folder):
        self.asked, self.dir = asked, folder
        self.random = random.Random(asked.seed)
        self.bed, self.fleet, self.pusher = None, None, None
        self.done, self.troubles = [], []
        self.begin = time.monotonic()

    def say(self, text):
        print(f"{self.what}: {time.monotonic() - self.begin:7.1f}s  {text}", flush=True)

    # --- the load

    def make_product(self):
        limits = {"inbox_messages": 100000, "inbox_bytes": 1 << 28, "idempotency_s": 900, "retention_s": 86400}
        status, product = self.bed.call("PUT", f"/v1/products/{PRODUCT}", {"limits": limits})
        assert status == 201, product
        key = next(k for k in product["keys"] if k["kind"] == "token")
        self.devices = {f"d{i}": f"u{i}" for i in range(USERS)} | {f"e{i}": f"u{i}" for i in range(PAIRS)}

        def token(user):
            body = {"aud": PRODUCT, "sub": user, "exp": int(time.time()) + 80000}
            return jwt.encode(body, key["secret"], algorithm="HS256", headers={"kid": key["kid"]})
        return {d: token(user) for d, user in self.devices.items()}

    def start(self, name, place, settings):
        path = self.dir / f"{name}.settings"
        path.write_text(json.dumps(settings))
        with open(self.dir / f"{name}.err", "wb") as err:
            return subprocess.Popen(place.inside(sys.executable, "-B", str(HERE / f"{name}.py"), str(path)), stdin=subprocess.PIPE, stderr=err, text=True)

    def start_load(self):
        tokens = self.make_product()
        ready = self.dir / "fleet.ready"
        self.fleet = self.start("fleet", self.bed.clients, {
            "product": PRODUCT, "dispatchers": [(d.place.ip, PORTS["dispatcher"]) for d in self.bed.of("dispatcher")], "stay_s": 20, "seed": self.asked.seed,
            "history": str(self.dir / "devices.history"), "ready": str(ready), "devices": list(tokens.items())})
        self.bed.order = self.order
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert time.monotonic() < deadline and self.fleet.poll() is None, "the devices do not come in: " + (self.dir / "fleet.err").read_text()
            time.sleep(0.05)
        self.pusher = self.start("pusher", self.bed.pusher, {
            "path": f"/v1/products/{PRODUCT}/messages/batch", "key": ADMIN_KEY, "centers": [(d.place.ip, PORTS["center"]) for d in self.bed.of("center")],
            "users": sorted(set(self.devices.values())), "devices": [(u, d) for d, u in self.devices.items()], "rate": int(self.asked.rate * HEADROOM),
            "threads": 4, "seed": self.asked.seed, "history": str(self.dir / "pushes.history"), **self.pushes})

    def order(self, word):
        self.fleet.stdin.write(word + "\n")
        self.fleet.stdin.flush()

    # --- the faults

    def look_for_crashes(self, where):
        for text in self.bed.crashed():
            self.trouble(f"{text}, {where}")
        for name, process in (("fleet", self.fleet), ("pusher", self.pusher)):
            if process.poll() not in (None, 0):
                raise RuntimeError(f"{name} ended: " + (self.dir / f"{name}.err").read_text()[-2000:])

    def trouble(self, text):
        self.troubles.append(text)
        self.say(f"TROUBLE: {text}")

    def break_once(self, name):
        begin = time.monotonic()
        try:
            steps = self.faults[name](self.bed, self.random)
            for hold in steps:
                time.sleep(hold)
            mended = time.monotonic()
            self.bed.wait_healthy()
            self.say(f"{name}: {mended - begin:.1f}s, well again after {time.monotonic() - mended:.1f}s")
        except Crash as crash:
            self.trouble(f"{name}: {crash}")
        self.done.append((name, begin, time.monotonic()))
        self.look_for_crashes(f"at or after {name}")

    def break_all(self):
        names = chosen_faults(self.asked.faults)
        end, left = time.monotonic() + self.asked.duration, []
        time.sleep(CALM_S)
        while time.monotonic() < end:
            if not left:
                left = self.random.sample(names, len(names))
            self.break_once(left.pop())
            time.sleep(CALM_S + SETTLE_S)

    # --- the end

    def read(self):
        """The whole history so far."""
        history = History(self.devices, self.done, self.bed.losses, self.bed.forgets)
        for event in Tail(self.dir / "pushes.history").read():
            history.add_push(event)
        for event in Tail(self.dir / "devices.history").read():
            history.add_device(event)
        return history

    def judge(self):
        history = self.read()
        return history, check(history)

    def waiting(self):
        """What has not been handled, or not been written down: pending messages, and what lies before MariaDB."""
        found = []
        for user in sorted(set(self.devices.values())):
            status, answer = self.bed.call("GET", f"/v1/products/{PRODUCT}/users/{user}")
            if status != 200 or answer["pending"] or answer["parked"]:
                found.append(f"{user}: {status} pending {answer.get('pending')} parked {answer.get('parked')}")
        for daemon in self.bed.of("saver"):
            for name, count in re.findall(r"^hawser_saver_(mariadb_(?:stored_)?backlog_\w+|mariadb_rows_unmarked_number) (\d+)", daemon.get("/metrics")[1], re.M):
                if int(count):
                    found.append(f"{daemon.name}: {name} {count}")
        return found

    def settle(self):
        self.order("settled")
        self.pushed_until = time.monotonic()
        self.pusher.stdin.close()
        self.pusher.wait(600)
        deadline = time.monotonic() + DRAINED_S
        while True:
            time.sleep(2)
            _, verdict = self.judge()
            missing = sum(v.kind in ("lost", "unreported gap") for v in verdict.violations)
            waiting = self.waiting()
            if not missing and not waiting or time.monotonic() > deadline:
                break
        for text in waiting:
            self.trouble(f"not empty {DRAINED_S} s after the end: {text}")
        self.look_for_crashes("at the end")
        self.fleet.stdin.close()
        self.fleet.wait(30)
        try:
            self.bed.end()
        except Crash as crash:
            self.trouble(str(crash))
        self.bed.clear()

    def report(self):
        (self.dir / "run.json").write_text(json.dumps({"begin": self.begin, "devices": self.devices, "faults": self.done, "losses": self.bed.losses,
                                                        "forgets": self.bed.forgets}))
        history, verdict = self.judge()
        for kind in KINDS:
            found = sorted((v for v in verdict.violations if v.kind == kind), key=lambda v: v.t)
            for v in found[:STORIES_MAX]:
                print(story(history, v, self.dir, self.begin))
            if len(found) > STORIES_MAX:
                print(f"== and {len(found) - STORIES_MAX} more {kind}")
        odd = [m for m in history.messages.values() if m.refused and not m.refused[1].startswith(("503", "429"))]
        if odd:
            self.trouble(f"{len(odd)} pushes were refused, #{odd[0].n} with {odd[0].refused[1]}")
        if verdict.unsettled:
            self.trouble(f"{verdict.unsettled} pushes were never settled")
        accepted = [m.accepted for m in history.messages.values() if m.accepted is not None]
        first = min((m.first for m in history.messages.values()), default=self.begin) + 1
        rate, calm = calm_rate(accepted, self.done, first, self.pushed_until, SETTLE_S)
        self.say(f"seed {self.asked.seed}: {rate:.0f} accepted a second in {calm} calm seconds; {len(accepted) / max(self.pushed_until - first, 1):.0f} over all")
        self.say(f"{len({n for n, _, _ in self.done})} different faults; {verdict.announced} losses were announced, {verdict.collapsed} messages were replaced")
        for text in self.troubles:
            print(f"== trouble: {text}")
        print(verdict.line(len(self.done)), flush=True)
        if verdict.violations or self.troubles:
            return 1
        if invalid := self.invalid(history, rate):
            print(f"INVALID: {invalid}")
            return 2
        return 0

    def invalid(self, history, rate):
        """Why the run says nothing."""
        return f"{rate:.0f} accepted a second, at least {self.asked.rate} are asked for (--rate)" if rate < self.asked.rate else None

    def whole(self):
        self.bed = self.bed_class(self.dir)
        self.start_load()
        self.say(f"{len(self.bed.daemons)} daemons, {len(self.devices)} devices; logs in {self.dir}")
        self.break_all()
        self.settle()
        return self.report()


def main():
    asked = arguments_read()
    if asked.list:
        print("\n".join(n + ("   only when named" if n in OPEN else "") for n in FAULTS))
        return 0
    chosen_faults(asked.faults)
    return run_inside(Run, asked)


def run_inside(kind, asked):
    """A run of that kind, in namespaces of its own."""
    if asked.keep and asked.keep.exists() and any(asked.keep.iterdir()):
        sys.exit(f"{kind.what}: {asked.keep} is not empty")
    nets.enter(INSIDE)
    folder = asked.keep or pathlib.Path(tempfile.mkdtemp(prefix=f"hawser-{kind.what}-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        code = kind(asked, folder.resolve()).whole()
    except Exception:
        traceback.print_exc()
        print(f"{kind.what}: the run itself failed; logs in {folder}")
        code = 3
    if code == 0 and not asked.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())

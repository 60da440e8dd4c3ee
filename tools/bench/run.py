#!/usr/bin/python3
"""./dev bench: runs hawser-bench in a network namespace of its own, prints a table, and keeps every report, a JSON object a line.

    ./dev bench                    all scenarios on Redis and in memory, with their floors
    ./dev bench --peers            broadcast and idle, beside redis-server, nats-server and mosquitto
    ./dev bench --growth           broadcast and idle at 1,000, 3,000, 10,000 and 17,500 sessions; the pictures hold the first three
    ./dev bench --against COMMIT   each scenario on that commit's daemons and on these, in turn, with the same hawser-bench

    --times N    each so often, and the medians in the table (1)
    --only WORD  only what has that word in its arguments, such as broadcast (repeatable)
    --small      as little as possible, to see that it works
    --out FILE   where the reports go (build/bench.jsonl); they are added to what is there
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("HAWSER_BIN", ROOT / "build/release/bin"))
DAEMONS = ("register", "saver", "room", "center", "coordinator", "dispatcher")
PEERS = {"redis": "redis-server", "nats": "nats-server", "mosquitto": "mosquitto"}

ALL = (
    "broadcast --sessions 10000 --size 256 --rounds 40 --floor",
    "broadcast --sessions 10000 --size 256 --rounds 40 --burst 8 --floor",
    "broadcast --sessions 10000 --size 256 --rounds 40 --tags 4 --floor",
    "unicast --redis --sessions 1000 --size 256 --seconds 10 --floor",
    "unicast --redis --sessions 1000 --size 256 --seconds 10 --batch 100 --floor",
    "login --sessions 10000",
    "login --redis --sessions 10000",
    "idle --sessions 10000",
    "idle --redis --sessions 10000",
    "login --redis --kill --sessions 10000",
    "mixed --redis --sessions 10000 --seconds 10",
    "catchup --redis --sessions 1000 --waiting 100",
)
SIZES = (1000, 3000, 10000, 17500)
SMALL = {"sessions": "30", "rounds": "2", "seconds": "1", "waiting": "3"}


def with_peers():
    for what in ("broadcast --sessions 10000 --rounds 40 --floor", "broadcast --sessions 10000 --rounds 40 --burst 8 --floor",
                 "idle --sessions 10000"):
        yield what
        for peer in present_peers():
            yield f"{what} --peer {peer}"


def with_growth():
    for sessions in SIZES:
        for what in (f"broadcast --sessions {sessions} --rounds 10 --floor", f"idle --sessions {sessions} --seconds 2"):
            yield what
            for peer in present_peers():
                yield f"{what} --peer {peer}"
        yield f"idle --redis --sessions {sessions} --seconds 2"


def present_peers():
    return [peer for peer, program in PEERS.items() if shutil.which(program)]


def name_absent_peers():
    for peer, program in PEERS.items():
        if not shutil.which(program):
            print(f"bench: {program} is not installed (apt-get install {program}): {peer} is skipped", file=sys.stderr)


def small(arguments):
    return [SMALL.get(before.removeprefix("--"), word) for before, word in zip([""] + arguments, arguments)]


# --- one run


def run(arguments, bin_dir):
    """The report of one run, or None when it failed: the others go on."""
    # However this program ends, that one ends too.
    command = ["setpriv", "--pdeathsig", "TERM", BIN / "hawser-bench", *arguments, "--json"]
    if "--peer" not in arguments:
        command += ["--bin", bin_dir]
    print("bench:", "hawser-bench", *arguments, file=sys.stderr)
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=None if sys.stderr.isatty() else subprocess.PIPE, text=True, check=False)
    if ended.returncode != 0:
        print(f"bench: exit {ended.returncode}: {(ended.stderr or '').strip()[-1000:]}", file=sys.stderr)
        return None
    return json.loads(ended.stdout)


def median(reports, name):
    values = [r[name] for r in reports if name in r]
    return statistics.median(values) if values else None


def shown(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


COLUMNS = ("rate", "floor_rate", "ratio", "ratio_median", "p50_ms", "p99_ms", "p999_ms", "max_ms", "rss_per_session")


def print_table(rows):
    """rows: (title, reports) in order; as a table of docs/BENCHMARKS.md."""
    print("| what | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for title, reports in rows:
        print(f"| {title} | " + " | ".join(shown(median(reports, c)) for c in COLUMNS) + " |")


def print_cpu(rows):
    print("\nCPU, us for each message, login or ping:\n")
    roles = ("room", "register", "saver", "center", "redis", "bench")
    print("| what | " + " | ".join(roles) + " |")
    print("|---" * (len(roles) + 1) + "|")
    for title, reports in rows:
        cells = [shown(median([r["daemons"].get(role, {}) for r in reports], "cpu_us_per_message")) for role in roles]
        print(f"| {title} | " + " | ".join(cells) + " |")


# --- another commit


def build_of(commit, folder):
    """That commit's daemons, in a worktree that is gone at the end."""
    tree = folder / "tree"
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
    subprocess.run(["cmake", "--preset", "release"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", "--preset", "release", "--target", *(f"hawser-{d}" for d in DAEMONS)], cwd=tree, check=True,
                   stdout=subprocess.DEVNULL)
    return tree / "build/release/bin"


def remove_tree(folder):
    subprocess.run(["git", "worktree", "remove", "--force", folder / "tree"], cwd=ROOT, check=False, stderr=subprocess.DEVNULL)


def commit_name(name):
    ended = subprocess.run(["git", "rev-parse", "--short", "--verify", name + "^{commit}"], cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        sys.exit(f"bench: there is no commit '{name}'")
    return ended.stdout.strip()


# --- the whole


def enter_namespace():
    """Nobody else's connections, and limits that are ours to set."""
    if os.environ.get("HAWSER_BENCH_INSIDE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for name, value in (("core/somaxconn", "65535"), ("ipv4/ip_local_port_range", "1024 65535"), ("ipv4/tcp_max_syn_backlog", "65535")):
            pathlib.Path("/proc/sys/net", name).write_text(value)
        return
    os.environ["HAWSER_BENCH_INSIDE"] = "1"
    options = ["-n"] if os.geteuid() == 0 else ["-rn"]
    os.execvp("unshare", ["unshare", *options, sys.executable, "-B", __file__, *sys.argv[1:]])


def arguments_read():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--against", metavar="COMMIT")
    parser.add_argument("--times", type=int, default=1, choices=range(1, 100), metavar="N")
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/bench.jsonl", metavar="FILE")
    return parser.parse_args()


def plan(asked):
    lines = with_growth() if asked.growth else with_peers() if asked.peers else ALL
    return [line for line in lines if {w.lstrip("-") for w in line.split()} >= set(asked.only)]


def measure(asked, sides):
    """sides: (name, folder of daemons). Runs all of them in turn, so that what the machine does meanwhile meets each alike."""
    found = {(line, side): [] for line in plan(asked) for side, _ in sides}
    with open(asked.out, "a") as out:
        for _ in range(asked.times):
            for line, side in found:
                arguments = small(line.split()) if asked.small else line.split()
                report = run(arguments, dict(sides)[side])
                if report:
                    found[line, side].append(report)
                    out.write(json.dumps({"arguments": line, "build": side, **report}) + "\n")
                    out.flush()
    rows = [(f"{line.replace(' --floor', '')}{' @ ' + side if len(sides) > 1 else ''}", reports) for (line, side), reports in found.items()]
    print_table(rows)
    print_cpu(rows)
    return all(reports for _, reports in rows)


def main():
    asked = arguments_read()
    enter_namespace()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    if asked.peers or asked.growth:
        name_absent_peers()
    sides = [("here", BIN)]
    if not asked.against:
        return 0 if measure(asked, sides) else 1
    name = commit_name(asked.against)
    with tempfile.TemporaryDirectory(prefix="hawser-against.") as folder:
        try:
            sides.insert(0, (name, build_of(name, pathlib.Path(folder))))
            return 0 if measure(asked, sides) else 1
        finally:
            remove_tree(pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())

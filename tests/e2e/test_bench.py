"""hawser-bench, each scenario small: its report has what the help promises and adds up, and nothing of it is left afterwards.
No test judges how long anything took."""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys

import pytest

from cluster import BIN, WAIT_S, TrialCluster
from daemons import Cluster, Redis, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/bench"))
import bench_pictures  # noqa: E402
import run as bench_run  # noqa: E402

ALWAYS = {"scenario", "sessions", "rate", "p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms", "rss_per_session", "daemons", "kernel",
          "version", "rooms", "pinned", "redis", "repeats", "gaps", "jumps"}
ROLES = {"register", "saver", "room", "center", "coordinator", "dispatcher", "bench"}


class Bench:
    """A run in a session and a folder of its own, by which its processes are known."""

    def __init__(self, folder, *arguments, descriptors=None):
        self.dir = folder
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))) if descriptors else None
        self.process = subprocess.Popen([BIN / "hawser-bench", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "TMPDIR": str(folder)}, start_new_session=True, preexec_fn=limit)

    def left(self):
        """Processes of the run that are there, but for those that have ended and wait for init to say so."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if session == str(self.process.pid) and state != "Z":
                found.append(stat.parent.name)
        return found

    def report(self):
        out, error = self.process.communicate(timeout=WAIT_S * 3)
        assert self.process.returncode == 0, error
        assert self.left() == [] and list(self.dir.iterdir()) == []
        return json.loads(out)


def check_latencies(report):
    assert 0 <= report["p50_ms"] <= report["p90_ms"] <= report["p99_ms"] <= report["p999_ms"] <= report["max_ms"]


def run(folder, *arguments):
    report = Bench(folder, *arguments, "--json").report()
    assert ALWAYS <= set(report), ALWAYS - set(report)
    assert report["scenario"] == arguments[0]
    assert set(report["daemons"]) == (ROLES | {"redis"} if "--redis" in arguments else ROLES)
    assert report["rate"] > 0 and report["repeats"] == report["gaps"] == report["jumps"] == 0
    check_latencies(report)
    return report


@pytest.mark.parametrize("how, pushes, frames", [([], 3, 3 * 40), (["--burst", "4"], 12, 12 * 40), (["--tags", "3"], 3, 40)])
def test_broadcast(tmp_path, how, pushes, frames):
    """Every push reaches everyone that it is for, once; the floor's connections get as many frames."""
    report = run(tmp_path, "broadcast", "--sessions", "40", "--rounds", "3", "--floor", *how)
    assert report["accepted"] == pushes and report["delivered"] == report["expected"] == frames
    assert report["floor_rate"] > 0 and abs(report["ratio"] - report["rate"] / report["floor_rate"]) < 0.001 and report["ratio_median"] > 0


def test_more_than_a_process_holds(tmp_path):
    """Where a process may have few descriptors, as many rooms, processes of clients and senders of the floor are started as it takes."""
    report = Bench(tmp_path, "broadcast", "--sessions", "600", "--rounds", "2", "--floor", "--json", descriptors=300).report()
    assert report["delivered"] == 1200 and report["rooms"] == report["client_processes"] > 2 and report["floor_rate"] > 0


@pytest.mark.parametrize("how", [[], ["--batch", "10"], ["--rate", "100"]])
def test_unicast(tmp_path, how):
    """What was accepted has come, at full speed and at half of it; the floor is Redis' own."""
    report = run(tmp_path, "unicast", "--redis", "--sessions", "20", "--seconds", "1", "--floor", *how)
    assert report["accepted"] == report["delivered"] > 0 and report["failed"] == 0
    assert report["floor_rate"] > 0 and report["ratio"] > 0
    if "--rate" in how:
        assert report["accepted"] == 100
    else:
        assert report["latency_of"]["accepted"] == report["latency_of"]["delivered"] > 0


@pytest.mark.parametrize("how", [[], ["--redis"], ["--rate", "1000"]])
def test_login(tmp_path, how):
    report = run(tmp_path, "login", "--sessions", "50", "--rooms", "2", *how)
    assert report["logins"] == 50 and report["rooms"] == 2 == report["daemons"]["room"]["processes"]


@pytest.mark.parametrize("how", [[], ["--redis"]])
def test_everyone_comes_back(tmp_path, how):
    """All rooms are killed and started again: each client's connection breaks once, and each is back."""
    report = run(tmp_path, "login", "--kill", "--sessions", "40", "--rooms", "2", *how)
    assert report["logins"] == report["broken"] == 40 and report["daemons"]["room"]["processes"] == 2


def test_idle(tmp_path):
    assert run(tmp_path, "idle", "--sessions", "50", "--seconds", "1")["pongs"] == 50


def test_mixed(tmp_path):
    """In each part what was accepted has come, while frames or logins went on beside it."""
    report = run(tmp_path, "mixed", "--sessions", "50", "--seconds", "1")
    for name in ("alone", "during_broadcast", "during_storm"):
        part = report[name]
        assert part["accepted"] == part["delivered"] > 0 and part["failed"] == 0
        check_latencies(part)
        assert (part["broadcast_frames"] > 0) == (name == "during_broadcast") and part["broadcast_frames"] % 50 == 0
        assert (part["logins"] > 0) == (name == "during_storm") and part["logins"] == part["storms"] * 25


@pytest.mark.parametrize("how", [["--sessions", "30", "--waiting", "5"], ["--sessions", "1", "--waiting", "300", "--redis"]])
def test_catchup(tmp_path, how):
    report = run(tmp_path, "catchup", *how)
    assert report["accepted"] == report["delivered"] >= report["sessions"] * report["waiting"]


@pytest.mark.parametrize("peer", bench_run.PEERS)
@pytest.mark.parametrize("scenario", ["broadcast", "idle"])
def test_peers(tmp_path, scenario, peer):
    """Another server in the place of Hawser: all frames come, in its own protocol, whole or cut; who is not installed is named."""
    how = ["--rounds", "3", "--burst", "3", "--floor", "--size", "40000"] if scenario == "broadcast" else ["--seconds", "1"]
    bench = Bench(tmp_path, scenario, "--peer", peer, "--sessions", "30", "--json", *how)
    if not shutil.which(bench_run.PEERS[peer]):
        _, error = bench.process.communicate(timeout=WAIT_S)
        assert bench.process.returncode == 1 and "is not installed" in error and list(tmp_path.iterdir()) == []
        return
    report = bench.report()
    assert report["server"] == peer and set(report["daemons"]) == {peer, "bench"}
    assert report["delivered"] == 270 if scenario == "broadcast" else report["pongs"] == 30


def dev_bench(folder, *arguments):
    """./dev bench without its build: the exit code, what it printed, and the reports."""
    ended = subprocess.run([ROOT / "tools/bench/run.py", "--small", "--out", folder / "out", *arguments], capture_output=True, text=True,
                           timeout=600, env={**os.environ, "HAWSER_BIN": str(BIN)}, check=False)
    return ended, [json.loads(line) for line in (folder / "out").read_text().splitlines()] if (folder / "out").exists() else []


def test_dev_bench(tmp_path):
    """Each line of the plan that was asked for runs as often as asked, in a network of its own, and has a row."""
    ended, reports = dev_bench(tmp_path, "--only", "login", "--times", "2")
    assert ended.returncode == 0, ended
    assert [r["arguments"] for r in reports] == 2 * ["login --sessions 10000", "login --redis --sessions 10000", "login --redis --kill --sessions 10000"]
    assert [r["sessions"] for r in reports] == 6 * [30] and ended.stdout.count("| login --sessions 10000 |") == 2
    assert all(r["kernel"]["tcp_sockets"] < 200 for r in reports)  # nobody else's


def test_dev_bench_beside_peers(tmp_path):
    ended, reports = dev_bench(tmp_path, "--peers", "--only", "burst")
    assert ended.returncode == 0, ended
    present = bench_run.present_peers()
    assert [r["server"] for r in reports] == ["hawser", *present]
    assert all((f"{program} is not installed" in ended.stderr) == (peer not in present) for peer, program in bench_run.PEERS.items())


def test_dev_bench_knows_no_such_commit(tmp_path):
    ended, _ = dev_bench(tmp_path, "--against", "never-made")
    assert ended.returncode == 1 and "there is no commit 'never-made'" in ended.stderr


def test_pictures_are_made_of_medians():
    """A line for each server and one for the floor, a point for each size; who told nothing has none."""
    reports = [{"scenario": "broadcast", "server": "hawser", "sessions": n, "burst": 1, "tags": 0, "rate": rate, "floor_rate": 100 * n}
               for n in (10, 1000) for rate in (1, 50 * n, 9e9)]
    reports += [{"scenario": "idle", "server": "nats", "sessions": n, "redis": False, "rss_per_session": 300} for n in (10, 1000)]
    assert bench_pictures.medians(reports, bench_pictures.fanout) == {"hawser": [(10, 500), (1000, 50000)], "floor": [(10, 1000), (1000, 100000)]}
    drawn = bench_pictures.pictures(reports)
    assert drawn["fanout.svg"].count("<polyline") == 2 and drawn["memory.svg"].count("<polyline") == 1
    assert ">nats</text>" in drawn["memory.svg"] and ">floor</text>" in drawn["fanout.svg"]


def test_the_pictures_are_of_the_reports():
    """docs/BENCHMARKS.md shows what its reports tell."""
    reports = [json.loads(line) for line in (ROOT / "docs/benchmarks.jsonl").read_text().splitlines()]
    for name, drawn in bench_pictures.pictures(reports).items():
        assert (ROOT / "docs" / name).read_text() == drawn


def test_a_cluster_that_runs(tmp_path):
    """It is used as it is, its processes are found by their ports, and the bench's product is gone afterwards."""
    cluster, folder = TrialCluster(tmp_path), tmp_path / "bench"
    folder.mkdir()
    try:
        report = Bench(folder, "broadcast", "--sessions", "20", "--rounds", "2", "--json", "--cluster", tmp_path / "cluster.json").report()
        assert report["delivered"] == 40 and set(report["daemons"]) == {"room", "bench"}  # it is one process
        assert report["daemons"]["room"]["rss_bytes"][0] > 0
        assert cluster.call("GET", "/v1/products").json()["items"] == []
    finally:
        cluster.stop()


def test_a_cluster_of_daemons_that_runs(tmp_path):
    """Each of its daemons, and the Redis that was named, are found; the floor is measured in that Redis."""
    redis, folder = Redis(tmp_path / "redis"), tmp_path / "bench"
    folder.mkdir()
    try:
        cluster = Cluster(tmp_path, redis=redis, room=2)
        ops = {role: daemons[0].ports["ops"] for role, daemons in cluster.daemons.items()}
        known = {**cluster.info, "center": cluster.center.ports["center"], "ops": ops}
        (tmp_path / "cluster.json").write_text(json.dumps(known))
        report = Bench(folder, "unicast", "--sessions", "20", "--seconds", "1", "--rate", "50", "--floor", "--json", "--cluster",
                       tmp_path / "cluster.json", "--redis-url", redis.url).report()
        assert report["accepted"] == report["delivered"] == 50 and report["floor_rate"] > 0
        assert set(report["daemons"]) == ROLES | {"redis"} and report["daemons"]["room"]["processes"] == 2
        cluster.stop()
    finally:
        redis.stop()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left(tmp_path, ending):
    """Whatever ends it in the midst of a run, daemons, Redis and clients end with it."""
    bench = Bench(tmp_path, "unicast", "--redis", "--sessions", "20", "--seconds", "600")
    wait_until(lambda: len(bench.left()) >= 9, "the cluster did not come up")
    bench.process.send_signal(ending)
    _, error = bench.process.communicate(timeout=WAIT_S)
    wait_until(lambda: bench.left() == [], "something is left")
    if ending != signal.SIGKILL:
        assert bench.process.returncode == 1 and "interrupted" in error and list(tmp_path.iterdir()) == []


def test_folders_of_killed_runs(tmp_path):
    """The folder of a run that was killed goes with the next run, that of one that runs does not, nor what no run has made."""
    killed, running = (Bench(tmp_path, "unicast", "--sessions", "5", "--seconds", "600") for _ in range(2))
    wait_until(lambda: len(killed.left()) >= 8 and len(running.left()) >= 8, "the clusters did not come up")
    killed.process.kill()
    killed.process.communicate(timeout=WAIT_S)
    wait_until(lambda: killed.left() == [], "something is left")
    (tmp_path / "hawser-bench.another").mkdir()
    before = {folder.name for folder in tmp_path.iterdir()}
    assert len(before) == 3
    Bench(tmp_path, "login", "--sessions", "5", "--json").process.communicate(timeout=WAIT_S * 3)
    after = {folder.name for folder in tmp_path.iterdir()}
    assert len(after) == 2 and "hawser-bench.another" in after and after < before
    assert running.process.poll() is None
    running.process.send_signal(signal.SIGTERM)
    running.process.communicate(timeout=WAIT_S)
    assert [folder.name for folder in tmp_path.iterdir()] == ["hawser-bench.another"]


@pytest.mark.parametrize("peer", bench_run.present_peers())
def test_no_peer_is_left(tmp_path, peer):
    """Nor does another server outlive a bench that is killed, whatever user it would rather be."""
    bench = Bench(tmp_path, "idle", "--peer", peer, "--sessions", "10", "--seconds", "600")
    wait_until(lambda: len(bench.left()) >= 3, "the server did not come up")
    wait_until(lambda: "at rest" in bench.process.stderr.readline(), "nobody is logged in")
    bench.process.kill()
    wait_until(lambda: bench.left() == [], "something is left")
    bench.process.communicate(timeout=WAIT_S)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["broadcast", "--sessions", "many"], ["idle", "--burst", "8"]])
def test_wrong_arguments(arguments):
    ended = subprocess.run([BIN / "hawser-bench", *arguments], capture_output=True, text=True, timeout=WAIT_S)
    assert ended.returncode == 2 and ended.stdout == "" and ended.stderr.count("\n") == 1, ended


def test_failures_are_told(tmp_path):
    """What is not there is named, with 1."""
    for arguments, words in ((["--bin", tmp_path], "hawser-room"), (["--cluster", tmp_path / "none.json"], "none.json")):
        ended = subprocess.run([BIN / "hawser-bench", "idle", *arguments], capture_output=True, text=True, timeout=WAIT_S)
        assert ended.returncode == 1 and ended.stdout == "" and words in ended.stderr, ended

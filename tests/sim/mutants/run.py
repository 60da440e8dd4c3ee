#!/usr/bin/python3
"""Proof that the simulation finds bugs: plants one small fault at a time into a copy of the tree, builds it, and lets the simulation look
for it with what the gate runs, 1,000 seeds and the kept ones. A mutant that survives is a bug of the simulation.

    run.py [NAME ...]     all of mutants.py, or those named; exit 0 only when each was found
    run.py --check        whether each still has its place in the code
    run.py --help         this text, and the names
"""

import concurrent.futures
import fcntl
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys

from mutants import MUTANTS, NOT_YET

ROOT = pathlib.Path(__file__).resolve().parents[3]
SEEDS = 1000


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def edited(mutant, root):
    """The text of each file of the mutant, under root, as the mutant has it."""
    texts = {}
    for file, edits in mutant["files"].items():
        text = (root / file).read_text()
        for old, new in edits:
            assert text.count(old) == 1, f"{mutant['name']}: {text.count(old)} places in {file}:\n{old}"
            text = text.replace(old, new)
        texts[file] = text
    return texts


class Copy:
    """A copy of what git knows, as it is in the working tree, and a build of it."""

    def __init__(self, number):
        self.tree = ROOT / f"build/mutants/tree{number}"
        self.build = ROOT / f"build/mutants/build{number}"
        files = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT, check=True).stdout.split("\n")
        for name in filter(None, files):
            source, target = ROOT / name, self.tree / name
            if not source.is_file() or (target.exists() and target.read_bytes() == source.read_bytes()):
                continue  # what did not change keeps its time, so that builds are small
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        if not (self.build / "build.ninja").exists():
            run("cmake", "-G", "Ninja", "-B", self.build, "-S", self.tree, "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                "-DCMAKE_C_FLAGS=-w", check=True)  # a mutant may leave something unused
        self.make("the tree as it is")

    def make(self, what):
        built = run("ninja", "-j", "2", "-C", self.build, "hawser-sim")
        assert built.returncode == 0, f"{what} does not build:\n{built.stdout[-2000:]}"

    def hunt(self, mutant):
        """How many seeds it took, or None; and what was seen."""
        planted = edited(mutant, self.tree)
        before = {file: (self.tree / file).read_text() for file in planted}
        for file, text in planted.items():
            (self.tree / file).write_text(text)
        try:
            self.make(mutant["name"])
            return self.look()
        finally:
            for file, text in before.items():
                (self.tree / file).write_text(text)

    def look(self):
        kept = re.findall(r"^\d+", (ROOT / "tests/sim/seeds/seeds.txt").read_text(), re.M)
        for seeds in [("--from", "1", "--seeds", str(SEEDS))] + [("--seed", seed) for seed in kept]:
            found = self.look_at(seeds)
            if found:
                return found
        return None, ""

    def look_at(self, seeds):
        try:
            ended = run(self.build / "bin/hawser-sim", *seeds, "--stop", timeout=1800)
        except subprocess.TimeoutExpired:
            return seeds[1], "hangs"
        if ended.returncode < 0 or not re.search(r"^\d+ seeds, \d+ violations", ended.stdout, re.M):
            return seeds[1], f"crashes ({ended.returncode})"
        first = re.search(r"^seed (\d+): (.*)$", ended.stdout, re.M)
        return (first[1], first[2]) if first else None


def usage():
    names = [m["name"] for m in MUTANTS], [m["name"] for m in NOT_YET]
    return "\n".join([__doc__, "Names:", *names[0], *(["Not found by the simulation yet:", *names[1]] if names[1] else [])])


def main():
    names = set(sys.argv[1:])
    if names & {"--help", "-h"}:
        print(usage())
        return 0
    for mutant in MUTANTS + NOT_YET:
        edited(mutant, ROOT)
    if names == {"--check"}:
        print(f"{len(MUTANTS)} mutants have their places")
        return 0
    wanted = [m for m in MUTANTS + NOT_YET if m["name"] in names] if names else MUTANTS
    unknown = names - {m["name"] for m in wanted}
    if unknown:
        sys.exit(f"no such mutant: {', '.join(sorted(unknown))}; --help has the names")
    (ROOT / "build/mutants").mkdir(parents=True, exist_ok=True)
    lock = open(ROOT / "build/mutants/lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another run has the copies of the tree")
    copies = queue.Queue()
    for number in range(os.cpu_count() or 1):
        copies.put(Copy(number))

    def hunt(mutant):
        copy = copies.get()
        try:
            seeds, what = copy.hunt(mutant)
        finally:
            copies.put(copy)
        print(f"{mutant['name']}: {'SURVIVED' if seeds is None else f'found at seed {seeds}: {what}'}", flush=True)
        return mutant["name"] if seeds is None else None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        survivors = list(filter(None, pool.map(hunt, wanted)))
    print(f"{len(wanted)} mutants, {len(wanted) - len(survivors)} found, {len(survivors)} survived{': ' if survivors else ''}{', '.join(survivors)}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Proof that the simulation finds bugs: plants one small fault at a time into a copy of the tree, builds it, and lets the simulation look
for it, at most 1,000 seeds. A mutant that survives is a bug of the simulation.

    run.py [NAME ...]     all of mutants.py, or those named; exit 0 only when each was found
"""

import pathlib
import re
import shutil
import subprocess
import sys

from mutants import MUTANTS

ROOT = pathlib.Path(__file__).resolve().parents[3]
COPY = ROOT / "build/mutants/tree"
BUILD = ROOT / "build/mutants/build"
SEEDS = 1000


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def prepare():
    """A copy of what git knows, as it is in the working tree; files that did not change keep their time, so that builds are small."""
    files = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT, check=True).stdout.split("\n")
    for name in filter(None, files):
        source, target = ROOT / name, COPY / name
        if not source.is_file() or (target.exists() and target.read_bytes() == source.read_bytes()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    if not (BUILD / "build.ninja").exists():
        run("cmake", "-G", "Ninja", "-B", BUILD, "-S", COPY, "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
            "-DCMAKE_C_FLAGS=-w", check=True)  # a mutant may leave something unused


def build():
    return run("ninja", "-C", BUILD, "hawser-sim")


def hunt(mutant):
    """The number of seeds it took, or None."""
    path = COPY / mutant["file"]
    text = path.read_text()
    assert text.count(mutant["old"]) == 1, f"{mutant['name']}: {text.count(mutant['old'])} places in {mutant['file']}"
    path.write_text(text.replace(mutant["old"], mutant["new"]))
    try:
        built = build()
        assert built.returncode == 0, f"{mutant['name']} does not build:\n{built.stdout[-2000:]}"
        try:
            ended = run(BUILD / "bin/hawser-sim", "--seeds", str(SEEDS), "--stop", timeout=900)
        except subprocess.TimeoutExpired:
            return 1, "hangs"
        found = re.search(r"^(\d+) seeds, (\d+) violations", ended.stdout, re.M)
        if ended.returncode < 0 or found is None:
            return 1, f"crashes ({ended.returncode})"
        first = re.search(r"^seed \d+: (.*)$", ended.stdout, re.M)
        return (int(found[1]), first[1] if first else "") if int(found[2]) else (None, "")
    finally:
        path.write_text(text)


def main():
    wanted = [m for m in MUTANTS if not sys.argv[1:] or m["name"] in sys.argv[1:]]
    prepare()
    clean = build()
    assert clean.returncode == 0, clean.stdout[-2000:]
    survivors = []
    for mutant in wanted:
        seeds, what = hunt(mutant)
        print(f"{mutant['name']}: {'SURVIVED' if seeds is None else f'found at seed {seeds}: {what}'}", flush=True)
        survivors += [mutant["name"]] if seeds is None else []
    print(f"{len(wanted)} mutants, {len(wanted) - len(survivors)} found, {len(survivors)} survived{': ' if survivors else ''}{', '.join(survivors)}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())

"""The executables of the release build are hardened: what their ELF files say."""

import re
import subprocess

import pytest

from cluster import BIN

SANITIZED = "asan" in BIN.parent.name
PROGRAMS = sorted(p.name for p in BIN.glob("hawser*") if p.name != "hawser-sim")


def readelf(name, *options):
    return subprocess.run(["readelf", "--wide", *options, BIN / name], capture_output=True, text=True, check=True).stdout


def test_all_programs_are_there():
    assert {"hawser", "hawserctl", "hawser-sub", "hawser-room", "hawser-center", "hawser-register", "hawser-saver", "hawser-dispatcher",
            "hawser-coordinator", "hawser-bench"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_layout(name):
    """Position-independent, all relocations done and sealed at the start, no stack or text that is both written and run, no search path."""
    dynamic, segments = readelf(name, "--dynamic"), readelf(name, "--segments")
    assert re.search(r"\(FLAGS_1\).*\bNOW\b.*\bPIE\b", dynamic), dynamic
    assert "BIND_NOW" in dynamic and "GNU_RELRO" in segments
    assert not re.search(r"TEXTREL|RPATH|RUNPATH", dynamic)
    assert re.search(r"GNU_STACK .* RW +0x", segments), segments
    assert not re.search(r"^ +LOAD .* RWE ", segments, re.M)


@pytest.mark.skipif(SANITIZED, reason="the sanitizers take the place of these")
@pytest.mark.parametrize("name", PROGRAMS)
def test_code(name):
    """Stack canaries, fortified calls, and marks for a CPU that checks where jumps and returns go."""
    symbols = readelf(name, "--dyn-syms")
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__(snprintf|memcpy|fprintf|read|vsnprintf)_chk", symbols), symbols
    if "X86-64" in readelf(name, "--file-header"):
        notes = readelf(name, "--notes")
        assert "IBT" in notes and "SHSTK" in notes, notes

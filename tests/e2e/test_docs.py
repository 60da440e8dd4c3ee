"""What the documents show is what the code does."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_protocol_page_has_the_vectors():
    """Each frame in PROTOCOL.md is, byte for byte, the golden vector of that name, and none is missing."""
    vectors = dict(line.split()[:2] for line in (ROOT / "tests/vectors/frames.txt").read_text().splitlines() if line and line[0] != "#")
    page = (ROOT / "proto/PROTOCOL.md").read_text()
    shown = {name: re.sub(r"\s", "", block) for name, block in re.findall(r"### (\w+) \(\d+\).*?```\n(.*?)```", page, re.S)}
    assert shown == vectors

#!/usr/bin/python3
"""Makes the two pictures of docs/BENCHMARKS.md from reports of hawser-bench, a JSON object a line, such as `./dev bench --growth` leaves:
how fast a broadcast goes round, and what a session at rest costs in memory, each against the number of sessions.

    tools/bench/bench_pictures.py REPORTS FOLDER     writes FOLDER/fanout.svg and FOLDER/memory.svg
"""

import json
import math
import pathlib
import statistics
import sys
from collections import defaultdict

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 80, 150, 40, 50
COLOURS = {"floor": "#888888", "hawser": "#c0392b", "redis": "#2980b9", "nats": "#27ae60", "mosquitto": "#8e44ad", "hawser, all with Redis": "#e67e22"}


def medians(reports, value):
    """{series: [(sessions, median)]} of what `value` tells of a report: (series, number) pairs."""
    found = defaultdict(list)
    for report in reports:
        for series, number in value(report):
            found[series, report["sessions"]].append(number)
    lines = defaultdict(list)
    for (series, sessions), numbers in sorted(found.items()):
        lines[series].append((sessions, statistics.median(numbers)))
    return lines


def fanout(report):
    if report["scenario"] != "broadcast" or report["burst"] != 1 or report["tags"]:
        return
    yield report["server"], report["rate"]
    if "floor_rate" in report and report["server"] == "hawser":
        yield "floor", report["floor_rate"]


def memory(report):
    if report["scenario"] != "idle":
        return
    if not report["redis"]:
        yield report["server"], report["rss_per_session"]
    else:
        yield "hawser, all with Redis", sum(d.get("rss_per_session", 0) for d in report["daemons"].values())


# --- drawing


def ticks(low, high):
    """1, 2 and 5 times powers of ten that lie between."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10**p for p in powers for m in (1, 2, 5) if low <= m * 10**p <= high]


class Scale:
    """Logarithmic, from the decades that hold all values."""

    def __init__(self, values, start, end):
        self.low, self.high = min(values) / 1.25, max(values) * 1.25
        self.start, self.end = start, end

    def at(self, value):
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def number(value):
    for limit, sign in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g} {sign}"
    return f"{value:g}"


def axes(x, y, title):
    yield f'<text x="{LEFT}" y="20" font-weight="bold">{title}</text>'
    for value in ticks(x.low, x.high):
        yield f'<line x1="{x.at(value):.1f}" y1="{TOP}" x2="{x.at(value):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#eeeeee"/>'
        yield f'<text x="{x.at(value):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{number(value)}</text>'
    for value in ticks(y.low, y.high):
        yield f'<line x1="{LEFT}" y1="{y.at(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y.at(value):.1f}" stroke="#eeeeee"/>'
        yield f'<text x="{LEFT - 8}" y="{y.at(value) + 4:.1f}" text-anchor="end">{number(value)}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">sessions</text>'


def line(series, points, x, y):
    colour = COLOURS.get(series, "#000000")
    places = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points)
    yield f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for a, b in points:
        yield f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="3" fill="{colour}"/>'


def names(lines, y):
    """At the right ends of their lines, one below the other where these are close."""
    place = -math.inf
    for series, points in sorted(lines.items(), key=lambda item: y.at(item[1][-1][1])):
        place = max(place + 15, y.at(points[-1][1]) + 4)
        yield f'<text x="{WIDTH - RIGHT + 8}" y="{place:.1f}" fill="{COLOURS.get(series, "#000000")}">{series}</text>'


def picture(lines, title):
    lines = {series: [(a, b) for a, b in points if b > 0] for series, points in lines.items()}
    lines = {series: points for series, points in lines.items() if points}
    if not lines:
        raise SystemExit(f"pictures: no report tells of '{title}'")
    x = Scale([a for points in lines.values() for a, _ in points], LEFT, WIDTH - RIGHT)
    y = Scale([b for points in lines.values() for _, b in points], HEIGHT - BOTTOM, TOP)
    drawn = [*axes(x, y, title), *(part for series, points in lines.items() for part in line(series, points, x, y)), *names(lines, y)]
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
                      '<rect width="100%" height="100%" fill="white"/>', *drawn, "</svg>", ""])


def pictures(reports):
    return {"fanout.svg": picture(medians(reports, fanout), "a broadcast of 256 bytes, one at a time: frames a second"),
            "memory.svg": picture(medians(reports, memory), "resident bytes for each session at rest")}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    reports = [json.loads(text) for text in pathlib.Path(sys.argv[1]).read_text().splitlines() if text]
    for name, text in pictures(reports).items():
        (pathlib.Path(sys.argv[2]) / name).write_text(text)


if __name__ == "__main__":
    main()

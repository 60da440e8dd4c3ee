#!/usr/bin/python3
"""Prints docs/SESSION.md: the states of a room's session and how events lead from one to the next, from room/core/session.{c,h}, and the
states of a connection, from room/conn.h.

    tools/session_diagram.py > docs/SESSION.md
"""

import pathlib
import re
import textwrap

ROOM = pathlib.Path(__file__).resolve().parents[1] / "room"

PAGE = """# A session, state by state

Made by `tools/session_diagram.py` from `room/core/session.c` and `session.h`; a test holds it to them. A session takes an event, changes
its state and writes down effects; the room carries these out afterwards, and what comes of them is the next event. An event that a
state does not name changes nothing and is counted.

```
{diagram}
```

## States

{states}

## Events

{events}

## Effects

{effects}

# A connection, state by state

From `room/conn.h`. `conn_enter` alone changes the state, by one of these steps, and counts where it leads.

```
{conn_diagram}
```

{conn_states}
"""


def table_of(name, text):
    """The rows X(...) of an X-macro, each with the comment behind it, or ""."""
    body = re.search(rf"#define {name}\(X\)(.*?[^\\])\n", text, re.S)[1].replace("\\\n", "\n")
    rows = re.findall(r"X\(([^;]*?)\)[ \t]*(?:/\*(.*?)\*/)?[ \t]*(?=\n|$)", body, re.S)
    assert len(rows) == len(re.findall(r"\bX\(", body)), f"{name} is written in another way"
    return [(row, re.sub(r"\s+", " ", comment).strip()) for row, comment in rows]


def steps_of(text):
    """For each state the events that lead to the same states, in the table's order: {state: {targets: [event]}}."""
    states = {}
    for row, _ in table_of("SESSION_STEPS", text):
        state, event, _, to = (part.strip() for part in row.split(",", 3))
        targets = " | ".join(re.findall(r"TO\((\w+)\)", to))
        states.setdefault(state, {}).setdefault(targets, []).append(event)
    return states


def diagram_of(text):
    lines = []
    for state, steps in steps_of(text).items():
        for targets, events in steps.items():
            line = f"{state} --{', '.join(events)}--> {'itself' if targets == state else targets}"
            lines += textwrap.wrap(line, 100, subsequent_indent=" " * (len(state) + 3), break_on_hyphens=False)
        lines.append("")
    return "\n".join(lines).rstrip()


def conn_diagram_of(text):
    """A line for each step: what leads from one state to the other."""
    steps = [([part.strip() for part in row.split(",")], why) for row, why in table_of("CONN_STEPS", text)]
    width = max(len(f"{a} --> {b}") for (a, b), _ in steps)
    return "\n".join(f"{f'{a} --> {b}':{width}}  {why}" for (a, b), why in steps)


def list_of(rows):
    return "\n".join(f"- **{name}**{': ' + comment if comment else ''}" for name, comment in rows)


def page():
    table, header = (ROOM / "core/session.c").read_text(), (ROOM / "core/session.h").read_text()
    conn = (ROOM / "conn.h").read_text()
    return PAGE.format(diagram=diagram_of(table), states=list_of(table_of("SESSION_STATES", header)),
                       events=list_of(table_of("SESSION_EVENTS", header)), effects=list_of(table_of("SESSION_EFFECTS", header)),
                       conn_diagram=conn_diagram_of(conn), conn_states=list_of(table_of("CONN_STATES", conn)))


if __name__ == "__main__":
    print(page(), end="")

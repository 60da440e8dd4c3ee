"""What a run says: the story of a violation, and its rates."""

from history import STREAMS

AROUND_S = 3.0
EVENTS_MAX = 14


def words(event):
    """A device's event in a line."""
    what = event[0]
    if what == "login":
        at = " ".join(f"{STREAMS[s]} {seq}@{epoch}" for s, epoch, seq in event[6])
        return f"login at {event[3]}{' (resumed)' if event[4] else ''}, generation {event[5]}, after {at}"
    if what == "push":
        return f"Push {STREAMS[event[3]]} {event[5]}@{event[4]} #{event[7]}{'' if event[8] else ', a repeat'}"
    if what == "gap":
        return f"Gap {STREAMS[event[3]]} {event[5]}..{event[6]}@{event[4]} reason {event[7]}"
    if what == "reset":
        return f"Reset {STREAMS[event[3]]} to {event[5]}@{event[4]}: {event[6]}"
    if what == "synced":
        return "Synced " + " ".join(f"{STREAMS[s]} {seq}@{epoch}" for s, epoch, seq in event[3])
    if what == "hole":
        return f"a hole in {STREAMS[event[3]]}: {event[5]}@{event[4]} after {event[6]}"
    return f"the connection ended: {event[3]}"


def around(events, message, t):
    """The device's events near the violation: those near its place in the log if it has one, else near its time; always what is no Push."""
    begin = min(t, message.first) - AROUND_S if message else t - AROUND_S
    near = [e for e in events if begin <= e[1] <= t + AROUND_S]
    if message and message.seq is not None:
        near += [e for e in events if e[0] == "push" and abs(e[5] - message.seq) <= 2 and e not in near]
    rare = [e for e in near if e[0] != "push"][: EVENTS_MAX]
    left = max(4, EVENTS_MAX - len(rare))
    pushes = sorted((e for e in near if e[0] == "push"), key=lambda e: closeness(e, message, t))[:left]
    return sorted(rare + pushes, key=lambda e: e[1])


def closeness(event, message, t):
    return abs(event[5] - message.seq) if message and message.seq is not None else abs(event[1] - t)


def story(history, v, logs, begin=0.0):
    """The message, its push, what its device saw around it, and which faults were active."""
    def at(t):
        return f"{t - begin:+9.3f}s"
    m = v.message
    lines = [f"== {v.kind}: {f'#{m.n}' if m else 'no message'} at device {v.device} of {history.devices[v.device]}: {v.what} ({at(v.t)})"]
    if m:
        answer = f"accepted {at(m.accepted)} as {m.id} seq {m.seq}" if m.accepted is not None else f"refused {m.refused}" if m.refused else "not settled"
        lines.append(f"   {m.klass} to {m.kind} {m.targets}: first tried {at(m.first)}, {m.unknown} unknown outcomes, {answer}")
    lines += [f"   {at(e[1])}  {words(e)}" for e in around(history.events[v.device], m, v.t)]
    first = min(v.t, m.first) if m else v.t
    active = [f for f in history.faults if f[1] - 1 <= v.t + 1 and f[2] + 10 >= first]
    lines.append("   faults: " + (", ".join(f"{name} {at(b)}..{at(e)}" for name, b, e in active) or "none at that time"))
    lines.append(f"   logs: {logs}")
    return "\n".join(lines)


def calm_rate(accepted, faults, begin, end, settle):
    """Accepted a second, counted over the whole seconds in which no fault was active, nor for `settle` seconds before; and how many those are."""
    seconds = {}
    for t in accepted:
        seconds[int(t - begin)] = seconds.get(int(t - begin), 0) + 1
    calm = [s for s in range(int(end - begin)) if not any(b < begin + s + 1 and begin + s < e + settle for _, b, e in faults)]
    return (sum(seconds.get(s, 0) for s in calm) / len(calm) if calm else 0.0), len(calm)

"""What happened in a run, as its two kinds of processes wrote it down: one JSON array a line. Times are CLOCK_MONOTONIC, which all of them share.

A pusher writes
    ["try", t, n, kind, class, targets, collapse_key]   first attempt of message n: "user" (users), "users" (users), "devices" (devices) or
                                          "all" ([]); the key is left out where it has none
    ["ok", t, n, id, seq]                 accepted; seq is null where it has one for each target
    ["no", t, n, status]                  certainly not stored, and not tried again
    ["unknown", t, n, why]                may be stored; the same call with the same Idempotency-Key follows

A device's client writes
    ["login", t, device, room, resumed, generation, [[stream, epoch, seq], ...]]
    ["push", t, device, stream, epoch, seq, id, n, handed]   handed: 1 if the application got it, 0 if it was a repeat
    ["gap", t, device, stream, epoch, first, last, reason]
    ["reset", t, device, stream, epoch, seq, why]
    ["synced", t, device, [[stream, epoch, seq], ...]]
    ["hole", t, device, stream, epoch, seq, position]        not handed on; the client ends the connection, as the SDK does
    ["end", t, device, why]
"""

import json

INBOX, NEWS, BULK = 0, 1, 2
STREAMS = ("inbox", "news", "bulk")
GAP_COLLAPSED, GAP_OTHER_DEVICE, GAP_STORE_RESTARTED = 5, 6, 7


class Message:
    __slots__ = ("n", "kind", "klass", "targets", "key", "first", "accepted", "id", "seq", "refused", "unknown")

    def __init__(self, n, first, kind, klass, targets, key=None):
        self.n, self.kind, self.klass, self.targets, self.key, self.first = n, kind, klass, targets, key, first
        self.accepted, self.id, self.seq, self.refused, self.unknown = None, None, None, None, 0


class History:
    """`devices` leads from a device's name to its user; `faults` is (name, begin, end), `losses` (begin, end): what was accepted between
    these may be missing in Redis, since the run made it forget; `forgets` are the moments in which all its keys were deleted."""

    def __init__(self, devices, faults=(), losses=(), forgets=()):
        self.devices, self.faults, self.losses, self.forgets = devices, list(faults), list(losses), list(forgets)
        self.messages, self.events = {}, {name: [] for name in devices}
        self.of_key = {}  # (user, collapse_key): its messages

    def add_push(self, event):
        what, t, n = event[:3]
        if what == "try":
            m = self.messages[n] = Message(n, t, *event[3:])
            if m.key is not None:
                self.of_key.setdefault((m.targets[0], m.key), []).append(m)
        elif what == "ok":
            m = self.messages[n]
            m.accepted, m.id, m.seq = t, event[3], event[4]
        elif what == "no":
            self.messages[n].refused = (t, event[3])
        else:
            self.messages[n].unknown += 1

    def add_device(self, event):
        self.events[event[2]].append(event)


class Tail:
    """Reads the whole lines that were added to a file since the last time."""

    def __init__(self, path):
        self.path, self.offset = path, 0

    def read(self):
        if not self.path.exists():
            return []
        with open(self.path, "rb") as f:
            f.seek(self.offset)
            data = f.read()
        end = data.rfind(b"\n") + 1
        self.offset += end
        return [json.loads(line) for line in data[:end].splitlines()]


class Writer:
    """Lines in a file; `flush` often enough that a reader is not far behind."""

    def __init__(self, path):
        self.file = open(path, "w", buffering=1 << 16)

    def __call__(self, *event):
        self.file.write(json.dumps(event, separators=(",", ":")) + "\n")

    def flush(self):
        self.file.flush()

"""Holds a history to what Hawser promises (DELIVERY.md). It knows nothing of daemons: histories go in, violations come out.

lost            accepted, and not handed on by a device that it was for, though nothing that the run did to Redis may have cost it; or
                durable, whatever the run did. One with a collapse key is not, if a later one with that key was handed on in its place
duplicated      handed on twice by one device
reordered       handed on behind what was pushed after it had been accepted; or sent at or below the position of a device that never had it
unexpected      for somebody else, never pushed, refused for certain, under another id, or under a seq that another message has
unreported gap  a seq that does not follow, without a Gap; or what Redis was made to forget, or was replaced, and no Gap or Reset told
                the device of
"""

from collections import Counter

from history import BULK, GAP_OTHER_DEVICE, GAP_STORE_RESTARTED, INBOX, NEWS, STREAMS

AT_ONCE_MAX = 100  # targets that are stored before the answer
KINDS = ("lost", "duplicated", "reordered", "unexpected", "unreported gap")


class Violation:
    def __init__(self, kind, device, message, what, t):
        self.kind, self.device, self.message, self.what, self.t = kind, device, message, what, t


class Verdict:
    def __init__(self):
        self.violations = []
        self.attempted = self.accepted = self.delivered = self.announced = self.collapsed = self.unsettled = 0

    def counts(self):
        found = Counter(v.kind for v in self.violations)
        return {kind: found[kind] for kind in KINDS}

    def line(self, faults):
        words = [f"attempted {self.attempted}", f"accepted {self.accepted}", f"delivered {self.delivered}"]
        words += [f"{kind} {count}" for kind, count in self.counts().items()]
        return ", ".join(words + [f"faults {faults}"])


def check(history):
    verdict = Verdict()
    verdict.attempted = len(history.messages)
    verdict.accepted = sum(m.accepted is not None for m in history.messages.values())
    verdict.unsettled = sum(m.accepted is None and m.refused is None for m in history.messages.values())
    expected = expectations(history)
    places = {}  # (log, epoch, seq): the id that stands there, whoever saw it
    for device in history.devices:
        walk = DeviceWalk(history, verdict, device, places)
        for event in history.events[device]:
            walk.take(event)
        for message in expected[device]:
            if message.n not in walk.handed:
                walk.judge_missing(message)
    return verdict


def expectations(history):
    """The accepted messages that each device should have."""
    of_user = {}
    for device, user in history.devices.items():
        of_user.setdefault(user, []).append(device)
    expected = {device: [] for device in history.devices}
    for m in history.messages.values():
        if m.accepted is None:
            continue
        if m.kind == "all":
            devices = history.devices
        elif m.kind == "devices":
            devices = m.targets
        else:
            devices = [d for user in m.targets for d in of_user[user]]
        for device in devices:
            expected[device].append(m)
    return expected


class DeviceWalk:
    """One device's events, in order, beside a position that the checker keeps itself."""

    def __init__(self, history, verdict, device, places):
        self.history, self.verdict, self.device, self.places = history, verdict, device, places
        self.user = history.devices[device]
        self.position = {}
        self.handed = set()
        self.gaps = {INBOX: [], NEWS: [], BULK: []}
        self.resets = {INBOX: [], NEWS: [], BULK: []}
        self.newest_first = {INBOX: (0, None), NEWS: (0, None), BULK: (0, None)}

    def violation(self, kind, message, what, t):
        self.verdict.violations.append(Violation(kind, self.device, message, what, t))

    def take(self, event):
        what = event[0]
        if what == "push":
            self.on_push(event)
        elif what == "login":
            for stream, epoch, seq in event[6]:
                self.position.setdefault(stream, (epoch, seq))
        elif what == "gap":
            self.on_gap(event)
        elif what == "reset":
            _, t, _, stream, epoch, seq, _ = event
            self.position[stream] = (epoch, seq)
            self.resets[stream].append(t)
        elif what == "synced":
            for stream, epoch, seq in event[3]:
                at = self.position.get(stream)
                if at and at[0] == epoch and seq > at[1]:
                    self.position[stream] = (epoch, seq)
        elif what == "hole":
            _, t, _, stream, epoch, seq, position = event
            self.violation("unreported gap", None, f"{STREAMS[stream]}: {seq} after {position}, and no Gap", t)

    def on_gap(self, event):
        _, t, _, stream, epoch, first, last, reason = event
        at = self.position.get(stream)
        if at is None or at[0] != epoch:
            self.violation("unreported gap", None, f"{STREAMS[stream]}: a Gap in epoch {epoch}, the position is {at}", t)
        elif last <= at[1]:
            return
        elif stream == INBOX and first > at[1] + 1:
            self.violation("unreported gap", None, f"inbox: Gap {first}..{last} after {at[1]}", t)
        self.position[stream] = (epoch, last)
        self.gaps[stream].append((t, epoch, first, last, reason))

    def on_push(self, event):
        _, t, _, stream, epoch, seq, message_id, n, is_handed = event
        m = self.history.messages.get(n)
        if not self.is_expected(event, m):
            return
        at = self.position.get(stream)
        if not is_handed:
            if n not in self.handed:
                self.violation("reordered", m, f"{STREAMS[stream]} {seq} came at or below the position {at}, and never before", t)
            elif at and at[0] == epoch and seq == at[1] + 1:
                self.position[stream] = (epoch, seq)  # known by its id, under a new seq
            return
        if n in self.handed:
            self.violation("duplicated", m, f"handed on again as {STREAMS[stream]} {seq} of epoch {epoch}", t)
        self.handed.add(n)
        self.verdict.delivered += 1
        if at is None or at[0] != epoch:
            self.violation("unreported gap", m, f"{STREAMS[stream]} {seq} of epoch {epoch}, and the position is {at}", t)
        elif seq <= at[1]:
            self.violation("reordered", m, f"{STREAMS[stream]} {seq} after {at[1]}", t)
        else:
            if stream == INBOX and seq != at[1] + 1:
                self.violation("unreported gap", m, f"inbox {seq} after {at[1]}, and no Gap", t)
            self.look_at_order(m, stream, t)
        self.position[stream] = (epoch, seq)

    def is_expected(self, event, m):
        _, t, _, stream, epoch, seq, message_id, n, _ = event
        log = self.user if stream == INBOX else STREAMS[stream]
        stands = self.places.setdefault((log, epoch, seq), message_id)
        if stands != message_id:
            what = f"{log} {seq} of epoch {epoch} is {message_id}, and was {stands}"
        elif m is None:
            what = f"{STREAMS[stream]} {seq}: nobody pushed {message_id} ({n})"
        elif (m.kind == "all") != (stream == NEWS):
            what = f"in the stream {STREAMS[stream]}"
        elif m.kind == "devices" and self.device not in m.targets or m.kind in ("user", "users") and self.user not in m.targets:
            what = f"it is for {m.targets}"
        elif m.refused is not None and m.accepted is None and not m.unknown:
            what = f"it was refused for certain ({m.refused[1]})"
        elif m.id is not None and m.id != message_id:
            what = f"under the id {message_id}, and it was accepted as {m.id}"
        else:
            return True
        self.violation("unexpected", m, what, t)
        return False

    def look_at_order(self, m, stream, t):
        """Whoever was accepted before the push of another began stands before it."""
        newest, other = self.newest_first[stream]
        is_job = m.kind == "users" and len(m.targets) > AT_ONCE_MAX  # spread behind its answer
        if m.accepted is not None and m.accepted < newest and not is_job and not self.was_appended_anew(m, t):
            self.violation("reordered", m, f"handed on behind #{other}, which was pushed after it had been accepted", t)
        if m.first > newest:
            self.newest_first[stream] = (m.first, m.n)

    def was_appended_anew(self, m, until):
        """Durable ones that Redis forgot may stand behind newer ones."""
        return any(m.first <= end and begin <= until and m.accepted >= begin for begin, end in self.history.losses)

    def judge_missing(self, m):
        stream = NEWS if m.kind == "all" else INBOX
        is_allowed = m.klass != "durable" and any(m.first <= end and m.accepted >= begin for begin, end in self.history.losses)
        told = self.told_of(m, stream)
        if self.was_replaced(m):
            if self.was_told_of_any_gap(m):
                self.verdict.collapsed += 1
            else:
                self.violation("unreported gap", m, "a later one with its collapse key took its place, and nothing told the device", m.accepted)
        elif self.was_forgotten(m, stream):
            self.verdict.announced += 1
        elif not is_allowed:
            self.violation("lost", m, f"{m.klass}, accepted, and not handed on" + (f"; {told}" if told else ""), m.accepted)
        elif told:
            self.verdict.announced += 1
        else:
            self.violation("unreported gap", m, "Redis was made to forget it, and nothing told the device", m.accepted)

    def was_replaced(self, m):
        """One that may stand behind it was handed on. If none was, the newest of them is lost, and so is what it replaced."""
        later = self.history.of_key.get((self.user, m.key), ()) if m.key is not None else ()
        return any(other is not m and other.n in self.handed and (other.accepted is None or other.accepted >= m.first) for other in later)

    def was_told_of_any_gap(self, m):
        """Neighbours in a log become one range of unknown reason, or of a jump. What Redis forgot may have had another seq since."""
        has_moved = any(m.first <= end and m.accepted >= begin for begin, end in self.history.losses)
        return any(t >= m.first and reason != GAP_OTHER_DEVICE and (m.seq is None or first <= m.seq <= last or has_moved)
                   for t, _, first, last, reason in self.gaps[INBOX])

    def was_forgotten(self, m, stream):
        """When all keys are deleted the store knows neither where the news stood nor this device: until it is known again, the news begin
        anew, and what other devices of its user have handled leaves the inbox. It is told so, by a Reset or by a Gap of any reason."""
        for forgotten in self.history.forgets:
            if m.accepted < forgotten:
                continue
            if stream == NEWS:
                known = min((t for t in self.resets[NEWS] if t >= forgotten), default=None)
                if known is None or m.first > known:
                    continue
                return True
            known = min((t for t, _, _, _, reason in self.gaps[INBOX] if reason == GAP_STORE_RESTARTED and t >= forgotten), default=None)
            if known is None or m.first > known or list(self.history.devices.values()).count(self.user) == 1:
                continue
            return any(reason != GAP_OTHER_DEVICE and t >= m.first and (m.seq is None or first <= m.seq <= last) for t, _, first, last, reason in self.gaps[INBOX])
        return False

    def told_of(self, m, stream):
        """The word by which the device was told that it will not have this one. A push to many has no seq of its own to find it by."""
        for t in self.resets[stream]:
            if t >= m.first:
                return "the device was told by a Reset"
        for t, _, first, last, reason in self.gaps[stream]:
            if reason == GAP_STORE_RESTARTED and t >= m.first and (m.seq is None or first <= m.seq <= last):
                return "the device was told by a Gap, store_restarted"
        return None

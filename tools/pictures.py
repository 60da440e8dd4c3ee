#!/usr/bin/python3
"""Prints docs/PICTURES.md: a login that takes a device over, a session's positions in a stream, and the way of a message. Calls are held to
proto/methods.h, frames to proto/frame.h, the window to room/voice_hawser.c: a name that is gone is an error here.

    tools/pictures.py > docs/PICTURES.md
"""

import pathlib
import re
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[1]

PAGE = """# Three pictures

Made by `tools/pictures.py`; a test holds this page to it. A call between daemons is written with its name in `proto/methods.h`, a frame of
the client protocol in capitals. `--->` is a request or a frame, `<...` an answer.

## A device logs in while another connection has its session

{login}

## Where a session is in a stream

{stream}

## The way of a message, and how its two ways meet

{message}
"""


def names_in(path, pattern):
    return set(re.findall(pattern, (ROOT / path).read_text()))


CALLS = {f"{server}_{name}" for server, name in names_in("proto/methods.h", r"X\((\w+), (\w+), [A-Z]\w+,")}
FRAMES = names_in("proto/frame.h", r"X\((\w+), \d+, ")


class Sequence:
    """Who speaks to whom, from top to bottom. A name may carry what tells two of a kind apart: "room B" serves calls of rooms."""

    def __init__(self, *actors):
        self.actors = actors
        self.rows, self.notes = [], []

    def _row(self, sender, receiver, text, stroke, note):
        if note:
            self.notes.append(note)
            text += f" ({len(self.notes)})"
        self.rows.append((self.actors.index(sender), self.actors.index(receiver), f" {text} ", stroke))

    def call(self, sender, receiver, method, of="", note=""):
        name = f"{receiver.split()[0]}_{method}"
        assert name in CALLS, f"no such call: {name}"
        self._row(sender, receiver, f"{name} {of}".rstrip(), "-", note)

    def answer(self, sender, receiver, text, note=""):
        self._row(sender, receiver, text, ".", note)

    def frame(self, sender, receiver, name, of="", note=""):
        assert name in FRAMES, f"no such frame: {name}"
        self._row(sender, receiver, f"{name} {of}".rstrip(), "-", note)

    def http(self, sender, receiver, text, note=""):
        self._row(sender, receiver, text, "-", note)

    def _columns(self):
        """Where each lifeline stands: every text fits between the two that it joins, every name beside the next one."""
        at = [len(self.actors[0]) // 2]
        for i in range(1, len(self.actors)):
            least = at[-1] + len(self.actors[i - 1]) // 2 + len(self.actors[i]) // 2 + 3
            spans = [at[min(row[:2])] + len(row[2]) + 5 for row in self.rows if max(row[:2]) == i]
            at.append(max([least, *spans]))
        return at

    def _line(self, at, row):
        sender, receiver, text, stroke = row
        line = [" "] * (at[-1] + 1)
        for x in at:
            line[x] = "|"
        left, right = sorted((at[sender], at[receiver]))
        arrow = text.center(right - left - 3, stroke)
        line[left + 1:right] = stroke + arrow + ">" if receiver > sender else "<" + arrow + stroke
        return "".join(line).rstrip()

    def picture(self):
        at = self._columns()
        head = [" "] * (at[-1] + len(self.actors[-1]))
        for x, name in zip(at, self.actors):
            start = x - len(name) // 2
            head[start:start + len(name)] = name
        rest = "".join("|" if i in at else " " for i in range(at[-1] + 1))
        lines = ["".join(head).rstrip(), rest]
        for row in self.rows:
            lines.append(self._line(at, row))
        lines.append(rest)
        return "```\n" + "\n".join(lines) + "\n```\n\n" + numbered(self.notes)


def numbered(notes):
    return "\n".join(textwrap.fill(note, 140, initial_indent=f"{n}. ", subsequent_indent="   ") for n, note in enumerate(notes, 1))


def login():
    s = Sequence("connection 1", "room A", "connection 2", "room B", "register", "saver")
    s.frame("connection 2", "room B", "HELLO", note="The device had a session in room A. It comes again by another connection, with a token.")
    s.call("room B", "register", "login", note="One script writes the row: the generation is above the last one, and the row names room B.")
    s.answer("register", "room B", "generation 1002, replaced: A's 1001", note="From here on whoever asks for the user is sent to room B.")
    s.call("room B", "room A", "replaced", "by 1002", note="The new room tells the old one, not the register: a login that is done late, when "
           "nobody waits for it any more, ends nobody's session. Repeated until it is answered. It carries what the client said in its HELLO to have handled of the "
           "news; room A counts that as acknowledged.")
    s.frame("room A", "connection 1", "CLOSE", "4001", note="Room A ends that session. Other bindings of the connection go on. Its positions in the "
            "broadcast logs, which the saver hears of every 5 minutes and at a session's end, are those of an older generation once (7) is done, and are not "
            "taken any more: a client that keeps no positions may get the broadcasts of up to 5 minutes again.")
    s.call("room A", "register", "takeover", note="Only if its client was still there: more than 5 of these in a minute, and the newest login gets 4103.")
    s.call("room B", "saver", "attach", "generation 1002", note="Registered first, then loaded. From here on the saver takes acks of generation 1002 only.")
    s.answer("saver", "room B", "positions, head of the inbox")
    s.call("room B", "saver", "product_heads", note="A head of the news that was asked for after the login began; one call for all sessions.")
    s.frame("room B", "connection 2", "WELCOME", note="When all bindings of the Hello are settled.")
    s.answer("saver", "room B", "heads of news and bulk")
    s.call("room B", "saver", "load", "after the position", note="Only if the head is above the position. Again and again, as far as the window goes.")
    s.answer("saver", "room B", "messages, gaps")
    s.frame("room B", "connection 2", "PUSH", "...")
    s.frame("room B", "connection 2", "SYNCED", note="When everything up to both heads went out.")
    return s.picture()


def message():
    s = Sequence("app server", "center", "register", "saver", "room", "client")
    s.frame("client", "room", "HELLO", note="A device logs in at the same moment at which a message is pushed to its user.")
    s.http("app server", "center", "POST .../messages")
    s.call("room", "register", "login", note="The room's rule: register, then load.")
    s.answer("register", "room", "generation 1002")
    s.call("center", "saver", "append", note="The center's rule: append, then find. The saver gives the message its position in the log.")
    s.answer("saver", "center", "epoch 5501, seq 42")
    s.http("center", "app server", "202", note="It is stored; what follows is only quicker than the log.")
    s.call("room", "saver", "attach")
    s.answer("saver", "room", "after 41, head 42")
    s.frame("room", "client", "WELCOME")
    s.call("room", "saver", "load", "after 41", note="One way: the log. The append was done before, so it is there.")
    s.answer("saver", "room", "42")
    s.frame("room", "client", "PUSH", "42", note="42 is the successor of 41, the window is open, the socket takes it: sent = 42.")
    s.call("center", "register", "find", note="The other way: the hint. The row was written before, so it is found.")
    s.answer("register", "center", "room, slot, generation 1002")
    s.call("center", "room", "deliver", "(5501, 42)", note="Whichever of the two comes first is sent. For the second one, epoch 5501 is the session's epoch and 42 "
           "is not above sent: it is dropped.")
    s.frame("client", "room", "ACK", "42", note="The application has handled it.")
    s.call("room", "saver", "ack", "generation 1002", note="When all the user's devices are past it, it leaves the log.")
    return s.picture() + "\n\n" + textwrap.fill(
        "One of the two ways finds the message in any order. A find before the login finds no row; but then the append was before the login "
        "too, and the load finds the message. A load before the append finds no message; but then the row was there before the append, and the find "
        "finds it. What both miss because something broke is found by the heads: each room asks for them every 30 s.", 140)


# --- a session's positions

WINDOW = int(re.search(r"\.ack_limits = {\.messages = (\d+)", (ROOT / "room/voice_hawser.c").read_text())[1])
FIRST, ACKED, HEARD, GAP = 100, 112, 168, range(150, 154)


class Feed:
    """What DELIVERY 2.4 says of one stream of a session, a character for a seq."""

    def __init__(self):
        self.acked = self.sent = ACKED
        self.heard = HEARD

    def go_on(self):
        """Sends what the window takes; a gap is told as it is met, and takes nothing of the window."""
        while self.sent < self.heard and (self.sent + 1 in GAP or self.in_flight() < WINDOW):
            self.sent += 1
        assert self.acked <= self.sent <= self.heard

    def in_flight(self):
        return sum(seq not in GAP for seq in range(self.acked + 1, self.sent + 1))

    def _mark(self, seq):
        if seq in GAP:
            return "x"
        return "-" if seq <= self.acked else "=" if seq <= self.sent else "."

    def _names(self, *names):
        """Each ends above its seq."""
        line = ""
        for name in names:
            line = line.ljust(getattr(self, name) - FIRST - len(name) - 5) + f"{name} {getattr(self, name)} |"
        return line

    def picture(self):
        line = "".join(self._mark(seq) for seq in range(FIRST, self.heard + 1))
        return f"{self._names('acked', 'heard')}\n{self._names('sent')}\n{line}"


def stream():
    feed, parts = Feed(), []

    def show(text):
        parts.append(textwrap.fill(text, 140) + "\n\n```\n" + feed.picture() + "\n```")

    feed.go_on()
    show(f"Three numbers: `acked` <= `sent` <= `heard`. What is `-` the application has handled. What is `=` is in flight: {WINDOW} messages, a whole "
         "window (or 256 KiB, whatever is less). What is `.` is known of and stays in the log: the room keeps the number, not the messages. What is "
         "`x` has left the log.")
    feed.acked += 12
    before = feed.sent
    feed.go_on()
    passed = feed.in_flight()
    show(f"An Ack for 124 opens the window for 12. Out go {before + 1}..{GAP[0] - 1}, then one Gap for {GAP[0]}..{GAP[-1]} with its reason, before anything newer, "
         f"then {GAP[-1] + 1}..{feed.sent}. A Gap counts as sent and takes nothing of the window: {passed} messages are in flight again.")
    feed.heard += 3
    feed.go_on()
    show(f"Three more are pushed. `heard` rises to {feed.heard}, and that is all: behind means `sent` < `heard`, never a flag, and a session costs the same "
         "whatever waits for it.")
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(PAGE.format(login=login(), stream=stream(), message=message()), end="")

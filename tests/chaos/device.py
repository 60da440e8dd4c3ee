"""One device: a client of the contract, without a loop. It keeps its positions and its last ids as the SDK does, and writes down what it sees."""

import collections
import socket
import struct
import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))
from client import NAMES, TYPES
from history import INBOX
from hawser_proto import pb

RECENT_IDS = 1024
ACK_MESSAGES, ACK_DELAY_S = 8, 0.2
HEARTBEAT_S, SILENCE_S, LOGIN_S, CONNECT_S = 5, 8, 10, 3
RETRY_S = 1.0  # the longest wait before it tries again, unless a room names a longer one
PUSH, PING, PONG = TYPES["Push"], TYPES["Ping"], TYPES["Pong"]


def frame(name, **fields):
    body = getattr(pb, name)(**fields).SerializeToString() if name != "Bye" else b""
    return struct.pack(">I", TYPES[name] << 24 | len(body)) + body


class Device:
    """States: idle (until `wake_at`), locating, entering, live."""

    def __init__(self, fleet, name, token):
        self.fleet, self.name, self.token = fleet, name, token
        self.position = {}  # stream: (epoch, seq) that was handled
        self.recent = collections.OrderedDict()
        self.resume = b""
        self.state, self.sock, self.wake_at = "idle", None, 0.0
        self.rooms = []
        self.fails = 0

    def write(self, what, *words):
        self.fleet.history(what, self.fleet.now, self.name, *words)

    # --- a connection's way

    def open(self, address, state, opening):
        host, port = address
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex((host, port))
        self.state, self.address = state, address
        self.unread, self.unsent = b"", b"HWS1" + opening
        self.is_connected = False
        self.heard_at = self.sent_at = self.fleet.now
        self.ping_at = None
        self.deadline = self.fleet.now + CONNECT_S
        self.acks = {}
        self.ack_count, self.ack_at = 0, None
        self.is_stalled = False
        self.fleet.watch(self)

    def come(self):
        """The next step of coming in: a dispatcher is asked where the rooms are, and then these are tried."""
        if not self.rooms:
            locate = frame("Locate", device=self.name, product=self.fleet.product, want=3)
            self.open(self.fleet.choose(self.fleet.dispatchers), "locating", locate)
            return
        have = [pb.Position(stream=s, epoch=e, seq=n) for s, (e, n) in self.position.items()]
        hello = frame("Hello", device=self.name, sdk="chaos/1", heartbeat_s=HEARTBEAT_S, resume=self.resume, bind=[pb.Bind(token=self.token, have=have)])
        self.open(self.rooms.pop(0), "entering", hello)

    def end(self, why, wait_s=None):
        """The connection is over; it comes again in a while."""
        if self.sock is None:
            return
        if self.state == "live" or why.startswith("close"):
            self.write("end", why)
        self.fleet.unwatch(self)
        self.sock.close()
        self.sock = None
        self.fails = 0 if self.state == "live" else self.fails + 1
        self.state = "idle"
        most = min(RETRY_S, 0.1 * 2 ** min(self.fails, 8))
        self.wake_at = self.fleet.now + (wait_s or 0) + self.fleet.random.random() * most

    def leave(self, how):
        """As clients are lost: without a word, by a reset, or with a good-bye; `forget` makes the next login a new one."""
        if self.state != "live":
            return
        if how == "bye":
            self.flush_acks()
            self.send(frame("Bye"))
        if how == "reset" and self.sock:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how in ("bye", "forget"):
            self.resume = b""
        self.end(f"left: {how}")

    # --- bytes

    def send(self, data):
        if self.sock is None:
            return
        self.unsent += data
        self.sent_at = self.fleet.now
        self.on_writable()

    def on_writable(self):
        if not self.is_connected:
            error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self.end(f"connect: {error}")
                return
            try:
                self.sock.getpeername()
            except OSError:
                return
            self.is_connected = True
            self.deadline = self.fleet.now + LOGIN_S
        try:
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent):]
        except BlockingIOError:
            pass
        except OSError as error:
            self.end(f"send: {error.errno}")
            return
        self.fleet.watch_writes(self, bool(self.unsent))

    def on_readable(self):
        try:
            data = self.sock.recv(262144)
        except BlockingIOError:
            return
        except OSError as error:
            self.end(f"receive: {error.errno}")
            return
        if not data:
            self.end("ended by the other side")
            return
        self.heard_at, self.ping_at = self.fleet.now, None
        data = self.unread + data
        at, sock = 0, self.sock
        while len(data) - at >= 4:
            head = int.from_bytes(data[at:at + 4], "big")
            end = at + 4 + (head & 0xFFFFFF)
            if end > len(data):
                break
            self.on_frame(head >> 24, data[at + 4:end])
            if self.sock is not sock:
                return
            at = end
        self.unread = data[at:]
        if self.ack_count >= ACK_MESSAGES:
            self.flush_acks()

    def on_time(self):
        """Looked at some times a second."""
        now = self.fleet.now
        if self.state == "idle":
            if now >= self.wake_at:
                self.come()
        elif self.state != "live":
            if now >= self.deadline:
                self.end("no answer in time")
        elif self.ping_at is not None and now >= self.ping_at + SILENCE_S:
            self.end("silence")
        else:
            if self.ack_at is not None and now >= self.ack_at:
                self.flush_acks()
            if self.sock and self.ping_at is None and (now >= self.sent_at + HEARTBEAT_S or now >= self.heard_at + HEARTBEAT_S):
                self.ping_at = now
                self.send(frame("Ping"))

    # --- frames

    def on_frame(self, number, body):
        if number == PUSH:
            if self.state == "live":
                self.on_push(pb.Push.FromString(body))
        elif number == PING:
            self.flush_acks()
            if self.sock:
                self.send(frame("Pong"))
        elif number != PONG and number in NAMES:
            handler = getattr(self, "on_" + NAMES[number].lower(), None)
            if handler:
                handler(getattr(pb, NAMES[number]).FromString(body))

    def on_located(self, m):
        self.end("located")
        self.rooms = [(e.host, e.port) for e in m.endpoint]
        if self.rooms:
            self.fails, self.wake_at = 0, self.fleet.now

    def on_welcome(self, m):
        bound = m.bound[0]
        self.resume = m.resume
        self.product = bound.product
        self.state, self.fails, self.rooms = "live", 0, []
        self.leaves_at = self.fleet.now + self.fleet.random.expovariate(1 / self.fleet.stay_s)
        self.write("login", f"{self.address[0]}:{self.address[1]}", bound.resumed, bound.generation, [[p.stream, p.epoch, p.seq] for p in bound.after])
        for p in bound.after:
            ours = self.position.get(p.stream)
            if ours is None or ours[0] != p.epoch:
                self.position[p.stream] = (p.epoch, p.seq)
                if ours is not None:
                    self.write("reset", p.stream, p.epoch, p.seq, "the room continues in another epoch")

    def handled(self, stream, epoch, seq):
        self.position[stream] = self.acks[stream] = (epoch, seq)
        self.ack_count += 1
        if self.ack_at is None:
            self.ack_at = self.fleet.now + ACK_DELAY_S

    def is_next(self, stream, first, last):
        """False: a repeat, or a hole, after which it comes again from its position on."""
        epoch, seq = self.position[stream]
        if last <= seq:
            self.acks[stream] = (epoch, seq)
            self.ack_count += 1
            if self.ack_at is None:
                self.ack_at = self.fleet.now + ACK_DELAY_S
            return False
        if stream == INBOX and first > seq + 1:
            self.write("hole", stream, epoch, first, seq)
            self.end("a hole")
            return False
        return True

    def on_push(self, m):
        epoch = self.position[m.stream][0]
        number = m.payload.partition(b":")[0]
        n = int(number) if number.isdigit() else -1
        is_next = self.is_next(m.stream, m.seq, m.seq)
        if self.sock is None:
            return
        is_new = is_next and m.id not in self.recent
        if not m.payload.endswith(b"."):
            n = -1  # cut off
        self.write("push", m.stream, epoch, m.seq, m.id, n, int(is_new))
        if is_new:
            self.recent[m.id] = True
            if len(self.recent) > RECENT_IDS:
                self.recent.popitem(last=False)
        if is_next:
            self.handled(m.stream, epoch, m.seq)

    def on_gap(self, m):
        self.write("gap", m.stream, self.position[m.stream][0], m.first, m.last, m.reason)
        if self.is_next(m.stream, m.first, m.last):
            self.handled(m.stream, self.position[m.stream][0], m.last)

    def on_reset(self, m):
        p = m.position
        self.write("reset", p.stream, p.epoch, p.seq, m.reason)
        self.handled(p.stream, p.epoch, p.seq)

    def on_synced(self, m):
        self.write("synced", [[p.stream, p.epoch, p.seq] for p in m.at])
        for p in m.at:
            epoch, seq = self.position.get(p.stream, (0, 0))
            if p.epoch == epoch and p.seq > seq:
                self.handled(p.stream, p.epoch, p.seq)
        self.fleet.synced.add(self.name)

    def on_goaway(self, m):
        self.leaves_at = self.fleet.now + self.fleet.random.random() * min(m.within_ms / 1000, RETRY_S)
        self.rooms = [(e.host, e.port) for e in m.endpoint]

    def on_close(self, m):
        if m.code in (4001, 4002, 4003, 4004) or m.code >= 4300:
            self.resume = b""
        self.end(f"close {m.code} {m.reason}", min(m.retry_after_ms / 1000, 5.0))

    def flush_acks(self):
        if not self.acks:
            return
        upto = [pb.Position(stream=s, epoch=e, seq=n) for s, (e, n) in self.acks.items()]
        self.acks, self.ack_count, self.ack_at = {}, 0, None
        self.send(frame("Ack", product=self.product, upto=upto))

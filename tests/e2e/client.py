"""A client of the tests' own, independent of the SDK: it speaks the contract's frames and does only what it is told."""

import socket
import struct
import time

import hawser_proto as hp

pb = hp.pb
TYPES = {
    "Hello": 1, "Ping": 2, "Ack": 3, "Bind": 4, "Unbind": 5, "Upstream": 6, "Bye": 7, "Locate": 16,
    "Welcome": 65, "Pong": 66, "Push": 67, "Bound": 68, "UpstreamReply": 69, "Gap": 70, "Reset": 71,
    "Synced": 72, "GoAway": 73, "Close": 74, "Located": 80,
}
NAMES = {number: name for name, number in TYPES.items()}
WAIT_S = 20


class Client:
    def __init__(self, port, host="127.0.0.1", preface=b"HWS1"):
        self.socket = socket.create_connection((host, port), timeout=WAIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""
        self.socket.sendall(preface)

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, name, **fields):
        body = getattr(pb, name)(**fields).SerializeToString() if name != "Bye" else b""
        self.send_raw(struct.pack(">I", TYPES[name] << 24 | len(body)) + body)

    def _read(self, count):
        while len(self.unread) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("the room ended the connection")
            self.unread += data
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def receive(self):
        """The next frame as (name, message)."""
        head = struct.unpack(">I", self._read(4))[0]
        name = NAMES[head >> 24]
        message = getattr(pb, name)() if hasattr(pb, name) else None
        message.ParseFromString(self._read(head & 0xFFFFFF))
        return name, message

    def expect(self, name):
        """The next frame, which must be of this type (pings are answered and passed over)."""
        while True:
            got, message = self.receive()
            if got == "Ping" and name != "Ping":
                self.send("Pong")
                continue
            assert got == name, f"expected {name}, got {got}: {message}"
            return message

    def hello(self, device, *binds, resume=b"", **fields):
        self.send("Hello", device=device, bind=binds, resume=resume, sdk="test/1", **fields)

    def login(self, device, token, have=(), tags=(), until_synced=True, **fields):
        """Logs in with one binding; returns (welcome, what came before Synced)."""
        self.hello(device, pb.Bind(token=token, have=list(have), tags=list(tags)), **fields)
        self.welcome = self.expect("Welcome")
        self.product = self.welcome.bound[0].product
        before = []
        while until_synced:
            name, message = self.receive()
            if name == "Synced":
                self.synced = message
                break
            before.append((name, message))
        return self.welcome, before

    def ack(self, *positions):
        self.send("Ack", product=self.product, upto=positions)

    def ack_push(self, push):
        epoch = next(p.epoch for p in self.welcome.bound[0].after if p.stream == push.stream)
        self.ack(pb.Position(stream=push.stream, epoch=epoch, seq=push.seq))

    def expect_end(self):
        """Nothing more comes but the end of the connection."""
        try:
            rest = self.unread + self.socket.recv(65536)
        except ConnectionResetError:
            rest = b""
        assert rest == b"", rest

    def expect_closed(self):
        """The connection ends, whatever was under way before."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def nothing_comes(self):
        """A Ping is answered by the very next frame: nothing was under way before it."""
        self.send("Ping")
        self.expect("Pong")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def eventually(what, seconds=30):
    """Polls until what() is true, for effects that are asynchronous by contract."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)

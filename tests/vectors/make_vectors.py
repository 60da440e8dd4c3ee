#!/usr/bin/python3
"""Writes the golden vectors: one frame of each type, made by Google's protobuf runtime and framing of its own, so that the C codec is checked
against something that shares no code with it. `make_vectors.py` prints them; `--check FILE` compares, `--write FILE` puts them there."""

import os
import pathlib
import subprocess
import sys
import tempfile

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


def load_messages():
    """The contract's messages, generated afresh."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["protoc", "-I", PROTO, f"--python_out={folder}", PROTO / "client.proto"], check=True)
        sys.path.insert(0, folder)
        sys.dont_write_bytecode = True
        import client_pb2
        return client_pb2


def frame(number, body):
    return bytes([number]) + len(body).to_bytes(3, "big") + body


def examples(pb):
    """(name, type number, message): the fields that a reader would want to see, among them the edges."""
    position = pb.Position(stream=pb.INBOX, epoch=2**53 - 1, seq=41)
    endpoint = pb.Endpoint(host="192.0.2.1", port=7200, transport=[pb.PLAIN, pb.TLS], idc="east", room="room-1")
    bound = pb.Bound(product=7, name="demo", user="alice", generation=1700000000123, after=[position], expires_ms=1700003600000)
    return [
        ("HELLO", 1, pb.Hello(device="laptop", network=pb.WIFI, sdk="test/1", heartbeat_s=60,
                              bind=[pb.Bind(token="a.b.c", tags=["beta"], have=[position])])),
        ("PING", 2, pb.Ping(network=pb.CELL_4G, heartbeat_s=240)),
        ("ACK", 3, pb.Ack(product=7, upto=[position, pb.Position(stream=pb.NEWS, epoch=5, seq=2)])),
        ("BIND", 4, pb.Bind(token="a.b.c", tags=["caf\u00e9", "beta"])),
        ("UNBIND", 5, pb.Unbind(product=7)),
        ("UPSTREAM", 6, pb.Upstream(product=7, type="chat", id=bytes(range(16)), payload=b"\x00\xff", reply=True)),
        ("BYE", 7, None),
        ("LOCATE", 16, pb.Locate(device="laptop", product="demo", network=pb.WIFI, transport=[pb.PLAIN], failed=[endpoint], want=5)),
        ("WELCOME", 65, pb.Welcome(resume=bytes(range(64)), heartbeat_s=60, heartbeat_max_s=600, server_ms=1700000000123,
                                   spread_ms=3000, max_frame=65536, bound=[bound])),
        ("PONG", 66, pb.Pong()),
        ("PUSH", 67, pb.Push(product=7, stream=pb.INBOX, seq=42, id="01HF3Z", payload=b"Hello", sent_ms=1700000000123,
                             content_type="text/plain")),
        ("BOUND", 68, pb.Bound(product=7, error=4001, reason="replaced by a newer login")),
        ("UPSTREAM_REPLY", 69, pb.UpstreamReply(id=bytes(range(16)), status=202)),
        ("GAP", 70, pb.Gap(product=7, stream=pb.INBOX, first=43, last=50, reason=pb.GAP_EXPIRED)),
        ("RESET", 71, pb.Reset(product=7, position=pb.Position(stream=pb.NEWS, epoch=6, seq=9), reason="the log is another one")),
        ("SYNCED", 72, pb.Synced(product=7, at=[position])),
        ("GO_AWAY", 73, pb.GoAway(within_ms=60000, endpoint=[endpoint], reason="draining")),
        ("CLOSE", 74, pb.Close(code=4103, reason="rate limited", retry_after_ms=5000)),
        ("LOCATED", 80, pb.Located(endpoint=[endpoint], ttl_s=300, heartbeat_s=60, heartbeat_max_s=600, backoff_base_ms=1000,
                                   backoff_cap_ms=60000)),
    ]


def lines():
    pb = load_messages()
    return "".join(f"{name} {frame(number, message.SerializeToString() if message else b'').hex()}\n"
                   for name, number, message in examples(pb))


def write(path):
    """Whoever reads the file meanwhile, or after a failure, has the one before."""
    made = path.with_name(path.name + ".new")
    try:
        made.write_text(lines())
        os.replace(made, path)
    finally:
        made.unlink(missing_ok=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"] and len(sys.argv) == 3:
        kept = pathlib.Path(sys.argv[2]).read_text()
        sys.exit(0 if kept == lines() else f"{sys.argv[2]} is not what the independent codec makes")
    if sys.argv[1:2] == ["--write"] and len(sys.argv) == 3:
        write(pathlib.Path(sys.argv[2]))
    elif len(sys.argv) == 1:
        sys.stdout.write(lines())
    else:
        sys.exit(__doc__)

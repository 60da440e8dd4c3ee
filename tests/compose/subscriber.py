#!/usr/bin/python3
"""A client that stays: asks the dispatcher for a room, logs in, prints every push, and finds another room whenever one sends it away.

usage: subscriber.py HOST PRODUCT, the token on standard input. Lines on standard output: `at PORT`, `synced`, `push PAYLOAD`.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from client import Client, pb

DISPATCHER_PORT = 7100
AGAIN_S = 0.3


def say(*words):
    print(*words, flush=True)


def locate(host, product, failed):
    with Client(DISPATCHER_PORT, host) as dispatcher:
        dispatcher.send("Locate", device="compose", product=product, failed=failed)
        return list(dispatcher.expect("Located").endpoint)


def on_frame(client, name, message):
    """Handles one frame; False when another room is to be found."""
    if name == "Push":
        client.ack_push(message)
        say("push", message.payload.decode())
    elif name == "Ping":
        client.send("Pong")
    elif name == "Synced":
        say("synced")
    return name not in ("GoAway", "Close")


def stay(endpoint, token):
    """Receives at this room until it sends us away."""
    with Client(endpoint.port, endpoint.host) as client:
        client.login("compose", token, until_synced=False)
        say("at", endpoint.port)
        client.socket.settimeout(20)
        while True:
            try:
                if not on_frame(client, *client.receive()):
                    return
            except TimeoutError:
                client.send("Ping")


def main():
    host, product = sys.argv[1:]
    token = sys.stdin.readline().strip()
    failed = []
    while True:
        try:
            for endpoint in locate(host, product, failed)[:1]:
                failed = [endpoint]
                stay(endpoint, token)
        except (OSError, EOFError, AssertionError) as error:
            print("subscriber:", repr(error), file=sys.stderr, flush=True)
        time.sleep(AGAIN_S)


main()

"""All devices in one process and one loop; `fleet.py SETTINGS` reads orders from its standard input, a word a line:

    settled       nobody leaves by himself from now on
    forget, reset, silent    all leave so, at once
    stall, away   nobody reads; nobody is there
    go            all read, and come, again
"""

import json
import pathlib
import random
import select
import sys
import time

import device
from history import Writer

LOOK_S = 0.05


class Fleet:
    def __init__(self, settings):
        self.product = settings["product"]
        self.dispatchers = [tuple(a) for a in settings["dispatchers"]]
        self.stay_s = settings["stay_s"]
        self.random = random.Random(settings["seed"])
        self.history = Writer(settings["history"])
        self.ready = pathlib.Path(settings["ready"])
        self.choose = self.random.choice
        self.poll = select.epoll()
        self.by_fd, self.masks = {}, {}
        self.now = time.monotonic()
        self.synced = set()
        self.is_stalled = self.is_settled = self.is_away = False
        self.devices = [device.Device(self, name, token) for name, token in settings["devices"]]

    def watch(self, d):
        self.by_fd[d.sock.fileno()] = d
        self.masks[d] = select.EPOLLOUT | (0 if self.is_stalled else select.EPOLLIN)
        self.poll.register(d.sock.fileno(), self.masks[d])

    def watch_writes(self, d, is_wanted):
        if d.sock is not None:
            self._set(d, (self.masks[d] | select.EPOLLOUT) if is_wanted else (self.masks[d] & ~select.EPOLLOUT))

    def _set(self, d, mask):
        if mask != self.masks[d]:
            self.masks[d] = mask
            self.poll.modify(d.sock.fileno(), mask)

    def unwatch(self, d):
        self.poll.unregister(d.sock.fileno())
        del self.by_fd[d.sock.fileno()], self.masks[d]

    def obey(self, order):
        if order == "settled":
            self.is_settled = True
        elif order == "away":
            self.is_away = True
        elif order in ("stall", "go"):
            self.is_away = False
            self.is_stalled = order == "stall"
            for d in self.by_fd.values():
                mask = self.masks[d]
                self._set(d, mask & ~select.EPOLLIN if self.is_stalled else mask | select.EPOLLIN)
        elif order in ("forget", "reset", "silent"):
            for d in self.devices:
                d.leave(order)

    def look(self):
        for d in self.devices:
            if self.is_away:
                d.leave("silent")
            if not self.is_away or d.state != "idle":
                d.on_time()
            if d.state == "live" and not self.is_stalled and self.now >= d.leaves_at:
                if not self.is_settled or d.rooms:
                    d.leave(self.choose(("silent", "silent", "reset", "bye", "forget")))
                else:
                    d.leaves_at = self.now + 3600
        self.history.flush()
        if self.synced and len(self.synced) == len(self.devices):
            self.synced = set()
            self.ready.touch()

    def run(self):
        self.poll.register(0, select.EPOLLIN)
        looked = 0.0
        while True:
            events = self.poll.poll(LOOK_S)
            self.now = time.monotonic()
            for fd, mask in events:
                if fd == 0:
                    line = sys.stdin.readline()
                    if not line:
                        return
                    self.obey(line.strip())
                    continue
                d = self.by_fd.get(fd)
                if d is not None and mask & ~select.EPOLLOUT:
                    d.on_readable()
                if d is not None and mask & select.EPOLLOUT and self.by_fd.get(fd) is d:
                    d.on_writable()
            if self.now - looked >= LOOK_S:
                looked = self.now
                self.look()


if __name__ == "__main__":
    fleet = Fleet(json.loads(pathlib.Path(sys.argv[1]).read_text()))
    fleet.run()
    fleet.history.flush()

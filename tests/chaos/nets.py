"""Network namespaces: one for each daemon and server, joined by a bridge in the namespace of the run, which `enter` made. What can go wrong in a
network is done by iptables in the namespace that it happens to, and by the kernel's token bucket where it is to be slow.

`enter` gives the run namespaces of networks, mounts and processes of its own. The kernel takes them away with all that is in them when the run
ends, however it ends.
"""

import os
import pathlib
import signal
import subprocess
import sys

NET = "10.77.0."
RUN = pathlib.Path("/run/netns")


def enter(mark):
    """Starts this program anew in namespaces of its own; returns there. Whoever called it outside waits, and ends what is inside when it is told to."""
    if os.environ.pop(mark, None):
        subprocess.run(["mount", "-t", "tmpfs", "none", RUN.parent], check=True)
        RUN.mkdir()
        for words in ("link set lo up", "link add br0 type bridge", "link set br0 up", f"addr add {NET}1/24 dev br0"):
            subprocess.run(["ip", *words.split()], check=True)
        return
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    inside = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", *root, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                               sys.executable, "-B", *sys.argv], env={**os.environ, mark: "1"})
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: inside.kill())
    code = inside.wait()
    sys.exit(130 if code < 0 else code)


class Place:
    """A namespace with one address."""

    def __init__(self, name, number):
        self.name, self.ip = name, f"{NET}{number}"
        self.port = f"v{number}"
        self._ip("netns", "add", name)
        self._ip("link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", name)
        self._ip("link", "set", self.port, "master", "br0", "up")
        for words in (f"addr add {self.ip}/24 dev eth0", "link set eth0 up", "link set lo up"):
            self._ip("-n", name, *words.split())
        self.is_slow = False

    @staticmethod
    def _ip(*words):
        subprocess.run(["ip", *words], check=True)

    def inside(self, *words):
        """The words of a command that runs there."""
        return ["nsenter", f"--net={RUN / self.name}", *words]

    def _filter(self, *words):
        subprocess.run(self.inside("iptables", "-w", *words), check=True)

    def take(self, address):
        """A further address, which others find here from now on; `forget_neighbours` of all is to follow."""
        self._ip("-n", self.name, "addr", "add", f"{address}/24", "dev", "eth0")

    def give_up(self, address):
        self._ip("-n", self.name, "addr", "del", f"{address}/24", "dev", "eth0")

    def forget_neighbours(self):
        self._ip("-n", self.name, "neigh", "flush", "dev", "eth0")

    def deafen(self, *others):
        """What these send is not heard here; what is sent to them from here still leaves."""
        for other in others:
            self._filter("-A", "INPUT", "-s", other, "-j", "DROP")

    def mute(self, *others):
        for other in others:
            self._filter("-A", "OUTPUT", "-d", other, "-j", "DROP")

    def alone(self):
        """Nobody is heard, and nothing leaves."""
        for chain in ("INPUT", "OUTPUT"):
            self._filter("-A", chain, "!", "-i" if chain == "INPUT" else "-o", "lo", "-j", "DROP")

    def lose(self, share):
        """So much of what comes in and what goes out is lost."""
        for chain in ("INPUT", "OUTPUT"):
            self._filter("-A", chain, "-m", "statistic", "--mode", "random", "--probability", str(share), "-j", "DROP")

    def slow(self, rate):
        """What leaves waits in a queue of this rate, and is late by as much as stands in it."""
        subprocess.run(["tc", "-n", self.name, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "4k", "latency", "400ms"], check=True)
        self.is_slow = True

    def heal(self):
        self._filter("-F")
        if self.is_slow:
            subprocess.run(["tc", "-n", self.name, "qdisc", "del", "dev", "eth0", "root"], check=True)
            self.is_slow = False

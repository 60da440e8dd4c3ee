"""Two Redis servers behind one address that moves, and a MariaDB, each in a namespace and on a small file system of its own."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import redis

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))
from daemons import MariaDB, wait_until
from nets import NET

ADDRESS = NET + "100"
DISK = "2g"


class Server:
    """A process in a place, on a disk in memory that can be filled."""

    def __init__(self, place, folder):
        self.place, self.dir, self.process = place, folder, None
        self.name = place.name
        self.disk = folder / "disk"
        self.disk.mkdir(parents=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", self.disk], check=True)

    def run(self, *words):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(self.place.inside(*map(str, words)), stdout=log, stderr=log)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def fill_disk(self):
        """The server writes meanwhile: in steps, until the smallest one has no place."""
        at, step = 0, 1 << 26
        with open(self.disk / "ballast", "wb") as f:
            while step >= 4096:
                try:
                    os.posix_fallocate(f.fileno(), at, step)
                    at += step
                except OSError:
                    step >>= 1

    def free_disk(self):
        (self.disk / "ballast").unlink(missing_ok=True)


class RedisServer(Server):
    def __init__(self, place, folder):
        super().__init__(place, folder)
        self.client = redis.Redis(unix_socket_path=str(self.dir / "s"), socket_timeout=20)
        self.start()

    def start(self):
        (self.dir / "s").unlink(missing_ok=True)
        self.run("redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--port", 6379, "--unixsocket", self.dir / "s", "--dir", self.disk, "--save", "",
                 "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", 0,
                 "--repl-timeout", 10)
        wait_until(self.is_up, f"{self.name} did not come up", self.process, self.dir / "log")

    def is_up(self):
        try:
            return self.client.ping() and not self.client.info("persistence")["loading"]
        except redis.RedisError:
            return False

    def follow(self, other):
        self.client.execute_command("REPLICAOF", other.place.ip, 6379)

    def promote(self):
        self.client.execute_command("REPLICAOF", "NO", "ONE")

    def copy_aof(self):
        """What a backup would have."""
        wait_until(lambda: not self.client.info("persistence")["aof_rewrite_in_progress"], "its AOF is being rewritten all the time")
        shutil.rmtree(self.dir / "old", ignore_errors=True)
        shutil.copytree(self.disk / "appendonlydir", self.dir / "old")

    def start_from_copy(self):
        shutil.rmtree(self.disk / "appendonlydir")
        shutil.copytree(self.dir / "old", self.disk / "appendonlydir")
        self.start()


class RedisPair:
    """`first` has the address until `fail_over`; `second` follows it."""

    def __init__(self, places, folder):
        self.first, self.second = (RedisServer(place, folder / place.name) for place in places)
        self.everybody = []
        self.first.place.take(ADDRESS)
        self.second.follow(self.first)
        self.url = f"redis://{ADDRESS}:6379"

    def is_in_step(self):
        """The second has all that the first had a moment ago."""
        try:
            offset = self.first.client.info("replication")["master_repl_offset"]
            info = self.second.client.info("replication")
            return info.get("master_link_status") == "up" and info["slave_repl_offset"] >= offset - 4096
        except redis.RedisError:
            return False

    def wait_in_step(self):
        wait_until(self.is_in_step, "the replica is behind")

    def fail_over(self):
        """The second is the primary from now on, and has the address; the first may be gone."""
        self.first.place.give_up(ADDRESS)
        self.second.promote()
        self.second.place.take(ADDRESS)
        self.first, self.second = self.second, self.first
        for place in self.everybody:
            place.forget_neighbours()

    def servers(self):
        return self.first, self.second


class Maria(Server, MariaDB):
    """The tests' MariaDB, which listens in its place besides."""

    def __init__(self, place, folder):
        Server.__init__(self, place, folder)
        self.path = self.dir / "s"
        self.url = f"mariadb://hawser:db-pass@{place.ip}:3306/hawser"
        with open(self.dir / "install.log", "ab") as log:
            subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={self.disk / 'data'}", f"--tmpdir={self.disk}", "--skip-test-db",
                            "--auth-root-authentication-method=normal", *self.sizes], stdout=log, stderr=log, check=True, timeout=120)
        self.start()
        self.sql("CREATE DATABASE hawser; CREATE USER hawser IDENTIFIED BY 'db-pass'; GRANT ALL ON hawser.* TO hawser")

    def start(self, *options):
        self.path.unlink(missing_ok=True)
        root = ["--user=root"] if os.geteuid() == 0 else []
        self.run("mariadbd", "--no-defaults", f"--datadir={self.disk / 'data'}", f"--socket={self.path}", f"--pid-file={self.disk / 'pid'}",
                 f"--tmpdir={self.disk}", "--bind-address=0.0.0.0", "--skip-name-resolve", "--performance-schema=off", *self.sizes, *root, *options)
        wait_until(self._reached, "mariadbd did not come up", self.process, self.dir / "log")

    def unmarked(self):
        """Rows that were landed and have no seq yet."""
        return self.sql("SELECT COUNT(*) FROM hawser.hawser_messages WHERE unmarked = 1")[0][0]

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        Server.kill(self)

    def lock(self):
        """A session that keeps all others from writing, until it ends."""
        session = self._connect()
        with session.cursor() as cursor:
            cursor.execute("FLUSH TABLES WITH READ LOCK")
        return session

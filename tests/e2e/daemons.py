"""Separate daemons as a user runs them: one process each, a configuration file, ports chosen by the kernel and kept over restarts."""

import json
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess
import time
import urllib.parse

import pymysql
import requests

import openapi_check
from cluster import BIN, WAIT_S, Product

ROLES = ("register", "saver", "room", "center", "coordinator", "dispatcher")
SECRET = "test-cluster-secret-0123456789abcdef"
ADMIN_KEY = "test-admin-key-0123456789abcdef"


def wait_until(what, why, process=None, log=None):
    """Polls a condition of the outside world; the daemon's log is in the failure."""
    deadline = time.monotonic() + WAIT_S
    while not (result := what()):
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            text = log.read_text(errors="replace")[-4000:] if log else ""
            raise AssertionError(f"{why}{' (it ended)' if ended else ''}\n{text}")
        select.select([], [], [], 0.02)
    return result


class Redis:
    """A private redis-server with AOF, on a UNIX socket, or with a password on a port; it can be killed and started again on the same folder."""

    def __init__(self, folder, appendfsync="everysec", password=None):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.path = self.dir / "redis.sock"
        self.fsync, self.password, self.port = appendfsync, password, 0
        if password:
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self.port = s.getsockname()[1]
        self.url = self.url_with(password) if password else f"unix://{self.path}"
        self.start()

    @staticmethod
    def quoted(password):
        return urllib.parse.quote(password, safe="")

    def url_with(self, password):
        return f"redis://:{self.quoted(password)}@127.0.0.1:{self.port}"

    def start(self, *options, wait=True):
        self.path.unlink(missing_ok=True)
        secret = ["--bind", "127.0.0.1", "--requirepass", self.password] if self.password else []
        with open(self.dir / "redis.log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--port", str(self.port), "--unixsocket", self.path, "--dir", self.dir, "--save", "", "--appendonly", "yes",
                 "--appendfsync", self.fsync, "--maxmemory-policy", "noeviction", *secret, *options], stdout=log, stderr=log)
        if wait:
            wait_until(lambda: self.command("PING") == "PONG", "redis-server did not come up", self.process, self.dir / "redis.log")

    def command(self, *words):
        """What redis-cli prints."""
        environment = {**os.environ, **({"REDISCLI_AUTH": self.password} if self.password else {})}
        return subprocess.run(["redis-cli", "-s", self.path, *words], capture_output=True, text=True, errors="replace", timeout=WAIT_S,
                              env=environment, check=False).stdout.strip()

    def info(self, name):
        lines = [line for line in self.command("INFO").splitlines() if line.startswith(name + ":")]
        return lines[0].split(":", 1)[1] if lines else ""

    def loaded_keys(self):
        """Of a database 0 that is being read, or has been."""
        return int(self.info("db0").partition("keys=")[2].partition(",")[0] or 0)

    def kill(self):
        self.process.kill()
        self.process.wait(WAIT_S)

    def stop(self):
        self.process.terminate()
        self.process.wait(WAIT_S)


class MariaDB:
    """A private mariadbd on a UNIX socket, with a database and a user for the savers; it can be killed and started again on the same folder.
    Its temporary tables are there, too: a server that starts clears away those that it finds, also those of a neighbour that runs."""

    sizes = ["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M"]

    def __init__(self, folder, *options):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.path = self.dir / "s"
        self.url = f"unix://hawser:db%2Fp%40ss@{self.path}?db=hawser"
        with open(self.dir / "install.log", "ab") as log:
            subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={self.dir / 'data'}", f"--tmpdir={self.dir}", "--skip-test-db",
                            "--auth-root-authentication-method=normal", *self.sizes], stdout=log, stderr=log, check=True, timeout=WAIT_S)
        self.start(*options)
        self.sql("CREATE DATABASE hawser; CREATE USER hawser@localhost IDENTIFIED BY 'db/p@ss'; GRANT ALL ON hawser.* TO hawser@localhost")

    def start(self, *options):
        self.path.unlink(missing_ok=True)
        with open(self.dir / "mariadb.log", "ab") as log:
            self.process = subprocess.Popen(
                ["mariadbd", "--no-defaults", f"--datadir={self.dir / 'data'}", f"--socket={self.path}", f"--pid-file={self.dir / 'pid'}",
                 f"--tmpdir={self.dir}", "--skip-networking", "--performance-schema=off", *self.sizes, *(["--user=root"] if os.geteuid() == 0 else []), *options],
                stdout=log, stderr=log)
        wait_until(lambda: self._reached(), "mariadbd did not come up", self.process, self.dir / "mariadb.log")

    def _connect(self):
        return pymysql.connect(unix_socket=str(self.path), user="root", autocommit=True, client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS,
                               read_timeout=WAIT_S, write_timeout=WAIT_S)

    def _reached(self):
        try:
            self._connect().close()
            return True
        except pymysql.MySQLError:
            return False

    def sql(self, statements):
        """The rows of the first one."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(statements)
            rows = list(cursor.fetchall())
            while cursor.nextset():
                pass
        return rows

    def freeze(self):
        """Each of its threads stands still; SIGCONT thaws it."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        wait_until(lambda: all(") T" in (task / "stat").read_text() for task in tasks.iterdir()), "it does not stand still")

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(WAIT_S)

    stop = kill


class Daemon:
    """One daemon's process; `start` again after `kill` takes the same ports."""

    def __init__(self, cluster, role, number):
        self.cluster, self.role = cluster, role
        self.name = f"{role}{number}"
        self.ports_path = cluster.dir / f"{self.name}.json"
        self.log_path = cluster.dir / f"{self.name}.log"
        self.ports = None
        self.start(wait=False)

    def _environment(self):
        own = {f"HAWSER_{self.role.upper()}__LISTEN": self._listen(self.role),
               f"HAWSER_{self.role.upper()}__OPS_LISTEN": self._listen("ops")}
        if self.role == "dispatcher":
            own["HAWSER_DISPATCHER__HTTP_LISTEN"] = self._listen("dispatcher_http")
        if self.role == "room":
            own["HAWSER_ROOM__RPC_LISTEN"] = self._listen("room_rpc")
        return {**os.environ, **self.cluster.environment(), **own}

    def _listen(self, name):
        return f"127.0.0.1:{self.ports[name] if self.ports else 0}"

    def _limit(self):
        if self.cluster.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.cluster.descriptors, self.cluster.descriptors))

    def metric(self, what):
        """One figure of its /metrics."""
        text = requests.get(f"http://127.0.0.1:{self.ports['ops']}/metrics", timeout=10).text
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"hawser_{self.role}_{what} "))

    def start(self, wait=True):
        self.ports_path.unlink(missing_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BIN / f"hawser-{self.role}", "--config", self.cluster.config,
                                             "--ports-file", self.ports_path],
                                            stdout=log, stderr=log, env=self._environment(), preexec_fn=self._limit)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        wait_until(self.ports_path.exists, f"{self.name} did not come up", self.process, self.log_path)
        self.ports = json.loads(self.ports_path.read_text())
        return self

    def kill(self):
        self.process.kill()
        self.process.wait(WAIT_S)

    def stop(self):
        """SIGTERM: it must drain and end with 0."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"{self.name} did not end\n{self.log_path.read_text(errors='replace')[-4000:]}") from None
        assert code == 0, f"{self.name}: exit {code}\n{self.log_path.read_text(errors='replace')[-4000:]}"


class Cluster:
    """Separate daemons; counts of each role, on memory stores or on Redis; `descriptors` limits those of each process."""

    def __init__(self, folder, redis=None, maria=None, settings=None, descriptors=None, **counts):
        self.dir = pathlib.Path(folder)
        self.redis = redis
        self.descriptors = descriptors
        self.config = self.dir / "hawser.yaml"
        self.config.write_text(f"cluster:\n  secrets: [{SECRET}]\n  admin_keys: [{ADMIN_KEY}]\n")
        mariadb = {"HAWSER_MARIADB__URL": maria.url, "HAWSER_MARIADB__TIMEOUT": "1s"} if maria else {}
        self.settings = {"HAWSER_ROOM__DRAIN_WITHIN": "2s", **mariadb, **(settings or {})}
        self.registers = ""
        self.info = {"admin_key": ADMIN_KEY}
        self.http = requests.Session()
        self.http.trust_env = False
        self.daemons = {role: [] for role in ROLES}
        try:
            for role in ROLES:
                self._start_role(role, counts.get(role, 1))
        except BaseException:
            self.kill_all()
            raise
        self.info["rooms"] = [d.ports["room"] for d in self.daemons["room"]]
        self.info["dispatcher"] = self.dispatcher.ports["dispatcher"]

    def _start_role(self, role, count):
        for number in range(count):
            self.daemons[role].append(Daemon(self, role, number))
            if role == "register":  # the others must know where it is
                self.daemons[role][-1].wait_ready()
                self.registers = ",".join(f"127.0.0.1:{d.ports['register']}" for d in self.daemons["register"])
        for daemon in self.daemons[role]:
            daemon.wait_ready()

    def environment(self):
        url = self.redis.url if self.redis else "memory:"
        return {"HAWSER_REDIS__URL": url, "HAWSER_CLUSTER__REGISTERS": self.registers or "127.0.0.1:1", **self.settings}

    def __getattr__(self, name):
        if name in ("room", "center", "register", "saver", "dispatcher", "coordinator"):
            return self.daemons[name][0]
        raise AttributeError(name)

    def all(self):
        return [d for role in ROLES for d in self.daemons[role]]

    def call(self, method, path, body=None, key=None, headers=None, center=0):
        head = {"Authorization": f"Bearer {key or ADMIN_KEY}", **(headers or {})}
        data = body if isinstance(body, (bytes, str)) or body is None else json.dumps(body)
        base = f"http://127.0.0.1:{self.daemons['center'][center].ports['center']}"
        answer = self.http.request(method, base + path, data=data, headers=head, timeout=30)
        openapi_check.check(method, path, answer)
        return answer

    def product(self):
        return Product(self)

    def log_tail(self):
        return "\n".join(f"== {d.name}\n{d.log_path.read_text(errors='replace')[-3000:]}" for d in self.all())

    def stop(self):
        """One after the other, the last role first; each must end with 0. One that does not keeps none of the others running."""
        faults = []
        for role in reversed(ROLES):
            for daemon in self.daemons[role]:
                try:
                    daemon.stop()
                except AssertionError as fault:
                    faults.append(str(fault))
        assert not faults, "\n".join(faults)

    def kill_all(self):
        for daemon in self.all():
            if daemon.process.poll() is None:
                daemon.kill()

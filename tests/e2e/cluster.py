"""Starts and stops real Hawser processes for the tests: ports are the kernel's choice, readiness is a file, nothing is left running."""

import json
import os
import pathlib
import select
import signal
import subprocess
import time
import uuid

import jwt
import requests

import openapi_check

BIN = pathlib.Path(os.environ.get("HAWSER_BIN", pathlib.Path(__file__).parents[2] / "build/release/bin"))
WAIT_S = 60


class TrialCluster:
    """`hawser --dir D`: all six daemons, memory stores."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.log_path = self.dir / "log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([BIN / "hawser", "--dir", self.dir], stdout=log, stderr=log)
        self.info = self._wait_for(self.dir / "cluster.json")
        self.base = f"http://127.0.0.1:{self.info['center']}"
        self.http = requests.Session()
        self.http.trust_env = False

    def _wait_for(self, path):
        deadline = time.monotonic() + WAIT_S
        while not path.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"hawser did not come up:\n{self.log_tail()}")
            select.select([], [], [], 0.02)
        return json.loads(path.read_text())

    def log_tail(self):
        return self.log_path.read_text(errors="replace")[-8000:]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"hawser did not end:\n{self.log_tail()}") from None
        assert code == 0, f"exit {code}:\n{self.log_tail()}"

    def call(self, method, path, body=None, key=None, headers=None):
        """One API call with the admin key unless another is given; returns the response."""
        head = {"Authorization": f"Bearer {key or self.info['admin_key']}", **(headers or {})}
        data = body if isinstance(body, (bytes, str)) or body is None else json.dumps(body)
        answer = self.http.request(method, self.base + path, data=data, headers=head, timeout=30)
        openapi_check.check(method, path, answer)
        return answer

    def product(self):
        """A new product of its own for a test."""
        return Product(self)


class Product:
    def __init__(self, cluster):
        self.cluster = cluster
        self.name = "p" + uuid.uuid4().hex[:10]
        answer = cluster.call("PUT", f"/v1/products/{self.name}", {})
        assert answer.status_code == 201, answer.text
        self.record = answer.json()
        self.keys = {k["kind"]: k for k in self.record["keys"]}

    def token(self, user, **claims):
        """A client token made by PyJWT, as an app server would make it."""
        key = self.keys["token"]
        body = {"aud": self.name, "sub": user, "exp": int(time.time()) + 3600, **claims}
        return jwt.encode(body, key["secret"], algorithm="HS256", headers={"kid": key["kid"]})

    def push(self, to, expect=202, key=None, headers=None, **fields):
        answer = self.cluster.call("POST", f"/v1/products/{self.name}/messages", {"to": to, **fields},
                                   key=key, headers=headers)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def push_user(self, user, payload, **fields):
        return self.push({"user": user}, payload=payload, **fields)

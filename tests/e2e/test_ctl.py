"""hawserctl as an operator calls it, and the README's program."""

import json
import pathlib
import re
import subprocess

from cluster import BIN, TrialCluster
from client import Client, eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]


def raw(cluster, *arguments):
    return subprocess.run([BIN / "hawserctl", "--center", f"127.0.0.1:{center_port(cluster)}", "--key", cluster.info["admin_key"], *arguments],
                          capture_output=True, text=True, timeout=60)


def ctl(cluster, *arguments, expect=0):
    ended = raw(cluster, *arguments)
    assert ended.returncode == expect, ended
    return json.loads(ended.stdout) if ended.stdout else None


def center_port(cluster):
    return cluster.info.get("center") or cluster.center.ports["center"]


def test_operator(cluster):
    """Every command does what its help says; a product that is there is not created over."""
    name = "ctl" + cluster.product().name
    created = ctl(cluster, "product", "create", name)
    assert {k["kind"] for k in created["keys"]} == {"token", "api", "webhook"}
    again = raw(cluster, "product", "create", name)
    assert again.returncode == 1 and again.stdout == "", again
    assert again.stderr == f"hawserctl: there is a product '{name}' already; `hawserctl product show {name}` prints it\n"
    for arguments in (["create"], ["create", "a", "b"], ["make", "a"], []):
        ended = raw(cluster, "product", *arguments)
        assert ended.returncode == 2 and ended.stderr.startswith("hawserctl: usage: hawserctl product list | create NAME"), ended
    assert ctl(cluster, "product", "show", name)["name"] == name
    assert name in [p["name"] for p in ctl(cluster, "product", "list")["items"]]
    token = ctl(cluster, "token", name, "ann", "--device", "d1")["token"]
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d1", token)
        ctl(cluster, "push", name, "ann", "hello")
        assert client.expect("Push").payload == b"hello"
        ctl(cluster, "push", "--all", name, "hello all")
        assert client.expect("Push").payload == b"hello all"
        daemons = ctl(cluster, "cluster")["items"]
        sessions = ctl(cluster, "user", name, "ann")["sessions"]
        assert [s["device"] for s in sessions] == ["d1"]
        assert sessions[0]["room"] in [d["id"] for d in daemons if d["role"] == "room"]  # as drain wants it
    assert {d["role"] for d in daemons} >= {"room", "center", "saver", "register", "dispatcher", "coordinator"}


def test_names_are_names(cluster):
    """No name steps out of its place in the path, is cut, or is left out in silence: each is one line on stderr, and exit 2."""
    name = cluster.product().name
    plain = lambda *arguments: subprocess.run([BIN / "hawserctl", "--center", f"127.0.0.1:{center_port(cluster)}", "--key",
                                             cluster.info["admin_key"], *arguments], capture_output=True, timeout=60)
    for arguments in (["user", name, ".."], ["user", name, "."], ["user", name, ""], ["product", "show", ".."], ["product", "delete", "."],
                      ["push", "..", "ann", "x"], ["token", "..", "ann"], ["token", name, b"\xff"], ["token", name, "ann", "--device", b"\xff"],
                      ["token", name, "ann", "--tags", b"a,\xff"], ["push", name, "ann", "x", "--idempotency-key", "a\r\nX: y"]):
        ended = plain(*arguments)
        assert ended.returncode == 2 and ended.stdout == b"" and ended.stderr.count(b"\n") == 1, (arguments, ended)
    for user in ("a/b", "a?b", "a%2e", "...", "a b", "ü#"):
        assert ctl(cluster, "user", name, user)["user"] == user


def test_the_folder_named_is_the_one_meant(tmp_path):
    """--dir wins over what the environment says, and what the environment says is used where nothing else does; help names each command's arguments."""
    cluster = TrialCluster(tmp_path)
    other = {"HAWSER_KEY": "hwa_of_another_cluster", "HAWSER_CENTER": "127.0.0.1:9"}
    ended = subprocess.run([BIN / "hawserctl", "--dir", cluster.dir, "cluster"], env=other, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended
    mine = {"HAWSER_KEY": cluster.info["admin_key"], "HAWSER_CENTER": f"127.0.0.1:{center_port(cluster)}"}
    assert subprocess.run([BIN / "hawserctl", "cluster"], env=mine, capture_output=True, timeout=60).returncode == 0
    cluster.stop()
    said = subprocess.run([BIN / "hawserctl", "--help"], capture_output=True, text=True, timeout=60).stdout
    assert "push PRODUCT USER PAYLOAD" in said and "product list | create NAME" in said


def test_a_folder_has_one_cluster(tmp_path):
    """A second hawser in a folder ends with a word, and leaves the first one's file alone."""
    cluster = TrialCluster(tmp_path)
    info = (cluster.dir / "cluster.json").read_bytes()
    second = subprocess.run([BIN / "hawser", "--dir", cluster.dir], capture_output=True, text=True, timeout=60)
    assert second.returncode == 1 and "another hawser runs here" in second.stderr, second
    assert (cluster.dir / "cluster.json").read_bytes() == info
    cluster.stop()


def test_init(tmp_path):
    """What init writes is a configuration that each daemon takes; without an address for others it says what they will be told."""
    made = tmp_path / "hawser.yaml"
    subprocess.run([BIN / "hawserctl", "init", made], check=True, capture_output=True)
    assert made.stat().st_mode & 0o077 == 0 and "HAWSER_ROOM__ADVERTISE" in made.read_text()
    for role in ("register", "saver", "room", "center", "coordinator", "dispatcher"):
        checked = subprocess.run([BIN / f"hawser-{role}", "--config", made, "--check-config"], capture_output=True, text=True)
        assert checked.returncode == 0 and f"{role}.advertise is empty" in checked.stderr, checked
    assert subprocess.run([BIN / "hawserctl", "init", made], capture_output=True).returncode == 1


def test_readme_program(cluster, tmp_path):
    """The client of the README compiles as it stands, receives a push, and keeps its position."""
    source = re.search(r"```c\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    dispatcher = cluster.info["dispatcher"]
    (tmp_path / "main.c").write_text(source.replace("127.0.0.1:7100", f"127.0.0.1:{dispatcher}"))
    build = BIN.parent
    asan = ["-fsanitize=address,undefined"] if "asan" in build.name else []
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", *asan, f"-I{ROOT}/sdk/c", "main.c", "-o", "main", build / "lib/libhawser.a",
                    "-lprotobuf-c", "-lcrypto", "-ljansson", "-lpthread"], cwd=tmp_path, check=True)
    product = cluster.product()
    out = tmp_path / "out"
    process = subprocess.Popen([tmp_path / "main", product.token("zoe")], cwd=tmp_path, stdout=open(out, "wb"))
    try:
        pushed = product.push_user("zoe", "hello, program")
        eventually(lambda: out.read_text() == f"{pushed['id']} hello, program\n")
        positions = tmp_path / "positions.txt"
        eventually(lambda: positions.exists() and positions.stat().st_size > 0)
    finally:
        process.kill()
        process.wait(30)

"""What the documents show is what the code does."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from cluster import BIN

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import pictures


def test_protocol_page_has_the_vectors():
    """Each frame in PROTOCOL.md is, byte for byte, the golden vector of that name, and none is missing."""
    vectors = dict(line.split()[:2] for line in (ROOT / "tests/vectors/frames.txt").read_text().splitlines() if line and line[0] != "#")
    page = (ROOT / "proto/PROTOCOL.md").read_text()
    shown = {name: re.sub(r"\s", "", block) for name, block in re.findall(r"### (\w+) \(\d+\).*?```\n(.*?)```", page, re.S)}
    assert shown == vectors


def test_vectors_are_made_as_the_recipe_says(tmp_path):
    """`--write`, as HACKING says it, makes the kept file, byte for byte. Where the codec fails, the file that is there stays as it was."""
    program, kept = re.search(r"`(\S+make_vectors.py) --write (\S+)`", (ROOT / "HACKING.md").read_text()).groups()
    made = tmp_path / "frames.txt"
    subprocess.run([ROOT / program, "--write", made], check=True)
    assert made.read_bytes() == (ROOT / kept).read_bytes()
    without_protoc = {"PATH": str(tmp_path)}
    assert subprocess.run([ROOT / program, "--write", made], env=without_protoc, capture_output=True, check=False).returncode != 0
    assert made.read_bytes() == (ROOT / kept).read_bytes()
    assert list(tmp_path.iterdir()) == [made]


def test_up_knows_its_options_first(tmp_path):
    """What `./dev up` does not know it refuses before it builds anything, and leaves no folder."""
    for options in (["--mariadb"], ["--reddis"], ["--redis", "--maria"], ["--redis", "--mariadb", "more"]):
        env = {**os.environ, "TMPDIR": str(tmp_path)}
        ended = subprocess.run([ROOT / "dev", "up", *options], env=env, capture_output=True, text=True, timeout=10, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", "usage: ./dev up [--redis [--mariadb]]\n")
    assert list(tmp_path.iterdir()) == []


README_TEST = r"""
set -euo pipefail
ip link set lo up
trap 'kill $(jobs -p) && wait' EXIT
within() { for _ in $(seq 600); do ! "$@" >/dev/null 2>&1 || return 0; sleep 0.05; done; echo "not in time: $*"; exit 1; }
knows_phone() { curl -s -H "Authorization: Bearer $key" http://127.0.0.1:7300/v1/products/demo/users/alice | grep phone; }
handled() { curl -s -H "Authorization: Bearer $key" http://127.0.0.1:7300/v1/products/demo/users/alice | jq -e '.pending == 0'; }
mkdir -p trial
echo '{"admin_key": "of an older cluster", "center": 1}' >trial/cluster.json
PUSH
exec 3>&1 >laptop.out
RECEIVE
exec >&3
within grep -qw hi laptop.out
ALL
within grep -q 'hi all' laptop.out
within handled
PHONE
within knows_phone
curl -H "Authorization: Bearer $key" -d '{"to": {"user": "alice"}, "payload": "later"}' http://127.0.0.1:7300/v1/products/demo/messages
within grep -qw later laptop.out
within grep -qw later phone.out
! grep -qw hi phone.out
END
! ls trial trial.log 2>/dev/null
! curl -s http://127.0.0.1:7300/healthz
"""


def test_readme_shell_blocks(tmp_path):
    """The shell blocks of the README, pasted one after the other on a machine of their own, do what the text around them says. A file of an
    older cluster is there; a first device and a second one print what they should, and not what they should not."""
    push, receive, to_all, end = readme_blocks("/tmp/trial", tmp_path / "trial")[:4]
    phone = receive.splitlines()[1].replace("laptop", "phone").replace(" &", " >phone.out &")
    on_a_machine(README_TEST, tmp_path, PUSH=push, RECEIVE=receive, ALL=to_all, PHONE=phone, END=end)


REAL_TEST = r"""
set -euo pipefail
ip link set lo up
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
within() { for _ in $(seq 600); do ! "$@" >/dev/null 2>&1 || return 0; sleep 0.05; done; echo "not in time: $*"; exit 1; }
exec 3>&1 >first.out
handled() { curl -s -H "Authorization: Bearer $HAWSER_KEY" http://127.0.0.1:7300/v1/products/demo/users/alice | jq -e '.pending == 0'; }
REAL
within grep -qw hi first.out
within handled
END
exec >again.out
set +e
REAL
set -e
within grep -qw hi again.out
END
exec >&3
[ "$(jobs -p)" = "" ]
[ "$(grep -cw hi first.out)" = 1 ] && [ "$(grep -cw hi again.out)" = 1 ]
"""


def test_readme_real_cluster(tmp_path):
    """The block that runs a cluster for real, pasted, brings its message to its client, and the one behind it ends all of it. Both once more:
    the cluster goes on with the folder, and what was handled does not come again."""
    real, end = readme_blocks("/tmp/real", tmp_path / "real")[4:]
    on_a_machine(REAL_TEST, tmp_path, REAL=real, END=end)


def readme_blocks(folder, instead):
    """The blocks to paste, with our executables, and another folder for the README's."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(blocks) == 6
    return [re.sub(r"(\$PWD/)?build/release/bin", str(BIN), b).replace(folder, str(instead)) for b in blocks]


def on_a_machine(script, folder, **blocks):
    """Runs the script, with the blocks that it names, where no other daemon has ports."""
    for name, text in blocks.items():
        script = script.replace(f"\n{name}\n", f"\n{text}\n")
    ended = subprocess.run(["unshare", "--map-root-user", "--net", "bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=120)
    logs = "".join(f"{p}:\n{p.read_text()[-2000:]}\n" for p in sorted(folder.rglob("*.log")))
    assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}\n{logs}"


def test_stale_cluster_file(tmp_path):
    """What an older cluster left in the folder is gone before the new one is ready: nobody reads its ports and key. The new file cannot be
    written here, so what is left is what was there."""
    (tmp_path / "cluster.json").write_text('{"admin_key": "of an older cluster"}')
    (tmp_path / "cluster.json.new").mkdir()
    ended = subprocess.run([BIN / "hawser", "--dir", tmp_path], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and "cluster.json" in ended.stderr
    assert not (tmp_path / "cluster.json").exists()


PAGES = ["ARCHITECTURE.md", "HACKING.md", *(f"docs/{name}.md" for name in ("DESIGN", "GLOSSARY", "MARIADB", "REDIS", "SCALING", "SESSION", "STORE"))]


def test_pages_name_what_there_is():
    """A file or a name of the code that a page shows is there; what is marked as later is not looked for."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    files = {part for path in listed for part in path.split("/")}
    code = " ".join((ROOT / path).read_text() for path in listed if path.endswith((".c", ".h", ".def", ".proto", ".lua", ".py", ".sh", ".txt", ".yml")))
    words = set(re.findall(r"\w+", code)) | {name.rsplit(".", 1)[0] for name in files}
    missing = []
    for page in PAGES:
        for line in (ROOT / page).read_text().splitlines():
            for shown in re.findall(r"`([^`]+)`", line) if "later" not in line else ():
                shown = re.sub(r"\S*(?:\*|NAME)\S*", "", shown)  # any of a kind
                names = re.findall(r"\w+\.(?:c|h|py|lua|def|proto|sh)\b", shown)
                missing += [f"{page}: {name}" for name in names if name not in files]
                names = re.findall(r"(?<![\w.])[a-z]+(?:_[a-z0-9]+)+(?!\w)", shown)
                missing += [f"{page}: {name}" for name in names if name not in words]
    assert missing == []


@pytest.mark.parametrize("tool,page", [("session_diagram.py", "SESSION.md"), ("pictures.py", "PICTURES.md")])
def test_pages_that_are_made(tool, page):
    """SESSION.md is what the table of a session's steps says today, PICTURES.md what the names of calls and frames do."""
    made = subprocess.run(["/usr/bin/python3", "-B", ROOT / "tools" / tool], check=True, capture_output=True, text=True)
    assert made.stdout == (ROOT / "docs" / page).read_text()


def test_pictures_name_what_there_is():
    """A call or a frame that is not in the tables cannot be drawn."""
    sequence = pictures.Sequence("room A", "register")
    sequence.call("room A", "register", "login")
    with pytest.raises(AssertionError):
        sequence.call("room A", "register", "logon")
    with pytest.raises(AssertionError):
        sequence.frame("room A", "register", "HULLO")

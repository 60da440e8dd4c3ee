"""What the documents show is what the code does."""

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
"""


def test_readme_shell_blocks(tmp_path):
    """The shell blocks of the README, pasted one after the other on a machine of their own, do what the text around them says. A file of an
    older cluster is there; a first device and a second one print what they should, and not what they should not."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(blocks) == 3
    push, receive, to_all = (b.replace("build/release/bin", str(BIN)).replace("/tmp/trial", str(tmp_path / "trial")) for b in blocks)
    phone = receive.splitlines()[1].replace("laptop", "phone").replace(" &", " >phone.out &")
    script = README_TEST
    for name, text in (("PUSH", push), ("RECEIVE", receive), ("ALL", to_all), ("PHONE", phone)):
        script = script.replace(f"\n{name}\n", f"\n{text}\n")
    ended = subprocess.run(["unshare", "--map-root-user", "--net", "bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    log = tmp_path / "trial.log"
    assert ended.returncode == 0, (ended.stdout[-2000:], ended.stderr[-2000:], log.read_text()[-2000:] if log.exists() else "")


def test_stale_cluster_file(tmp_path):
    """What an older cluster left in the folder is gone before the new one is ready: nobody reads its ports and key. The new file cannot be
    written here, so what is left is what was there."""
    (tmp_path / "cluster.json").write_text('{"admin_key": "of an older cluster"}')
    (tmp_path / "cluster.json.new").mkdir()
    ended = subprocess.run([BIN / "hawser", "--dir", tmp_path], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and "cluster.json" in ended.stderr
    assert not (tmp_path / "cluster.json").exists()


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

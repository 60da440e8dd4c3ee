"""The disk itself: a cut drops what was written and not synced, and nothing else. The run asks the same before it begins. It needs root."""

import pathlib
import subprocess
import sys


def test_what_is_not_synced_is_dropped(tmp_path):
    here = pathlib.Path(__file__).resolve().parent
    program = f"import sys, pathlib; sys.path.insert(0, {str(here)!r}); import disk; print(disk.faults_of(pathlib.Path({str(tmp_path)!r})))"
    answer = subprocess.run(["unshare", "--mount", sys.executable, "-B", "-c", program], capture_output=True, text=True, timeout=60)
    assert answer.stdout.strip() == "[]", answer.stdout + answer.stderr

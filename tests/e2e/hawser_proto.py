"""The contract's messages as Python classes, loaded the way the golden vectors are made."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vectors"))
from make_vectors import load_messages

pb = load_messages()

#!/usr/bin/env python3
"""What lua_embed.py makes of a script's head, and that its check finds what is planted: each fault is written into a folder of its own."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

HOME = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HOME / "common/store"))
import lua_embed  # noqa: E402

SCRIPT = """-- What it does.
--
-- KEYS base: the front
-- ARGV count number ms: how long
-- ARGV word text: any
-- REST seq number, id text: each
-- PACK both low 1, high 8
-- CONST LIMIT = C_LIMIT
-- PARTS helper
-- REPLY [nn] first second

local low, high = struct.unpack(BOTH, base)
for i = rest, #ARGV, 2 do twice(ARGV[i]) end -- a comment of a line
if count > LIMIT then return {0, 0} end
return {redis.call('GET', base .. word), twice(count)}
"""
HELPER = "-- What it is.\nlocal function twice(n) return 2 * n end\n"


class Folder:
    """A folder of one script and its part."""

    def __init__(self, test, script=SCRIPT, helper=HELPER):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        (self.path / "part").mkdir()
        (self.path / "part/helper.lua").write_text(helper)
        (self.path / "step.lua").write_text(script)

    def said(self):
        """What the check says; empty when all is well."""
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                lua_embed.check([str(self.path)])
        except SystemExit as end:
            return str(end.code or "")
        return ""


class Made(unittest.TestCase):
    def test_both_sides(self):
        folder = Folder(self)
        lua_embed.make("own", folder.path, folder.path, ["limits.h"])
        header, source = ((folder.path / f"own_scripts.{end}").read_text() for end in "hc")
        for line in ("const char *base;", "uint64_t count;", "const char *word;", "const struct redis_args *rest;",
                     "enum { OWN_STEP_AT_FIRST, OWN_STEP_AT_SECOND };", "OWN_SCRIPT_STEP,", "struct own_both {", "uint64_t low;", "redis_put_number(out, from->low, 1);", "redis_put_number(out, from->high, 8);"):
            self.assertIn(line, header)
        for line in ('#include "limits.h"', '{"LIMIT", (int64_t)C_LIMIT},', 'local base = KEYS[1]', 'local count = tonumber(ARGV[2])',
                     'local word = ARGV[3]', "local BOTH = '<I1I8'", 'local rest = 4', '{REDIS_ARG_NUMBER, offsetof(struct own_step_args, count)},'):
            self.assertIn(line, source)
        self.assertNotIn("What it does", source)


class Checked(unittest.TestCase):
    def test_well(self):
        self.assertEqual(Folder(self).said(), "")

    def test_faults(self):
        for old, new, said in (
                ("return {redis", "return redis", "unexpected symbol|expected"), ("count > LIMIT", "cuont > LIMIT", "cuont is nobody's"),
                ("return {0, 0}", "left = 1", "left is nobody's"), (".. word", "", "word is not used"),
                ("if count > LIMIT", "if count > 7", "LIMIT is not used"), ("number ms: how", "integer: how", "not a row of ARGV"),
                ("-- REPLY [nn] first second\n", "", "one REPLY"), ("PARTS helper", "PARTS nothing", "no part nothing"),
                ("CONST LIMIT", "CONST limit", "not a row of CONST")):
            self.assertIn(old, SCRIPT)
            self.assertRegex(Folder(self, SCRIPT.replace(old, new)).said(), said)

    def test_a_part_that_is_not_named(self):
        script, helper = SCRIPT.replace("-- PARTS helper\n", ""), "-- CONST SIZE\n-- PACK place low 1\nlocal one, two = 1, 2\nif one then\n  local inner = 1\nend\n"
        for name, said in (("two", ": PARTS does not name helper"), ("SIZE", ": PARTS does not name helper"), ("PLACE", ": PARTS does not name helper"),
                           ("inner", ""), ("tw", "")):
            told = Folder(self, script.replace("twice(", f"{name}("), helper).said()
            self.assertTrue(told.endswith(f"{name} is nobody's{said}"), told)

    def test_a_part(self):
        self.assertIn("m is nobody's", Folder(self, helper=HELPER.replace("2 * n", "2 * m")).said())


if __name__ == "__main__":
    unittest.main()

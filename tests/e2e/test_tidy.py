"""What ./dev tidy says of a tree: each rule finds what it is for, and is silent where nothing is wrong."""

import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import tidy  # noqa: E402

CALM = {
    "room/a.h": "struct a {\n    int *at;\n    uint8_t bytes[4];\n};\nint a_sum(const struct a *a, const char *name, size_t name_len);\n",
    "room/a.c": """// a comment with /* "an end" in a comment
static void a_step(struct a *a, void (*told)(void *arg), void *arg, const char *format, ...) {
    *a->at = 1;
    told(arg);
}

int a_sum(const struct a *a, const char *name, size_t name_len) {
    return a->bytes[0];
}

int main(void) {
    struct a a;
    a_step(&a, NULL, NULL, "4001 {");
    return a_sum(&a, "", 0);
}
""",
}


def said(sources):
    return [line.split(": ", 1)[1] for line in tidy.findings([tidy.File(path, text) for path, text in sources.items()])]


def function(name, lines, first=""):
    return f"static int {name}(void) {{\n{first}" + "    step();\n" * lines + f"    return {name}();\n}}\n"


# Three files in order: each is called by the one above.
ORDERED = {
    "room/all.h": "// What they share. Each file calls those below it only:\n//\n//   top.c   life; mid.c more of it\n//   low.c   the rest (see top.c)\n",
    "room/top.c": "int top(void) {\n    return mid() + top();\n}\n",
    "room/mid.c": "int mid(void) {\n    return low();\n}\n",
    "room/low.c": "int low(void) {\n    return 1;\n}\n",
}

# Three files of no order whose calls come back to the first.
CIRCLED = {
    "saver/a.c": "int a_it(void) {\n    return b_it();\n}\n",
    "saver/b.c": "int b_it(void) {\n    return c_it();\n}\n",
    "saver/c.c": "int c_it(void) {\n    return a_it();\n}\n",
}

# A voice that is asked to speak by hello.c, and makes bytes by what stands below.
VOICED = {
    "room/all.h": "// Each file calls those below it only:\n//\n//   voice_a.c   a voice\n//   hello.c     a Hello\n//   binding.c   sessions\n",
    "room/voice_a.c": "static void say_it(void) {\n    generation();\n}\nstatic void hears(void) {\n    hello_got();\n}\nconst struct voice a = {.take = hears, .say_welcome = say_it};\n",
    "room/hello.c": "void hello_got(void) {\n    hello_got();\n}\nvoid hello_spread(void) {\n    hello_spread();\n}\n",
    "room/binding.c": "void generation(void) {\n    generation();\n}\n",
}

SPOILED = [
    ("sizes", {"room/b.c": function("long_one", 60)}, "long_one has 60 lines, at most 50"),
    ("sizes", {"room/b.c": function("wide_switch", 70, "    switch (x) {\n")}, "wide_switch has 71 lines, at most 70"),
    ("sizes", {"room/b.c": "// a line\n" * 601}, "601 lines, at most 600"),
    ("sizes", {"room/b.c": "enum kind " + function("of_a_kind", 60).removeprefix("static int ")}, "of_a_kind has 60 lines, at most 50"),
    ("sizes", {"room/b.c": function("why_so", 60).replace("{\n", "{ // why\n", 1)}, "why_so has 60 lines, at most 50"),
    ("parameters", {"room/b.c": "static void five(int a, int b, int c, int d, int e) {\n    five(1, 2, 3, 4, 5);\n}\n"}, "five takes 5 values, at most 4"),
    ("names", {"room/b.c": function("twice", 1), "center/b.c": function("twice", 1)}, "twice is a function of room/b.c too"),
    ("structs", {"room/b.c": "struct both {\n    int at[2];\n};\nstatic int at_of(struct both *b) {\n    return b->at[0];\n}\n", "center/b.c": "struct both {\n    int at;\n};\n"}, "struct both is one of room/b.c too"),
    ("close_codes", {"room/b.c": "enum { OVER = 4001 };\nint over = OVER;\n"}, "4001 has a name"),
    ("dead_functions", {"room/b.h": "void lonely(void);\n", "room/b.c": "void lonely(void) {\n}\n"}, "nobody calls lonely"),
    ("dead_methods", {"proto/methods.h": "#define ROOM_METHODS(X)\n    X(room, stats, ROOM_METHOD__ROOM_STATS, Stats)\n"}, "nobody calls room_stats"),
    ("dead_fields", {"room/b.c": "struct b {\n    int kept;\n};\nvoid main(struct b *b) {\n    b->kept++;\n}\n"}, "nothing reads kept"),
    ("dead_fields", {"room/b.c": "struct b {\n    int kept;\n};\n"}, "nothing reads kept"),
    ("dead_constants", {"room/b.c": "enum { USED, UNUSED = 2 };\nint x = USED;\n"}, "nothing uses UNUSED"),
    ("dead_constants", {"room/b.h": "#define UNUSED 2\n"}, "nothing uses UNUSED"),
    ("glossary", {"room/b.c": "// a tenant of ours\n"}, "'tenant': the word is product (docs/GLOSSARY.md)"),
    ("glossary", {"room/b.c": "int tenant_count;\n"}, "'tenant': the word is product (docs/GLOSSARY.md)"),
    ("core_includes", {"room/core/b.c": "#include <sys/epoll.h>\n"}, "sys/epoll.h is not for room/core"),
    ("core_includes", {"room/core/b.c": '#include "room.pb-c.h"\n'}, "room.pb-c.h is not for room/core"),
    ("core_includes", {"room/core/b.c": '#include "loop.h"\n', "common/net/loop.h": "int x;\n"}, "loop.h is not for room/core"),
    ("core_includes", {"room/core/b.c": '#include "arena.h"\n', "common/base/arena.h": "#include <protobuf-c/protobuf-c.h>\n"}, "arena.h is not for room/core"),
    ("calls_upwards", ORDERED | {"room/low.c": "int low(void) {\n    return top();\n}\n"}, "top is a function of room/top.c, which stands above in room/all.h"),
    ("calls_upwards", ORDERED | {"room/mid.c": "int mid(void) {\n    return top();\n}\n"}, "top is a function of room/top.c, which stands above in room/all.h"),
    ("voices_ask", VOICED | {"room/voice_a.c": VOICED["room/voice_a.c"].replace("generation()", "hello_spread()")}, "hello_spread is a function of room/hello.c, which speaks by this voice"),
    ("voices_ask", VOICED | {"room/voice_a.c": "static void fill(void) {\n    hello_spread();\n}\n" + VOICED["room/voice_a.c"].replace("generation()", "fill()")}, "hello_spread is a function of room/hello.c, which speaks by this voice"),
    ("circles", CIRCLED, "b_it is a function of saver/b.c, which calls saver/a.c in turn"),
    ("circles", CIRCLED, "a_it is a function of saver/a.c, which calls saver/c.c in turn"),
    ("states", {"room/b.c": "void b_it(struct conn *c) {\n    c->state = CONN_OPEN;\n    b_it(c);\n}\n"}, "a state that conn_enter does not change"),
    ("leftovers", {"room/b.c": "// TO" + "DO: later\n"}, "TO" + "DO"),
]


def test_a_tree_in_order():
    """Comments, strings, bytes with their length, callbacks with their argument and what is read through a pointer are nobody's fault."""
    assert said(CALM) == []


def test_what_a_core_may_include():
    """C's own few, its own headers and those of common/base."""
    sources = {"room/core/b.c": '#include "b.h"\n#include <string.h>\n#include "buf.h"\n', "room/core/b.h": "", "common/base/buf.h": ""}
    assert said(sources) == []


def test_a_name_that_a_macro_makes():
    """A table's macro that pastes a function's name together calls it; another function beside it is dead all the same."""
    macro = "#define STEP(server, name) server##_store_##name(server);\nint x = 0;\n"
    sources = {"room/b.h": macro + "void lonely(void);\n", "room/b.c": "void room_store_read(void) {\n}\nvoid lonely(void) {\n}\nSTEP(room, read)\n"}
    assert [line for line in said(CALM | sources) if line.startswith("dead_functions")] == ["dead_functions: nobody calls lonely"]


def test_files_in_order():
    """Calls that go down, or stay in their file, and a file that is named beside the list, are in order."""
    assert [line for line in said(CALM | ORDERED) if line.startswith("calls_upwards")] == []


def test_calls_that_are_no_circle():
    """Two ways to one file are none, nor is a file that another folder calls back."""
    sources = CIRCLED | {"saver/c.c": "int c_it(void) {\n    return z_it();\n}\n", "room/z.c": "int z_it(void) {\n    return a_it();\n}\n"}
    assert [line for line in said(CALM | sources) if line.startswith("circles")] == []


def test_a_voice_that_asks_nobody():
    """What it hears goes down to hello.c; what it says is made from binding.c on."""
    assert [line for line in said(CALM | VOICED) if line.startswith("voices_ask")] == []


@pytest.mark.parametrize("rule, sources, what", SPOILED)
def test_a_rule_finds_what_it_is_for(rule, sources, what):
    assert f"{rule}: {what}" in said(CALM | sources)


def test_fmt_looks_at_folders(tmp_path):
    """`./dev fmt --check` is held to what stands in folders, also before it is committed, and not to what somebody tried at the top."""
    root = pathlib.Path(__file__).resolve().parents[2]
    for name in ("dev", ".clang-format"):
        shutil.copy(root / name, tmp_path)
    check = lambda: subprocess.run(["./dev", "fmt", "--check"], cwd=tmp_path, capture_output=True, timeout=60).returncode
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "room").mkdir()
    (tmp_path / "room/a.c").write_text("int a;\n")
    (tmp_path / "main.c").write_text("int   main( void ){return 0;}\n")
    assert check() == 0
    (tmp_path / "room/new.c").write_text("int   a;\n")
    assert check() != 0

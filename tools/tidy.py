#!/usr/bin/python3
"""Holds the habits of the code that no compiler knows; `./dev tidy`, and part of the gate.

    tools/tidy.py             says what is wrong, as file:line: rule: what, and exits 1 if anything is
    tools/tidy.py --figures   sizes: files, the longest functions, the functions with the most parameters

What it knows of C is what clang-format guarantees: a definition begins in the first column and its last brace stands there.
"""

import pathlib
import re
import subprocess
import sys
from collections import Counter, defaultdict

ROOT = pathlib.Path(__file__).resolve().parents[1]

FILE_LINES, FUNCTION_LINES, SWITCH_LINES, MAIN_LINES, PARAMETERS = 600, 50, 70, 40, 4

# What applications call keeps its shape, whatever we think of it later.
PUBLIC = "sdk/c/hawser.h"
EMBED = ROOT / "common/store/lua_embed.py"  # it writes C

# Functions of the daemons that nobody calls but tests, and what for.
FOR_TESTS = {
    "cluster_is_ready": "a test waits for its daemons to know each other",
    "daemon_self": "the simulation looks into its daemons",
    "rpc_link_in_flight": "each call is completed once",
    "rpc_link_peer_incarnation": "a link leads to the run that it was asked for",
    "config_markdown": "docs/CONFIG.md is held to it",
    "ack_refused": "another voice than Hawser's, in a test so far",
    "hello_got_wants": "another voice than Hawser's, in a test so far",
    "frame_type_is_from": "the protocol's table of directions is held to the contract",
    "register_store_memory_next_history": "a store that was restarted",
    "saver_store_memory_is_of": "a store that goes back to an older history",
    "saver_store_memory_next_history": "a store that was restarted",
    "session_leads_to": "the table names no state that no test has reached",
    "session_effect_name": "tests tell a session's story in words",
    "wheel_armed": "nothing stays armed",
}

# Functions with more parameters than PARAMETERS, and why.
WIDE = {
    "log_peer_event": "log_event and the peer; a struct would hide the words at its callers",
}

# Folders whose files call each other in a circle, and why.
IN_CIRCLES = {
    "tools/bench": "the bench is no daemon",
}


class File:
    """A source file: its text; the same with comments and strings blanked, character for character; its functions."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.code = TOKEN.sub(lambda m: blank(m[0]), text)
        self.functions = list(functions_of(self.code)) if path.endswith((".c", ".h")) else []

    def line_of(self, offset):
        return self.code.count("\n", 0, offset) + 1


class Function:
    def __init__(self, match, end):
        self.name, self.parameters = match["name"], split(match["parameters"])
        self.is_static = bool(re.search(r"\bstatic\b", match["head"]))
        self.start, self.body, self.end = match.start("name"), match.end(), end


TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)
DEFINITION = re.compile(r"^(?![#}\s])(?P<head>[^;{}#=]*?)\b(?P<name>\w+)\((?P<parameters>[^;{}]*?)\)\s*\{[ ]*\n", re.M)
PROTOTYPE = re.compile(r"^\w.*", re.M)
DEFINE = re.compile(r"^#define (?:.*\\\n)*.*\n", re.M)
CALL = re.compile(r"\b(\w+)\(")
WORD = re.compile(r"\b[A-Za-z_]\w*\b")


def blank(token):
    return re.sub(r"[^\n]", " ", token)


def functions_of(code):
    for m in DEFINITION.finditer(code):
        if not m["head"].startswith("typedef"):
            yield Function(m, code.index("\n}", m.end() - 1))


def split(parameters):
    depth, parts = 0, [""]
    for c in parameters:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    parts = [" ".join(p.split()) for p in parts]
    return [] if parts in (["void"], [""]) else parts


def values_of(parameters):
    """How many things a caller has to think of. Bytes and their length are one, and so are a callback and its argument;
    what a format stands for, and the place that a macro fills in, are none."""
    values, before = 0, ""
    for parameter in parameters:
        is_length = re.search(r"(?:_|\b)(?:len|count|size)$", parameter) and ("*" in before or before.endswith("]"))
        is_argument = re.search(r"\*(?:arg|owner)$", parameter) and re.search(r"_fn \*|\(\*|_ops \*", before)
        is_place = parameter in ("const char *file", "int line")
        values += not (is_length or is_argument or is_place or parameter in ("...", "va_list args"))
        before = parameter
    return values


# --- the rules: each yields (file, offset, what is wrong)


def sizes(files):
    """Files and functions are as long as one can keep in mind; a switch of single calls may be longer."""
    for f in files:
        lines = f.text.count("\n")
        if lines > FILE_LINES:
            yield f, 0, f"{lines} lines, at most {FILE_LINES}"
        for fn in f.functions:
            lines = f.code.count("\n", fn.body, fn.end)
            is_switch = re.search(r"^ {4}switch \(", f.code[fn.body : fn.end], re.M)
            most = MAIN_LINES if fn.name == "main" else SWITCH_LINES if is_switch else FUNCTION_LINES
            if lines > most:
                yield f, fn.start, f"{fn.name} has {lines} lines, at most {most}"


def parameters(files):
    """A function takes at most four values."""
    public = set(WORD.findall(text_of(files, PUBLIC)))
    for f, fn in ours(files):
        values = values_of(fn.parameters)
        if values > PARAMETERS and fn.name not in WIDE and fn.name not in public:
            yield f, fn.start, f"{fn.name} takes {values} values, at most {PARAMETERS}"


def names(files):
    """One function, one name: it has to say in a backtrace what it is about."""
    homes = defaultdict(list)
    for f, fn in ours(files):
        if fn.name != "main":
            homes[fn.name].append((f, fn))
    for name, found in homes.items():
        for f, fn in found[1:]:
            yield f, fn.start, f"{name} is a function of {found[0][0].path} too"


KIND = re.compile(r"^(?:static )?(?:const )?struct (\w+) \{", re.M)


def structs(files):
    """One struct, one name in all daemons. The SDK and each tool are programs of their own."""
    homes = {}
    for f in files:
        for m in KIND.finditer(f.code) if is_product(f) and not f.path.startswith(("sdk/", "tools/")) else ():
            if homes.setdefault(m[1], f.path) != f.path:
                yield f, m.start(), f"struct {m[1]} is one of {homes[m[1]]} too"


def close_codes(files):
    """A close code is written by its name (common/base/close_codes.h)."""
    for f in files:
        if is_product(f) and f.path not in (PUBLIC, "common/base/close_codes.h"):
            for m in re.finditer(r"\b4[0-3]0[0-5]\b", f.code):
                yield f, m.start(), f"{m[0]} has a name"


def dead_functions(files):
    """What nobody calls goes; what only tests call is on the list above."""
    calls, public = words_of(files, is_product) + Counter(WORD.findall(EMBED.read_text())), set(WORD.findall(text_of(files, PUBLIC)))
    declared = Counter(w for f in files if is_product(f) and f.path.endswith(".h") for line in PROTOTYPE.findall(DEFINE.sub("", f.code)) for w in WORD.findall(line))
    # Names that a table makes, by what stands before ##name.
    made = tuple({m for f in files if is_product(f) for m in re.findall(r"(?<![#\w])(\w+_)##", f.code)})
    middles = {m for f in files if is_product(f) for m in re.findall(r"##(_\w+_)##", f.code)}
    for f, fn in ours(files):
        is_called = calls[fn.name] > 1 + declared[fn.name]
        if not (is_called or fn.is_static or fn.name in public or fn.name in FOR_TESTS or fn.name.startswith(made) or any(re.match(rf"[a-z]+{part}", fn.name) for part in middles) or fn.name == "main"):
            yield f, fn.start, f"nobody calls {fn.name}"


METHOD = re.compile(r"^ +X\((\w+),\s+(\w+),\s+\w+_METHOD__", re.M)


def dead_methods(files):
    """What one daemon serves, another calls."""
    calls = words_of(files, is_product)
    for f in files:
        for m in METHOD.finditer(f.code) if f.path == "proto/methods.h" else ():
            if not calls[f"{m[1]}_{m[2]}"]:
                yield f, m.start(1), f"nobody calls {m[1]}_{m[2]}"


ACCESS = re.compile(r"(?:->|\.)(\w+)(?:\[[^\]\n]*\])?[ ]?(\+\+|--|[-+|&]?=(?!=))?")
STRUCT = re.compile(r"^(?:static )?struct(?: \w+)? \{\n(.*?)^\}", re.S | re.M)
MEMBER = re.compile(r"(?<![(\w])([a-z]\w*)(?:\[[^\]\n]*\])*(?: : \d+)?[,;]")


def dead_fields(files):
    """A field that is written and never read is a leftover, and so is one that is neither."""
    product = [f for f in files if is_product(f)]
    writes, declared, seen = Counter(), Counter(), words_of(files, is_product)
    for f in product:
        for m in ACCESS.finditer(f.code):
            # *x.end = ... reads where the end is.
            is_through = re.search(r"\*[\w.>\[\]-]*$", f.code[max(0, m.start() - 80) : m.start()])
            is_value = m[2] in ("++", "--") and re.search(r"[=(,?:][ ]?[\w.>\[\]-]*$", f.code[max(0, m.start() - 80) : m.start()])
            writes[m[1]] += bool(m[2] and not is_through and not is_value)
        declared.update(m[1] for body in STRUCT.finditer(f.code) for m in MEMBER.finditer(body[1]))
    for f in product:
        for body in STRUCT.finditer(f.code) if f.path != PUBLIC else ():
            for m in MEMBER.finditer(body[1]):
                if seen[m[1]] <= writes[m[1]] + declared[m[1]]:
                    yield f, body.start(1) + m.start(), f"nothing reads {m[1]}"


def dead_constants(files):
    """A macro or an enum value that nothing names goes."""
    uses = words_of(files, lambda f: True)
    for f in files:
        if not is_product(f) or not f.path.endswith((".c", ".h")) or f.path in (PUBLIC, "common/base/close_codes.h"):
            continue
        for m in re.finditer(r"^#define (\w+)", f.code, re.M):
            if uses[m[1]] == 1 and not re.search(rf"\b{m[1]}\b", GIVEN_MACROS):
                yield f, m.start(), f"nothing uses {m[1]}"
        for body in re.finditer(r"\benum(?: \w+)? \{(.*?)\}", f.code, re.S):
            for m in re.finditer(r"\b([A-Z][A-Z0-9_]+)\b(?=\s*(?:[,=]|$))", body[1]):
                if uses[m[1]] == 1:
                    yield f, body.start(1) + m.start(), f"nothing uses {m[1]}"


# Macros that a library's header asks for.
GIVEN_MACROS = "HASH_FUNCTION _GNU_SOURCE"


def glossary(files):
    """One word for one thing: what the glossary calls otherwise is not written."""
    others = words_to_avoid((ROOT / "docs/GLOSSARY.md").read_text())
    for f in files:
        text = re.sub(r"_", " ", f.text).lower()
        for other, word in others:
            for m in re.finditer(rf"\b{other}s?\b", text):
                yield f, m.start(), f"'{m[0]}': the word is {word} (docs/GLOSSARY.md)"


def words_to_avoid(page):
    """(other, word) for each row `| word | is | not |` of the page whose third cell names others."""
    rows = re.findall(r"^\| ([^|]+?) \| [^|]+ \| ([^|]+?) \|$", page, re.M)
    return [(re.escape(other.strip()), word) for word, cell in rows for other in cell.split(",") if word not in ("word", "---")]


INCLUDE = re.compile(r'^#include ([<"])(\S+)[>"]', re.M)
CORE_SYSTEM = {"assert.h", "stdbool.h", "stddef.h", "stdint.h", "stdlib.h", "string.h", "sys/queue.h"}


def core_includes(files):
    """A room's core has no protobuf, no loop and no kernel: what it includes is its own, common/base's, or one of these few of C's."""
    below = {f.path.rsplit("/", 1)[1] for f in files if f.path.startswith(("room/core/", "common/base/")) and not re.search(r"protobuf|openssl", f.text)}
    for f in files:
        if f.path.startswith("room/core/"):
            for m in INCLUDE.finditer(f.text):
                if m[2] not in (CORE_SYSTEM if m[1] == "<" else below):
                    yield f, m.start(), f"{m[2]} is not for room/core"


def leftovers(files):
    """Nothing that is to be done stands in the code: it is done, or it is an issue."""
    for f in files:
        for m in re.finditer(r"\b(TODO|FIXME|XXX|HACK)\b", f.text):
            yield f, m.start(), m[0]


def calls_upwards(files):
    """Where a header lists the files of its folder from the top down, a file calls those below it only."""
    for header in files:
        listed = order_of(header)
        folder = header.path.rpartition("/")[0]
        inside = {f.path: f for f in files if f.path.rpartition("/")[0] == folder}
        ranked = [inside[f"{folder}/{name}"] for name in listed if f"{folder}/{name}" in inside]
        rank = {fn.name: (i, f) for i, f in enumerate(ranked) for fn in f.functions if not fn.is_static}
        for i, f in enumerate(ranked):
            for m in CALL.finditer(f.code):
                at, home = rank.get(m[1], (i, f))
                if at < i:
                    yield f, m.start(), f"{m[1]} is a function of {home.path}, which stands above in {header.path}"


def circles(files):
    """The files of a folder do not call each other in a circle: one can be read before the others."""
    home = {fn.name: f.path for f, fn in ours(files) if not fn.is_static}
    calls = defaultdict(dict)
    for f in files:
        folder = f.path.rpartition("/")[0]
        for m in CALL.finditer(f.code) if f.path.endswith(".c") and is_product(f) and folder not in IN_CIRCLES else ():
            other = home.get(m[1], f.path)
            if other != f.path and other.endswith(".c") and other.rpartition("/")[0] == folder:
                calls[f.path].setdefault(other, (f, m.start(), m[1]))
    for path in calls:
        for other, (f, at, name) in calls[path].items():
            if path in reached_from(other, calls):
                yield f, at, f"{name} is a function of {other}, which calls {path} in turn"


def reached_from(path, calls):
    seen, left = set(), [path]
    while left:
        for other in calls.get(left.pop(), {}):
            if other not in seen:
                seen.add(other)
                left.append(other)
    return seen


def states(files):
    """A connection's state changes in one function, which asserts that the step is one of the table."""
    for f in files:
        if re.fullmatch(r"room/\w+\.c", f.path):
            for m in re.finditer(r"->state = ", f.code):
                if not any(fn.name == "conn_enter" and fn.body <= m.start() < fn.end for fn in f.functions):
                    yield f, m.start(), "a state that conn_enter does not change"


SPOKEN_FROM = "binding.c"


def voices_ask(files):
    """What a voice says is given to it: making bytes of it, a voice calls nobody above binding.c, so whoever speaks is not called back."""
    for header in files:
        listed, folder = order_of(header), header.path.rpartition("/")[0]
        above = listed[: listed.index(SPOKEN_FROM)] if SPOKEN_FROM in listed else []
        home = {fn.name: f.path for f in files if f.path in [f"{folder}/{name}" for name in above] for fn in f.functions if not fn.is_static}
        for f in files:
            if re.fullmatch(rf"{folder}/voice_\w+\.c", f.path):
                for m in calls_from(f, re.findall(r"\.(?:say|put)_\w+ = (\w+)", f.code)):
                    if m[1] in home:
                        yield f, m.start(), f"{m[1]} is a function of {home[m[1]]}, which speaks by this voice"


def calls_from(f, names):
    """The calls in these functions of a file, and in those of the file that they call."""
    bodies, seen, left = {fn.name: fn for fn in f.functions}, set(), list(names)
    while left:
        fn = bodies.get(left.pop())
        if fn and fn.name not in seen:
            seen.add(fn.name)
            for m in CALL.finditer(f.code, fn.body, fn.end):
                left.append(m[1])
                yield m


def order_of(header):
    """The files that the header's opening comment lists, from the top down; none if it does not say that calls go down."""
    opening = re.match(r"(?://.*\n)*", header.text)[0]
    if not header.path.endswith(".h") or "calls those below it only" not in opening.replace("\n//", ""):
        return []
    return [name for line in re.findall(r"^//   (\w+\.c .*)", opening, re.M) for name in re.findall(r"(?:^|; )(\w+\.c)", line)]


RULES = (sizes, parameters, names, structs, close_codes, dead_functions, dead_methods, dead_fields, dead_constants, glossary, core_includes, leftovers, calls_upwards, circles, states, voices_ask)


def is_product(f):
    return not f.path.startswith("tests/")


def ours(files):
    return ((f, fn) for f in files if is_product(f) for fn in f.functions)


def words_of(files, which):
    return Counter(w for f in files if which(f) for w in WORD.findall(f.code))


def text_of(files, path):
    return next((f.code for f in files if f.path == path), "")


def findings(files):
    for rule in RULES:
        for f, offset, what in rule(files):
            yield f"{f.path}:{f.line_of(offset)}: {rule.__name__}: {what}"


def figures(files):
    lines = sorted(((f.code.count("\n", fn.body, fn.end), fn.name, f.path) for f, fn in ours(files)), reverse=True)
    wide = sorted(((values_of(fn.parameters), fn.name, f.path) for f, fn in ours(files)), reverse=True)
    print(f"{sum(map(is_product, files))} files, {sum(f.text.count(chr(10)) for f in files if is_product(f))} lines, {len(lines)} functions")
    print(f"of more than 40 lines: {sum(n > 40 for n, *_ in lines)}; of more than {PARAMETERS} values: {sum(n > PARAMETERS for n, *_ in wide)}")
    for title, table in (("lines", lines), ("values", wide)):
        for n, name, path in table[:12]:
            print(f"  {n:3} {title}  {name}  {path}")


def main():
    listed = subprocess.run(["git", "ls-files", "*.c", "*.h", "*.proto", "*.lua"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [File(path, (ROOT / path).read_text()) for path in listed.stdout.split()]
    if "--figures" in sys.argv[1:]:
        return figures(files)
    found = list(findings(files))
    print("\n".join(found) or f"tidy: {len(files)} files, {len(RULES)} rules, nothing to say")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

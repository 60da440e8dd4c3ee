#!/usr/bin/env python3
"""Makes the C side of a store's Lua scripts, or checks them.

    lua_embed.py make NAME FOLDER OUT HEADER...   writes OUT/NAME_scripts.c and .h from FOLDER/*.lua
    lua_embed.py check FOLDER...                  every script, put together, compiles and uses no name that nobody made

A script is a file; what several share is a file in FOLDER/part, or in scripts/part beside this program. Each begins with its head:
lines of comment, of which these say what the script takes and gives.

    -- KEYS name: what                     in order; the first names the slot, and all lie in it
    -- ARGV name type [unit]: what         text, bytes, number, digits (a number that stays text), flag
    -- REST name type, ...: what           the arguments behind these, in groups; the first is ARGV[rest]
    -- CONST NAME [= C_NAME]               a number of a HEADER, by that name in Lua too
    -- PACK name field bytes, ...          numbers in one argument, the lowest byte first: NAME is their format
    -- PARTS name ...                      in order; those of a part come with it
    -- REPLY shape [name ...]              its shape (redis_reply.h) and what stands at each place of an array

Of it come a struct of the arguments for C, one for each PACK with what puts it, and the locals for Lua, so that no side counts places. In front of the arguments a script gets
`history`, six bytes: which history of the data its caller knows. It is compared first, and another one refused; where all keys were deleted
there is none, and who connects says it anew.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
HISTORY_KEY = re.search(r'REDIS_HISTORY_KEY "(.*)"', (HERE / "redis_history.h").read_text())[1]
C_TYPES = {"text": "const char *", "bytes": "struct redis_bytes ", "number": "uint64_t ", "digits": "uint64_t ", "flag": "bool "}
IN_LUA = {"text": "{}", "bytes": "{}", "digits": "{}", "number": "tonumber({})", "flag": "{} == '1'"}
KNOWN = {"redis", "KEYS", "ARGV", "string", "table", "math", "struct", "tonumber", "tostring", "type", "unpack", "ipairs", "pairs"}
HEAD = {"KEYS": r"(\w+): .+", "ARGV": r"(\w+) (text|bytes|number|digits|flag)( \w+)?: .+", "REST": r"([\w, ]+): .+",
        "PACK": r"(\w+) (\w+ \d(?:, \w+ \d)*)", "CONST": r"([A-Z]\w*)(?: = ([A-Z]\w*))?", "PARTS": r"([\w ]+)", "REPLY": r"(\S+)((?: \w+)*)"}


class Source:
    """A file: its head by kind, and its lines without those that are only comment."""

    def __init__(self, path):
        self.name, self.head, self.lines = path.stem, {kind: [] for kind in HEAD}, []
        for at, line in enumerate(path.read_text().splitlines(), 1):
            said = re.match(r"-- ([A-Z]{4,5}) (.*)", line)
            if said and said[1] in HEAD:
                row = re.fullmatch(HEAD[said[1]], said[2])
                if not row:
                    sys.exit(f"{path}:{at}: not a row of {said[1]}: {said[2]}")
                self.head[said[1]].append(row)
            elif not re.match(r"\s*(--|$)", line):
                self.lines.append(line)


class Pack:
    def __init__(self, row):
        self.name, self.fields = row[1], [(name, int(size)) for name, size in (field.split() for field in row[2].split(", "))]
        self.format = "<" + "".join(f"I{size}" for _, size in self.fields)

    def in_c(self, name):
        kind = f"struct {name}_{self.name}"
        return [f"{kind} {{", *(f"    uint64_t {field};" for field, _ in self.fields), "};",
                f"static inline void {name}_{self.name}_put(struct buf *out, const {kind} *from) {{",
                *(f"    redis_put_number(out, from->{field}, {size});" for field, size in self.fields), "}"]


def part_folders(folder):
    return folder / "part", HERE / "scripts/part"


class Script(Source):
    """A script with its parts, and the names that its head makes."""

    def __init__(self, path, folder):
        super().__init__(path)
        self.folder = folder
        self.parts, self.constants = [], {}
        self.take_parts(self, folder, path)
        for source in [*self.parts, self]:
            for row in source.head["CONST"]:
                self.constants[row[1]] = row[2] or row[1]
        self.keys = [row[1] for row in self.head["KEYS"]]
        self.args = [(row[1], row[2]) for row in self.head["ARGV"]]
        if not self.keys or len(self.head["REPLY"]) != 1:
            sys.exit(f"{path}: a script has KEYS, and one REPLY")

    def take_parts(self, source, folder, path):
        for name in " ".join(row[1] for row in source.head["PARTS"]).split():
            found = [p for p in (home / f"{name}.lua" for home in part_folders(folder)) if p.exists()]
            if not found:
                sys.exit(f"{path}: no part {name}")
            part = Source(found[0])
            self.take_parts(part, folder, found[0])
            if name not in [p.name for p in self.parts]:
                self.parts.append(part)

    def packs(self):
        return [Pack(row) for source in [*self.parts, self] for row in source.head["PACK"]]

    def locals(self):
        names = self.keys + [name for name, _ in self.args]
        values = [f"KEYS[{i + 1}]" for i in range(len(self.keys))]
        values += [IN_LUA[kind].format(f"ARGV[{i + 2}]") for i, (_, kind) in enumerate(self.args)]
        out = ["local history = ARGV[1]",
               "if redis.call('GET', HISTORY_KEY) ~= history then return redis.error_reply('HISTORY the data is of another one') end"]
        out = [line.replace("HISTORY_KEY", f"'{HISTORY_KEY}'") for line in out]
        out += [f"local {name} = {value}" for name, value in zip(names, values)]
        out += [f"local {pack.name.upper()} = '{pack.format}'" for pack in self.packs()]
        return out + [f"local rest = {len(self.args) + 2}"] * len(self.head["REST"])


def scripts_of(folder):
    return [Script(path, folder) for path in sorted(folder.glob("*.lua"))]


def literal(lines):
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return "\n".join(f'    "{line}\\n"' for line in escaped) or '    ""'


def header_of(name, scripts):
    guard = f"HW_{name.upper()}_SCRIPTS_H"
    out = [f"// Made from {name}/scripts by common/store/lua_embed.py.", f"#ifndef {guard}", f"#define {guard}", '#include "redis_store.h"',
           f"enum {name}_script {{"]
    out += [f"    {name.upper()}_SCRIPT_{s.name.upper()}," for s in scripts] + [f"    {name.upper()}_SCRIPTS,", "};"]
    out.append(f"extern const struct redis_script_source {name}_scripts[{name.upper()}_SCRIPTS];")
    for pack in {pack.name: pack for s in scripts for pack in s.packs()}.values():
        out += pack.in_c(name)
    for s in scripts:
        out.append(f"struct {name}_{s.name}_args {{")
        out += [f"    const char *{key};" for key in s.keys] + [f"    {C_TYPES[kind]}{arg};" for arg, kind in s.args]
        out += ["    const struct redis_args *rest;"] * len(s.head["REST"]) + ["};"]
        out += [f"static inline void {name}_{s.name}_run(struct redis_store *s, const struct {name}_{s.name}_args *args,",
                "    redis_done_fn *done, void *arg) {",
                f"    redis_store_run(s, &(struct redis_run){{{name.upper()}_SCRIPT_{s.name.upper()}, args}}, done, arg);", "}"]
        places = s.head["REPLY"][0][2].split()
        if places:
            out.append("enum { " + ", ".join(f"{name}_{s.name}_at_{place}".upper() for place in places) + " };")
    return "\n".join(out + ["#endif", ""])


def source_of(name, scripts, headers):
    parts = {part.name: part for s in scripts for part in s.parts}
    out = [f'#include "{name}_scripts.h"', *(f'#include "{header}"' for header in headers), "#include <stddef.h>",
           '#pragma GCC diagnostic ignored "-Woverlength-strings"']
    out += [f"static const char part_{part.name}[] =\n{literal(part.lines)};" for part in parts.values()]
    for s in scripts:
        out.append(f"static const char locals_{s.name}[] =\n{literal(s.locals())};")
        out.append(f"static const char body_{s.name}[] =\n{literal(s.lines)};")
        pieces = [f"locals_{s.name}"] + [f"part_{part.name}" for part in s.parts] + [f"body_{s.name}", "NULL"]
        out.append(f"static const char *const pieces_{s.name}[] = {{{', '.join(pieces)}}};")
        fields = [(key, "key") for key in s.keys] + s.args + [("rest", "rest")] * len(s.head["REST"])
        rows = [f"    {{REDIS_ARG_{kind.upper()}, offsetof(struct {name}_{s.name}_args, {field})}}," for field, kind in fields]
        out.append(f"static const struct redis_script_arg args_{s.name}[] = {{\n" + "\n".join(rows) + "\n};")
        rows = [f'    {{"{lua}", (int64_t){c}}},' for lua, c in s.constants.items()]
        out.append(f"static const struct redis_script_constant constants_{s.name}[] = {{\n" + "\n".join(rows + ["    {0}"]) + "\n};")
    out.append(f"const struct redis_script_source {name}_scripts[] = {{")
    for s in scripts:
        n = len(s.keys) + len(s.args) + len(s.head["REST"])
        out.append(f'    [{name.upper()}_SCRIPT_{s.name.upper()}] = {{"{s.name}", "{s.head["REPLY"][0][1]}", constants_{s.name},'
                   f" pieces_{s.name}, args_{s.name}, {n}, {len(s.keys)}}},")
    return "\n".join(out + ["};", ""])


def make(name, folder, out, headers):
    scripts = scripts_of(pathlib.Path(folder))
    pathlib.Path(out, f"{name}_scripts.h").write_text(header_of(name, scripts))
    pathlib.Path(out, f"{name}_scripts.c").write_text(source_of(name, scripts, headers))


def is_made_in(name, part):
    """Whether scripts that have the part in their PARTS find a local of that name."""
    of_head = [row[1] for row in part.head["CONST"]] + [row[1].upper() for row in part.head["PACK"]]
    return name in of_head or any(re.match(rf"local (?:function )?(?:\w+, )*{name}\b", line) for line in part.lines)


def nobodys(name, folder):
    parts = [Source(path) for home in part_folders(folder) for path in sorted(home.glob("*.lua"))]
    having = [part.name for part in parts if is_made_in(name, part)]
    return f"{name} is nobody's" + (f": PARTS does not name {' or '.join(having)}" if having else "")


def complaints(script):
    """Of the compiler, and of each name that is read or written without a local of it."""
    text = [f"local {name} = 0" for name in script.constants] + script.locals()
    text += [line for source in [*script.parts, script] for line in source.lines]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write("\n".join(text) + "\n")
        file.flush()
        done = subprocess.run(["luac5.1", "-p", "-l", file.name], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return [done.stderr.strip()]
    used = set(re.findall(r"[GS]ETGLOBAL\s.*; (\w+)", done.stdout))
    whole = "\n".join(text)
    return [nobodys(name, script.folder) for name in sorted(used - KNOWN)] + \
        [f"{name} is not used" for name in [*script.constants, *dict(script.args)] if len(re.findall(rf"\b{name}\b", whole)) < 2]


def check(folders):
    bad = [f"{folder}/{s.name}.lua: {what}" for folder in folders for s in scripts_of(pathlib.Path(folder)) for what in complaints(s)]
    sys.exit("\n".join(bad) or 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"] and len(sys.argv) >= 5:
        make(*sys.argv[2:5], sys.argv[5:])
    elif sys.argv[1:2] == ["check"] and len(sys.argv) > 2:
        check(sys.argv[2:])
    else:
        sys.exit(__doc__)

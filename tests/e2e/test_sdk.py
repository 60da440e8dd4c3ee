"""The client library as others get it: installed, linked from C and C++, built without the daemons' libraries; and what hawser-sub
shows of a peer that means harm."""

import json
import os
import pathlib
import pty
import re
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from cluster import BIN
from hawser_proto import pb

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = BIN.parent
ASAN = ["-fsanitize=address,undefined"] if "asan" in BUILD.name else []
HEADER = (ROOT / "sdk/c/hawser.h").read_text()
DECLARED = set(re.findall(r"^[a-z].*?\b(hawser_\w+)\(", re.sub(r"//.*", "", HEADER), re.M))

C_PROGRAM = """
#include <hawser.h>
#include <stdio.h>
static int on_message(void *arg, const struct hawser_message *m) { (void)arg; (void)m; return 0; }
int main(void) {
    const char *rooms[] = {"127.0.0.1:1"};
    struct hawser_options options = {.rooms = rooms, .room_count = 1, .device = "d", .callbacks = {.on_message = on_message}};
    char error[HAWSER_ERROR_BYTES];
    struct hawser_client *client = hawser_new(&options, error, sizeof(error));
    printf("%s\\n", client ? hawser_state_name(hawser_status(client)->state) : error);
    hawser_free(client);
    return 0;
}
"""
CXX_PROGRAM = """
#include <hawser.h>
#include <cstdio>
static int on_message(void *, const hawser_message *) { return 0; }
static void on_state(void *, const hawser_status *) {}
int main() {
    const char *rooms[] = {"127.0.0.1:1"};
    hawser_options options{};
    options.rooms = rooms;
    options.room_count = 1;
    options.device = "d";
    options.callbacks.on_message = on_message;
    options.callbacks.on_state = on_state;
    char error[HAWSER_ERROR_BYTES];
    hawser_client *client = hawser_new(&options, error, sizeof(error));
    hawser_status status = *hawser_status_get(client);
    std::printf("%s\\n", hawser_state_name(status.state));
    hawser_free(client);
}
"""
CMAKE_PROJECT = """cmake_minimum_required(VERSION 3.25)
project(app C)
find_package(hawser 0.1 REQUIRED)
foreach(kind hawser static)
    add_executable(app_${kind} main.c)
    target_link_libraries(app_${kind} hawser::${kind})
endforeach()
"""


def run(*command, **options):
    ended = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600, **options)
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Where `cmake --install` put the library."""
    prefix = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "sdk")
    assert not (prefix / "bin").exists()
    return prefix


PROGRAMS = {f"hawser-{role}" for role in ("register", "saver", "room", "center", "coordinator", "dispatcher", "bench", "sub")} | {"hawser", "hawserctl"}


def test_installed_programs(prefix, tmp_path):
    """The component `daemons` is every executable that a cluster needs, without the library; no component means both. The installed
    hawser-bench finds the daemons beside it, and so ends with numbers."""
    run("cmake", "--install", BUILD, "--prefix", tmp_path / "some", "--component", "daemons")
    assert {p.relative_to(tmp_path / "some").as_posix() for p in (tmp_path / "some").rglob("*") if p.is_file()} == {f"bin/{name}" for name in PROGRAMS}
    run("cmake", "--install", BUILD, "--prefix", tmp_path / "all")
    assert {p.name for p in (tmp_path / "all/bin").iterdir()} == PROGRAMS
    assert {p.name for p in (tmp_path / "all").rglob("*hawser*.[hapt]*")} == {p.name for p in prefix.rglob("*hawser*.[hapt]*")}
    told = run(tmp_path / "all/bin/hawser-bench", "idle", "--sessions", "10", "--json", cwd=tmp_path)
    assert json.loads(told.splitlines()[-1])["sessions"] == 10


def pkg_config(prefix, *what):
    path = next(prefix.rglob("hawser.pc")).parent
    system = run("pkg-config", "--variable", "pc_path", "pkg-config").strip()
    return run("pkg-config", *what, "hawser", env={**os.environ, "PKG_CONFIG_LIBDIR": f"{path}:{system}"}).split()


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("linked", ["shared", "static"])
def test_installed(prefix, tmp_path, language, linked):
    """A C and a C++ program compile against the installed prefix by pkg-config, with either library, and run."""
    compiler, name, text = ("cc", "main.c", C_PROGRAM) if language == "c" else ("c++", "main.cc", CXX_PROGRAM)
    (tmp_path / name).write_text(text)
    libs = pkg_config(prefix, "--libs", *(["--static"] if linked == "static" else []))
    if linked == "static":
        libs = ["-l:libhawser.a" if lib == "-lhawser" else lib for lib in libs]
    run(compiler, "-Wall", "-Wextra", "-Werror", *ASAN, *pkg_config(prefix, "--cflags"), tmp_path / name, "-o", tmp_path / "main", *libs)
    folder = next(prefix.rglob("libhawser.so")).parent
    out = run(tmp_path / "main", env={**os.environ, "LD_LIBRARY_PATH": str(folder) if linked == "shared" else ""})
    assert out == "offline\n"


@pytest.mark.parametrize("language", ["c11", "c++20"])
def test_sample(prefix, tmp_path, language):
    """The README's program compiles as the language that the README says, and nothing in it or in the header is an extension."""
    (tmp_path / "main.c").write_text(re.search(r"```c\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1])
    kind = ["-x", "c++"] if "+" in language else []
    run("cc", *kind, f"-std={language}", "-pedantic", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Werror", *pkg_config(prefix, "--cflags"),
        "-c", tmp_path / "main.c", "-o", tmp_path / "main.o")


def test_cmake_package(prefix, tmp_path):
    """find_package finds it, and both targets link."""
    (tmp_path / "main.c").write_text(C_PROGRAM)
    (tmp_path / "CMakeLists.txt").write_text(CMAKE_PROJECT)
    flags = f"-DCMAKE_C_FLAGS={' '.join(ASAN)}"
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", flags)
    run("cmake", "--build", tmp_path / "build")
    for kind in ("hawser", "static"):
        assert run(tmp_path / "build" / f"app_{kind}") == "offline\n"


def test_exported_names(prefix):
    """Both libraries export what hawser.h declares and nothing else, and the shared one has its soname."""
    shared, archive = next(prefix.rglob("libhawser.so")), next(prefix.rglob("libhawser.a"))
    names = {line.split()[-1].split("@")[0] for line in run("nm", "-D", "--defined-only", shared).splitlines()} - {"HAWSER_0"}
    assert names == DECLARED
    lines = run("nm", "-g", "--defined-only", archive).splitlines()
    assert {line.split()[-1] for line in lines if len(line.split()) == 3} == DECLARED
    assert "[libhawser.so.0]" in run("readelf", "-d", shared)
    assert "TEXTREL" not in run("readelf", "-d", shared)


def test_sdk_only(tmp_path):
    """With pkg-config knowing only the SDK's libraries, the tree configures as the README says and builds the library, optimised and
    without a build type being named, and no daemon. The checkout stays as it was."""
    for name in ("libprotobuf-c", "libcrypto", "jansson"):
        folder = run("pkg-config", "--variable", "pcfiledir", name).strip()
        shutil.copy(pathlib.Path(folder) / f"{name}.pc", tmp_path)
    env = {**os.environ, "PKG_CONFIG_LIBDIR": str(tmp_path)}
    configure = re.search(r"`cmake -S \. -B build/sdk (\S*)`, then `cmake --build build/sdk`", (ROOT / "README.md").read_text())
    run("cmake", "-S", ROOT, "-B", tmp_path / "build", configure[1], "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", env=env)
    run("cmake", "--build", tmp_path / "build", "-j2", env=env)
    assert " -O2 -g " in (tmp_path / "build/compile_commands.json").read_text()
    assert not (ROOT / "CMakeCache.txt").exists()
    assert (tmp_path / "build/lib/libhawser.so").exists() and (tmp_path / "build/lib/libhawser.a").exists()
    assert not list((tmp_path / "build").rglob("hawser-*"))


def frame(number, message):
    body = message.SerializeToString()
    return struct.pack(">I", number << 24 | len(body)) + body


ESCAPES = "\x1b[2J\x9b31m\x07"


class HostileRoom:
    """Welcomes whoever comes and sends a message and an end that hold commands for a terminal."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        with self.listener, self.listener.accept()[0] as s:
            s.recv(65536)
            bound = pb.Bound(product=1, name="demo", user="ann", generation=5, after=[pb.Position(epoch=7)])
            s.sendall(frame(65, pb.Welcome(bound=[bound], heartbeat_s=60)))
            s.sendall(frame(67, pb.Push(product=1, seq=1, id="id" + ESCAPES, payload=("pay" + ESCAPES).encode())))
            s.sendall(frame(74, pb.Close(code=4003, reason="end" + ESCAPES)))
            s.recv(65536)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_sub_cleans_its_output(options):
    """On a terminal neither ids, payloads nor reasons reach it raw; the failure is said, and the exit is 1."""
    room = HostileRoom()
    reader, terminal = pty.openpty()
    process = subprocess.Popen([BIN / "hawser-sub", "--room", f"127.0.0.1:{room.port}", "--device", "d", "--token", "opaque", *options],
                               stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(reader, 65536):
            shown += piece
    except OSError:
        pass  # its other end is closed
    os.close(reader)
    assert process.wait(60) == 1
    room.thread.join(60)
    assert b"pay" in shown and b"stopped by the cluster: 4003 end" in shown
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]", shown), shown


def test_sub_says_a_line_at_a_time():
    """Each write to stderr is whole lines, so that lines of two programs at one terminal do not mix. A datagram is what one write wrote."""
    room = HostileRoom()
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with reader, writer:
        ended = subprocess.run([BIN / "hawser-sub", "--room", f"127.0.0.1:{room.port}", "--device", "d", "--token", "opaque"],
                               stdout=subprocess.DEVNULL, stderr=writer, timeout=60)
        reader.setblocking(False)
        pieces = []
        with pytest.raises(BlockingIOError):
            while True:
                pieces.append(reader.recv(65536))
    room.thread.join(60)
    assert ended.returncode == 1 and any(b"stopped by the cluster" in piece for piece in pieces)
    assert all(piece.endswith(b"\n") for piece in pieces), pieces


def test_sub_at_a_room_for_a_dispatcher(cluster):
    """A room that is named as dispatcher says what it is, and hawser-sub says so."""
    token = cluster.product().token("ann")
    ended = subprocess.run([BIN / "hawser-sub", "--quiet", "--dispatcher", f"127.0.0.1:{cluster.info['rooms'][0]}", "--device", "d", "--token",
                            token], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert "is no dispatcher: this is a room, not a dispatcher" in ended.stderr

"""The client library as others get it: installed, linked from C and C++, built without the daemons' libraries."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from cluster import BIN

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
    run("cmake", "--install", BUILD, "--prefix", prefix)
    return prefix


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
    """With pkg-config knowing only the SDK's libraries, the tree configures and builds the library, and no daemon."""
    for name in ("libprotobuf-c", "libcrypto", "jansson"):
        folder = run("pkg-config", "--variable", "pcfiledir", name).strip()
        shutil.copy(pathlib.Path(folder) / f"{name}.pc", tmp_path)
    env = {**os.environ, "PKG_CONFIG_LIBDIR": str(tmp_path)}
    run("cmake", "-S", ROOT, "-B", tmp_path / "build", "-G", "Ninja", "-DHAWSER_SDK_ONLY=ON", env=env)
    run("cmake", "--build", tmp_path / "build", env=env)
    assert (tmp_path / "build/lib/libhawser.so").exists() and (tmp_path / "build/lib/libhawser.a").exists()
    assert not list((tmp_path / "build").rglob("hawser-*"))

"""A disk whose power can be cut: ext4 on a loop device, which the kernel shuts down (EXT4_IOC_SHUTDOWN, without a flush of the journal). What was
written and not synced is in the kernel's memory alone, and is dropped there: pages, sizes and names alike. The next mount plays the journal again,
as after a power cut.

What has reached the device counts as kept. So servers on such a disk write through the page cache: with O_DIRECT all that they write
would be there, synced or not.
"""

import fcntl
import os
import struct
import subprocess
import time

SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
WITHOUT_FLUSH = 2
# Nothing is written behind a server's back for as long as can be: what it did not sync is to be lost.
OPTIONS = "loop,noatime,noauto_da_alloc,noinit_itable,commit=300"
BUSY_S = 20


class Disk:
    """Needs root, and a mount namespace whose end takes it away. `memory` and `where` are folders; the image lies in the first one, a file system
    in memory, and the second one is where it is mounted."""

    def __init__(self, memory, where, size="1g"):
        self.where = where
        for folder in (memory, where):
            folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", memory], check=True)
        self.image = memory / "image"
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", self.image, size], check=True, stdout=subprocess.DEVNULL)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-t", "ext4", "-o", OPTIONS, self.image, self.where], check=True)

    def sync(self):
        subprocess.run(["sync", "-f", self.where], check=True)

    def cut(self):
        """Nothing is written from now on; who uses it gets errors."""
        folder = os.open(self.where, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(folder)

    def again(self):
        """Behind a cut, when all who used it have ended: what it has kept is there."""
        deadline = time.monotonic() + BUSY_S
        while subprocess.run(["umount", self.where], stderr=subprocess.DEVNULL).returncode != 0:
            assert time.monotonic() < deadline, f"{self.where} is still used"
            time.sleep(0.02)
        self.mount()


def write(path, data, is_synced, how=os.O_WRONLY | os.O_CREAT):
    fd = os.open(path, how, 0o600)
    os.write(fd, data)
    if is_synced:
        os.fsync(fd)
    os.close(fd)


def sync_folder(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def faults_of(folder):
    """Cuts a new disk's power, and answers what it has kept or lost against the rules: synced is there; written alone is not."""
    disk = Disk(folder / "memory", folder / "disk", "64m")
    at = disk.where
    write(at / "overwritten", b"old " * 4096, True)
    write(at / "appended", b"old", True)
    write(at / "renamed", b"renamed", True)
    write(at / "renamed-synced", b"renamed", True)
    sync_folder(at)
    os.rename(at / "renamed-synced", at / "synced-name")
    sync_folder(at)
    write(at / "synced", b"synced", True)
    sync_folder(at)
    write(at / "overwritten", b"new " * 4096, False)
    write(at / "appended", b"new", False, os.O_WRONLY | os.O_APPEND)
    write(at / "written", b"written", False)
    os.rename(at / "renamed", at / "other-name")
    disk.cut()
    disk.again()
    names = sorted(p.name for p in at.iterdir() if p.is_file())
    has = {name: (at / name).read_bytes() for name in names}
    subprocess.run(["umount", disk.where], check=True)
    subprocess.run(["umount", folder / "memory"], check=True)
    rules = {
        "what was synced is not there": has.get("synced") == b"synced",
        "a name that was synced is not there": has.get("synced-name") == b"renamed" and "renamed-synced" not in has,
        "a page that was not synced is there": has.get("overwritten") == b"old " * 4096,
        "an end that was not synced is there": has.get("appended") == b"old",
        "a file that was not synced is there": not has.get("written"),
        "a file whose new name was not synced has neither": [has.get("renamed"), has.get("other-name")].count(b"renamed") == 1,
    }
    return [rule for rule, is_kept in rules.items() if not is_kept]

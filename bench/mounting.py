# SPDX-License-Identifier: MIT
"""Mounts for one measurement each: of zfec-fs, of its peers, and of the floor."""

import contextlib
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

from commands import Failed, run_quietly

LIMIT_S = 60
READ_AHEAD_KB = 1024  # as zfec-fs sets it where it may


def _is_mounted(path):
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as table:
        return any(line.split(" ")[4] == str(path) for line in table)


def _wait_until_mounted(path, process):
    """Waits for changes of the table of mounts, and looks whether it is there."""
    deadline = time.monotonic() + LIMIT_S
    with open("/proc/self/mountinfo", "rb") as table:
        waiting = select.poll()
        waiting.register(table, select.POLLPRI | select.POLLERR)
        while not _is_mounted(path):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{' '.join(map(str, process.args))}: does not mount")
            waiting.poll(100)
    os.stat(path)  # answered only once requests are served


def _unmount(path, process):
    if _is_mounted(path) and subprocess.run(["fusermount3", "-u", path], check=False).returncode:
        subprocess.run(["fusermount3", "-uz", path], check=False)
    try:
        process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _widen_read_ahead(path):
    """What zfec-fs does for its mounts, for the floor; refused where this is not root."""
    device = os.stat(path).st_dev
    control = Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
    with contextlib.suppress(OSError):
        control.write_text(str(READ_AHEAD_KB), encoding="ascii")


class Mounted:
    """A mount: a path for the reader, and the server behind it."""

    def __init__(self, path, process):
        self.path = path
        self._process = process

    def memory_mb(self):
        """The most that the server has held."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1000


class Bare:
    """No mount at all, where others have one."""

    def __init__(self, path):
        self.path = path

    @staticmethod
    def memory_mb():
        return None


class Mounts:
    """Each method returns a function that makes a new mount, to be used in `with`."""

    def __init__(self, lab):
        self._lab = lab
        self._keys = None

    def _make(self, *command, tuned=False, folder=""):
        @contextlib.contextmanager
        def mount():
            with self._lab.passing_folder() as mountpoint:
                process = subprocess.Popen(
                    [*command, mountpoint], stdin=subprocess.DEVNULL, start_new_session=True
                )
                try:
                    _wait_until_mounted(mountpoint, process)
                    if tuned:
                        _widen_read_ahead(mountpoint)
                    yield Mounted(mountpoint / folder, process)
                finally:
                    _unmount(mountpoint, process)

        return mount

    @staticmethod
    def bare(path):
        return lambda: contextlib.nullcontext(Bare(path))

    def floor(self, required, source, access="pread", pages="cached"):
        """The files 0, 1, ..., for each byte of which the floor reads REQUIRED of the source."""
        return self._make(self._lab.tools / "floor", str(required), access, pages, source,
                          tuned=True)  # fmt: skip

    def bindfs(self, source):
        return self._make("bindfs", "-f", "-r", source)

    def encoded(self, source, required, count, folder="", more=""):
        options = f"required={required},shares={count}{more}"
        return self._make(self._lab.binary, "-f", "-o", options, source, folder=folder)

    def restored(self, stores, more=""):
        return self._make(self._lab.binary, "-f", "-o", f"restore{more}", stores)

    def rebuilt(self, stores, count, folder=""):
        return self._make(self._lab.binary, "-f", "-o", f"rebuild,shares={count}", stores,
                          folder=folder)  # fmt: skip

    def gocryptfs_reverse(self, source):
        if not shutil.which("gocryptfs"):
            return None  # the subject is left out
        config, password = self._gocryptfs_keys(source)
        return self._make("gocryptfs", "-fg", "-q", "-nosyslog", "-reverse", "-config", config,
                          "-passfile", password, source)  # fmt: skip

    def gocryptfs_over(self, mount, source):
        """Decrypts what MOUNT shows of what gocryptfs_reverse shows of SOURCE."""
        config, password = self._gocryptfs_keys(source)

        @contextlib.contextmanager
        def both():
            with mount() as lower:
                upper = self._make("gocryptfs", "-fg", "-q", "-ro", "-nosyslog", "-config", config,
                                   "-passfile", password, lower.path)  # fmt: skip
                with upper() as mounted:
                    yield mounted

        return both

    def _gocryptfs_keys(self, source):
        """A key beside the source, which stays as it is; guarded weakly, and so opened fast."""
        if self._keys is None:
            folder = self._lab.folder / "gocryptfs"
            folder.mkdir()
            self._keys = folder / "config", folder / "password"
            self._keys[1].write_text("benchmark\n", encoding="ascii")
            run_quietly(["gocryptfs", "-q", "-init", "-reverse", "-scryptn", "10", "-config",
                         self._keys[0], "-passfile", self._keys[1], source])  # fmt: skip
        return self._keys

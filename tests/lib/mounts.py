# SPDX-License-Identifier: MIT
"""Starts zfec-fs, waits until its mount is there, and ends it, looking at exit status and log.

Nothing sleeps: the kernel says when the mount table changes and when a process ends.
"""

import contextlib
import ctypes
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("ZFEC_FS", REPOSITORY / "build" / "zfec-fs")).absolute()
IS_SANITIZED = BINARY.exists() and b"__asan_init" in BINARY.read_bytes()
# Whether there is time for as many as .ci/run tries; a test takes fewer otherwise, by the printed seed.
IS_LONG = "1" in map(os.environ.get, ("ZFEC_FS_TEST_LONG", "ZFEC_FS_TEST_LARGE"))
FILE_SYSTEM_TYPE = "fuse.zfec-fs"
START_LIMIT_S = 30
_PR_SET_CHILD_SUBREAPER = 36
_MNT_FORCE = 1
_MNT_DETACH = 2
# A server that hangs is killed after this time: its readers then get an error, and the test fails.
# What several tests share may live longer.
LIFE_LIMIT_S = int(os.environ.get("ZFEC_FS_TEST_LIMIT", "300"))
SANITIZER = re.compile(r"runtime error:|(ERROR|WARNING|SUMMARY): \w*Sanitizer|LeakSanitizer")

MountEntry = namedtuple("MountEntry", "path type source options")


class StartFailed(AssertionError):
    """zfec-fs ended instead of mounting."""


# The mount table


def _unescape(field):
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)


def _parse_entry(line):
    ours, theirs = line.split(" - ", 1)
    kind, source, super_options = theirs.split(" ")
    fields = ours.split(" ")
    options = fields[5].split(",") + super_options.split(",")
    return MountEntry(_unescape(fields[4]), kind, _unescape(source), options)


def mount_table():
    """What is mounted, as far as it is zfec-fs's."""
    text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    entries = [_parse_entry(line) for line in text.split("\n") if line]
    return [entry for entry in entries if entry.type == FILE_SYSTEM_TYPE]


def entry_of(path):
    """What is mounted at a path, without a question to the file system there: it may hang."""
    folder, name = os.path.split(os.path.abspath(path))
    real = os.path.join(os.path.realpath(folder), name)
    return next((entry for entry in mount_table() if entry.path == real), None)


def is_mounted(path):
    return entry_of(path) is not None


def mounted_beneath(folder):
    start = os.path.realpath(folder) + "/"
    return [entry.path for entry in mount_table() if entry.path.startswith(start)]


def unmount_at_any_cost(path):
    """Also where a server waits for itself: such a thread cannot be killed, only its mount can."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).umount2(os.fsencode(path), _MNT_FORCE | _MNT_DETACH)
    else:
        subprocess.run(["fusermount3", "-uz", path], check=False, capture_output=True)


# Waiting


@contextlib.contextmanager
def _process_handle(pid):
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


unsanitized = pytest.mark.unsanitized  # see conftest.py
long = pytest.mark.long


def if_long(*values):
    """What stands beside other values of a parameter for .ci/run alone."""
    return [pytest.param(value, marks=long) for value in values]



def is_sanitized(process):
    """A sanitizer keeps freed memory, and looks for leaks in all threads before it lets them end."""
    return IS_SANITIZED and Path(f"/proc/{process.pid}/exe").samefile(BINARY)


def wait_for_exit(pid, limit_s=START_LIMIT_S):
    """Waits until a process, child or not, has ended. Returns whether it did."""
    with _process_handle(pid) as handle:
        if handle is None:
            return True
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        return bool(waiting.poll(limit_s * 1000))


def wait_for_mount_table(condition, pid=None, limit_s=START_LIMIT_S):
    """Waits until condition() holds, asking again at each change of the mount table.

    Ends early, and says so by False, when the process `pid` ends or the time is over.
    """
    deadline = time.monotonic() + limit_s
    with open("/proc/self/mountinfo", "rb") as table, _process_handle(pid or os.getpid()) as handle:
        waiting = select.poll()
        waiting.register(table, select.POLLPRI | select.POLLERR)
        if handle is not None:
            waiting.register(handle, select.POLLIN)
        while not condition():
            left_ms = (deadline - time.monotonic()) * 1000
            events = dict(waiting.poll(max(0, left_ms)))
            if not events or handle is None or handle in events:
                return condition()
        return True


# One mount


class Mount:
    """A view mounted by a zfec-fs in the foreground, and what its log may say."""

    def __init__(self, process, path, log_path, life_limit_s):
        self.process = process
        self.path = path
        self._log_path = log_path
        self._expected = []
        self._ended = False
        self._watchdog = threading.Timer(life_limit_s, self._break)
        self._watchdog.daemon = True
        self._watchdog.start()

    def __truediv__(self, name):
        return self.path / name

    def wait_until_ready(self):
        if wait_for_mount_table(lambda: is_mounted(self.path), self.process.pid):
            # Answered only once requests are served. Another user's mount refuses it at once.
            with contextlib.suppress(OSError):
                os.lstat(self.path)
            return
        self.kill()
        raise StartFailed(f"no mount, exit status {self.process.returncode}: {self.log()}")

    def expect_log(self, pattern, count=None):
        """Announces lines that match: at least one must come, or `count` (0: any number may)."""
        self._expected.append((re.compile(pattern), count))

    def log(self):
        return self._log_path.read_text(errors="replace")

    def unmount(self):
        """Ends the mount as a user would, and checks that it ended well."""
        if self._ended:
            return
        done = subprocess.run(
            ["fusermount3", "-u", self.path], check=False, capture_output=True, text=True
        )
        if done.returncode:
            self.kill()
            raise AssertionError(f"fusermount3 -u: {done.stderr.strip()}; log: {self.log()}")
        self.check_end()

    def end_by_signal(self, number):
        self.process.send_signal(number)
        self.check_end()

    def check_end(self):
        """Waits for the server's end; checks exit status, mount table and log."""
        ended = wait_for_exit(self.process.pid)
        left = is_mounted(self.path)
        self.kill()
        assert ended, f"zfec-fs did not end; log: {self.log()}"
        assert not left, f"the mount on {self.path} is left"
        assert self.process.returncode == 0, f"exit {self.process.returncode}: {self.log()}"
        self._check_log()

    def kill(self):
        """Leaves neither mount nor process, whatever state they are in."""
        self._ended = True
        self._watchdog.cancel()
        self._break()
        self.process.wait()

    def _break(self):
        if self.process.poll() is None:
            self.process.kill()
        if is_mounted(self.path):
            unmount_at_any_cost(self.path)

    def _check_log(self):
        lines = self.log().splitlines()
        dirty = [line for line in lines if SANITIZER.search(line)]
        assert not dirty, self.log()
        surprises = [
            line for line in lines if not any(regex.search(line) for regex, _ in self._expected)
        ]
        assert not surprises, "\n".join(["the log holds lines that no test announced:", *surprises])
        for regex, count in self._expected:
            found = sum(bool(regex.search(line)) for line in lines)
            assert count == 0 or (found == count if count else found), (
                f"{found} log lines match {regex.pattern!r}, expected {count or 'at least one'}; "
                f"log: {self.log()}"
            )


# The mounts of a test


def option_list(options):
    """-o for keyword options; True stands for an option without a value."""
    words = [
        name if value is True else f"{name}={value}"
        for name, value in options.items()
        if value is not None and value is not False  # 0 is a value
    ]
    return ["-o", ",".join(words)] if words else []


class Mounts:
    """Makes the mounts of one test, each on a folder of its own, and ends them, last first."""

    def __init__(self, folder, life_limit_s=None):
        self._folder = Path(folder)
        self._mounts = []
        self._life_limit_s = life_limit_s

    def start(self, *arguments, at=None, before=(), **how):
        """Runs `zfec-fs -f ARGUMENTS... MOUNTPOINT` and returns the Mount once it is ready."""
        number = len(self._mounts)
        path = Path(at) if at else self._folder / f"mnt-{number}"
        path.mkdir(exist_ok=True)
        log_path = self._folder / f"log-{number}"
        command = [*before, how.pop("binary", BINARY), "-f", *arguments, how.pop("spelled", path)]
        with open(log_path, "wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **how
            )
        mount = Mount(process, path, log_path, self._life_limit_s or LIFE_LIMIT_S)
        self._mounts.append(mount)
        mount.wait_until_ready()
        return mount

    def encoded(self, source, *more, at=None, **options):
        return self.start(*option_list(options), *more, source, at=at)

    def restored(self, stores, *more, at=None, **options):
        return self.start("-o", "restore", *option_list(options), *more, stores, at=at)

    def rebuilt(self, stores, *more, at=None, **options):
        return self.start("-o", "rebuild", *option_list(options), *more, stores, at=at)

    def end_all(self):
        failures = []
        for mount in reversed(self._mounts):
            try:
                mount.unmount()
            except AssertionError as failure:
                failures.append(str(failure))
        assert not failures, "\n".join(failures)


# zfec-fs without a mount of its own to look after


def run(*arguments, limit_s=START_LIMIT_S, before=(), **how):
    """Runs zfec-fs until its first process returns."""
    return subprocess.run(
        [*before, BINARY, *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit_s,
        **how,
    )


# Servers in the background


def adopt_servers():
    """Makes servers that detach children of this process, so that their exit status is told."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _is_our_server(status):
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    running = not fields["State"].startswith("Z")
    return fields["Name"] == "zfec-fs" and int(fields["PPid"]) == os.getpid() and running


def servers():
    """The running zfec-fs processes that are children of this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if _is_our_server(path.read_text(errors="replace")):
                found.append(int(path.parent.name))
    return found


def stop_process(pid):
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

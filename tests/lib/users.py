# SPDX-License-Identifier: MIT
"""A user without root, and what he has to run zfec-fs."""

import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from commands import run

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root")


@contextlib.contextmanager
def fuse_device_for_all():
    """Opens /dev/fuse to every user for a while; where it is root's alone, users cannot mount.

    Under a lock: of two runs of these tests at once, one would put back what the other has opened.
    """
    device = os.open("/dev/fuse", os.O_RDWR)
    try:
        fcntl.flock(device, fcntl.LOCK_EX)
        mode = stat.S_IMODE(os.fstat(device).st_mode)
        try:
            os.chmod("/dev/fuse", mode | 0o666)
            yield
        finally:
            os.chmod("/dev/fuse", mode)
    finally:
        os.close(device)


class User:
    """What a user without root has: a copy of the program, folders, and no right to this test's."""

    WORDS = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

    def __init__(self, folder, binary):
        self.folder = folder
        self.binary = Path(shutil.copy(binary, folder / "zfec-fs"))
        os.chmod(self.binary, 0o755)

    def own(self, path):
        for each in [path, *path.rglob("*")]:
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
        return path

    def run(self, *command, **how):
        return subprocess.run(
            [*self.WORDS, *command], check=False, capture_output=True, cwd="/", timeout=60, **how
        )

    def read(self, path):
        done = self.run("cat", path)
        return done.stdout if done.returncode == 0 else done.stderr


# Tests name it before `mounts`, so that the mounts are gone when its folder is looked at.
@pytest.fixture
def user(binary, public_path):
    for tool in ("setpriv", "fusermount3"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is missing")
    with fuse_device_for_all():
        yield User(public_path, binary)


def as_nobody(*command):
    return subprocess.run([*User.WORDS, *command], check=False, capture_output=True)


def run_as(user, *words, **how):
    return run(*words, before=user.WORDS, binary=user.binary, cwd="/", **how)


def user_mount(mounts, user, *words, name="mnt"):
    """A foreground mount that belongs to the user, on a folder that does, too."""
    path = user.folder / name
    path.mkdir()
    user.own(path)
    return mounts.start(*words, at=path, before=user.WORDS, binary=user.binary, cwd="/")


@pytest.fixture
def home(user):
    """The user's own folder."""
    (user.folder / "home").mkdir()
    return user.own(user.folder / "home")


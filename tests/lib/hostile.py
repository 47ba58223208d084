# SPDX-License-Identifier: MIT
"""Stores that somebody else fills, views of them, and limits of what these may take."""

import contextlib
import os
import socket
import stat
import time
from pathlib import Path

import pytest

import mounts as mounts_module

REQUIRED = 3
BLOCK_SIZE = 4096
STRIPE = REQUIRED * BLOCK_SIZE
BLOCK_STEP = BLOCK_SIZE + 32
DATA = b"0123456789"
LARGE = os.environ.get("ZFEC_FS_TEST_LARGE") == "1"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def stores(tmp_path):
    folder = tmp_path / "stores"
    folder.mkdir()
    return folder


def restored(mounts, stores, *more, **options):
    """A restored view whose log may say anything, as long as it is the program's own lines."""
    view = mounts.restored(stores, *more, **options)
    view.expect_log(r"^zfec-fs: ", count=0)
    return view


@contextlib.contextmanager
def within(limit_s):
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert took < limit_s, f"{took:.1f} s"


def check_memory(view, limit):
    """The most memory that the server had at any time; a sanitizer keeps what was given back."""
    if mounts_module.is_sanitized(view.process):
        return
    status = Path(f"/proc/{view.process.pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    assert int(line.split()[1]) * 1024 < limit, line


def check_lost(view, name):
    """It is there, and an error to read."""
    assert stat.S_ISREG((view / name).lstat().st_mode)
    with pytest.raises(OSError, match="Input/output error"):
        (view / name).read_bytes()


def put_socket(path):
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent):
        made.bind(path.name)


def read_or_errno(path):
    try:
        return path.read_bytes()
    except OSError as error:
        return error.errno

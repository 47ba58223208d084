# SPDX-License-Identifier: MIT
"""Sets with nodes of all kinds on this machine, and commands that take SET: as STORES."""

import os
import shutil
import threading
import time

import pytest

import commands
import sftp_store
from commands import OK

SERVER = next((path for path in sftp_store.SERVERS if os.access(path, os.X_OK)), None)
needs_sshfs = pytest.mark.skipif(not SERVER or not shutil.which("sshfs"), reason="sshfs is missing")
# As ssh does: what stands behind the host is one line for a shell, or the name of a subsystem.
SSH = f"""#!/bin/sh
for last; do :; done
[ "$last" != sftp ] || exec {SERVER}
while [ "${{1#-}}" != "$1" ]; do shift 2; done
shift
exec sh -c "$*"
"""
LIMIT_S = 30


def install_ssh(sets, text):
    install(sets, "ssh", text)


def install(sets, name, text):
    """A program, in place of the machine's."""
    tools = sets.folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / name).write_text(text)
    (tools / name).chmod(0o755)
    sets.environment["PATH"] = f"{tools}:{os.environ['PATH']}"


def everywhere(sets, nodes):
    """A directory of this machine, a host behind ssh, and what rclone reaches."""
    install_ssh(sets, SSH)
    (sets.folder / "rclone.conf").write_text(f"[cloud]\ntype = alias\nremote = {nodes}\n")
    return {
        "anna": f"rsync = {nodes}/anna",
        "bert": f"rsync = me@host:{nodes}/bert",
        "carl": "rclone = cloud:carl",
    }


def run(sets, command, *words, status=OK, **how):
    done = commands.run(command, "--config", sets.file, *words, status=status,
                        env=sets.environment, noisy=True, **how)  # fmt: skip
    nothing_left(sets)
    return done


def mounted(sets):
    """Of any kind; nothing is asked of them."""
    with open("/proc/self/mountinfo", errors="surrogateescape") as table:
        return [line for line in table if f" {sets.runtime}/" in line]


def nothing_left(sets):
    assert mounted(sets) == []
    assert list(sets.runtime.iterdir()) == []


def contents(folder):
    """Of all files, and where symlinks lead, by name."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def wait_until(condition):
    until = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until
        threading.Event().wait(0.02)

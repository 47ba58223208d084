# SPDX-License-Identifier: MIT
"""A store behind SFTP: sshfs over OpenSSH's server, without a network. It keeps times to the
second, and neither extended attributes nor times of symlinks. Needs sshfs and sftp-server (Debian).
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import mounts as mounts_module

SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")


class SftpStore:
    """A folder, mounted elsewhere. BEFORE are words to run the server by, MORE its options, CLIENT sshfs's."""

    def __init__(self, source, mountpoint, before=(), more=(), client=()):
        server = next((path for path in SERVERS if os.access(path, os.X_OK)), None)
        if not server or not shutil.which("sshfs"):
            pytest.skip("sshfs or sftp-server is missing")
        self.source, self.path = Path(source), Path(mountpoint)
        self.path.mkdir(parents=True, exist_ok=True)
        questions, answers = os.pipe(), os.pipe()
        self._server = subprocess.Popen(
            [*before, server, *more], stdin=questions[0], stdout=answers[1]
        )
        self._client = subprocess.Popen(
            ["sshfs", "-f", "-o", "passive", *client, f"store:{self.source}", self.path],
            stdin=answers[0],
            stdout=questions[1],
        )
        for end in (*questions, *answers):
            os.close(end)
        assert mounts_module.wait_for_mount_table(self._is_mounted, self._client.pid)

    def _is_mounted(self):
        return f" {self.path} ".encode() in Path("/proc/self/mountinfo").read_bytes()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["fusermount3", "-uz", self.path], check=False, capture_output=True)
        for process in (self._client, self._server):
            process.kill()
            process.wait()

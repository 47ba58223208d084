# SPDX-License-Identifier: MIT
"""Where keys lie in the memory of a program that uses them: in locked pages alone, and in no core dump."""

import hashlib
import os
import re
from pathlib import Path

import commands
import keyfiles
import pytest
import sealing
import users

user = users.user  # a fixture

MASTER = hashlib.sha256(b"a key").digest()  # what begins like a table is elsewhere, too
KEYS = sealing.Keys(MASTER)
SECRETS = [MASTER, KEYS.content, KEYS.manifest, KEYS.names, KEYS.links, KEYS.times]


def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_text(keyfiles.key_text(MASTER))
    path.chmod(0o600)
    return path


@pytest.fixture
def source(tmp_path, rng):
    path = tmp_path / "source"
    (path / "deep").mkdir(parents=True)
    for name in ("a", "deep/b"):
        (path / name).write_bytes(rng.randbytes(300000))
    return path


def mappings(pid):
    """(addresses, whether they are locked)"""
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line):
                start, end = (int(each, 16) for each in found.groups())
            elif re.match(r"[0-9a-f]+-", line):
                start = end = 0
            elif line.startswith("VmFlags:") and end:
                yield start, end, " lo" in line


def places(pid, secrets):
    """How often the secrets lie in locked memory, and in other."""
    counts = {True: 0, False: 0}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, locked in mappings(pid):
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except (OSError, ValueError, OverflowError):  # the kernel's own pages
                continue
            counts[locked] += sum(content.count(secret) for secret in secrets)
    return counts


def use(root):
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert file.read()


@pytest.mark.unsanitized
def test_keys_lie_in_locked_memory(mounts, source, tmp_path):
    key = key_file(tmp_path)
    commands.run("encode", "--format", "sealed", "--key", key, "-k", "2", "-n", "3", source, tmp_path / "shares")
    encoded = mounts.encoded(source, format="sealed", key=key, required=2, shares=3)
    restored = mounts.restored(tmp_path / "shares", key=key)
    by_nodes = mounts.restored(tmp_path / "shares")
    for view in encoded, restored, by_nodes:
        use(view.path)
        there = places(view.process.pid, SECRETS)
        assert there[True] >= 1
        assert there[False] == 0


def test_no_core_dump_and_no_debugger(user, mounts):
    """Of a process that the kernel would dump the memory belongs to its user."""
    folder = user.folder / "sealed"
    folder.mkdir()
    key = key_file(folder)
    for name in ("source", "mount"):
        (folder / name).mkdir()
    user.own(folder)
    view = mounts.start("-o", f"format=sealed,key={key},required=2,shares=3", folder / "source",
                        at=folder / "mount", before=user.WORDS, binary=user.binary)  # fmt: skip
    assert os.listdir(f"/proc/{view.process.pid}/task")
    assert Path(f"/proc/{view.process.pid}/mem").stat().st_uid == 0
    assert not user.run("cat", f"/proc/{view.process.pid}/environ").stdout
    assert sorted(user.run("ls", view.path / "00").stdout.split()) == [b"key", b"zmanifest"]

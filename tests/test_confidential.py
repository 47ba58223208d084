# SPDX-License-Identifier: MIT
"""Two ways to keep what nodes hold confidential: gocryptfs -reverse below zfec-fs, rclone crypt above.
What comes back is the source, and who reads all nodes learns what docs/nodes.md says, and no more.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import commands
import mounts as mounts_module
import trees

LIMIT_S = 60
REQUIRED, SHARES = 2, 4
MAGIC = b"\0ZFECFS1"
# What nobody should see: a name, and a text that lies in a file again and again.
NAME, SECRET = "salaries of 2024.csv", b"the secret of the house; "
PASSWORD = "correct horse battery staple"


def run(*words, **how):
    done = subprocess.run(words, check=False, capture_output=True, timeout=LIMIT_S, **how)
    assert done.returncode == 0, (words, done.stderr.decode(errors="replace")[-2000:])
    return done.stdout


def need(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is missing")


@pytest.fixture
def source(tmp_path, rng):
    folder = tmp_path / "source"
    trees.write_file(folder / "accounts" / NAME, SECRET * 5000)
    trees.write_file(folder / "accounts" / "empty", b"")
    trees.write_sizes(folder / "pictures", [1, 1000, 300_000], rng)
    (folder / "accounts" / NAME).chmod(0o600)
    (folder / "to the accounts").symlink_to(f"accounts/{NAME}")
    return folder


def names(folder):
    return [path.relative_to(folder) for path in sorted(Path(folder).rglob("*"))]


def what_nodes_hold(nodes):
    """All bytes that lie on them: contents, names, where symlinks point to."""
    held = []
    for path in [nodes, *sorted(Path(nodes).rglob("*"))]:
        held.append(os.fsencode(path.name))
        if path.is_symlink():
            held.append(os.fsencode(os.readlink(path)))
        elif path.is_file():
            held.append(path.read_bytes())
    return b"\n".join(held)


def assert_confidential(nodes, source):
    held = what_nodes_hold(nodes)
    for secret in (SECRET[:16], *{os.fsencode(name) for path in names(source) for name in path.parts}):
        if len(secret) > 4:
            assert secret not in held, secret
    pictures = [path.read_bytes() for path in (source / "pictures").iterdir()]
    assert not any(data[at : at + 16] in held for data in pictures if len(data) > 999
                   for at in range(0, len(data) - 16, 10_000))  # fmt: skip


def test_shares_alone_hide_nothing(mounts, source, tmp_path):
    """What the others are for, and that the search below can find something."""
    view = mounts.encoded(source, required=REQUIRED, shares=SHARES)
    run("rsync", "-a", f"{view / '00'}", tmp_path / "nodes")
    with pytest.raises(AssertionError):
        assert_confidential(tmp_path / "nodes", source)
    assert SECRET in what_nodes_hold(tmp_path / "nodes")


@contextlib.contextmanager
def gocryptfs(*words, at):
    at.mkdir()
    server = subprocess.Popen(["gocryptfs", "-fg", "-q", *words, at], stdin=subprocess.DEVNULL)
    try:
        assert mounts_module.wait_for_mount_table(lambda: os.path.ismount(at), server.pid)
        yield at
    finally:
        # It ends with its mount. A signal as well would let it start fusermount, a child that outlives
        # it for a moment and holds what it has open in the mount below.
        if os.path.ismount(at):
            mounts_module.unmount_at_any_cost(at)
        else:
            server.terminate()
        server.wait(LIMIT_S)


def test_gocryptfs_below(mounts, source, tmp_path):
    """The source is encrypted before it is cut: nodes hold shares of what nobody can read."""
    need("gocryptfs")
    (tmp_path / "password").write_text(PASSWORD)
    words = ["-config", tmp_path / "gocryptfs.conf", "-passfile", tmp_path / "password"]
    run("gocryptfs", "-init", "-reverse", *words, source)
    with gocryptfs("-reverse", *words, source, at=tmp_path / "encrypted") as encrypted:
        view = mounts.encoded(encrypted, required=REQUIRED, shares=SHARES)
        for index in (1, 3):
            run("rsync", "-aHAX", "--modify-window=-1", f"{view / trees.share_name(index)}", tmp_path / "nodes")
        view.unmount()
    assert_confidential(tmp_path / "nodes", source)
    # Headers tell anyone sizes, times, k and the index.
    held = what_nodes_hold(tmp_path / "nodes")
    assert MAGIC in held and trees.MTIME_NS.to_bytes(8, "little") in held

    restored = mounts.restored(tmp_path / "nodes")
    with gocryptfs("-ro", *words, restored.path, at=tmp_path / "plain") as plain:
        commands.compare_trees(source, plain)


# rclone crypt


def write_remotes(path, nodes):
    """A plain remote for each node, and a crypt over it, with a password of its own."""
    lines = []
    for index in range(SHARES):
        name = trees.share_name(index)
        password = run("rclone", "obscure", f"{PASSWORD} {index}").decode().strip()
        lines += [f"[crypt{name}]", "type = crypt", f"remote = {nodes / name}",
                  f"password = {password}"]  # fmt: skip
    path.write_text("\n".join([*lines, ""]))
    return ["rclone", "--config", path]


def test_rclone_crypt_above(mounts, source, tmp_path):
    """Each share is encrypted on its way to its node: nodes hold nothing that looks like a share."""
    need("rclone")
    rclone = write_remotes(tmp_path / "rclone.conf", tmp_path / "nodes")
    view = mounts.encoded(source, required=REQUIRED, shares=SHARES)
    for index in (1, 3):
        name = trees.share_name(index)
        run(*rclone, "sync", "--skip-links", "--metadata", "--create-empty-src-dirs", view / name, f"crypt{name}:")
    view.unmount()
    assert_confidential(tmp_path / "nodes", source)
    assert MAGIC not in what_nodes_hold(tmp_path / "nodes")

    for index in (1, 3):
        name = trees.share_name(index)
        run(*rclone, "copy", "--skip-links", "--metadata", f"crypt{name}:", tmp_path / "stores" / name)
    restored = mounts.restored(tmp_path / "stores")
    wrong = commands.differences(source, restored.path)
    # --links with --metadata would give what a symlink points to the symlink's mode.
    assert wrong.pop("/to the accounts") == "is missing"
    # rclone keeps no times of directories.
    assert all(text.startswith("mtime_ns") and ";" not in text for text in wrong.values()), wrong
    assert not any((source / path.lstrip("/")).is_file() and not (source / path.lstrip("/")).is_symlink()
                   for path in wrong), wrong  # fmt: skip

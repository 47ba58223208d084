# SPDX-License-Identifier: MIT
"""Six nodes on a network, from the first copy to the loss of one for good: what comes back through
mounts of what is left is what the source had.
"""

import contextlib
import os
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import pytest

import commands
import mounts as mounts_module
import network as network_module
import trees

REQUIRED, SHARES = 3, 6
DIRECTORIES, FILES, LARGE_FILES = 120, 2400, 4
LARGE = 6 << 20
SYNC_LIMIT_S = 120
# Nodes by what keeps them in sync. Each of them has an sshd as well.
SSH, DAEMON, SFTP, WEBDAV = ["anna", "emil", "fritz"], "berta", "carl", "dora"
NODES = ["anna", "berta", "carl", "dora", "emil", "fritz"]

Node = namedtuple("Node", "name index target host")


# The source


class Source:
    """A tree of a few thousand files, and how it changes."""

    def __init__(self, folder, rng):
        self.folder, self._rng, self._made = folder, rng, 0
        folder.mkdir()
        self._folders = [folder]
        for number in range(DIRECTORIES):
            self._folders.append(rng.choice(self._folders[-20:]) / f"dir {number}")
            self._folders[-1].mkdir()
        self.files = [self._new_file() for _ in range(FILES)]
        self.large = [self._new_file(LARGE) for _ in range(LARGE_FILES)]
        for path in rng.sample(self.files, 20):
            os.symlink(path.name, self._new_path())

    def _new_path(self):
        self._made += 1
        kind = self._rng.choice(["txt", "jpg", "ü ö", "#1 50%", "it's; $(x)"])
        return self._rng.choice(self._folders) / f"{self._made}.{kind}"

    def _fill(self, path, size=None):
        size = int(2 ** self._rng.uniform(0, 16)) - 1 if size is None else size
        path.write_bytes(self._rng.randbytes(size))

    def _new_file(self, size=None):
        path = self._new_path()
        self._fill(path, size)
        path.chmod(self._rng.choice([0o644, 0o600, 0o640, 0o755, 0o400]))
        os.chown(path, self._rng.choice([0, 1000]), self._rng.choice([0, 5, 1000]))
        at = self._rng.randrange(10**18, 17 * 10**17)
        os.utime(path, ns=(at, at))
        return path

    def _take(self, count):
        taken = self._rng.sample(self.files, count)
        self.files = [path for path in self.files if path not in set(taken)]
        return taken

    def change(self):
        """Edits, renames, removes and makes files; writes into the middle of a large one."""
        for path in self._rng.sample(self.files, 150):
            self._fill(path)
        for path in self._take(40):
            path.unlink()
        for path in self._take(40):
            self.files.append(path.rename(self._new_path()))
        self.files += [self._new_file() for _ in range(60)]
        with open(self._rng.choice(self.large), "r+b") as file:
            file.seek(LARGE // 2)
            file.write(self._rng.randbytes(100_000))

    def stamps(self):
        """path -> (size, mtime) of the regular files."""
        found = {}
        for path in [*self.files, *self.large]:
            status = path.stat()
            found[path] = status.st_size, status.st_mtime_ns
        return found

    def size(self, paths=None):
        return sum(path.stat().st_size for path in paths or [*self.files, *self.large])


# Bringing the nodes up to date


def sync_words(node, share):
    if node.name in (SFTP, WEBDAV):
        return ["rclone", "sync", "--skip-links", "--create-empty-src-dirs", "--retries=1",
                "--low-level-retries=2", "--timeout=8s", "--contimeout=5s", share, node.target]  # fmt: skip
    return ["rsync", "-aHAX", "--numeric-ids", "--delete", "--timeout=20", f"{share}/", node.target]


class Sync:
    """A run that brings nodes up to date, all at once."""

    def __init__(self, network, view, nodes):
        self._nodes, self._network = nodes, network
        self._before = {node.name: node.host.count() for node in nodes}
        self._logs = {node.name: network.folder / f"{node.name}-sync.log" for node in nodes}
        self._runs = {}
        for node in nodes:
            with open(self._logs[node.name], "wb") as log:
                share = view / trees.share_name(node.index)
                self._runs[node.name] = network.start(*sync_words(node, share), log=log)

    def end(self):
        """Waits for the end. Returns the names of the nodes that are not up to date."""
        try:
            statuses = {name: run.wait(SYNC_LIMIT_S) for name, run in self._runs.items()}
        finally:
            for run in self._runs.values():
                run.kill()
                run.wait()
        return [name for name, status in statuses.items() if status]

    def log(self):
        return "\n".join(f"{name}: {path.read_text()}" for name, path in self._logs.items())

    def traffic(self):
        """name -> bytes that went to the node."""
        return {node.name: node.host.count()[0] - self._before[node.name][0] for node in self._nodes}


def sync_all(network, view, nodes):
    run = Sync(network, view, nodes)
    assert run.end() == [], run.log()
    return run.traffic()


@pytest.fixture
def network(tmp_path):
    reason = network_module.why_not()
    if reason:
        pytest.skip(reason)
    made = network_module.Network(tmp_path / "network")
    yield made
    made.close()
    left = network_module.mounted_beneath(made.folder)
    assert not left, f"mounts left behind: {left}"


@pytest.fixture
def nodes(network):
    targets = {name: f"{name}:/srv/" for name in SSH}
    for name in NODES:
        network.add_host(name).serve_ssh()
    targets[DAEMON] = network.hosts[DAEMON].serve_rsync()
    network.hosts[SFTP].serve_sftp_by_rclone()
    network.hosts[WEBDAV].serve_webdav()
    targets |= {name: f"{name}:" for name in (SFTP, WEBDAV)}
    return [Node(name, index, targets[name], network.hosts[name]) for index, name in enumerate(NODES)]


def test_x(network, nodes, mounts, tmp_path, rng):
    t = time.time()
    source = Source(tmp_path / "source", rng)
    print("made", time.time() - t, source.size())
    view = mounts.encoded(source.folder, required=REQUIRED, shares=SHARES)
    print(sync_all(network, view, nodes), source.size() / 3, time.time() - t)
    print(sync_all(network, view, nodes), time.time() - t)
    before = source.stamps()
    source.change()
    after = source.stamps()
    changed = [p for p in after if before.get(p) != after[p]]
    print(sync_all(network, view, nodes), source.size(changed)/3, len(changed), time.time() - t)
    view.unmount()
    for name in NODES:
        if name == "dora": network.mount_rclone(name, tmp_path / "stores" / name)
        else: network.mount_sshfs(name, tmp_path / "stores" / name)
    r = mounts.restored(tmp_path / "stores")
    d = commands.differences(source.folder, r.path)
    print(len(d), list(d.items())[:20], time.time() - t)

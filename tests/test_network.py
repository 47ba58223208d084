# SPDX-License-Identifier: MIT
"""Six nodes on a network, from the first copy to the loss of one for good: what comes back through
mounts of what is left is what the source had.
"""

import json
import os
import stat
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest

import mounts as mounts_module
import network as network_module
import trees

REQUIRED, SHARES = 3, 6
UNSANITIZED = True
EARLY = True
DIRECTORIES, FILES, LARGE_FILES = 60, 500, 4
LARGE = 6 << 20
SYNC_LIMIT_S = 120
TIMEOUT_S = 10
# Each way. Others answer in half a millisecond.
SLOW_S = 0.05
BLOCK = 1 << 16
# By what they are kept in sync with. Each of them has an sshd as well.
SSH, DAEMON, SFTP, WEBDAV = ["anna", "emil", "fritz", "gerda"], "berta", "carl", "dora"
NODES = ["anna", "berta", "carl", "dora", "emil", "fritz"]


# The source


class Source:
    """A tree of some hundred files, and how it changes."""

    def __init__(self, folder, rng):
        self.folder, self._rng, self._made = folder, rng, 0
        folder.mkdir()
        self._folders = [folder]
        for number in range(DIRECTORIES):
            self._folders.append(rng.choice(self._folders) / f"dir {number}")
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


def target_of(network, name):
    """What the file of sets says of it. Starts what serves that."""
    host = network.add_host(name)
    host.serve_ssh()
    if name == DAEMON:
        return f"rsync = {host.serve_rsync()}"
    if name == SFTP:
        host.serve_sftp_by_rclone()
        return f"rclone = {name}:"
    return f"rsync = {name}:/srv/"


class Sync:
    """A run that brings all nodes up to date, at once.

    rclone sees edits that keep the size by times alone where there are no hashes. What WebDAV has is
    the time when a file came, which rclone compares only when told so: that node is run by itself.
    """

    def __init__(self, network, view, config, *words):
        self._network, self._logs = network, {}
        self._before = {name: host.count() for name, host in network.hosts.items()}
        share = view / trees.share_name(NODES.index(WEBDAV))
        self._runs = {
            "set": self._start("set", mounts_module.BINARY, "sync", "--json", *words, "-c", config),
            WEBDAV: self._start(WEBDAV, "rclone", "sync", "--skip-links", "--create-empty-src-dirs",
                                "--update", "--use-server-modtime", "--modify-window=1s",
                                share, f"{WEBDAV}:"),
        }  # fmt: skip

    def _start(self, name, *words):
        self._logs[name] = self._network.folder / f"{name}-sync.log"
        with open(self._logs[name], "wb") as log:
            return self._network.start(*words, log=log)

    def end(self):
        """Waits for the end. Returns the exit status, and the names of the nodes that are behind."""
        try:
            statuses = {name: run.wait(SYNC_LIMIT_S) for name, run in self._runs.items()}
        finally:
            for run in self._runs.values():
                run.kill()
                run.wait()
        assert statuses[WEBDAV] == 0, self.log()
        lines = [json.loads(line) for line in self._logs["set"].read_text().splitlines()
                 if line.startswith("{")]  # fmt: skip
        behind = {line["node"] for line in lines
                  if line["message_type"] == "node" and line.get("up_to_date") is False}  # fmt: skip
        return statuses["set"], behind

    def log(self):
        return "\n".join(f"{name}: {path.read_text()}" for name, path in self._logs.items())

    def traffic(self):
        """name -> bytes that went to the node."""
        return {name: host.count()[0] - self._before[name][0]
                for name, host in self._network.hosts.items()}  # fmt: skip


class Nodes:
    """The nodes, the file of sets that names them, and what is measured of them."""

    def __init__(self, network, source, view):
        self.network, self._source, self._view = network, source, view
        self.targets = {name: target_of(network, name) for name in NODES if name != WEBDAV}
        host = network.add_host(WEBDAV)
        host.serve_ssh()
        host.serve_webdav()

    def disks(self):
        return {name: host.disk for name, host in self.network.hosts.items()}

    def replace(self, lost, new):
        self.network.hosts.pop(lost).kill()
        target = target_of(self.network, new)
        self.targets = {(new if name == lost else name): (target if name == lost else each)
                        for name, each in self.targets.items()}  # fmt: skip
        return self.network.hosts[new]

    def _config(self):
        lines = ["[tree]", f"source = {self._source}", f"required = {REQUIRED}", "delete = yes",
                 f"timeout = {TIMEOUT_S}s", "retries = 0", f"ssh_config = {self.network.ssh_config}",
                 f"rclone_config = {self.network.rclone_config}"]  # fmt: skip
        for name, target in self.targets.items():
            index = NODES.index("fritz" if name == "gerda" else name)
            lines += [f"[tree/{name}]", f"share = {trees.share_name(index)}", target]
        path = self.network.folder / "sets.ini"
        path.write_text("\n".join([*lines, ""]))
        return path

    def start_sync(self, *words):
        return Sync(self.network, self._view, self._config(), *words)

    def sync(self, *words):
        """All nodes are up to date then. Returns name -> bytes that went to the node."""
        run = self.start_sync(*words)
        assert run.end() == (0, set()), run.log()
        return run.traffic()

    def seed(self, name):
        """A node's first copy travels on a disk."""
        share = self._view / trees.share_name(NODES.index(name))
        network_module.run("rsync", "-aHAX", "--modify-window=-1", f"{share}/", f"{self.network.hosts[name].disk}/")


# What comes back


Facts = namedtuple("Facts", "mode owner mtime target content")


def facts_of(path):
    """What sshfs keeps: times to the second, and neither hard links nor extended attributes."""
    status = os.lstat(path)
    return Facts(
        status.st_mode,
        (status.st_uid, status.st_gid),
        status.st_mtime_ns // 10**9,
        os.readlink(path) if stat.S_ISLNK(status.st_mode) else None,
        path.read_bytes() if stat.S_ISREG(status.st_mode) else None,
    )


def facts(folder):
    """Path -> Facts. Many at a time: what is far away answers late."""
    found, folders = {folder: facts_of(folder)}, [folder]
    with ThreadPoolExecutor(32) as threads:
        while folders:
            lists = threads.map(lambda each: list(each.iterdir()), folders)
            paths = [path for names in lists for path in names]
            level = dict(zip(paths, threads.map(facts_of, paths)))
            folders = [path for path, each in level.items() if stat.S_ISDIR(each.mode)]
            found |= level
    return {str(path.relative_to(folder)): each for path, each in found.items()}


def assert_same_tree(found, expected):
    found, expected = facts(found), facts(expected)
    wrong = [path for path in {*found, *expected} if found.get(path) != expected.get(path)]
    lines = [f"{path}: {str(found.get(path))[:200]}, not {str(expected.get(path))[:200]}"
             for path in sorted(wrong)]  # fmt: skip
    assert not lines, "\n".join([f"{len(lines)} differences:", *lines[:10]])


def mount_nodes(network, names, stores):
    for name in names:
        mount = network.mount_rclone if name in (SFTP, WEBDAV) else network.mount_sshfs
        mount(name, stores / name)
    return stores


# The story


class Measured:
    """What each step took, for whoever runs this with -s."""

    def __init__(self):
        self._since = time.monotonic()

    def say(self, what, traffic=None):
        now = time.monotonic()
        numbers = " ".join(f"{name} {size}" for name, size in (traffic or {}).items())
        print(f"{now - self._since:6.1f} s  {what}{': ' if numbers else ''}{numbers}", flush=True)
        self._since = now


def check_traffic(source, before, traffic, idle):
    """Close to what changed / k; for rsync less, since it sends only what is new in a large file.

    What is said of each name goes on top. Returns what changed / k.
    """
    after = source.stamps()
    changed = [path for path in after if before.get(path) != after[path]]
    small = [path for path in changed if path not in source.large]
    for name, sent in traffic.items():
        by_rclone = name in (SFTP, WEBDAV)
        exact = source.size(changed if by_rclone else small) // REQUIRED
        parts_of_large = 0 if by_rclone else 100_000 // REQUIRED + 2 * BLOCK
        said = (3000 if by_rclone else 400) * len(changed)
        assert exact < sent < exact + parts_of_large + said + 2 * idle[name], f"{name}: {sent}"
    return source.size(changed) // REQUIRED


def relays_to_break(network):
    """So slow that the sync is not over before they are broken."""
    relays = [network.hosts["fritz"].relays["ssh"], network.hosts[SFTP].relays["sftp"]]
    for relay in relays:
        relay.rate = 100_000
    return [(relay, relay.to_target + 200_000) for relay in relays]


def break_two(network, limits):
    """In the middle of a sync: of one host nothing is heard any more, and another dies at once."""
    for relay, limit in limits:
        assert relay.wait_until_passed(limit, SYNC_LIMIT_S)
        relay.rate = None
        if relay is limits[0][0]:
            relay.stall()
        else:
            network.hosts[SFTP].kill()


def damage(disk, rng):
    """Files of a node: other bytes, half of it, a header of zeros, nothing."""
    files = sorted(path for path in disk.rglob("*") if path.is_file() and not path.is_symlink()
                   and path.name != "zfec-fs-set.ini")  # fmt: skip
    for number, path in enumerate(rng.sample(files, 40)):
        status, data = path.stat(), bytearray(path.read_bytes())
        at = rng.randrange(len(data))
        data[at] ^= 0x5A
        path.write_bytes([data, data[:at], bytes(64) + data[64:], b""][number % 4])
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def check_all(disks):
    """Every file survives the loss of any three, also where rclone kept neither mode nor symlinks."""
    words = [word for disk in disks.values() for word in ("--store", disk)]
    done = mounts_module.run("check", "--json", *words, limit_s=SYNC_LIMIT_S)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    summary = lines.pop()
    short = {line["path"]: line["health"] for line in lines
             if line["kind"] == "file" and line["may_lose"] < len(disks) - REQUIRED}  # fmt: skip
    assert short == {} and summary["files"] >= FILES, summary


@pytest.fixture
def network(tmp_path):
    made = network_module.Network(tmp_path / "network")
    yield made
    made.close()
    left = network_module.mounted_beneath(tmp_path)
    assert not left, f"mounts left behind: {left}"


@mounts_module.long
def test_six_nodes(request, tmp_path, rng):
    reason = network_module.why_not()
    if reason:
        pytest.skip(reason)
    if os.geteuid() != 0:
        network_module.play_as_root(request, tmp_path / "as-root")
    else:
        play(request.getfixturevalue("network"), request.getfixturevalue("mounts"), tmp_path, rng)


def play(network, mounts, tmp_path, rng):
    measured = Measured()
    source = Source(tmp_path / "source", rng)
    view = mounts.encoded(source.folder, required=REQUIRED, shares=len(NODES))
    nodes = Nodes(network, source.folder, view)
    nodes.seed(WEBDAV)
    measured.say(f"{source.size()} bytes, a third is {source.size() // REQUIRED}")
    measured.say("first copy", nodes.sync())
    idle = nodes.sync()
    measured.say("nothing changed", idle)

    before = source.stamps()
    source.change()
    traffic = nodes.sync()
    expected = check_traffic(source, before, traffic, idle)
    measured.say(f"changed, a third is {expected}", traffic)

    source.change()
    limits = relays_to_break(network)
    run = nodes.start_sync()
    break_two(network, limits)
    assert run.end() == (1, {SFTP, "fritz"}), run.log()
    measured.say("two nodes die in the middle")

    damage(network.hosts["emil"].disk, rng)
    network.hosts[WEBDAV].relays["webdav"].delay_s = SLOW_S
    left = ["anna", "berta", "dora", "emil"]
    restored = mounts.restored(mount_nodes(network, left, tmp_path / "left"))
    restored.expect_log("", 0)
    assert_same_tree(restored.path, source.folder)
    measured.say("compared, from two good nodes, a damaged and a slow one")
    restored.unmount()

    network.hosts[WEBDAV].relays["webdav"].delay_s = 0
    network.hosts[SFTP].start()
    gerda = nodes.replace("fritz", "gerda")
    stores = tmp_path / "left"
    rebuilt = mounts.rebuilt(stores, shares=len(NODES))
    rebuilt.expect_log("", 0)
    words = ["rsync", "-aHAX", f"{rebuilt / trees.share_name(NODES.index('fritz'))}/", "gerda:/srv/"]
    network.run(*words)
    rebuilt.unmount()
    measured.say("refilled a new node", {"gerda": gerda.count()[0]})
    assert_same_tree(gerda.disk, view / trees.share_name(NODES.index("fritz")))

    measured.say("up to date again, damage too", nodes.sync("--checksum"))
    check_all(nodes.disks())
    measured.say("checked")

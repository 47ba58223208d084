# SPDX-License-Identifier: MIT
"""Eight nodes of all kinds, and the machine that is lost with its home, its state and its file of sets."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import mounts as mounts_module
import network as network_module
import trees
from users import NOBODY, User, fuse_device_for_all

UNSANITIZED = True

REQUIRED = 3
LIMIT_S = 240
DISKS, SSH, DAEMON, SFTP, WEBDAV, S3 = ["usb1", "usb2"], ["anna", "emil"], "berta", "carl", "dora", "sara"
NODES = [*DISKS, *SSH, DAEMON, SFTP, WEBDAV, S3]
PROGRAMS = ("swift-proxy-server", "swift-object-server", "memcached")


def make_source(folder, rng):
    """All that a home has but hard links, which neither sshfs nor rclone shows: also what rclone's nodes lose."""
    folder.mkdir()
    for number in range(40):
        place = folder / f"dir {number % 5}" / rng.choice(["a", "ü ö", "#1 50%", "it's; $(x)"])
        place.mkdir(parents=True, exist_ok=True)
        trees.write_file(place / f"{number}.txt", rng.randbytes(int(2 ** rng.uniform(0, 20))), 10**18 + number)
        (place / f"{number}.txt").chmod(rng.choice([0o644, 0o600, 0o755, 0o400]))
    first = next(folder.rglob("0.txt"))
    os.setxattr(first, "user.kind", b"first")
    subprocess.run(["setfacl", "-m", "u:5:r", first], check=True)
    (folder / "link").symlink_to(first.relative_to(folder))
    (folder / "empty").mkdir(0o700)
    os.mkfifo(folder / "fifo")


class Machine:
    """What belongs to one computer of the user's, and is lost with it."""

    def __init__(self, story, folder):
        network = story.network
        self.network, self.folder, self.program = network, folder, story.program
        self.file = folder / "home" / "sets.ini"
        self.file.parent.mkdir(parents=True)
        tools = folder / "tools"
        tools.mkdir()
        (tools / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {network.ssh_config} "$@"\n')
        (tools / "ssh").chmod(0o755)
        places = {name: folder / name for name in ("state", "run")}
        places["run"].mkdir(mode=0o700)
        self.environment = network.environment() | {
            "HOME": str(folder / "home"),
            "XDG_STATE_HOME": str(places["state"]),
            "XDG_RUNTIME_DIR": str(places["run"]),
            "RCLONE_CACHE_DIR": str(folder / "cache"),
            "PATH": f"{tools}:{network_module.environment()['PATH']}",
        }
        del self.environment["RSYNC_RSH"]
        story.own(folder)

    def run(self, command, *words, status=0):
        """What it printed."""
        line = [*self.network.home.enter, *self.program, command, "--config", self.file, *words]
        since = time.monotonic()
        done = subprocess.run(line, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LIMIT_S, env=self.environment)  # fmt: skip
        told = f"{done.stdout}\n{done.stderr}"
        print(f"{time.monotonic() - since:6.1f} s  zfec-fs {command} {' '.join(map(str, words))}\n{told}", flush=True)
        assert status is None or done.returncode == status, told
        return told


class Story:
    def __init__(self, network, folder, rng, user=None):
        self.network, self.folder, self.source, self.user = network, folder, folder / "source", user
        self.program = [*user.WORDS, user.binary] if user else [mounts_module.BINARY]
        make_source(self.source, rng)
        self.own(self.source)
        self.places = {}
        for name in DISKS:
            (folder / name).mkdir()
            self.own(folder / name)
            self.places[name] = f"rsync = {folder / name}/home"
        for name in SSH:
            network.add_host(name).serve_ssh()
            self.places[name] = f"rsync = {name}:/srv/home"
        self.places[DAEMON] = f"rsync = {network.add_host(DAEMON).serve_rsync()}home"
        network.add_host(SFTP).serve_sftp_by_rclone()
        network.add_host(WEBDAV).serve_webdav()
        network.add_host(S3).serve_s3()
        self.places |= {name: f"rclone = {name}:home" for name in (SFTP, WEBDAV)}
        self.places[S3] = f"rclone = {S3}:bucket/home"

    def own(self, folder):
        """The user's, if it is not root who plays."""
        if self.user:
            self.user.own(folder)

    def write_sets(self, machine):
        lines = ["[home]", f"source = {self.source}", f"required = {REQUIRED}", "timeout = 20s", "retries = 0"]
        for index, name in ((i, name) for i, name in enumerate(NODES) if name in self.places):
            lines += [f"[home/{name}]", f"share = {trees.share_name(index)}", self.places[name]]
        machine.file.write_text("\n".join([*lines, ""]))

    def differences(self, found):
        """As rsync tells them; nothing where there are none."""
        words = ["rsync", "-aHAXin", "--checksum", "--delete", f"{self.source}/", f"{found}/"]
        return network_module.run(*words)


@pytest.fixture
def network(tmp_path):
    made = network_module.Network(tmp_path / "network")
    yield made
    made.close()
    left = network_module.mounted_beneath(tmp_path)
    assert not left, f"mounts left behind: {left}"


@mounts_module.long
def test_the_way_back(request, tmp_path, rng):
    missing = [name for name in PROGRAMS if not shutil.which(name, path=network_module.environment()["PATH"])]
    reason = network_module.why_not() or (missing and f"missing: {' '.join(missing)}")
    if reason:
        pytest.skip(reason)
    if os.geteuid() != 0:
        network_module.play_as_root(request, tmp_path / "as-root")
    else:
        play(Story(request.getfixturevalue("network"), tmp_path, rng), tmp_path, rng)


@pytest.fixture
def open_folder():
    """Where a user may go, other than to what pytest makes."""
    with tempfile.TemporaryDirectory(prefix="zfec-fs-way-back-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@mounts_module.long
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to play a user")
def test_the_way_back_of_a_user(network, open_folder, rng):
    user = User(open_folder, mounts_module.BINARY)
    story = Story(network, open_folder, rng, user)
    network.hand_over(open_folder / "network", user)
    os.chown(open_folder, NOBODY, NOBODY)
    with fuse_device_for_all():
        play(story, open_folder, rng)


def contents(folder):
    """What all kinds of nodes keep: of files the bytes, of symlinks the targets, by name."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = os.readlink(path)
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def play(story, folder, rng):
    lost = Machine(story, folder / "lost")
    story.write_sets(lost)
    lost.run("sync")
    shutil.rmtree(lost.folder)

    new = Machine(story, folder / "new")
    told = new.run("recover", f"{SSH[0]}:/srv/home")
    assert f"home: {len(NODES)} of {len(NODES)} nodes are there" in told
    new.run("decode", "home:", folder / "back")
    assert story.differences(folder / "back") == ""

    with_three_nodes(story, new, folder, rng)
    mend(story, new, folder, rng)


def with_three_nodes(story, machine, folder, rng):
    """Any three that can be read are enough, while another hangs and the others are dead."""
    hosts = rng.sample([*SSH, SFTP, WEBDAV, S3], 4)
    gone = folder / "usb1-elsewhere", folder / "usb2-elsewhere"
    for disk, place in zip(DISKS, gone):
        (folder / disk).rename(place)
    for name, host in story.network.hosts.items():
        if name not in hosts:
            host.kill()
    hanging = story.network.hosts[hosts.pop()]
    for relay in hanging.relays.values():
        relay.stall()
    # Of the FIFO, which rclone does not send, one host is not enough; without that nobody knows of it.
    machine.run("decode", "home:", folder / "back-3", status=1 if {*SSH} & {*hosts} else 0)
    assert contents(folder / "back-3") == contents(story.source)
    for disk, place in zip(DISKS, gone):
        place.rename(folder / disk)
    for relay in hanging.relays.values():
        relay.resume()
    for name, host in story.network.hosts.items():
        if name not in hosts and host is not hanging:
            host.start()


def mend(story, machine, folder, rng):
    """A disk is replaced, one node rots, one is a month behind."""
    del story.places[DAEMON]  # which cannot be read
    story.write_sets(machine)
    behind = story.network.hosts["emil"].disk / "home"
    network_module.run("cp", "-a", behind, folder / "a month ago")
    for path in sorted(story.source.rglob("*.txt"))[:5]:
        path.chmod(0o600)
        path.write_bytes(rng.randbytes(10_000))
    machine.run("sync", "--adopt")
    shutil.rmtree(behind)
    shutil.move(folder / "a month ago", behind)
    shutil.rmtree(folder / "usb2")
    (folder / "usb2").mkdir()
    story.own(folder / "usb2")
    rotten = story.network.hosts["anna"].disk / "home"
    for path in [path for path in sorted(rotten.rglob("*.txt")) if path.stat().st_size > 200][-5:]:
        with open(path, "r+b") as file:
            file.seek(100)
            byte = file.read(1)
            file.seek(100)
            file.write(bytes([byte[0] ^ 1]))
    told = machine.run("check", "home:", status=1)
    assert told.count("anna: block 0 damaged") == told.count("emil: another version") == 5
    told = machine.run("repair", "--replace", "usb2", "home:", status=1)
    assert "home/usb2: filled with share 01" in told and told.count("made 5 files") == 2
    told = machine.run("check", "home:")
    assert not re.search("can lose|damaged|another version|differs", told), told
    assert re.search("sara: .* does not keep .*empty directories", told)
    told = machine.run("sync")
    sent = dict(re.findall(r"home/(\w+) .* up to date; (\d+) files?,", told))
    told_of_set = {"emil": "1"}
    assert sent.pop("dora") and sent == dict.fromkeys(sent, "0") | told_of_set  # dora keeps no times

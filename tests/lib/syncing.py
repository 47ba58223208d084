# SPDX-License-Identifier: MIT
"""Sets, places for their nodes, and runs of `zfec-fs sync` that write nothing anywhere else."""

import contextlib
import datetime
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

import commands
import encoding
import mounts as mounts_module
import trees

LIMIT_S = 120
needs_rclone = pytest.mark.skipif(not shutil.which("rclone"), reason="rclone is missing")
NAMES = ["anna", "bert", "carl"]
DAY_S = 24 * 60 * 60
DESCRIPTION = "zfec-fs-set.ini"  # what each node has beside its share


# What a run needs: to be imported by the tests that make runs.


@pytest.fixture
def sets(binary, tmp_path):
    made = Sets(tmp_path)
    yield made
    for path in mounts_module.mounted_beneath(tmp_path):
        mounts_module.unmount_at_any_cost(path)


@pytest.fixture
def source(tmp_path, rng):
    encoding.make_source(tmp_path / "source", rng)
    return tmp_path / "source"


@pytest.fixture
def nodes(tmp_path):
    (tmp_path / "nodes").mkdir()
    return tmp_path / "nodes"


class Sets:
    """A file of sets in a folder of its own; there, a run also has its state and its mount."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.file = self.folder / "sets.ini"
        self.runtime = self.folder / "runtime"
        self.runtime.mkdir(mode=0o700)
        self.state_folder = self.folder / "state" / "zfec-fs"
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "TMPDIR": str(self.runtime),
            "RCLONE_CONFIG": str(self.folder / "rclone.conf"),
        }
        (self.folder / "rclone.conf").write_text("")

    def write(self, source, nodes, name="home", required=2, more=""):
        """nodes: name -> the lines of its section; shares are given in their order."""
        lines = [f"[{name}]", f"source = {source}", f"required = {required}", more]
        for index, (node, text) in enumerate(nodes.items()):
            lines += [f"[{name}/{node}]", f"share = {index:02x}", text]
        self.file.write_text("\n".join(lines) + "\n")

    def command(self, *words):
        return [mounts_module.BINARY, "sync", "-c", self.file, *words]

    def run(self, *words, status=commands.OK, noisy=False, **how):
        """Its lines of JSON, and how it ended."""
        done = commands.run(
            "sync", "-c", self.file, *words, status=status, noisy=noisy,
            env={**self.environment, **how.pop("environment", {})}, **how,
        )  # fmt: skip
        self.nothing_left()
        return done

    def start(self, *words, **how):
        return subprocess.Popen(
            self.command("--json", *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=self.environment, **how,
        )  # fmt: skip

    def state(self, name="home"):
        return json.loads((self.state_folder / f"{name}.json").read_text())

    def nothing_left(self):
        """Neither a mount, nor a folder of one."""
        assert mounts_module.mounted_beneath(self.folder) == []
        assert list(self.runtime.iterdir()) == []


def programs_of(folder):
    """The command lines of programs that name a folder: those that its runs have started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if Path(os.fsdecode(words[0])).name in ("rsync", "rclone", "ssh") and any(
                os.fsencode(folder) in word for word in words[1:]
            ):
                found.append(words)
    # A server of the test's own is none of a run's.
    return [words for words in found if b"--daemon" not in words and b"serve" not in words]


def wait_until_programs_end(folder):
    """Also those that one had just started when it was told to end."""
    until = time.monotonic() + LIMIT_S
    while programs_of(folder):
        assert time.monotonic() < until, programs_of(folder)
        threading.Event().wait(0.05)


def settle(source):
    """What has changed since the beginning of a run, which counts seconds, is not compared."""
    last = max(path.lstat().st_ctime for path in [source, *source.rglob("*")])
    while time.time() < int(last) + 1:
        threading.Event().wait(0.05)


def ends(result, name="home"):
    """node -> its last line."""
    return {
        line["node"]: line
        for line in result.json
        if line["message_type"] == "node" and line["event"] == "end" and line["set"] == name
    }


def health(result, name="home"):
    return {node: line["up_to_date"] for node, line in ends(result, name).items()}


def local(folder, names):
    return {name: f"rsync = {folder}/{name}" for name in names}


def compare_with_encode(source, places, folder, required=2, shares=None, exclude=()):
    """What lands on the nodes is what encode makes."""
    shares = shares or len(places)
    made = Path(folder) / "encoded"
    shutil.rmtree(made, ignore_errors=True)
    rules = [word for rule in exclude for word in ("--exclude", rule)]
    commands.run("encode", "-k", str(required), "-n", str(shares), *rules, source, made)
    for index, place in enumerate(places):
        compare_described(made / trees.share_name(index), place)


def compare_described(share, place):
    """The node has the share, and what tells of the other nodes; nothing else."""
    wrong = commands.differences(share, place)
    assert wrong.pop(f"/{DESCRIPTION}", None) == "should not be there"
    assert not wrong


def places(nodes):
    return [nodes / name for name in NAMES]


def large_file(source, rng, size=3_000_000, name="large"):
    return trees.write_file(source / name, rng.randbytes(size))


def spoil(path, rng):
    """Another byte, and the same size and time."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def slow_run(sets, source, nodes, rng, *words):
    """One that takes long: its second node is slow. Returns it once that has begun."""
    large_file(source, rng)
    targets = local(nodes, NAMES)
    targets["bert"] += "\nbwlimit = 10K"
    sets.write(source, targets)
    process = sets.start(*words)
    seen = b""
    while b'"node":"bert"' not in seen:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        seen += line
    return process, seen


def processes_of(process):
    """All that descend from it."""
    found, more = [], [process.pid]
    while more:
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", ",".join(map(str, more))],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        more = [int(pid) for pid in children.stdout.split()]
        found += more
    return found


# Servers


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process):
    """Until somebody listens; a server says so in no other way."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.02)
    raise AssertionError(f"the server ended: {process.returncode}")


@contextlib.contextmanager
def server(command, port, **how):
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        **how,
    )  # fmt: skip
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def rsync_daemon(folder, port=None, more="", symlinks="munge symlinks = no"):
    """Its module "data" is the folder."""
    port = port or free_port()
    configuration = Path(f"{folder}.conf")
    configuration.write_text(
        f"use chroot = no\n{symlinks}\npid file = {folder}.pid\n"
        f"[data]\npath = {folder}\nread only = no\n{more}"
        + ("uid = 0\ngid = 0\n" if os.geteuid() == 0 else "")
    )
    command = ["rsync", "--daemon", "--no-detach", f"--config={configuration}"]
    with server([*command, "--address=127.0.0.1", f"--port={port}"], port):
        yield port


@contextlib.contextmanager
def webdav(folder):
    port = free_port()
    environment = {**os.environ, "RCLONE_CONFIG": "/dev/null"}
    command = ["rclone", "serve", "webdav", f"--addr=127.0.0.1:{port}", folder]
    with server(command, port, env=environment):
        yield port


@contextlib.contextmanager
def sftp(folder):
    """For the user "user", with the password "password"."""
    port = free_port()
    environment = {**os.environ, "RCLONE_CONFIG": "/dev/null", "XDG_CACHE_HOME": f"{folder}.cache"}
    command = ["rclone", "serve", "sftp", f"--addr=127.0.0.1:{port}", "--user=user",
               "--pass=password", "--vfs-cache-mode=off", folder]  # fmt: skip
    with server(command, port, env=environment):
        yield port


def remote(kind, port):
    """The section of rclone's configuration, called "remote"."""
    if kind == "webdav":
        return f"[remote]\ntype = webdav\nurl = http://127.0.0.1:{port}/\nvendor = other\n"
    hidden = subprocess.run(["rclone", "obscure", "password"], check=True, capture_output=True)
    return (f"[remote]\ntype = sftp\nhost = 127.0.0.1\nport = {port}\nuser = user\n"
            f"pass = {hidden.stdout.decode().strip()}\nshell_type = none\n")  # fmt: skip


class Silent:
    """Takes connections, and never says a word."""

    def __enter__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(50)
        self.port = self._listener.getsockname()[1]
        return self

    def __exit__(self, *_):
        self._listener.close()


class Breaking:
    """Stands before a server, and cuts one connection, the first with so many bytes to the server."""

    def __init__(self, port, after):
        self._target, self._left = port, after
        self.cuts = 0

    def __enter__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(50)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                limit = None if self.cuts else self._left
                server_side = socket.create_connection(("127.0.0.1", self._target))
                for ways in ((client, server_side, limit), (server_side, client, None)):
                    threading.Thread(target=self._pass_on, args=ways, daemon=True).start()

    def _pass_on(self, source, target, limit):
        passed = 0
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                passed += len(part)
                if limit is not None and passed > limit:
                    self.cuts += 1
                    break
                target.sendall(part)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


# What is remembered, and what status tells of it.


def run_status(sets, *words, status=commands.OK, noisy=False):
    return commands.run(
        "status", "-c", sets.file, *words, status=status, noisy=noisy, env=sets.environment
    )


def told(sets, *words, name="home", status=commands.OK):
    """The line of a set, its nodes by their names."""
    lines = [line for line in run_status(sets, *words, status=status).json if line.get("set") == name]
    assert [line["message_type"] for line in lines] == ["status"]
    assert lines[0]["exit_status"] == status
    return lines[0] | {"nodes": {node["node"]: node for node in lines[0].get("nodes", [])}}


def lose(nodes, *names):
    for name in names:
        shutil.rmtree(nodes / name)
        (nodes / name).write_text("in its place")


def shown_time(seconds):
    """As the state has it."""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(sets, seconds, *names, name="home", key="as_of"):
    """These nodes were up to date so long ago. Returns that time."""
    state, then = sets.state(name), shown_time(time.time() - seconds)
    for node in names or NAMES:
        state["nodes"][node][key] = then
    (sets.state_folder / f"{name}.json").write_text(json.dumps(state))
    return then


def told_as_text(sets, *words, command="status", status=commands.OK):
    done = mounts_module.run(command, "-c", sets.file, *words, env=sets.environment)
    assert done.returncode == status, done.stderr
    return done.stdout.splitlines()

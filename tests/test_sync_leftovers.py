# SPDX-License-Identifier: MIT
"""What a stopped sync leaves at a node is removed by the next complete run, and nothing else is."""

import contextlib
import json
import os
import re
import shutil
import signal
import stat
import time

import pytest

import commands
import mounts as mounts_module
import syncing
import trees
from commands import DAMAGED, FAILED, OK
from syncing import compare_with_encode, ends, local, nodes, sets, source  # noqa: F401
from syncing import NAMES, large_file, needs_rclone, places, processes_of

UNSANITIZED = True

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")

SUFFIX = ".zfec-fs-partial"
SSH = """#!/bin/sh
# As ssh does: what stands behind the host is one line for a shell.
while [ "${1#-}" != "$1" ]; do shift 2; done
shift
exec sh -c "$*"
"""


def folder_name(share):
    return f".zfec-fs-new-{share:016x}"


def left_at(folder):
    """What is there by one of the names."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*")
        if re.search(r"\.zfec-fs-new-|\.zfec-fs-partial$|/\.[^/]+\.\w{6}$", str(path))
    )  # fmt: skip


def unfinish(sets, name="bert", when="2020-01-01T00:00:00Z"):  # noqa: F811
    """As if a run had been stopped that began then."""
    state = sets.state()
    assert "unfinished_since" not in state["nodes"][name]
    state["nodes"][name]["unfinished_since"] = when
    (sets.state_folder / "home.json").write_text(json.dumps(state))


def is_finished(sets, name="bert"):  # noqa: F811
    return "unfinished_since" not in sets.state()["nodes"][name]


@contextlib.contextmanager
def target(sets, nodes, tmp_path, kind):  # noqa: F811
    """The line of the node "bert", whose directory is nodes/bert in any case."""
    if kind == "local":
        yield f"rsync = {nodes}/bert"
    elif kind == "ssh":
        tools = tmp_path / "tools"
        tools.mkdir()
        (tools / "ssh").write_text(SSH)
        (tools / "ssh").chmod(0o755)
        sets.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
        yield f"rsync = me@host:{nodes}/bert"
    else:
        with syncing.rsync_daemon(nodes) as port:
            yield f"rsync = rsync://127.0.0.1:{port}/data/bert"


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left")
    path.chmod(0o600)


def wait_for_part(folder):
    """Until some of the large file is there: rsync keeps no empty one."""
    until = time.monotonic() + syncing.LIMIT_S
    while not any(path.stat().st_size for path in folder.glob(".large.*")):
        assert time.monotonic() < until
        time.sleep(0.01)


def wait_for_whole(nodes, names):  # noqa: F811
    """Until they have the large file."""
    until = time.monotonic() + syncing.LIMIT_S
    while not all((nodes / name / "large").exists() for name in names):
        assert time.monotonic() < until
        time.sleep(0.01)


def slow_run(sets, source, nodes, rng):  # noqa: F811
    """One of which bert has a part of the large file."""
    large_file(source, rng)
    sets.write(source, local(nodes, NAMES) | {"bert": f"rsync = {nodes}/bert\nbwlimit = 200K"})
    process = sets.start()
    wait_for_part(nodes / "bert")
    return process


# What real runs leave


@pytest.mark.parametrize("kind", ["local", *mounts_module.if_long("ssh", "daemon")])
@pytest.mark.parametrize("delete", ["yes", "no"])
@pytest.mark.parametrize("then", ["sent", "gone", "gone with its directory"])
def test_after_a_stop(sets, source, nodes, tmp_path, rng, kind, delete, then):  # noqa: F811
    """A part of a file stays for the next run; which may have nothing to send to that place."""
    place = source / "new" / "sub"
    large_file(place, rng)
    with target(sets, nodes, tmp_path, kind) as line:
        targets = local(nodes, NAMES) | {"bert": f"{line}\nbwlimit = 200K"}
        sets.write(source, targets, more=f"delete = {delete}")
        process = sets.start()
        wait_for_part(nodes / "bert" / "new" / "sub")
        process.send_signal(signal.SIGTERM)
        assert commands.finish(process).status == FAILED
        left = f"new/sub/{folder_name(1)}"
        assert left_at(nodes / "bert") == [left, f"{left}/large"]
        assert not is_finished(sets)
        if then == "gone":
            (place / "large").unlink()
        elif then != "sent":
            shutil.rmtree(source / "new")
        targets["bert"] = line
        sets.write(source, targets, more=f"delete = {delete}")
        result = sets.run()
        # What is deleted from the source is deleted with all that is in it.
        by_delete = delete == "yes" and then == "gone with its directory"
        by_rsync = then == "sent"
        assert ends(result)["bert"].get("cleaned") == (None if by_delete or by_rsync else 1)
    assert left_at(nodes / "bert") == []
    assert is_finished(sets)
    if delete == "no" and then == "gone with its directory":
        shutil.rmtree(nodes / "bert" / "new")
        shutil.rmtree(nodes / "anna" / "new")
        shutil.rmtree(nodes / "carl" / "new")
        for folder in places(nodes):
            os.utime(folder, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    elif delete == "no" and then == "gone":
        for folder in ("anna", "carl"):
            (nodes / folder / "new" / "sub" / "large").unlink()
            status = place.stat()
            os.utime(nodes / folder / "new" / "sub", ns=(status.st_atime_ns, status.st_mtime_ns))
    compare_with_encode(source, places(nodes), tmp_path)


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is missing")
def test_a_slow_node_puts_away_its_part(sets, source, nodes, tmp_path, rng):  # noqa: F811
    """A receiver that has made the folder gets no further signal, at which it would leave the part."""
    large_file(source, rng)
    with target(sets, nodes, tmp_path, "ssh") as line:
        ssh = tmp_path / "tools" / "ssh"
        slowly = "strace -DDD -f -o /dev/null -e inject=mkdir,mkdirat:delay_exit=500000 sh -c"
        ssh.write_text(SSH.replace("exec sh -c", f"exec {slowly}"))
        sets.write(source, local(nodes, NAMES) | {"bert": f"{line}\nbwlimit = 200K"})
        process = sets.start()
        wait_for_part(nodes / "bert")
        process.send_signal(signal.SIGTERM)
        assert commands.finish(process).status == FAILED
    assert left_at(nodes / "bert") == [folder_name(1), f"{folder_name(1)}/large"]


def test_after_all_was_killed(sets, source, nodes, tmp_path, rng):  # noqa: F811
    """rsync leaves its temporary file. What is deleted from the source stays: delete is no."""
    trees.write_file(source / "gone", b"x")
    process = slow_run(sets, source, nodes, rng)
    # The state says so while the run lasts, and therefore when it was killed.
    assert not is_finished(sets)
    killed = [process.pid, *processes_of(process)]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    process.communicate()
    for pid in killed:
        assert mounts_module.wait_for_exit(pid)
    (left,) = (nodes / "bert").glob(".large.*")
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    if re.fullmatch(r"[A-Z]?[a-z]*\d*|[A-Z]*\d*", left.suffix[1:]):  # one of 40 looks like a word
        left = left.rename(left.with_suffix(".Xy6miE"))
    sets.write(source, local(nodes, NAMES))
    assert ends(sets.run())["bert"].get("cleaned") == 1, left
    assert is_finished(sets)
    compare_with_encode(source, places(nodes), tmp_path)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_is_left_is_no_file(sets, source, nodes, mounts, tmp_path, rng, end):  # noqa: F811
    """It is not shown, restored or copied, and only told by check."""
    process = slow_run(sets, source, nodes, rng)
    wait_for_whole(nodes, ["anna", "carl"])
    pids = [process.pid, *(processes_of(process) if end == signal.SIGKILL else [])]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, end)
        os.kill(pid, signal.SIGCONT)
    process.communicate()
    for pid in pids:
        assert mounts_module.wait_for_exit(pid)
    left = left_at(nodes / "bert")
    assert left == ([folder_name(1), f"{folder_name(1)}/large"] if end == signal.SIGTERM else left[:1])
    assert sorted(os.listdir(mounts.restored(nodes).path)) == sorted(os.listdir(source))
    commands.run("decode", nodes, tmp_path / "out", noisy=True)
    assert sorted(os.listdir(tmp_path / "out")) == sorted(os.listdir(source))
    told = commands.run("check", nodes, status=DAMAGED, noisy=True).json
    health = {line["path"]: line["health"] for line in told if "health" in line}
    assert [path for path in health if health[path] == "leftover"] == left[:1]
    assert set(health.values()) == {"degraded", "leftover"} and health["large"] == "degraded"
    commands.run("repair", nodes, status=DAMAGED, noisy=True)
    for name in ("anna", "carl"):
        assert left_at(nodes / name) == []
    assert (nodes / "bert" / "large").exists()
    assert left_at(nodes / "bert") == ([] if end == signal.SIGTERM else left)  # the folder has a name of ours


# What is the tree's, and what is not

STRANGE = ["new\nline", "[a-z]*?", "back\\slash", "[back\\slash", "\u00fc", "\udcff", " # ", "R x"]


@pytest.mark.parametrize("kind", ["local", *mounts_module.if_long("ssh", "daemon")])
@pytest.mark.parametrize("delete", ["yes", "no"])
def test_only_what_is_left_is_removed(sets, source, nodes, tmp_path, kind, delete):  # noqa: F811
    """Files of the tree keep their names, also where these look like rsync's."""
    for name in (".bashrc.backup", ".file.aB3xY9", "bashrc", "file", "dir/.file.Q66miE"):
        trees.write_file(source / name, b"the tree's")
        (source / name).chmod(0o600)
        os.utime(source / name)
    for name in STRANGE:
        trees.write_file(source / "strange" / name / "file", b"x")
    with target(sets, nodes, tmp_path, kind) as line:
        targets = local(nodes, NAMES) | {"bert": line}
        sets.write(source, targets, more=f"delete = {delete}")
        sets.run()
        bert = nodes / "bert"
        before = commands.snapshot(nodes / "anna")
        put(bert / folder_name(1) / "large")
        put(bert / "dir" / folder_name(0x7F) / "inner" / "more")
        put(bert / ".file-0.Xy6miE")
        for name in STRANGE:
            put(bert / "strange" / name / ".file.IBFCSq")
            put(bert / "strange" / name / folder_name(1) / name)
        (bert / "dir" / "inner" / folder_name(1)).mkdir()
        unfinish(sets)
        result = sets.run()
        assert is_finished(sets)
    assert left_at(bert) == [".bashrc.backup", ".file.aB3xY9", "dir/.file.Q66miE"]
    if delete == "no":
        assert ends(result)["bert"]["cleaned"] == 4 + 2 * len(STRANGE)
    compare_with_encode(source, places(nodes), tmp_path)
    assert commands.snapshot(nodes / "anna") == before


def test_what_was_the_tree_s_stays(sets, source, nodes):  # noqa: F811
    """With delete = no, what is not in the source any more stays at the nodes."""
    names = {
        ".bashrc.backup": 0o600,  # a word
        ".bashrc.old123": 0o600,
        ".bashrc.Backup": 0o600,
        ".bashrc.aB3xY9": 0o644,  # not rsync's mode while it writes
        ".nobody.aB3xY9": 0o600,  # nothing is called "nobody"
        ".dir.aB3xY9": 0o600,  # that is a directory
        ".bashrc.aB3xY": 0o600,
        ".bashrc.aB3-Y9": 0o600,
        "bashrc.aB3xY9": 0o600,
        ".zfec-fs-new-0123456789abcdef/file": 0o600,  # encode's
    }
    for name, mode in names.items():
        trees.write_file(source / name, b"x")
        (source / name).chmod(mode)
        os.utime(source / name)
    old = trees.write_file(source / ".bashrc.aC3xY9", b"x")  # of a time before the stop
    old.chmod(0o600)
    trees.write_file(source / "bashrc", b"x")
    sets.write(source, local(nodes, NAMES))
    sets.run()
    for name in (*names, ".bashrc.aC3xY9"):
        (source / name).unlink()
    (source / ".zfec-fs-new-0123456789abcdef").rmdir()
    times = (source.stat().st_atime_ns, source.stat().st_mtime_ns)
    os.utime(nodes / "bert", ns=times)
    before = commands.snapshot(nodes / "bert")
    unfinish(sets)
    node = ends(sets.run())["bert"]
    assert "cleaned" not in node
    assert commands.snapshot(nodes / "bert") == before


def test_a_tree_that_rsync_has_left_something_in(sets, source, nodes, tmp_path):  # noqa: F811
    """The source may be somebody's backup: all in it is the tree's."""
    trees.write_file(source / ".rsync-partial" / "file", b"x")
    trees.write_file(source / "dir" / ".~tmp~" / ".file.aB3xY9", b"x")
    sets.write(source, local(nodes, NAMES), more="delete = yes")
    sets.run()
    unfinish(sets)
    sets.run()
    compare_with_encode(source, places(nodes), tmp_path)


# When it is looked for


def counting(tmp_path, name):
    """A program that passes its words on, and writes a line for each call."""
    tools = tmp_path / "counting"
    tools.mkdir(exist_ok=True)
    (tools / name).write_text(
        f'#!/bin/sh\necho "$*" | tr "\\n" " " >>"{tmp_path}/calls"; echo >>"{tmp_path}/calls"\n'
        f'exec {shutil.which(name)} "$@"\n'
    )
    (tools / name).chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


def calls_of(tmp_path):
    calls = (tmp_path / "calls").read_text().splitlines()
    (tmp_path / "calls").unlink()
    return len(calls)


def test_it_is_looked_for_only_after_a_stop(sets, source, nodes, tmp_path):  # noqa: F811
    sets.write(source, {"bert": f"rsync = {nodes}/bert"}, required=1)
    environment = counting(tmp_path, "rsync")
    sets.run(environment=environment)
    assert calls_of(tmp_path) == 5  # what it says; which share; what it keeps; sending; nothing is known of it
    sets.run(environment=environment)
    assert calls_of(tmp_path) == 3
    unfinish(sets)
    sets.run("--dry-run", environment=environment)
    assert calls_of(tmp_path) == 5  # is it there; what it says; which share; what is kept; what is sent
    sets.run(environment=environment)
    assert calls_of(tmp_path) == 4
    unfinish(sets)
    put(nodes / "bert" / folder_name(0) / "file")
    sets.run(environment=environment)
    assert calls_of(tmp_path) == 5
    sets.run(environment=environment)
    assert calls_of(tmp_path) == 3


def test_a_run_that_fails_does_not_clean(sets, source, nodes):  # noqa: F811
    """What is sent of a file serves the next try."""
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    put(nodes / "bert" / folder_name(1) / "large")
    (nodes / "bert" / "file-0").unlink()
    (nodes / "bert" / "file-0" / "in the way").mkdir(parents=True)
    sets.run(status=DAMAGED)
    assert left_at(nodes / "bert") == [folder_name(1), f"{folder_name(1)}/large"]
    since = sets.state()["nodes"]["bert"]["unfinished_since"]
    assert since == sets.state()["nodes"]["bert"]["tried"]
    sets.run(status=DAMAGED)
    assert sets.state()["nodes"]["bert"]["unfinished_since"] == since
    shutil.rmtree(nodes / "bert" / "file-0")
    assert ends(sets.run())["bert"]["cleaned"] == 1
    assert is_finished(sets)


def test_a_node_that_refuses_deletions(sets, source, nodes, tmp_path):  # noqa: F811
    """It is up to date; that something is left there is said, and the next run tries again."""
    environment = counting(tmp_path, "rsync")
    with syncing.rsync_daemon(nodes, more="refuse options = delete\n") as port:
        sets.write(source, {"bert": f"rsync = rsync://127.0.0.1:{port}/data/bert"}, required=1)
        sets.run()
        put(nodes / "bert" / folder_name(0) / "large")
        unfinish(sets)
        for _ in range(2):
            result = sets.run(noisy=True, environment=environment)
            assert calls_of(tmp_path) == 6  # what it says, which share, and what it keeps, which is refused
            assert ends(result)["bert"]["up_to_date"] is True
            assert "cleaned" not in ends(result)["bert"]
            assert re.search(
                "home/bert: what a stopped run has left there cannot be removed: .*--delete",
                result.errors,
            )
            assert not is_finished(sets)


def test_it_is_told(sets, source, nodes):  # noqa: F811
    sets.write(source, {"bert": f"rsync = {nodes}/bert"}, required=1)
    sets.run()
    put(nodes / "bert" / folder_name(0) / "large")
    put(nodes / "bert" / "dir" / folder_name(0) / "large")
    unfinish(sets)
    done = mounts_module.run("sync", "-c", sets.file, env=sets.environment)
    assert done.returncode == OK
    assert "; 2 leftovers removed\n" in done.stdout


# rclone


@contextlib.contextmanager
def remote(sets, nodes, kind):  # noqa: F811
    """A server knows only what was there when it began."""
    servers = {"webdav": syncing.webdav, "sftp": syncing.sftp}
    with contextlib.ExitStack() as stack:
        text = f"[remote]\ntype = alias\nremote = {nodes}\n"
        if kind in servers:
            text = syncing.remote(kind, stack.enter_context(servers[kind](nodes)))
        (sets.folder / "rclone.conf").write_text(text)
        yield


@needs_rclone
@pytest.mark.parametrize("kind", ["alias", *mounts_module.if_long("webdav", "sftp")])
@pytest.mark.parametrize("delete", ["yes", "no"])
def test_rclone(sets, source, nodes, kind, delete):  # noqa: F811
    """What rclone calls files while it writes them, since 1.63; and what the tree calls its own."""
    trees.write_file(source / "dir" / f"mine{SUFFIX}", b"x")
    line = f"symlinks = no\ndelete = {delete}\nrclone = remote:bert"
    sets.write(source, {"bert": line}, required=1)
    with remote(sets, nodes, kind):
        sets.run()
    before = sorted((nodes / "bert").rglob("*"))
    put(nodes / "bert" / f"file-0.01234567{SUFFIX}")
    put(nodes / "bert" / "dir" / f"[a]\u00fc b.89abcdef{SUFFIX}")
    put(nodes / "bert" / "dir" / f"mine{SUFFIX}.89abcdef{SUFFIX}")
    unfinish(sets)
    with remote(sets, nodes, kind):
        node = ends(sets.run())["bert"]
    assert node.get("cleaned") == (3 if delete == "no" else None)
    assert is_finished(sets)
    assert sorted((nodes / "bert").rglob("*")) == before
    assert f"mine{SUFFIX}" in os.listdir(nodes / "bert" / "dir")


def test_rclone_is_told_how_to_call_them(sets, source, tmp_path):  # noqa: F811
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "rclone").write_text(f'#!/bin/sh\nenv >>"{tmp_path}/environment"\n')
    (tools / "rclone").chmod(0o755)
    sets.write(source, {"bert": "rclone = remote:bert"}, required=1)
    sets.run(environment={
        "PATH": f"{tools}:{os.environ['PATH']}", "RCLONE_PARTIAL_SUFFIX": ".part",
    })  # fmt: skip
    found = re.findall(r"^RCLONE_PARTIAL_SUFFIX=(.*)$", (tmp_path / "environment").read_text(), re.M)
    assert {*found} == {SUFFIX}
    assert len(SUFFIX) <= 16  # rclone takes no longer one


def test_a_remote_that_cannot_be_listed(sets, source, tmp_path):  # noqa: F811
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "rclone").write_text('#!/bin/sh\n[ "$1" != lsf ] || { echo no listing >&2; exit 3; }\n')
    (tools / "rclone").chmod(0o755)
    sets.write(source, {"bert": "rclone = remote:bert\nretries = 0"}, required=1)
    result = sets.run(environment={"PATH": f"{tools}:{os.environ['PATH']}"}, noisy=True)
    assert ends(result)["bert"]["up_to_date"] is True
    assert "home/bert: what a stopped run has left there cannot be removed: " in result.errors
    assert not is_finished(sets)

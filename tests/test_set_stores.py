# SPDX-License-Identifier: MIT
"""A set as an address: SET: and SET:PATH where STORES can stand."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import commands
import mounts as mounts_module
import syncing
from commands import DAMAGED, FAILED, USAGE
from set_places import (  # noqa: I001
    LIMIT_S, SERVER, SSH, contents, everywhere, install, install_ssh, mounted, needs_sshfs, nothing_left,
    run, wait_until,
)
from syncing import NAMES, ends, local, needs_rclone
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")


@needs_sshfs
@needs_rclone
@pytest.mark.parametrize("needed", [2, 3])
def test_all_comes_back_from_nodes_of_any_kind(sets, source, nodes, tmp_path, needed):  # noqa: F811
    os.unlink(source / "fifo")
    sets.write(source, everywhere(sets, nodes), required=needed)
    sets.run()
    run(sets, "decode", "home:", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)


@pytest.mark.parametrize("beneath", ["dir", "/dir/", "dir/inner"])
def test_a_part_comes_back(sets, source, nodes, tmp_path, beneath):  # noqa: F811
    sets.write(source, local(nodes, NAMES))
    sets.run()
    run(sets, "decode", f"home:{beneath}", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source / beneath.strip("/"))


@needs_sshfs
@pytest.mark.parametrize("view", ["restore", "rebuild"])
def test_views_of_a_set(mounts, sets, source, nodes, tmp_path, view):  # noqa: F811
    install_ssh(sets, SSH)
    places = {name: f"rsync = host:{nodes}/{name}" for name in NAMES}
    sets.write(source, places)
    sets.run()
    words = ["-o", f"{view},config={sets.file}", "home:"]
    if view == "rebuild":
        words = ["-o", "shares=4", *words]
    mount = mounts.start(*words, env=sets.environment)
    assert mounts_module.entry_of(mount.path).source == "home:"
    assert len(mounted(sets)) == 3
    if view == "restore":
        assert contents(mount.path) == contents(source)
    else:
        shown = (mount.path / "00" / "file-0").read_bytes()
        assert shown == (nodes / NAMES[0] / "file-0").read_bytes()
        assert len(os.listdir(mount.path)) == 4
    mount.unmount()
    wait_until(lambda: list(sets.runtime.iterdir()) == [])
    nothing_left(sets)


@needs_sshfs
@pytest.mark.parametrize("view", ["restore", "rebuild"])
def test_what_sshfs_does_not_show_is_shown_by_views(mounts, sets, source, nodes, view):  # noqa: F811
    """Of access control lists and attributes, storage that has none says nothing."""
    subprocess.run(["setfacl", "-m", "u:5:r", source / "file-1"], check=True)
    os.setxattr(source / "file-1", "user.kind", b"first")
    install_ssh(sets, SSH)
    first, *others = NAMES
    sets.write(source, {**local(nodes, [first]), **{name: f"rsync = host:{nodes}/{name}" for name in others}})
    sets.run()
    mount = mounts.start("-o", f"{view},config={sets.file}", "home:", env=sets.environment)
    shown = mount.path / ("file-1" if view == "restore" else "01/file-1")
    names = {name: os.getxattr(shown, name) for name in os.listxattr(shown)}
    assert names == {name: os.getxattr(source / "file-1", name) for name in os.listxattr(source / "file-1")}
    assert len(names) == 2
    mount.unmount()
    wait_until(lambda: list(sets.runtime.iterdir()) == [])


@needs_sshfs
def test_check_finds_what_is_wrong_at_a_host(sets, source, nodes):  # noqa: F811
    install_ssh(sets, SSH)
    sets.write(source, {name: f"rsync = host:{nodes}/{name}" for name in NAMES})
    sets.run()
    assert run(sets, "check", "home:").summary["lost"] == 0
    with open(nodes / "bert" / "file-1", "r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    done = run(sets, "check", "home:", status=DAMAGED)
    [line] = [line for line in done.json if line["message_type"] == "check"]
    assert line["path"] == "file-1"
    assert [problem["store"] for problem in line["problems"]] == ["home/bert"]


@needs_rclone
@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh is missing")
def test_without_sshfs_rclone_reads_hosts(sets, source, nodes, tmp_path):  # noqa: F811
    """As ssh's configuration has them, and with their keys looked at."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    install(sets, "sshfs", "#!/bin/sh\nexit 127\n")
    keys = {name: tmp_path / name for name in ("key", "host-key", "other-key")}
    for path in keys.values():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    port = syncing.free_port()
    command = ["rclone", "serve", "sftp", f"--addr=127.0.0.1:{port}", f"--key={keys['host-key']}",
               f"--authorized-keys={keys['key']}.pub", "--vfs-cache-mode=off", nodes]  # fmt: skip
    with syncing.server(command, port, env={**os.environ, "RCLONE_CONFIG": "/dev/null"}):
        for name in ("host-key", "other-key"):
            kind, key, *_ = Path(f"{keys[name]}.pub").read_text().split()
            (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
            (tmp_path / "ssh_config").write_text(
                f"Host nas\n HostName 127.0.0.1\n Port {port}\n User me\n IdentityFile {keys['key']}\n"
                f' UserKnownHostsFile "{tmp_path}/known_hosts"\n'
            )
            places = {node: f"rsync = nas:{node}\nssh_config = {tmp_path}/ssh_config\ntimeout = 6" for node in NAMES[1:]}
            sets.write(source, {**local(nodes, NAMES[:1]), **places})
            is_known = name == "host-key"
            done = run(sets, "decode", "home:", tmp_path / f"back-{name}", status=DAMAGED if is_known else FAILED)
            if is_known:
                links = {path for path, what in contents(source).items() if isinstance(what, str)}
                assert links and links.isdisjoint(contents(tmp_path / f"back-{name}"))
        assert "1 of 3 nodes can be read, 2 needed" in done.errors


def test_words_that_are_no_set(sets, source, nodes, tmp_path):  # noqa: F811
    sets.write(source, local(nodes, NAMES))
    sets.run()
    done = run(sets, "check", "hom:", status=USAGE)
    assert "there is no set hom" in done.errors and "has home:;" in done.errors
    done = run(sets, "check", "home:../x", status=USAGE)
    assert "leads out of the set" in done.errors
    done = run(sets, "check", "./home:", status=FAILED)
    assert "./home:" in done.errors
    done = run(sets, "decode", "home:nothing", tmp_path / "back", status=FAILED)
    assert done.errors.count("\n") == 1 and "home:nothing: 0 of 3 nodes can be read, 2 needed" in done.errors
    done = run(sets, "decode", "home:file-0", tmp_path / "back", status=FAILED)
    assert "needed; anna, bert, carl: not a directory; give the one that it is in\n" in done.errors
    assert not (tmp_path / "back").exists()


def test_a_name_without_its_colon(sets, source, nodes, tmp_path):  # noqa: F811
    """Unless there is a directory of that name, which may be in no file of sets."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    for words in (["check", "home"], ["decode", "home", tmp_path / "back"], ["repair", "home"]):
        done = run(sets, *words, status=USAGE, cwd=tmp_path)
        assert done.errors == "zfec-fs: home: No such file or directory; for the set write home:\n"
    for word in ("hom", "./home"):
        assert "write home:" not in run(sets, "check", word, status=FAILED, cwd=tmp_path).errors
    commands.run("encode", "-k", "2", "-n", "3", source, tmp_path / "home")
    assert commands.run("check", "home", cwd=tmp_path, env=sets.environment).errors == ""


def test_a_set_and_a_directory_of_that_name(sets, source, nodes, tmp_path):  # noqa: F811
    """Where a file of sets is given, a set is meant; an empty directory would be called well."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    (tmp_path / "home").mkdir()
    for words in (["check"], ["decode"]):
        more = [tmp_path / "out"] if words == ["decode"] else []
        done = commands.run(*words, "--config", sets.file, "home", *more, cwd=tmp_path, status=USAGE,
                            env=sets.environment, noisy=True)  # fmt: skip
        assert "home: is a set, and a path: write home: or ./home" in done.errors


@needs_rclone
def test_a_program_says_why_without_the_time(sets, source, nodes):  # noqa: F811
    sets.write(source, {**local(nodes, NAMES[:2]), "carl": "rclone = nowhere:carl\nretries = 0"})
    sets.environment["RCLONE_LOG_FORMAT"] = "date,time,microseconds"
    error = ends(sets.run(status=DAMAGED))["carl"]["error"]
    assert error.startswith('Failed to create file system for "nowhere:carl": ')
    done = run(sets, "check", "home:", status=DAMAGED)
    assert done.errors == f"zfec-fs: home/carl: {error}; it is left out\n"


def test_a_path_of_that_form(sets, source, nodes, tmp_path):  # noqa: F811
    """A directory is one where no set has its name, with or without a file of sets."""
    for name in ("a:", "home:"):
        folder = tmp_path / name
        commands.run("encode", "-k", "2", "-n", "3", source, folder)
    commands.run("check", "a:", cwd=tmp_path, env=sets.environment)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    shutil.rmtree(nodes / "anna")
    run(sets, "check", "a:", cwd=tmp_path)
    done = run(sets, "check", "home:", status=DAMAGED, cwd=tmp_path)
    assert f"home/anna: {nodes}/anna: No such file or directory; it is left out" in done.errors


def test_a_symlink_at_a_node_leads_nowhere(sets, source, nodes, tmp_path):  # noqa: F811
    """Whoever has a node must not choose which directory of this machine is read in its place."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    shutil.move(nodes / "anna" / "dir", tmp_path / "elsewhere")
    (nodes / "anna" / "dir").symlink_to(tmp_path / "elsewhere")
    for beneath in ("dir", "dir/inner"):
        done = run(sets, "check", f"home:{beneath}", status=DAMAGED)
        assert (f"home/anna: {nodes}/anna/{beneath}: a symlink is there, or on the way, and is not followed; "
                "it is left out") in done.errors  # fmt: skip


@needs_sshfs
@needs_rclone
def test_a_symlink_at_a_mounted_node_leads_nowhere(sets, source, nodes, tmp_path):  # noqa: F811
    os.unlink(source / "fifo")
    sets.write(source, everywhere(sets, nodes))
    sets.run()
    shutil.move(nodes / "bert" / "dir", tmp_path / "elsewhere")
    (nodes / "bert" / "dir").symlink_to(tmp_path / "elsewhere")
    done = run(sets, "check", "home:dir/inner", status=DAMAGED)
    assert (f"home/bert: me@host:{nodes}/bert/dir/inner: a symlink is there, or on the way, and is not followed; "
            "it is left out") in done.errors  # fmt: skip


@needs_sshfs
def test_too_few_nodes_is_one_line(sets, source, nodes, tmp_path):  # noqa: F811
    install_ssh(sets, SSH)
    sets.write(source, {**local(nodes, ["anna"]), "bert": f"rsync = host:{nodes}/bert",
                        "carl": f"rsync = host:{nodes}/carl"})  # fmt: skip
    sets.run()
    install_ssh(sets, "#!/bin/sh\necho 'ssh: connect to host host port 22: No route to host' >&2\nexit 255\n")
    done = run(sets, "decode", "home:", tmp_path / "back", status=FAILED)
    assert done.errors.count("\n") == 1
    assert "home:: 1 of 3 nodes can be read, 2 needed; bert, carl: ssh: connect to host" in done.errors


@needs_sshfs
@pytest.mark.parametrize("hangs", ["exec sleep 300", f"exec {SERVER} & sleep 300"])
def test_a_host_that_hangs_holds_up_no_one(sets, source, nodes, tmp_path, hangs):  # noqa: F811
    install_ssh(sets, SSH)
    sets.write(source, {**local(nodes, ["anna", "bert"]), "carl": f"rsync = host:{nodes}/carl"})
    sets.run()
    install_ssh(sets, f"#!/bin/sh\n{hangs}\n")
    began = time.monotonic()
    done = run(sets, "decode", "home:", tmp_path / "back")
    assert time.monotonic() - began < LIMIT_S
    assert f"home/carl: host:{nodes}/carl: it did not answer in time; it is left out" in done.errors
    assert contents(tmp_path / "back") == contents(source)


@needs_sshfs
def test_a_killed_run_leaves_nothing_to_the_next(sets, source, nodes, tmp_path):  # noqa: F811
    install_ssh(sets, SSH)
    sets.write(source, {**local(nodes, ["anna"]), "bert": f"rsync = host:{nodes}/bert",
                        "carl": f"rsync = other:{nodes}/carl"})  # fmt: skip
    sets.run()
    # It waits for the host that hangs, while the other one is mounted.
    install_ssh(sets, SSH.replace("for last", 'case "$*" in *other*) exec sleep 300;; esac\nfor last'))
    words = commands.command_line("check", "-c", sets.file, "home:")
    with subprocess.Popen(words, env=sets.environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        wait_until(lambda: any("bert" in line for line in mounted(sets)))
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not any("bert" in line for line in mounted(sets)))
    assert len(list(sets.runtime.iterdir())) == 1
    install_ssh(sets, SSH)
    run(sets, "decode", "home:", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(source)


CHECK = ["check", "--config", "{file}", "home:"]
VIEW = ["-o", "restore,config={file}", "home:", "{mountpoint}"]


@needs_sshfs
@pytest.mark.parametrize("words, numbers, of_worker", [
    (CHECK, [signal.SIGTERM], False), (CHECK, [signal.SIGHUP], False), (CHECK, [signal.SIGKILL], True),
    (CHECK, [signal.SIGINT, signal.SIGTERM], False), (CHECK, [signal.SIGPIPE], True),
    (VIEW, [signal.SIGTERM], False), (VIEW, [signal.SIGKILL], True),
    (["-f", *VIEW], [signal.SIGINT], False), (["-f", *VIEW], [signal.SIGKILL], True),
])  # fmt: skip
def test_a_run_that_is_ended_while_it_connects_leaves_nothing(
    sets, source, nodes, tmp_path, words, numbers, of_worker  # noqa: F811
):
    install_ssh(sets, SSH)
    sets.write(source, {**local(nodes, ["anna"]), "bert": f"rsync = host:{nodes}/bert",
                        "carl": f"rsync = other:{nodes}/carl"})  # fmt: skip
    sets.run()
    install_ssh(sets, SSH.replace("for last", 'case "$*" in *other*) exec sleep 300;; esac\nfor last'))
    (tmp_path / "mountpoint").mkdir()
    names = {"file": sets.file, "mountpoint": tmp_path / "mountpoint"}
    run_words = [mounts_module.BINARY, *(word.format(**names) for word in words)]
    with subprocess.Popen(run_words, env=sets.environment, stdin=subprocess.DEVNULL) as process:
        wait_until(lambda: any("bert" in line for line in mounted(sets)))
        worker = commands.worker_of(process)
        for number in numbers:
            os.kill(worker if of_worker else process.pid, number)
        process.wait(LIMIT_S)
    assert process.returncode in [-number for number in numbers]
    nothing_left(sets)


@needs_sshfs
def test_a_reader_that_has_gone_leaves_nothing(sets, source, nodes):  # noqa: F811
    install_ssh(sets, SSH)
    sets.write(source, {**local(nodes, ["anna", "bert"]), "carl": f"rsync = host:{nodes}/carl"})
    sets.run()
    words = commands.command_line("check", "-v", "-c", sets.file, "home:")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(words, env=sets.environment, stdin=subprocess.DEVNULL, stdout=writer,
                          stderr=subprocess.PIPE, check=False, timeout=LIMIT_S)  # fmt: skip
    os.close(writer)
    assert done.returncode not in (0, 1), done.stderr
    nothing_left(sets)


@needs_sshfs
@needs_rclone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so(sets, source, nodes, number):  # noqa: F811
    """No thread that reads what a program says takes the signal, which would end the process."""
    for index in range(300):
        (source / f"many-{index}").write_bytes(bytes(1000))
    sets.write(source, everywhere(sets, nodes))
    sets.run()
    process = commands.start("check", "-j", "1", "--config", sets.file, "home:", env=sets.environment)
    first = process.stdout.readline()
    process.send_signal(number)
    done = commands.finish(process, first)
    assert done.status == FAILED and "check: stopping at" in done.errors
    nothing_left(sets)

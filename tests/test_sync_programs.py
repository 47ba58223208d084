# SPDX-License-Identifier: MIT
"""How sync calls rsync, ssh and rclone, and what is installed to have systemd call sync."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

from commands import LOST
import syncing
from syncing import ends
from syncing import sets, source  # noqa: F401

UNSANITIZED = True

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")


# How rsync, ssh and rclone are called, and what they say


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (["@@@@@@@@@@", "@  WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!  @",
          "Host key verification failed."], "Host key verification failed"),
        (["me@host: Permission denied (publickey)."], "me@host: Permission denied (publickey)"),
    ],
)  # fmt: skip
def test_what_ssh_refuses_is_not_tried_again(sets, source, tmp_path, said, error):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ssh").write_text(f"#!/bin/sh\nprintf '%s\\r\\n' {shlex.join(said)} >&2\nexit 255\n")
    (tools / "ssh").chmod(0o755)
    sets.write(source, {"a": "rsync = host:a"}, required=1)
    result = sets.run(status=LOST, environment={"PATH": f"{tools}:{os.environ['PATH']}"})
    node = ends(result)["a"]
    assert (node["error"], node["try"]) == (error, 1)


@pytest.mark.skipif(not shutil.which("rclone"), reason="rclone is missing")
def test_an_error_is_one_line(sets, source, tmp_path):
    """What rclone passes on of ssh ends with a newline, or has one in it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    said = '{"level":"error","msg":"couldn\'t run ssh:\\nme@host: Permission denied\\r\\n"}'
    (tools / "rclone").write_text(f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(said)} >&2\nexit 1\n")
    (tools / "rclone").chmod(0o755)
    sets.write(source, {"a": "rclone = host:a"}, required=1, more="retries = 0")
    result = sets.run(status=LOST, environment={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert ends(result)["a"]["error"] == "couldn't run ssh: me@host: Permission denied"


def recorder(tmp_path, name):
    """A program that writes its words down, and ends well."""
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    program = tools / name
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{tmp_path}/{name}.words"\nexit 0\n')
    program.chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


def words_of(tmp_path, name):
    return (tmp_path / f"{name}.words").read_text().splitlines()


def test_what_is_passed_on_to_rsync(sets, source, tmp_path):
    key = tmp_path / "a key's"
    sets.write(source, {
        "a": f"rsync = me@host:some path\nssh_key = {key}\nbwlimit = 500K\ntimeout = 9",
        "b": "rsync = rsync://host/module/path\npassword_file = /secret\n"
             "delete = yes\nmax_delete = 7",
    })  # fmt: skip
    sets.run("--delete-most", environment=recorder(tmp_path, "rsync"))
    words = words_of(tmp_path, "rsync")
    quoted = str(key).replace("'", "''")
    shell = [word for word in words if word.startswith("--rsh=")]
    assert shell == [
        "--rsh=ssh -o BatchMode=yes -o ConnectTimeout=9 -o ServerAliveInterval=4"
        f" -i '{quoted}'"
    ] * 6
    # What it says; asking, counting, copying, what it says now, looking for what was left.
    assert words.count("--bwlimit=500K") == 2 + words.count("me@host:some path/") == 6
    assert words.count("--password-file=/secret") == 2 + words.count("rsync://host/module/path/") == 5
    for place in ("me@host:some path/", "rsync://host/module/path/"):
        assert words.count(f"{place}{syncing.DESCRIPTION}") == 2
    assert words.count("--delete-delay") == 2
    assert words.count("--max-delete=7") == 1
    assert words.count("--") == 11
    # What was there before is not made again: see the disk that is not mounted.
    sets.run(environment=recorder(tmp_path, "rsync"))
    assert "rsync://host/module/path/./" in words_of(tmp_path, "rsync")
    # Where nothing could be counted, nothing is deleted.
    assert words_of(tmp_path, "rsync").count("--max-delete=0") == 1


def test_what_is_passed_on_to_rclone(sets, source, tmp_path):
    sets.write(source, {
        "a": "rclone = one:a\nbwlimit = 2M\nrclone_config = /c\nmetadata = yes",
        "b": "rclone = two:b\ndelete = yes\nsymlinks = no",
    })  # fmt: skip
    sets.run("--delete-most", environment=recorder(tmp_path, "rclone"))
    words = words_of(tmp_path, "rclone")
    assert {"copy", "sync", "one:a", "two:b", "--bwlimit=2M", "--config=/c"} <= {*words}
    assert words.count("--metadata") == 1
    # What it says; asking, sending that, copying, what it says now, looking for what was left. Names are listed
    # with links.
    assert (words.count("--links"), words.count("--skip-links")) == (8, 6)
    assert words.count("--max-delete=1000") == 1


def test_a_child_has_clean_signals_and_no_other_files(sets, source, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "rsync"
    program.write_text(
        f"#!/bin/sh\ngrep ^Sig /proc/self/status >{tmp_path}/signals\n"
        f"ls -l /proc/self/fd >{tmp_path}/files\nps -o pid=,pgid=,sid= -p $$ >{tmp_path}/group\n"
    )
    program.chmod(0o755)
    sets.write(source, {"a": "rsync = h:p"}, required=1)
    sets.run(environment={"PATH": f"{tools}:{os.environ['PATH']}"})
    signals = dict(
        line.split(":\t") for line in (tmp_path / "signals").read_text().splitlines()
    )
    assert int(signals["SigBlk"], 16) == 0
    assert int(signals["SigIgn"], 16) == 0
    opened = re.findall(r" (\d+) -> (\S+)", (tmp_path / "files").read_text())
    assert {number for number, _ in opened} <= {"0", "1", "2", "3"}  # the last is of ls itself
    assert dict(opened)["0"] == "/dev/null"
    # A session of its own: no terminal to ask for a password on.
    pid, group, session = (tmp_path / "group").read_text().split()
    assert pid == group == session


# What is installed for systemd


@pytest.fixture(scope="module")
def installed(binary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(
        ["meson", "install", "-C", binary.parent, "--no-rebuild", "--quiet", "--destdir", folder],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def installed_at(folder, name, owner="system"):
    (path,) = [path for path in folder.rglob(name) if "systemd" not in path.parts or owner in path.parts]
    return path


OF_SETS = [f"zfec-fs-{unit}@.{kind}" for unit in ("sync", "check") for kind in ("service", "timer")]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is missing")
@pytest.mark.parametrize("owner, unit", [
    *((owner, unit) for owner in ("system", "user") for unit in OF_SETS),
    ("system", "mnt-zfec.mount"), ("system", "mnt-restored.mount"),
])  # fmt: skip
def test_units(binary, installed, tmp_path, owner, unit):
    """Each with the others beside it, and the program where it really is."""
    for name in {*OF_SETS, unit}:
        text = installed_at(installed, name, owner).read_text()
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={binary}", text, flags=re.MULTILINE)
        (tmp_path / name).write_text(text)
    command = ["systemd-analyze", f"--{owner}", "verify", "--man=no", tmp_path / unit]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}  # which --user wants
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    complaints = [line for line in done.stderr.splitlines() if "zfec" in line or "mnt-" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is missing")
def test_units_could_be_wrong(tmp_path):
    unit = tmp_path / "wrong.service"
    unit.write_text("[Service]\nExecStart=/nowhere\nType=twice\n")
    command = ["systemd-analyze", "verify", "--man=no", unit]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "wrong.service" in done.stderr


@pytest.mark.parametrize("owner", ["system", "user"])
@pytest.mark.parametrize("unit, words", [("sync", "sync -- %i"), ("check", "check --due -- %i:")])
def test_the_service_runs_what_is_installed(installed, owner, unit, words):
    path = installed_at(installed, f"zfec-fs-{unit}@.service", owner)
    assert path.parts[-3:-1] == ("systemd", owner)
    program = re.search(rf"^ExecStart=(\S+) {words}$", path.read_text(), re.MULTILINE)[1]
    assert (installed / program.lstrip("/")).is_file()
    # The state of the system's is systemd's to make; a user's is in the home.
    assert ("StateDirectory" in path.read_text()) == (owner == "system")


def test_lines_of_fstab(installed):
    text = installed_at(installed, "fstab").read_text()
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert [(len(line), line[2]) for line in lines] == [(6, "fuse.zfec-fs")] * 2
    if shutil.which("findmnt"):
        done = subprocess.run(
            ["findmnt", "--tab-file", installed_at(installed, "fstab"), "-n", "-o", "TARGET"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert done.stdout.split() == ["/mnt/zfec", "/mnt/restored"]

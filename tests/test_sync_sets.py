# SPDX-License-Identifier: MIT
"""The file of sets: each wrong line is told with its number, and the examples of the manual are right."""

import os
import re
import shutil

import pytest

import commands
import mounts as mounts_module
from commands import FAILED, OK, USAGE
from syncing import NAMES, local
from syncing import nodes, sets, source  # noqa: F401

UNSANITIZED = True

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")


# The file of sets

GOOD = """[home]
source = /
required = 1
[home/a]
share = 00
rsync = host:path
[home/b]
share = 01
rclone = remote:path
"""


def with_line(number, line, text=GOOD):
    """TEXT with one more line before line NUMBER."""
    lines = text.splitlines()
    lines.insert(number - 1, line)
    return "\n".join(lines) + "\n"


WRONG = {
    "unknown key": (
        with_line(4, "speed = 3"), 4, "speed: unknown key; zfec-fs-sets(5) has them all"),
    "no key": (with_line(4, "delete"), 4, "write KEY = VALUE, or [SET], or [SET/NODE]"),
    "no = but a colon": (
        with_line(5, "rsync me@nas:backup"), 5, "write KEY = VALUE, or [SET], or [SET/NODE]"),
    "no value": (with_line(4, "delete ="), 4, "delete: write a value behind the ="),
    "no section": ("source = /\n", 1, "source: write a [section] before it"),
    "section without end": (with_line(4, "[home"), 4, 'this section has no "]" at its end'),
    "empty section": (GOOD + "[empty]\n", 10, "[empty]: write required = K, how many nodes are enough"),
    "empty section before another": (
        with_line(4, "[home/c]"), 4, "[home/c]: write share = 00, or another one"),
    "long section": (
        GOOD + f"[{'x' * 50}]\nsource = /\n", 10, "give a name of at most 49 bytes"),
    "name of a set": (
        GOOD + "[a b]\nsource = /\n", 10,
        "[a b]: write [SET] or [SET/NODE], names of letters, digits, . _ and -"),
    "name that leads elsewhere": (
        GOOD + "[..]\nsource = /\n", 10,
        "[..]: write [SET] or [SET/NODE], names of letters, digits, . _ and -"),
    "set twice": (GOOD + "[home]\nsource = /\n", 10, "[home] is there already; write another name"),
    "node twice": (
        GOOD + "[home/a]\nshare = 02\n", 10, "[home/a] is there already; write another name"),
    "node before its set": (
        "[x/a]\nshare = 00\n", 1, "[x/a]: write the section [x] before its nodes"),
    "two nodes with one share": (
        GOOD.replace("share = 01", "share = 00"), 8,
        "share = 00: [home/a] has it already; write another one"),
    "index of 256": (
        GOOD.replace("share = 01", "share = 100"), 8,
        "share = 100: write two hex digits, 00 to ff"),
    "index beyond shares": (
        with_line(4, "shares = 1"), 9, "share = 01: [home] has shares = 1; write 00 to 00"),
    "more required than nodes": (
        GOOD.replace("required = 1", "required = 3"), 3,
        "required = 3: [home] has 2 nodes; add nodes, or lower required"),
    "required of 256": (
        GOOD.replace("required = 1", "required = 256"), 3,
        "required = 256: write a whole number from 1 to 255"),
    "required of 0": (
        GOOD.replace("required = 1", "required = 0"), 3,
        "required = 0: write a whole number from 1 to 255"),
    "shares of 257": (
        with_line(4, "shares = 257"), 4, "shares = 257: write a whole number from 1 to 256"),
    "required missing": (
        GOOD.replace("required = 1\n", ""), 1,
        "[home]: write required = K, how many nodes are enough"),
    "source missing": (
        GOOD.replace("source = /\n", ""), 1, "[home]: write source = DIR, what to keep in sync"),
    "share missing": (
        GOOD.replace("share = 01\n", ""), 7,
        "[home/b]: write share = 00, or another one"),
    "target missing": (
        GOOD.replace("rclone = remote:path\n", ""), 7,
        "[home/b]: write rsync = HOST:PATH or rclone = REMOTE:PATH"),
    "two targets": (
        GOOD + "rsync = host:other\n", 10,
        "rsync = host:other: this node has a target already; write either rsync or rclone"),
    "one target twice": (
        GOOD.replace("rclone = remote:path", "rsync = host:path"), 9,
        "rsync = host:path: [home/a] is there already; write another place"),
    "target of another set": (
        GOOD + "[b]\nsource = /\nrequired = 1\n[b/x]\nshare = 00\nrsync = host:path/\n", 15,
        "rsync = host:path/: [home/a] is there already; write another place"),
    "target in another": (
        GOOD.replace("rclone = remote:path", "rsync = host:path/more"), 9,
        "rsync = host:path/more: [home/a] is there already; write another place"),
    "target around another": (
        GOOD + "[home/c]\nshare = 02\nrclone = remote:\n", 12,
        "rclone = remote:: [home/b] is there already; write another place"),
    "key twice": (with_line(4, "source = /"), 4, "source: it is there twice; leave one out"),
    "key of a node": (with_line(4, "share = 00"), 4, "share: write it in the section of a node"),
    "key of a set": (GOOD + "format = fec\n", 10, "format: write it in the section of a set"),
    "relative source": (
        GOOD.replace("source = /", "source = home"), 2,
        "source = home: write an absolute path"),
    "format": (with_line(4, "format = x"), 4, "format = x: write checked, classic, fec or sealed"),
    "block size": (
        with_line(4, "block_size = 5K"), 4,
        "block_size = 5K: write a power of two from 4K to 1M"),
    "truth": (with_line(4, "delete = 1"), 4, "delete = 1: write yes or no"),
    "torn": (with_line(4, "torn = yes"), 4, "torn = yes: write allow or error"),
    "number": (
        with_line(4, "retries = many"), 4,
        "retries = many: write a whole number from 0 to 100"),
    "negative": (
        with_line(4, "max_delete = -1"), 4,
        "max_delete = -1: write a whole number from 1 to 1000000000"),
    "time": (
        with_line(4, "deadline = 5w"), 4,
        "deadline = 5w: write a time like 90s, 15m, 6h or 2d, at most 30 days"),
    "long time": (
        with_line(4, "timeout = 2d"), 4,
        "timeout = 2d: write a time like 90s, 15m, 6h or 2d, at most 1 days"),
    "rate": (
        with_line(4, "bwlimit = 500"), 4,
        "bwlimit = 500: write bytes a second like 500K or 2M"),
    "exclude_from": (
        with_line(4, "exclude_from = /nowhere"), 4,
        "exclude_from = /nowhere: No such file or directory; "
        "write the path of a file with a pattern a line"),
    "relative key": (
        with_line(7, "ssh_key = id"), 7, "ssh_key = id: write an absolute path"),
    "option as a target": (
        GOOD.replace("host:path", "-e:sh"), 6,
        'rsync = -e:sh: write a target that does not begin with "-"'),
    "option as a host": (
        GOOD.replace("host:path", "me@-oProxyCommand=x:path"), 6,
        'rsync = me@-oProxyCommand=x:path: write a host that does not begin with "-"'),
    "option as a daemon": (
        GOOD.replace("host:path", "rsync://-x/y"), 6,
        'rsync = rsync://-x/y: write a host that does not begin with "-"'),
    "option as a remote": (
        GOOD.replace("remote:path", "--config=x:y"), 9,
        'rclone = --config=x:y: write a target that does not begin with "-"'),
    "relative target": (
        GOOD.replace("host:path", "some/path"), 6,
        "rsync = some/path: write HOST:PATH, rsync://HOST/MODULE/PATH or an absolute path"),
    "host without a path": (
        GOOD.replace("host:path", "host:"), 6,
        "rsync = host:: write HOST:PATH, rsync://HOST/MODULE/PATH or an absolute path"),
    "climbing target": (
        GOOD.replace("host:path", "/some/../path"), 6,
        "rsync = /some/../path: write a path without .."),
    "directory as a remote": (
        GOOD.replace("remote:path", "/some/path"), 9,
        "rclone = /some/path: write REMOTE:PATH; "
        "for a directory of this machine write rsync = instead"),
    "control character": (
        GOOD.replace("host:path", "host:\x1bpath"), 6,
        "rsync = host:\\x1bpath: write it without control characters"),
    "long line": (
        with_line(4, f"exclude = {'x' * 9000}"), 4,
        "give a line of less than 8190 bytes, without NUL"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_line(sets, name):
    text, line, message = WRONG[name]
    sets.file.write_text(text)
    result = sets.run(status=USAGE)
    assert result.errors == f"zfec-fs: {sets.file}:{line}: {message}\n"
    assert result.json == []
    assert not sets.state_folder.exists()


def test_the_good_one_is_good(sets, source, nodes):
    """What the wrong ones differ from; and comments, spaces and a byte order mark."""
    sets.file.write_text(
        "\ufeff; home\n# of all\n\n  [home]  \n source=" + str(source) + "\nrequired = 2\n"
        "exclude = a;b ; c\n"
        f"[home/a]\nshare = 00\nrsync = {nodes}/b # b\n"
        f"[home/b]\r\nshare: 01\r\nrsync={nodes}/b\r\n"
    )
    sets.run()
    assert sorted(os.listdir(nodes)) == ["b", "b # b"]


def test_a_file_that_is_not_there(sets):
    result = sets.run(status=FAILED)
    assert result.errors == (
        f"zfec-fs: {sets.file}: there is no such file; write one after the example in "
        "zfec-fs-sets(5), or name another with --config\n"
    )


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_a_file_that_is_none(sets, tmp_path, kind):
    """Reading it might never end."""
    path = {"fifo": tmp_path / "fifo", "folder": tmp_path, "device": "/dev/zero"}[kind]
    if kind == "fifo":
        os.mkfifo(path)
    done = commands.run("sync", "-c", path, status=USAGE, env=sets.environment)
    assert done.errors == f"zfec-fs: {path}: is not a file; give the path of one\n"


def test_a_file_without_sets(sets):
    sets.file.write_text("; nothing\n")
    assert "has no sets" in sets.run(status=USAGE).errors


@pytest.mark.skipif(os.geteuid() == 0, reason="root has another default")
def test_default_file_of_a_user(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    place = sets.folder / "zfec-fs" / "sets.ini"
    place.parent.mkdir()
    sets.file.rename(place)
    environment = {**sets.environment, "XDG_CONFIG_HOME": str(sets.folder)}
    done = mounts_module.run("sync", env=environment)
    assert done.returncode == OK


# The manual


def test_the_manual_has_all_keys():
    text = (mounts_module.REPOSITORY / "src" / "sync" / "sets.c").read_text()
    known = set(re.findall(r'^    \{"(\w+)", VALUE_', text, re.MULTILINE))
    page = (mounts_module.REPOSITORY / "docs" / "zfec-fs-sets.5.scd").read_text()
    keys = page.partition("# KEYS OF A SET")[2].partition("# WHAT IS SENT")[0]
    heads = re.findall(r"^(\*\w+\*(?:, \*\w+\*)*)$", keys, re.MULTILINE)
    assert {key for head in heads for key in re.findall(r"\w+", head)} == known
    assert len(known) > 20


def example_of_the_manual():
    page = (mounts_module.REPOSITORY / "docs" / "zfec-fs-sets.5.scd").read_text()
    return page.split("```\n")[1]


def example_of_the_readme():
    text = (mounts_module.REPOSITORY / "README.md").read_text()
    lines = text.partition("## Keep many places in sync")[2].partition("`zfec-fs sync`")[0]
    return "".join(re.findall(r"^ {4}(.*\n)", lines, re.MULTILINE))


@pytest.mark.parametrize("example", [example_of_the_manual, example_of_the_readme])
def test_examples_are_right(sets, example):
    sets.file.write_text(example())
    errors = sets.run("another", status=USAGE).errors
    assert errors == f"zfec-fs: another: there is no such set in {sets.file}; it has home\n"

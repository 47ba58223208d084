# SPDX-License-Identifier: MIT
"""Stores for the tests of `zfec-fs repair`: a tree of all kinds of things, its shares as they should
be, and what a directory holds, to the last attribute, to compare them with.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import subprocess
from collections import namedtuple
from pathlib import Path

import mounts as mounts_module
import trees

BLOCK_SIZE = 4096
TEMPORARY = ".zfec-fs-new-"

Item = namedtuple("Item", "kind mode uid gid mtime_ns xattrs content group")


# What a directory holds


def _xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}


def _content(path, status):
    if stat.S_ISREG(status.st_mode):
        return Path(path).read_bytes()
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    return None if stat.S_ISDIR(status.st_mode) else status.st_rdev


def item_of(path, group=()):
    status = os.lstat(path)
    mode = 0 if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode)
    return Item(stat.S_IFMT(status.st_mode), mode, status.st_uid, status.st_gid,
                status.st_mtime_ns, _xattrs(path), _content(path, status), group)  # fmt: skip


def _paths(folder, beneath=""):
    yield beneath
    if stat.S_ISDIR(os.lstat(folder / beneath).st_mode):
        for name in sorted(os.listdir(folder / beneath)):
            yield from _paths(folder, f"{beneath}/{name}" if beneath else name)


def state_of(folder):
    """Path -> Item for all that lies in a folder, and for the folder itself, whose path is ''."""
    folder = Path(folder)
    groups = {}
    paths = list(_paths(folder))
    for path in paths:
        status = os.lstat(folder / path)
        if not stat.S_ISDIR(status.st_mode):
            groups.setdefault((status.st_dev, status.st_ino), []).append(path)
    names = {path: tuple(group) for group in groups.values() for path in group}
    return {path: item_of(folder / path, names.get(path, ())) for path in paths}


def states_of(stores):
    """Name of the store -> state of it."""
    return {name: state_of(Path(stores) / name) for name in sorted(os.listdir(stores))}


def _show(value):
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {len(value[name])} bytes' for name in value)}}}"
    return f"{len(value)} bytes" if isinstance(value, bytes) else repr(value)


def _item_differences(found, expected):
    return [
        f"{field} {_show(one)}, expected {_show(other)}"
        for field, one, other in zip(Item._fields, found, expected)
        if one != other
    ]


def differences(found, expected):
    """What is different between two states, in words."""
    lines = [f"{path!r} is missing" for path in expected if path not in found]
    lines += [f"{path!r} is too much" for path in found if path not in expected]
    for path in found:
        if path in expected and found[path] != expected[path]:
            lines.append(f"{path!r}: {'; '.join(_item_differences(found[path], expected[path]))}")
    return lines


def store_differences(found, expected):
    """The same for states of several stores."""
    lines = [f"store {name} is missing" for name in expected if name not in found]
    for name, state in found.items():
        lines += [f"{name}: {line}" for line in differences(state, expected.get(name, {}))]
    return lines


def assert_stores(stores, expected):
    wrong = store_differences(states_of(stores), expected)
    assert not wrong, "\n".join(["the stores are not what they should be:", *wrong])


def assert_same_state(folder, expected):
    wrong = differences(state_of(folder), expected)
    assert not wrong, "\n".join([f"{folder} is not what it should be:", *wrong])


def temporary_names(stores):
    return [str(path) for path in Path(stores).rglob(TEMPORARY + "*")]


# Trees


def try_all(*functions):
    """What not every file system or user can."""
    for function in functions:
        with contextlib.suppress(OSError):
            function()


def give_metadata(path, rng):
    """Mode, time, and what of owner and attributes can be given here."""
    path = Path(path)
    link = path.is_symlink()
    value = rng.randbytes(rng.randint(1, 50))
    if os.geteuid() == 0:
        os.lchown(path, rng.choice([0, 1, 1000]), rng.choice([0, 5, 1000]))
    if not link:
        try_all(lambda: os.setxattr(path, "user.test", value))
        if rng.random() < 0.5:
            entry = rng.choice(["u:1:rw", "g:5:r", "u:1000:-"])
            subprocess.run(["setfacl", "-m", entry, path], check=False, capture_output=True)
            if path.is_dir():
                subprocess.run(["setfacl", "-d", "-m", entry, path], check=False, capture_output=True)
        else:
            os.chmod(path, rng.choice([0o644, 0o600, 0o4755, 0o444] if path.is_file() else
                                      [0o755, 0o700, 0o2750, 0o1777]))  # fmt: skip
    give_time(path, rng)


def give_time(path, rng):
    at = rng.randrange(10**18, 17 * 10**17)
    os.utime(path, ns=(at, at), follow_symlinks=False)


def directories_of(folder):
    """All directories in a folder, those that are deeper first."""
    return [Path(path) for path, _, _ in os.walk(folder, topdown=False)]


def make_source(folder, required, rng):
    """A tree with one of each kind: every border of the formats, links, special files, odd names."""
    folder.mkdir()
    contents = trees.write_sizes(folder / "sizes", trees.interesting_sizes(required), rng)
    for path in ("dir/file", "dir/sub/deep", "dir/sub/new\nline", "dir/sub/\udcff", "wide"):
        size = rng.randint(1, 3 * required * BLOCK_SIZE)
        trees.write_file(folder / path, rng.randbytes(size))
    trees.write_file(folder / "linked", rng.randbytes(30_000))
    os.link(folder / "linked", folder / "dir" / "linked-2")
    os.link(folder / "linked", folder / "dir" / "sub" / "linked-3")
    (folder / "nothing-in-it").mkdir()
    (folder / "link").symlink_to("dir/file")
    (folder / "dir" / "dangling").symlink_to("/nowhere/at all")
    os.mkfifo(folder / "dir" / "fifo")
    if os.geteuid() == 0:
        try_all(lambda: os.mknod(folder / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3)))
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() or path.is_symlink():
            give_metadata(path, rng)
    for path in directories_of(folder):
        give_metadata(path, rng)
    return contents


def make_random_source(folder, required, rng):
    """Up to some 25 names of any kind, anywhere, and three files that have not one mode.

    Stores that show one for everything have no say in modes where others do.
    """
    folder.mkdir()
    places, files = [folder], []
    for number in range(rng.randint(1, 25)):
        path = rng.choice(places) / f"{rng.choice('abc')}{number}"
        kind = rng.choices(["file", "directory", "symlink", "fifo", "link"], [10, 4, 2, 1, 3])[0]
        if kind == "directory":
            path.mkdir()
            places.append(path)
        elif kind == "symlink":
            path.symlink_to(rng.choice(["a", "/nowhere", "../b"]))
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "link" and files:
            os.link(rng.choice(files), path)
        else:
            sizes = [0, 1, rng.randint(1, 100), rng.randint(1, 4 * required * BLOCK_SIZE)]
            files.append(trees.write_file(path, rng.randbytes(rng.choice(sizes))))
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() or path.is_symlink():
            give_metadata(path, rng)
    for mode in (0o600, 0o640, 0o755):
        trees.write_file(folder / f"mode-{mode:o}", b"").chmod(mode)
    for path in directories_of(folder):
        give_metadata(path, rng)


def copy_tree(source, target):
    """All of it, with all metadata that can be had there."""
    subprocess.run(["cp", "-a", f"{source}/.", target], check=True, timeout=60)


class Shares:
    """The shares of a tree as they should be: a directory for each, and what is in it."""

    def __init__(self, folder, share_format, required):
        self.folder = folder
        self.format = share_format
        self.required = required
        self.names = sorted(os.listdir(folder))
        self.states = states_of(folder)

    def options(self):
        options = [] if self.format == "checked" else ["--format", self.format]
        return options + (["-k", str(self.required)] if self.format == "classic" else [])

    def mount_options(self):
        options = {} if self.format == "checked" else {"format": self.format}
        return options | ({"required": self.required} if self.format == "classic" else {})

    def copy_to(self, stores, names=None):
        """A new directory of stores; those that are named, or all."""
        stores.mkdir(parents=True)
        folders = [self.folder / name for name in names or self.names]
        subprocess.run(["cp", "-a", *folders, stores], check=True, timeout=60)
        return stores

    def files(self):
        """Paths of the regular files."""
        return [path for path, item in self.states[self.names[0]].items()
                if item.kind == stat.S_IFREG]  # fmt: skip

    def objects(self):
        """The same, of each file its first name alone."""
        return [path for path in self.files() if self.states[self.names[0]][path].group[0] == path]

    def names_of(self, path):
        """All names of the object that has this one; a directory has one."""
        return self.states[self.names[0]][path].group or (path,)

    def paths(self):
        return [path for path in self.states[self.names[0]] if path]


def encode(mounts, source, folder, share_format, required, count):
    """Copies all shares out of the encoded view."""
    folder.mkdir(parents=True)
    options = {"format": share_format, "required": required, "shares": count}
    if share_format == "checked":
        options["block_size"] = BLOCK_SIZE
    view = mounts.encoded(source, **options)
    for index in range(count):
        copy_tree(view / trees.share_name(index), folder / trees.share_name(index))
    view.unmount()
    return Shares(folder, share_format, required)


# The program


def run(*words, **how):
    """Runs the program; a sanitizer's complaint fails at once."""
    result = mounts_module.run(*words, limit_s=120, errors="surrogateescape", **how)
    assert not mounts_module.SANITIZER.search(result.stderr), result.stderr
    return result


def repair(shares, stores, *words, status, **how):
    result = run("repair", *shares.options(), *words, stores, **how)
    told = f"exit status {result.returncode}, not {status}:\n{result.stdout}{result.stderr}"
    assert result.returncode == status, told
    return result


def assert_intact(shares, stores, *words):
    """`check` says so."""
    result = run("check", *shares.options(), *words, stores)
    assert result.returncode == 0, result.stdout + result.stderr


def assert_nothing_to_do(shares, stores, *words):
    """Another run changes nothing, not even a time."""
    before = trees.snapshot(stores)
    result = repair(shares, stores, *words, status=0)
    assert trees.snapshot(stores) == before
    assert re.search(r"; 0 made, 0 given metadata, 0 removed, 0 failed", result.stdout)
    assert "Nothing was wrong: every file can be restored from any" in result.stdout


def assert_mended(shares, stores, *words, expected=None, status=1):
    """Repairs; then all is as it should be, all see that it is, and nothing is left to be done."""
    result = repair(shares, stores, *words, status=status)
    assert result.stdout.splitlines()[-1].startswith("All is mended: ") == (status == 1)
    assert_stores(stores, expected or shares.states)
    assert_intact(shares, stores)
    assert_nothing_to_do(shares, stores)
    return result


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


# Damage


@contextlib.contextmanager
def same_time(path):
    """What is done to a file or directory does not show in its times, nor in its parent's."""
    times = {place: os.lstat(place) for place in (path, path.parent) if os.path.lexists(place)}
    yield
    for place, status in times.items():
        if os.path.lexists(place):
            os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def remove(path):
    """Whatever it is; the directory's time is kept."""
    with same_time(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def change_bytes(path, at, count=1):
    """Other bytes in place; the time is kept."""
    with same_time(path), open(path, "r+b", buffering=0) as file:
        there = os.pread(file.fileno(), count, at)
        assert there, f"{path} has no bytes at {at}"
        os.pwrite(file.fileno(), bytes(byte ^ 0x5A for byte in there), at)


def change_size(path, size):
    with same_time(path):
        os.truncate(path, size)


def replace(path, make):
    """Something else in its place, made by make(path)."""
    remove(path)
    with same_time(path):
        make(path)


def actions(lines):
    return {
        (line["action"], line["path"], line.get("target"))
        for line in lines
        if line["message_type"] == "file"
    }


def same_metadata(item, other):
    """But for the time of a directory, which changes with what is done in it."""
    fields = ("mode", "uid", "gid", "xattrs") + (() if is_directory(item) else ("mtime_ns",))
    return all(getattr(item, field) == getattr(other, field) for field in fields)


def is_directory(item):
    return item is not None and item.kind == stat.S_IFDIR

# SPDX-License-Identifier: MIT
"""Runs encode, decode and their like, and compares trees name by name."""

import base64
import json
import os
import stat
import subprocess
import time
from collections import defaultdict, namedtuple
from pathlib import Path

import mounts as mounts_module
import trees

OK, DAMAGED, LOST, USAGE, FAILED = range(5)
TEMPORARY = ".zfec-fs-new-"
LIMIT_S = 120

Facts = namedtuple("Facts", "mode owner mtime_ns device target xattrs content")


# Running


class Result:
    """How a command ended, and what it printed: as lines of JSON, and as text."""

    def __init__(self, status, printed, errors):
        assert not mounts_module.SANITIZER.search(errors), errors
        self.status, self.errors = status, errors
        self.json = parse_lines(printed)

    @property
    def summary(self):
        assert [line["message_type"] for line in self.json].count("summary") == 1, self.json
        return self.json[-1]

    def actions(self):
        """(what was done, path) -> the shares for which it was done; a whole tree's is None."""
        found = defaultdict(set)
        for line in self.json:
            if line["message_type"] == "file":
                found[line["action"], line["path"]].add(line.get("share"))
        return dict(found)


def parse_lines(printed):
    assert printed.endswith(b"\n") or not printed, printed[-200:]
    lines = [json.loads(line) for line in printed.decode().split("\n") if line]
    assert all(line["message_type"] for line in lines)
    return lines


def path_in(line):
    """The bytes of a line's path: as they are where they are UTF-8, otherwise in base64."""
    if "path_base64" in line:
        return base64.b64decode(line["path_base64"], validate=True)
    return line["path"].encode()


def command_line(*words, before=(), binary=None):
    return [*before, binary or mounts_module.BINARY, words[0], "--json", *words[1:]]


def run(*words, status=OK, noisy=False, before=(), binary=None, **how):
    """Runs a command, its words as on the command line. Nothing on stderr where all is well."""
    done = subprocess.run(
        command_line(*words, before=before, binary=binary),
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT_S,
        **how,
    )
    errors = done.stderr.decode(errors="backslashreplace")
    told = f"{errors[-2000:]}\n{done.stdout[-2000:]!r}"
    assert done.returncode == status, f"exit status {done.returncode}: {told}"
    assert status != OK or noisy or errors == "", errors[-2000:]
    return Result(done.returncode, done.stdout, errors)


def start(*words, **how):
    """Starts a command that tells each file as soon as it is made."""
    return subprocess.Popen(
        command_line(words[0], "--verbose", *words[1:]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **how,
    )


# A file for each thread: else calls of several are told in pieces.
STRACE = ("strace", "-ff", "-y", "-e", "trace=read,pread64,readv,preadv,preadv2,mmap", "-o")


def take_trace(path):
    """What strace has written to PATH, and to files beside it; they are removed."""
    parts = sorted(path.parent.glob(f"{path.name}.*"))
    text = "".join(part.read_text(errors="replace") for part in parts)
    for part in parts:
        part.unlink()
    return text


def worker_of(process):
    """The process that does the work of the one that was started, once it is there."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + LIMIT_S
    while not children.read_text() and time.monotonic() < end:
        time.sleep(0.01)
    worker, *_ = children.read_text().split()  # others, which it has left, come behind it
    return int(worker)


def finish(process, first_line=b""):
    printed, errors = process.communicate(timeout=LIMIT_S)
    return Result(process.returncode, first_line + printed, errors.decode())


# Trees, also beyond PATH_MAX: each directory is reached by the descriptor of the one above it


def _xattrs(folder_fd, name):
    path = f"/proc/self/fd/{folder_fd}/{name}"
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return tuple((each, os.getxattr(path, each, follow_symlinks=False)) for each in names)


def _content(folder_fd, name):
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder_fd), "rb") as file:
        return file.read()


def _facts(folder_fd, name, status):
    kind = stat.S_IFMT(status.st_mode)
    return Facts(
        oct(status.st_mode),
        (status.st_uid, status.st_gid),
        status.st_mtime_ns,
        status.st_rdev if kind in (stat.S_IFBLK, stat.S_IFCHR) else None,
        os.readlink(name, dir_fd=folder_fd) if kind == stat.S_IFLNK else None,
        _xattrs(folder_fd, name),
        _content(folder_fd, name) if kind == stat.S_IFREG else None,
    )


def _visit(folder_fd, name, path, take):
    status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    take(folder_fd, name, path, status)
    if not stat.S_ISDIR(status.st_mode):
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    inner = os.open(name, flags, dir_fd=folder_fd)
    try:
        for each in sorted(os.listdir(inner)):
            _visit(inner, each, f"{path}/{each}", take)
    finally:
        os.close(inner)


def visit(folder, take):
    """take(descriptor of its directory, name, path, lstat) of a folder, and of all in it."""
    folder = Path(folder)
    parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _visit(parent, folder.name, "", take)
    finally:
        os.close(parent)


def describe(folder):
    """path -> Facts, and path -> all names of the same file."""
    facts, names = {}, defaultdict(list)

    def take(folder_fd, name, path, status):
        facts[path] = _facts(folder_fd, name, status)
        if not stat.S_ISDIR(status.st_mode):
            names[status.st_dev, status.st_ino].append(path)

    visit(folder, take)
    return facts, {path: group for group in names.values() for path in group}


def _shown(value):
    text = repr(value)
    return text if len(text) < 120 else f"{text[:100]}... ({len(text)})"


def _difference(one, other):
    """What is not the same, in words; nothing where all is."""
    if one is None or other is None:
        return "is missing" if other is None else "should not be there"
    return "; ".join(
        f"{name} {_shown(was)}, not {_shown(wanted)}"
        for name, was, wanted in zip(Facts._fields, other, one)
        if was != wanted
    )


def differences(expected, found):
    """path -> what is wrong with it."""
    (one, one_names), (other, other_names) = describe(expected), describe(found)
    wrong = {path: _difference(one.get(path), other.get(path)) for path in {*one, *other}}
    for path in {*one_names} & {*other_names}:
        if one_names[path] != other_names[path]:
            wrong[path] += f" is one with {other_names[path]}, not {one_names[path]}"
    return {path: text for path, text in sorted(wrong.items()) if text}


def compare_trees(expected, found):
    """Names, kinds, bytes, modes, owners, times, attributes, links: no difference, or the first."""
    wrong = differences(expected, found)
    lines = [f"{_shown(path)}: {text}" for path, text in wrong.items()]
    assert not lines, "\n".join([f"{found}: {len(lines)} differences:", *lines[:10]])


def snapshot(folder):
    """All that a run could change, the numbers and the change times of inodes as well."""
    found = {}

    def take(folder_fd, name, path, status):
        numbers = status.st_ino, status.st_ctime_ns, status.st_nlink
        found[path] = numbers, _facts(folder_fd, name, status)

    visit(folder, take)
    return found


def leftovers(folder):
    return [path for path in describe(folder)[0] if TEMPORARY in path]


def all_shares(count):
    return [trees.share_name(index) for index in range(count)]


def compare_with_view(mounts, source, destination, places=None, indexes=None, **options):
    """The shares (places: index -> folder, where it is not in the destination) are the view's."""
    view = mounts.encoded(source, **options)
    for index in range(options["shares"]) if indexes is None else indexes:
        name = trees.share_name(index)
        compare_trees(view / name, (places or {}).get(index, Path(destination, name)))
    view.unmount()

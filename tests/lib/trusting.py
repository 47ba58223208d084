# SPDX-License-Identifier: MIT
"""Stores that are not to be trusted, and what the view, decode, check and repair make of them: they
have to agree, and what must not be written to is the same afterwards, to the byte and inode.
"""

import errno
import os
import re
import signal
import stat
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest

import commands
import mounts as mounts_module
import oracle
import repairing
import trees
from commands import OK

BLOCK_SIZE = 4096
BLOCK_STEP = BLOCK_SIZE + 32
HOUR_NS = 3600 * 10**9
MTIME_NS = trees.MTIME_NS
OLDER, NEWER = MTIME_NS - HOUR_NS, MTIME_NS + HOUR_NS
LIMIT_S = 30  # of a command over a few small files
WITNESSES = ("other-1", "other-2")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


# What is to be seen of a name: its bytes, or one of these


class _Kind:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


GONE = _Kind("GONE")  # a file that is shown; reading it is an error, decode does not make it
CONFLICT = _Kind("CONFLICT")  # listed or not; what is asked of it is an error
DIRECTORY = _Kind("DIRECTORY")
FIFO = _Kind("FIFO")
DEVICE = _Kind("DEVICE")
Link = namedtuple("Link", "target")


def fingerprint(path):
    """All by which something in a store is known to be as it was."""
    found = os.lstat(path)
    if stat.S_ISDIR(found.st_mode):
        return stat.S_IFMT(found.st_mode), stat.S_IMODE(found.st_mode)
    content = os.readlink(path) if stat.S_ISLNK(found.st_mode) else None
    if stat.S_ISREG(found.st_mode):
        content = Path(path).read_bytes()
    xattrs = repairing._xattrs(path)
    return (found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns,
            found.st_size, xattrs, content)  # fmt: skip


def fingerprints(folder):
    return {path: fingerprint(folder / path) for path in repairing._paths(folder)}


class Said:
    """How a command ended, and all that it printed: as it stands, and what of it is JSON."""

    def __init__(self, words, status, printed, errors):
        self.status, self.errors, self.text = status, errors, printed + errors
        self.lines = self.json = []
        if "--json" in words:
            self.json = repairing.json_lines(printed)
            self.lines = [line for line in self.json if line["message_type"] == "check"]

    def demand(self, status, says=(), unsaid=()):
        told = f"exit status {self.status}, not {status}:\n{self.text[-3000:]}"
        assert self.status in (status if isinstance(status, tuple) else (status,)), told
        for pattern in says:
            found = re.search(pattern, self.text, re.I | re.M)
            assert found, f"{pattern!r} is not said: {self.text}"
        for pattern in unsaid:
            assert not re.search(pattern, self.text, re.I | re.M), f"{pattern!r}: {self.text}"
        return self


def run(*words, limit_s=LIMIT_S, **how):
    """Runs a command, which ends by itself, or it and all that it has started are ended."""
    with subprocess.Popen(
        [mounts_module.BINARY, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        start_new_session=True,
        **how,
    ) as process:
        try:
            printed, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired as late:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise AssertionError(f"{words[0]} goes on after {limit_s} s") from late
    assert not mounts_module.SANITIZER.search(errors), errors
    return Said(process.args, process.returncode, printed, errors)


class Stores:
    """Stores named by their share (00, 01, 02-too), with honest files by which they are known."""

    def __init__(self, folder, rng, required, names, share_format="checked", total=None,
                 witnesses=WITNESSES):  # fmt: skip
        self.base, self.folder, self.rng = folder, folder / "stores", rng
        self.required, self.format = required, share_format
        self.names = list(commands.all_shares(names) if isinstance(names, int) else names)
        self.total = total or max(len(self.names), required)
        self.files, self.out, self._runs = {}, None, 0
        for name in self.names:
            (self.folder / name).mkdir(parents=True)
        for name in witnesses:
            self.files[name] = self.put(name, size=5000)

    # Making them

    def path(self, store, name="a"):
        return self.folder / store / name

    def share(self, data, store, mtime_ns=MTIME_NS, required=None, index=None, total=None,
              block_size=BLOCK_SIZE):  # fmt: skip
        index = int(store[:2], 16) if index is None else index
        return oracle.make_share(self.format, data, required or self.required,
                                 total or self.total, index, mtime_ns, block_size)  # fmt: skip

    def put(self, name="a", data=None, stores=None, size=3000, mtime_ns=MTIME_NS, **how):
        """A file's shares in some stores, or in all. Returns its bytes."""
        data = self.rng.randbytes(size) if data is None else data
        for store in self.names if stores is None else stores:
            share = self.share(data, store, mtime_ns, **how)
            trees.write_file(self.path(store, name), share, mtime_ns)
        return data

    def stripes(self, count, required=None):
        return count * (required or self.required) * BLOCK_SIZE

    def change(self, store, change, name="a"):
        """Has change(bytearray) change a copy, or return another; its time stays."""
        path = self.path(store, name)
        share = bytearray(path.read_bytes())
        share = change(share) or share
        found = path.stat()
        path.write_bytes(share)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def flip(self, store, *offsets, name="a"):
        for offset in offsets:
            repairing.change_bytes(self.path(store, name), offset)

    def scribble(self, store, at, count, name="a"):
        """Other bytes, of which none is as it was."""
        noise = [self.rng.randint(1, 255) for _ in range(count)]

        def change(share):
            share[at : at + count] = (a ^ b for a, b in zip(share[at : at + count], noise))

        self.change(store, change, name)

    def spoil_header(self, store, name="a"):
        self.flip(store, 20, name=name)

    def spoil(self, store, *blocks, name="a"):
        for number in blocks:
            self.flip(store, oracle.HEADER_SIZE + number * BLOCK_STEP + 100, name=name)

    def symlink(self, store, name, target):
        path = self.path(store, name)
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(target)
        os.utime(path, ns=(MTIME_NS, MTIME_NS), follow_symlinks=False)

    def settle(self):
        """What was done to directories is not to be seen in their times."""
        for folder in repairing.directories_of(self.folder):
            os.utime(folder, ns=(MTIME_NS, MTIME_NS))

    # What is seen of them

    def words(self, required=None):
        words = [] if self.format == "checked" else ["--format", self.format]
        return words + (["--required", str(required)] if required else [])

    def view(self, mounts, required=None, **options):
        if self.format != "checked":
            options["format"] = self.format
        view = mounts.restored(self.folder, required=required, **options)
        view.expect_log(r"^zfec-fs: ", count=0)
        return view

    def decode(self, *words, expected, status=OK, required=None, says=(), unsaid=()):
        """Decodes into a new directory, which then has what is expected, and nothing else."""
        self._runs += 1
        self.out = out = self.base / f"out-{self._runs}"
        said = run("decode", "--json", *self.words(required), *words, self.folder, out)
        said.demand(status, says, unsaid)
        compare(out if out.exists() else None, {**self.files, **expected}, made=True)
        return said

    def check(self, *words, status, health=None, required=None, says=(), unsaid=()):
        """Both forms of what is said end the same, and the stores stay as they are."""
        before = fingerprints(self.folder)
        text = run("check", *self.words(required), *words, self.folder).demand(status, says, unsaid)
        said = run("check", "--json", "-v", *self.words(required), *words, self.folder)
        said.demand(text.status)
        assert fingerprints(self.folder) == before
        found = {line["path"]: line for line in said.lines}
        for name, expected in (health or {}).items():
            assert found[name]["health"] in expected, found[name]
        return said

    def may_lose(self, name="a"):
        """How many stores more, as check says."""
        said = run("check", "--json", "-v", *self.words(), self.folder)
        (line,) = [line for line in said.lines if line["path"] == name]
        return line["may_lose"]

    def repair(self, *words, status, writes=(), removes=(), required=None, says=(), unsaid=()):
        """Has what it may write to ("03/a" -> bytes, or None), and leaves all else as it was."""
        before = fingerprints(self.folder)
        said = run("repair", *self.words(required), *words, self.folder)
        after = fingerprints(self.folder)
        touched = {path for path in {*before, *after} if before.get(path) != after.get(path)}
        wrong = sorted(touched - set(writes) - set(removes))
        assert not wrong, f"repair touched {wrong}:\n{said.text[-3000:]}"
        said.demand(status, says, unsaid)
        assert not repairing.temporary_names(self.folder)
        assert not [path for path in removes if path in after]
        if not isinstance(writes, dict):
            writes = dict.fromkeys(writes)
        for path, content in writes.items():
            assert path in touched, f"{path} is not mended: {said.text}"
            if content is not None:
                trees.assert_same((self.folder / path).read_bytes(), content, path)
        return said

    def shares(self, data, stores, name="a", **how):
        """What repair is to write of a file, as repair() takes it."""
        return {f"{store}/{name}": self.share(data, store, **how) for store in stores}

    def holds(self, mounts, expected, *, decode=OK, check=OK, repair=None, says=(), writes=(),
              log=(), required=None, unsaid=(), absent=(), few=False):  # fmt: skip
        """The view, decode, check and repair all come to this, and what they say has SAYS.

        Names that are ABSENT are not even to be reached by those who know them. What is wrong is
        told of all four. FEW: a view has too few votes to show anything.
        """
        self.settle()
        bad = [name for name, what in expected.items() if what in (GONE, CONFLICT)]
        told = [*says, *(rf'^(zfec-fs: )?{re.escape(name)}: |"path":"{re.escape(name)}"' for name in bad)]
        free = CONFLICT in expected.values()

        def view_holds():
            if few:
                with pytest.raises(OSError, match="Input/output error"):
                    os.listdir(self.view(mounts, required).path)
            else:
                self.show(mounts, expected, required=required, log=log, absent=absent)

        def rebuilt_holds():
            self.rebuild_nothing(mounts, bad, absent, required)

        def decode_holds():
            self.decode(expected=expected, status=decode, required=required,
                        says=told if decode else (), unsaid=unsaid)  # fmt: skip

        def check_holds():
            said = self.check(status=check, required=required, says=told, unsaid=unsaid,
                              health={name: ("lost", "conflict") for name in bad})  # fmt: skip
            assert free or said.json[-1]["lost"] == len(bad), said.text

        def repair_holds():
            self.repair(status=check if repair is None else repair, writes=writes,
                        required=required, unsaid=unsaid)  # fmt: skip

        wrong = []
        for part in (view_holds, rebuilt_holds, decode_holds, check_holds, repair_holds):
            try:
                part()
            except (AssertionError, OSError, LookupError) as failure:
                wrong.append(f"{part.__name__.replace('_holds', '')}: {failure}")
        assert not wrong, "\n".join(wrong)

    def show(self, mounts, expected, *, required=None, log=(), absent=(), **options):
        """The restored view has what is expected, and nothing else."""
        view = self.view(mounts, required, **options)
        compare(view.path, {**self.files, **expected})
        for name in absent:
            assert not os.path.lexists(view / name), f"{name} can be reached"
        view.unmount()
        for pattern in log:
            assert re.search(pattern, view.log(), re.I), f"{pattern!r} is not logged: {view.log()}"

    def rebuild_nothing(self, mounts, names, absent=(), required=None):
        """Of what cannot be restored, shares cannot be made; what is not shown has none."""
        if not names and not absent:
            return
        how = {} if self.format == "checked" else {"format": self.format}
        view = mounts.rebuilt(self.folder, shares=self.total, required=required, **how)
        view.expect_log(r"^zfec-fs: ", count=0)
        for name in names:
            assert_error(view / self.names[0][:2] / name)
        for name in absent:
            assert not os.path.lexists(view / self.names[0][:2] / name), name
        view.unmount()

    def intact(self):
        """Once repair was there, all is."""
        self.check(status=OK)
        self.repair(status=OK)


# What a tree has


def with_parents(expected):
    whole = {}
    for name, what in expected.items():
        for parent in list(Path(name).parents)[:-1]:
            whole.setdefault(str(parent), DIRECTORY)
        whole[name] = what
    return whole


def names_in(folder, known):
    """All names, beneath the directories that are known: what is an error is not gone into."""
    if folder is None:
        return set()
    found, waiting = set(), [""]
    while waiting:
        beneath = waiting.pop()
        for name in os.listdir(folder / beneath):
            path = f"{beneath}/{name}" if beneath else name
            found.add(path)
            if known.get(path) is DIRECTORY:
                waiting.append(path)
    return found


_IS = {DIRECTORY: stat.S_ISDIR, FIFO: stat.S_ISFIFO, DEVICE: stat.S_ISCHR, GONE: stat.S_ISREG}


def compare(folder, expected, made=False):
    """A tree has these names, no others, and of each what is expected of it."""
    expected = with_parents(expected)
    errors = {name for name, what in expected.items() if what in (GONE, CONFLICT)}
    found = names_in(folder, expected)
    free = {name for name in errors if expected[name] is CONFLICT and not made}
    wanted = set(expected) - (errors if made else set())
    found, there = found - free, wanted - free
    assert found == there, f"too much: {sorted(found - there)}, missing: {sorted(there - found)}"
    for name in sorted(wanted):
        compare_one(folder / name, expected[name])


def compare_one(path, what):
    if isinstance(what, bytes):
        found = read(path)
        assert not isinstance(found, int), f"{path.name}: {os.strerror(found)}"
        trees.assert_same(found, what, path.name)
    elif isinstance(what, Link):
        assert os.readlink(path) == what.target
    else:
        if what in _IS:
            assert _IS[what](path.lstat().st_mode), f"{path.name}: {oct(path.lstat().st_mode)}"
        if what in (GONE, CONFLICT):
            assert read(path) == errno.EIO, f"{path.name} can be read"


def read(path):
    """The bytes of a file, or the error that reading it is."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        return error.errno
    parts = []
    try:
        while not parts or parts[-1]:
            parts.append(os.read(file, 1 << 20))
    except OSError as error:
        return error.errno
    finally:
        os.close(file)
    return b"".join(parts)


def assert_error(path):
    assert not isinstance(read(path), bytes), f"{path} can be read"


def read_at(file, at, count=BLOCK_SIZE):
    """Past the kernel's pages, where the file was opened so: bytes, or the error."""
    buffer = bytearray(count)
    try:
        return bytes(buffer[: os.preadv(file, [buffer], at)])
    except OSError as error:
        return error.errno


def forged(required, size, index=0, mtime_ns=MTIME_NS):
    """A header alone, with a right check, that says what it likes."""
    return oracle.checked_header(required, index, size, mtime_ns, BLOCK_SIZE)


@pytest.fixture
def make(tmp_path, rng):
    def make_stores(required, names, *more, **how):
        return Stores(tmp_path, rng, required, names, *more, **how)

    return make_stores


@pytest.fixture
def whole(make):
    """Five stores of a tree of some size, k = 3."""
    stores = make(3, 5)
    for number in range(12):
        name = f"dir/file-{number}"
        stores.files[name] = stores.put(name, size=500)
    return stores


def is_of(found, data, at):
    return found == data[at : at + BLOCK_SIZE]

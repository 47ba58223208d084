# SPDX-License-Identifier: MIT
"""Copies that are changed, in place and by rename, while a file of them is held open, read or decoded.

What is read belongs to the content at the time of the open, or is an error. No open file and no
decoded file is put together from two contents. ZFEC_FS_TEST_CASES says how many changes there are.
"""

import errno
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import model_stores
import mounts as mounts_module
import oracle
from conftest import SEED
from model import Model
from model_shares import DIRECTORY, FILE, Entry

SPREAD = True
CASES = int(os.environ.get("ZFEC_FS_TEST_CASES", "3000"))
STEPS = max(200, CASES // 20)
READING_S = min(10, max(1.5, CASES / 20000))
DECODED = max(5, CASES // 5000)
BLOCK_SIZE = 4096
TIME = 1400000000123456789
FILES, STORES, HANDLES = 12, 5, 30
FOLDER = Entry(DIRECTORY, mode=0o755, mtime=TIME)


@pytest.fixture
def rng(request):
    return random.Random(f"{SEED} {request.node.name}")


# Changes of a copy on the disk


def in_place(path, data, rng):
    """As rsync --inplace does: from the start to the end."""
    file = os.open(path, os.O_WRONLY)
    for at in range(0, len(data), 10000):
        os.pwrite(file, data[at : at + 10000], at)
    os.ftruncate(file, len(data))
    os.close(file)


def truncated_first(path, data, _rng):
    Path(path).write_bytes(data)


def by_rename(path, data, _rng):
    """As rsync and encode do: beside it, then over it."""
    new = os.path.join(os.path.dirname(path), ".zfec-fs-new-" + os.path.basename(path))
    Path(new).write_bytes(data)
    os.rename(new, path)


def by_unlink(path, data, _rng):
    os.unlink(path)
    Path(path).write_bytes(data)


IN_PLACE, REPLACED = (in_place, truncated_first), (by_rename, by_unlink)
BOTH = IN_PLACE + REPLACED


def is_of_one(found, contents):
    """Whether pieces (offset, bytes) that were read are all of one content."""
    return any(all(data[at : at + len(piece)] == piece for at, piece in found) for data in contents)


class Content:
    """A content of a file, with the time that it is stored under."""

    def __init__(self, share_format, k, size, mtime, rng):
        data = rng.randbytes(size)
        self.data, self.mtime = data, mtime
        self.shares = [oracle.make_share(share_format, data, k, STORES, index, mtime, BLOCK_SIZE)
                       for index in range(STORES)]  # fmt: skip


class Tree:
    """Stores whose files are changed, and what the model says of them at any time."""

    def __init__(self, folder, share_format, k, rng):
        self.folder, self.format, self.k, self.rng = folder, share_format, k, rng
        self.stores = {f"{index:02x}": {"": FOLDER} for index in range(STORES)}
        self.sizes = {f"f{n}": rng.choice((1, 100, k * BLOCK_SIZE, rng.randint(1, 5 * k * BLOCK_SIZE)))
                      for n in range(FILES)}  # fmt: skip
        self.contents = defaultdict(list)  # of each file, so far
        self.model = None  # of what there is now
        for name in [*self.sizes, *(f"z{number}" for number in range(8))]:
            content = Content(share_format, k, self.sizes.get(name, 10), TIME, rng)
            self.contents[name].append(content.data)
            for store, tree in self.stores.items():
                tree[name] = Entry(FILE, content.shares[int(store)], mtime=TIME)
        model_stores.write(folder, self.stores)

    def change(self, name):
        """Another content of a file, in some stores or all.

        A file is either changed in place or replaced: a copy that is changed in place, given its old
        time again and then replaced before the next read looks as if it was only replaced.
        """
        rng, ways = self.rng, (IN_PLACE, REPLACED)[int(name[1:]) % 2]
        size = self.sizes[name] if rng.random() < 0.7 else rng.randint(1, 4 * self.k * BLOCK_SIZE)
        mtime = rng.choice((TIME, TIME, TIME + rng.randint(-5, 5) * 10**9))
        content = Content(self.format, self.k, size, mtime, rng)
        self.model = None
        self.contents[name].append(content.data)
        stores = list(self.stores)
        for store in stores if rng.random() < 0.6 else rng.sample(stores, rng.randint(1, STORES)):
            share = content.shares[int(store)]
            rng.choice(ways)(self.folder / store / name, share, rng)
            os.utime(self.folder / store / name, ns=(mtime, mtime))
            self.stores[store][name] = Entry(FILE, share, mtime=mtime)

    def owed(self, name):
        """The version and the stripes that an open gives now."""
        self.model = self.model or Model(self.stores, self.format, self.k)
        found = self.model.name(name)
        version = found.file.version if found.file else None
        return version, found.file.stripes() if version else None


class Handle:
    """A file that is held open, and what was owed of it when it was opened."""

    def __init__(self, tree, path, name):
        self.name, self.changed = name, False
        self.contents, self.found = tree.contents[name], []
        self.version, self.owed = tree.owed(name)
        self.file = os.open(path, os.O_RDONLY)

    def read(self, rng):
        """Reads some stripe, or what lies across two. Returns (what, problem)."""
        step = self.version.k * BLOCK_SIZE
        whole = b"".join(stripe or b"" for stripe in self.owed)
        if None in self.owed:
            number = rng.randrange(len(self.owed))
            at, length, owed = number * step, self.version.length(number), self.owed[number]
        else:
            at = rng.randrange(len(whole)) if rng.random() < 0.5 else 0
            length = rng.randint(1, len(whole))
            owed = whole[at : at + length]
        try:
            found = os.pread(self.file, length, at)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.ESTALE):
                return "error", f"{error.strerror}"
            return "EIO", None if self.changed or owed is None else "an error, though nothing was changed"
        if owed is None:  # those that contradicted the others may be gone
            return "bytes", None if self.changed else f"{len(found)} bytes at {at}, owed an error"
        self.found.append((at, found))
        # Where those that had it are gone, others may have one of the same size and time.
        if found == owed or (self.changed and is_of_one(self.found, self.contents)):
            return "right", None
        return "wrong", f"wrong bytes at {at}: {len(found)}, owed {len(owed)}"


@pytest.mark.parametrize("share_format,k", [("checked", 1), ("checked", 2), ("checked", 3), ("classic", 2), ("fec", 2)])
def test_a_file_that_is_held_open(mounts, tmp_path, rng, share_format, k):
    """Bytes of the content at the open, or an error; a fresh open has what is there now."""
    wrong, counts, handles = [], Counter(), []
    with model_stores.fast_folder(tmp_path) as place:
        tree = Tree(place / "stores", share_format, k, rng)
        options = {} if share_format == "checked" else {"format": share_format}
        view = mounts.restored(tree.folder, required=k, cache="no", attr_timeout=0, **options)
        view.expect_log(r".*", count=0)
        for step in range(STEPS):
            name = rng.choice(list(tree.sizes))
            what = rng.random()
            if what < 0.2:
                tree.change(name)
                for handle in handles:
                    handle.changed |= handle.name == name
            elif what < 0.4 or not handles:
                open_one(tree, view / name, name, handles, counts, wrong)
            else:
                handle = rng.choice(handles)
                seen, problem = handle.read(rng)
                counts[seen, handle.changed] += 1
                if problem:
                    wrong.append(f"step {step}, {handle.name}, changed {handle.changed}: {problem}")
            if len(handles) > HANDLES:
                os.close(handles.pop(rng.randrange(len(handles))).file)
        for handle in handles:
            os.close(handle.file)
        view.unmount()
    print(dict(counts))
    assert not wrong, f"seed {SEED}: {len(wrong)} wrong\n" + "\n".join(wrong[:20])
    assert counts["right", False] and counts["right", True] + counts["EIO", True]


def open_one(tree, path, name, handles, counts, wrong):
    try:
        handle = Handle(tree, path, name)
    except OSError as error:
        owed = tree.owed(name)[1]
        counts["open fails"] += 1
        if error.errno != errno.EIO or (owed and any(stripe is not None for stripe in owed)):
            wrong.append(f"open {name}: {error.strerror}")
        return
    if handle.owed is None:
        counts["opens, though lost"] += 1
        try:
            if os.read(handle.file, 1):
                wrong.append(f"{name}: bytes, owed an error")
        except OSError as error:
            counts[f"lost: {error.errno}"] += 1
        os.close(handle.file)
        return
    handles.append(handle)


# Readers and a writer at once


class Writer(threading.Thread):
    """Gives a file one content after the other, in all stores one by one."""

    def __init__(self, folder, contents, changes, rng):
        super().__init__(daemon=True)
        self.folder, self.contents, self.changes, self.rng = folder, contents, changes, rng
        self.stop = threading.Event()

    def run(self):
        while not self.stop.is_set():
            content = self.rng.choice(self.contents)
            change = self.rng.choice(self.changes)
            for index in self.rng.sample(range(STORES), STORES):
                path = self.folder / f"{index:02x}" / "a"
                change(path, content.shares[index], self.rng)
                os.utime(path, ns=(content.mtime, content.mtime))
            self.stop.wait(self.rng.choice((0, 0.001, 0.01)))


# With K = 1 a copy that is being written in place is believed as soon as its header is new.
@pytest.mark.parametrize(
    "k,changes",
    [(1, REPLACED), (2, IN_PLACE), (2, REPLACED), (2, BOTH), (3, IN_PLACE), (3, REPLACED), (3, BOTH)],
    ids=["1-replaced", "2-in place", "2-replaced", "2-both", "3-in place", "3-replaced", "3-both"],
)
def test_readers_while_copies_change(mounts, tmp_path, rng, k, changes):
    """Each open file is of one content, as far as it is read at all.

    Contents have different times where both happen, as in Tree.change.
    """
    step, counts, mixed = k * BLOCK_SIZE, Counter(), []
    size = 6 * step
    times = range(5) if changes is BOTH else [rng.choice((0, 0, 1)) for _ in range(5)]
    contents = [Content("checked", k, size, TIME + time * 10**9, rng) for time in times]
    with model_stores.fast_folder(tmp_path) as place:
        stores = {f"{i:02x}": {"": FOLDER, "a": Entry(FILE, contents[0].shares[i], mtime=TIME)}
                  for i in range(STORES)}  # fmt: skip
        model_stores.write(place / "stores", stores)
        view = mounts.restored(place / "stores", required=k, cache="no", attr_timeout=0)
        view.expect_log(r".*", count=0)
        writer = Writer(place / "stores", contents, changes, rng)
        writer.start()
        deadline = time.monotonic() + READING_S
        while time.monotonic() < deadline:
            found = read_in_pieces(view / "a", size, rng, counts)
            if not is_of_one(found, [content.data for content in contents]):
                mixed.append([at for at, _ in found])
        writer.stop.set()
        writer.join()
        view.unmount()
    print(dict(counts))
    assert not mixed, f"seed {SEED}: {len(mixed)} of {counts['opens']} open files are of two contents: {mixed[:5]}"
    assert counts["pieces"]


def read_in_pieces(path, size, rng, counts):
    """(offset, bytes) of what can be read of an open file, in any order."""
    found = []
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        counts["open fails"] += 1
        return found
    counts["opens"] += 1
    for _ in range(rng.randint(1, 20)):
        at = rng.randrange(0, size, 1000)
        try:
            found.append((at, os.pread(file, rng.randint(1, size - at), at)))
            counts["pieces"] += 1
        except OSError:
            counts["EIO"] += 1
    os.close(file)
    return found


# Decode


def decode_while(place, options, change, rng):
    """Runs decode, stopping it at some moment for change(). Returns its exit status."""
    words = ["decode", "--json", "-j", str(rng.choice((1, 4))), *options, place / "stores", place / "out"]
    process = subprocess.Popen([mounts_module.BINARY, *words], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    for _ in range(rng.randint(1, 3)):
        time.sleep(rng.random() * 0.03)
        os.killpg(process.pid, signal.SIGSTOP)
        change()
        os.killpg(process.pid, signal.SIGCONT)
    for _ in range(60):
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGCONT)  # it stopped a process that was just being forked
    raise AssertionError(f"{words} does not end")


@pytest.mark.parametrize("share_format,k", [("checked", 2), ("checked", 1), ("classic", 2), ("fec", 2)])
def test_a_tree_that_is_decoded(tmp_path, binary, rng, share_format, k):
    """Each file is one of its contents, or is missing and the status says so."""
    options = [] if share_format == "checked" else ["--format", share_format, "--required", str(k)]
    counts, wrong = Counter(), []
    for number in range(DECODED):
        with model_stores.fast_folder(tmp_path) as place:
            sizes = {f"a{n}": rng.choice((100, 300000, 2000000)) for n in range(3)}
            contents = {name: [Content(share_format, k, size, TIME, rng) for _ in range(2)]
                        for name, size in sizes.items()}  # fmt: skip
            stores = {f"{i:02x}": {"": FOLDER} for i in range(STORES)}
            for name, (first, _) in contents.items():
                for i in range(STORES):
                    stores[f"{i:02x}"][name] = Entry(FILE, first.shares[i], mtime=TIME)
            model_stores.write(place / "stores", stores)
            way = rng.choice((in_place, in_place, by_rename, truncated_first))
            status = decode_while(place, options, lambda: exchange(place, contents, way, rng), rng)  # noqa: B023
            wrong += judge_decoded(place, contents, status, counts, f"tree {number}, {way.__name__}")
    print(dict(counts))
    assert not wrong, f"seed {SEED}: {len(wrong)} wrong\n" + "\n".join(wrong[:20])


def exchange(place, contents, way, rng):
    """Gives files their other content, with the size and time as before."""
    for name, (_, second) in contents.items():
        for index in range(STORES) if rng.random() < 0.7 else rng.sample(range(STORES), 3):
            path = place / "stores" / f"{index:02x}" / name
            way(path, second.shares[index], rng)
            os.utime(path, ns=(TIME, TIME))


def judge_decoded(place, contents, status, counts, where):
    counts[f"status {status}"] += 1
    wrong = []
    out = place / "out"
    for name in sorted(os.listdir(out)) if out.is_dir() else []:
        if name not in contents:
            wrong.append(f"{where}: {name} is left")
    for name, versions in contents.items():
        if not (out / name).exists():
            counts["missing"] += 1
            wrong += [] if status else [f"{where}: {name} is missing, and the status is 0"]
            continue
        found = (out / name).read_bytes()
        which = [number for number, content in enumerate(versions) if content.data == found]
        counts[f"content {which}"] += 1
        wrong += [] if which else [f"{where}: {name} is neither content ({len(found)} bytes, status {status})"]
    return wrong

# SPDX-License-Identifier: MIT
"""Stores that lie, or that are made to lead the server astray: never a wrong byte, never a hang,
never a step outside the stores."""

import contextlib
import ctypes
import errno
import os
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

import mounts as mounts_module
import oracle
import trees

SPREAD = True
REQUIRED = 3
BLOCK_SIZE = 4096
STRIPE = REQUIRED * BLOCK_SIZE
BLOCK_STEP = BLOCK_SIZE + 32
DATA = b"0123456789"
LARGE = os.environ.get("ZFEC_FS_TEST_LARGE") == "1"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def stores(tmp_path):
    folder = tmp_path / "stores"
    folder.mkdir()
    return folder


def restored(mounts, stores, *more, **options):
    """A restored view whose log may say anything, as long as it is the program's own lines."""
    view = mounts.restored(stores, *more, **options)
    view.expect_log(r"^zfec-fs: ", count=0)
    return view


@contextlib.contextmanager
def within(limit_s):
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert took < limit_s, f"{took:.1f} s"


def check_memory(view, limit):
    """The most memory that the server had at any time; a sanitizer keeps what was given back."""
    if mounts_module.is_sanitized(view.process):
        return
    status = Path(f"/proc/{view.process.pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    assert int(line.split()[1]) * 1024 < limit, line


def check_lost(view, name):
    """It is there, and an error to read."""
    assert stat.S_ISREG((view / name).lstat().st_mode)
    with pytest.raises(OSError, match="Input/output error"):
        (view / name).read_bytes()


# Symlinks


def link_absolute(link, target):
    link.symlink_to(target)


def link_relative(link, target):
    link.symlink_to(os.path.relpath(target, link.parent))


def link_by_chain(link, target):
    """By two more links, beside it in the store."""
    (link.parent / "hop-1").symlink_to("hop-2")
    (link.parent / "hop-2").symlink_to(target)
    link.symlink_to("hop-1")


def link_by_climbing(link, target):
    """Up to the root by many "..", and down again."""
    link.symlink_to("../" * 60 + str(target)[1:])


def link_by_proc(link, target):
    link.symlink_to(f"/proc/self/root{target}")


LINKS = [link_absolute, link_relative, link_by_chain, link_by_climbing, link_by_proc]


def two_inside_one_outside(stores, outside, name):
    """Shares 0 and 1 of a file in their stores, and the third one that is needed outside."""
    shares = trees.make_shares("checked", DATA, REQUIRED, 20, (0, 1, 2))
    trees.write_shares(stores, name, {index: shares[index] for index in (0, 1)})
    (stores / "store-2").mkdir()
    return trees.write_file(outside / name, shares[2])


@pytest.mark.parametrize("make_link", LINKS)
@pytest.mark.parametrize("linked", ["a/b/c/file", "a/b/c", "a/b", "a"])
def test_symlink_out_of_a_store(mounts, stores, tmp_path, make_link, linked):
    """Whatever part of a path is a symlink in one store, it leads nowhere."""
    two_inside_one_outside(stores, tmp_path / "outside", "a/b/c/file")
    link = stores / "store-2" / linked
    link.parent.mkdir(parents=True, exist_ok=True)
    make_link(link, tmp_path / "outside" / linked)
    assert (stores / "store-2" / "a/b/c/file").stat().st_size > 0, "the link is no way out"
    check_lost(restored(mounts, stores), "a/b/c/file")


@pytest.mark.parametrize("make_link", LINKS)
def test_symlink_in_the_only_store(mounts, stores, tmp_path, make_link):
    """Where nothing else is, the symlink itself shows; the server does not follow it."""
    trees.write_file(tmp_path / "outside" / "secret", DATA)
    (stores / "store-0").mkdir()
    make_link(stores / "store-0" / "link", tmp_path / "outside")
    view = restored(mounts, stores)
    assert os.readlink(view / "link") == os.readlink(stores / "store-0" / "link")
    assert stat.S_ISLNK((view / "link").lstat().st_mode)


def exchange(one, other):
    """Swaps two names at once, by renameat2."""
    at_here, rename_exchange = -100, 2
    if _libc.renameat2(at_here, os.fsencode(one), at_here, os.fsencode(other), rename_exchange):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Swapping(threading.Thread):
    """Exchanges two names in a store again and again."""

    def __init__(self, one, other):
        super().__init__(daemon=True)
        self.names = one, other
        self.count = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            exchange(*self.names)
            self.count += 1

    def __enter__(self):
        exchange(*self.names)
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        assert self.count > 100


def read_or_errno(path):
    try:
        return path.read_bytes()
    except OSError as error:
        return error.errno


def test_folder_that_becomes_a_symlink_meanwhile(mounts, stores, tmp_path):
    """What was a folder when it was looked at is a way out when it is used."""
    outside = tmp_path / "outside"
    two_inside_one_outside(stores, outside, "a/file")
    (stores / "store-2" / "a").mkdir()
    (stores / "store-2" / "link").symlink_to(outside / "a")
    view = restored(mounts, stores)
    found = set()
    with Swapping(stores / "store-2" / "a", stores / "store-2" / "link"):
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            found.add(read_or_errno(view / "a" / "file"))
    assert found == {errno.EIO}


# What must not be opened


def put_socket(path):
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent):
        made.bind(path.name)


def put_device(path):
    if os.geteuid() != 0:
        pytest.skip("needs root to make a device")
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


SPECIAL = {"fifo": os.mkfifo, "socket": put_socket, "device": put_device}


class Opens:
    """Sees whether anyone opens a file in earnest, by inotify; O_PATH is no opening."""

    _IN_OPEN = 0x20

    def __init__(self, paths):
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for path in paths:
            assert _libc.inotify_add_watch(self._fd, os.fsencode(path), self._IN_OPEN) >= 0

    def happened(self):
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self._fd, 4096))
        return False

    def close(self):
        os.close(self._fd)


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("many", [1, 3], ids=["in one store", "in most stores"])
def test_special_files_are_never_opened(mounts, stores, kind, many):
    trees.make_stores(stores, "other", DATA, range(5))
    trees.make_stores(stores, "file", DATA, (0, 1, 2) if many == 1 else (0, 1))
    places = [stores / f"store-{4 - number}" / "file" for number in range(many)]
    for place in places:
        SPECIAL[kind](place)
    opens = Opens(places)
    view = restored(mounts, stores)
    with within(10):
        assert sorted(os.listdir(view.path)) == ["file", "other"]
        if many == 1:
            assert (view / "file").read_bytes() == DATA
        else:
            assert stat.S_IFMT((view / "file").lstat().st_mode) == stat.S_IFMT(
                places[0].lstat().st_mode
            )
        assert os.listxattr(view / "file", follow_symlinks=False) == []
    assert not opens.happened()
    with open(stores / "store-0" / "file", "rb") as file:
        file.read()
    opens.close()


def test_opens_are_seen(tmp_path):
    """That nothing was opened above means something only if it shows here."""
    path = trees.write_file(tmp_path / "file", DATA)
    opens = Opens([path])
    os.close(os.open(path, os.O_PATH))
    assert not opens.happened()
    path.read_bytes()
    assert opens.happened()
    opens.close()


@pytest.mark.parametrize("kind", SPECIAL)
def test_special_file_for_a_folder(mounts, stores, kind):
    trees.make_stores(stores, "folder/file", DATA, (0, 1, 2))
    (stores / "other").mkdir()
    SPECIAL[kind](stores / "other" / "folder")
    view = restored(mounts, stores)
    with within(10):
        assert os.listdir(view / "folder") == ["file"]
        assert (view / "folder" / "file").read_bytes() == DATA


def test_share_that_becomes_a_fifo_meanwhile(mounts, stores):
    """The fourth of the shares is now a share and now a FIFO, which would block its opener."""
    trees.make_stores(stores, "file", DATA, (0, 1, 2, 3))
    os.mkfifo(stores / "store-3" / "fifo")
    view = restored(mounts, stores)
    with Swapping(stores / "store-3" / "file", stores / "store-3" / "fifo"), within(15):
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert (view / "file").read_bytes() == DATA


# Headers that lie


HEADER_FIELDS = {
    "required": (8, 1),
    "index": (9, 1),
    "block_log": (10, 1),
    "flags": (11, 1),
    "extensions": (12, 4),
    "size": (16, 8),
    "mtime": (24, 8),
    "zero": (40, 1),
}


def with_header(share, **changed):
    """A share whose header says something else, with a hash that is right."""
    fields = bytearray(share[:48])
    for name, value in changed.items():
        at, length = HEADER_FIELDS[name]
        fields[at : at + length] = value.to_bytes(length, "little")
    return bytes(fields) + oracle.checksum(bytes(fields), 0) + share[64:]


LIES = {
    "size 2^63 - 1": {"size": (1 << 63) - 1},
    "size 2^63": {"size": 1 << 63},
    "size 2^64 - 1": {"size": (1 << 64) - 1},
    "size of which no share fits a file": {"size": (1 << 63) - 1, "required": 1},
    "size 0": {"size": 0},
    "k 0": {"required": 0},
    "k 255": {"required": 255},
    "index 255": {"index": 255},
    "block of 2 KiB": {"block_log": 11},
    "block of 1 MiB": {"block_log": 20},
    "block of 2 MiB": {"block_log": 21},
    "block of 2^255": {"block_log": 255},
    "unknown flag": {"flags": 1},
    "all flags": {"flags": 255},
    "extensions beyond the file": {"extensions": 100000},
    "extensions of 2^32 - 1": {"extensions": (1 << 32) - 1},
    "zeros that are none": {"zero": 1},
    "k 255, block of 1 MiB, size 2^62": {"required": 255, "block_log": 20, "size": 1 << 62},
}
TIMES = {"same": None, "older": trees.MTIME_NS - 1, "far future": (1 << 63) - 1,
         "newer": trees.MTIME_NS + 1, "before 1970": 1 << 63}  # fmt: skip


def lying_stores(stores, rng, liars, spare):
    """For each lie and time a file of k + `spare` honest shares and of `liars` that lie so."""
    contents = {}
    for number, (what, when) in enumerate((what, when) for what in LIES for when in TIMES):
        name = f"file-{number}"
        data = rng.randbytes(3 * STRIPE + 100)
        indexes = range(REQUIRED + spare + liars)
        shares = trees.make_shares("checked", data, REQUIRED, 20, indexes)
        changed = dict(LIES[what])
        if TIMES[when] is not None:
            changed["mtime"] = TIMES[when]
        for index in rng.sample(indexes, liars):
            shares[index] = with_header(shares[index], **changed)
        trees.write_shares(stores, name, shares)
        contents[name] = data, f"{what}, {when}"
    return contents


@pytest.mark.parametrize("liars", [1, 2])
def test_headers_that_lie_among_enough_honest_ones(mounts, stores, rng, liars):
    """Whatever a store says of a file, k honest ones outvote it: the future is no argument."""
    contents = lying_stores(stores, rng, liars, spare=0)
    view = restored(mounts, stores)
    with within(30):
        for name, (data, what) in contents.items():
            assert (view / name).stat().st_size == len(data), what
            trees.assert_same((view / name).read_bytes(), data, what)
    check_memory(view, 300 << 20)


def read_around(path):
    """Tries what a reader may try of a file, however large it says that it is."""
    size = path.stat().st_size
    with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
        for at in (0, 4096, size // 2, size - 4096, size - 1, size):
            with contextlib.suppress(OSError, OverflowError, ValueError):
                yield at, os.pread(file.fileno(), 8192, at)


def test_headers_that_all_lie_the_same(mounts, stores, rng):
    """Nothing is left to tell the truth: errors, or what is true all the same, and no harm."""
    contents = lying_stores(stores, rng, REQUIRED, spare=-REQUIRED)
    good = trees.make_stores(stores, "good", rng.randbytes(50000), range(REQUIRED))
    view = restored(mounts, stores)
    with within(60):
        for name, (data, what) in contents.items():
            assert (view / name).stat().st_size >= 0
            for at, found in read_around(view / name):
                assert data[at:].startswith(found[: len(data[at:])]), what
    assert len((view / "good").read_bytes()) == 50000, good.keys()
    check_memory(view, 300 << 20)


@pytest.mark.parametrize("size", [1, 255 << 20, (1 << 63) - 1])
def test_large_stripes_of_tiny_files(mounts, stores, size):
    """255 stores of 100 bytes each say that a stripe has 255 MiB: memory is for what is there."""
    for index in range(255):
        fields = oracle.checked_header(255, index, size, trees.MTIME_NS, 1 << 20)
        trees.write_file(stores / f"store-{index}" / "file", fields + bytes(36))
    view = restored(mounts, stores)
    with within(60):
        for _ in range(3):
            check_lost(view, "file")
    check_memory(view, 200 << 20)


def test_many_large_stripes_at_once(mounts, stores):
    """As many readers as there may be, each of another file of which nothing is there."""
    for index in range(20):
        for number in range(16):
            header = oracle.checked_header(20, index, 1 << 40, trees.MTIME_NS, 1 << 20)
            trees.write_file(stores / f"store-{index}" / f"file-{number}", header)
    view = restored(mounts, stores)
    found = []

    def read_first(number):
        with open(view / f"file-{number}", "rb", buffering=0) as file:
            try:
                found.append(file.read(4096))
            except OSError as error:
                found.append(error.errno)

    readers = [threading.Thread(target=read_first, args=(number,)) for number in range(16)]
    with within(60):
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert found == [errno.EIO] * 16
    check_memory(view, 800 << 20)


def test_one_store_that_says_that_it_is_enough(mounts, stores, rng):
    """k = 1 makes a lie of one store complete; k stores of one version are still the file."""
    data = rng.randbytes(STRIPE)
    trees.make_stores(stores, "file", data, range(5))
    lie = oracle.make_share("checked", b"a lie", 1, 1, 0, trees.MTIME_NS + 1)
    trees.write_file(stores / "liar" / "file", lie)
    assert (restored(mounts, stores) / "file").read_bytes() == data


def test_copies_without_headers_beside_one_with_extensions(mounts, stores, rng):
    """Extensions are one share's own: the blocks of others do not stand behind as many."""
    data = rng.randbytes(4 * STRIPE)
    trees.make_stores(stores, "other", DATA, (0, 1, 2))
    shares = trees.make_shares("checked", data, REQUIRED, 20, (0, 1, 2))
    shares[0] = with_header(shares[0][:64] + bytes(500) + shares[0][64:], extensions=500)
    shares[1] = b"\xff" + shares[1][1:]
    shares[2] = b"\xff" + shares[2][1:]
    trees.write_shares(stores, "file", shares)
    trees.assert_same((restored(mounts, stores) / "file").read_bytes(), data, "file")


# Large folders, deep ones, odd names


@pytest.fixture
def quick_path():
    """A folder in memory where there is one: files are made there a few times faster."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="zfec-fs-test-", dir=parent) as folder:
        yield Path(folder)


@mounts_module.unsanitized
@pytest.mark.parametrize("all_have", [False, True], ids=["in one store", "in all"])
def test_many_entries(mounts, quick_path, all_have):
    """A folder is far too large: it is listed, but for what one store alone has; and others go on."""
    count = 1_000_000 if LARGE else 50_000 if mounts_module.IS_LONG else 10_000
    trees.make_stores(quick_path, "file", DATA, (0, 1, 2))
    for index in range(3):
        (quick_path / f"store-{index}" / "many").mkdir()
        folder = os.open(quick_path / f"store-{index}" / "many", os.O_RDONLY)
        for number in range(count if all_have or index == 0 else 0):
            name = f"an-entry-of-the-many-{number}"
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        os.close(folder)
    view = restored(mounts, quick_path)
    with within(60):
        assert sum(1 for _ in os.scandir(view / "many")) == (count if all_have else 0)
    with within(1):
        assert (view / "file").read_bytes() == DATA
    check_memory(view, (100 << 20) + 600 * count)


def step_into(name, folder):
    below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    os.close(folder)
    return below


def make_deep(top, depth, name, content):
    """`depth` folders, one in the other, and a file in the last one."""
    top.mkdir(parents=True, exist_ok=True)
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        here = step_into(name, here)
    file = os.open("file", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=here)
    os.write(file, content)
    for each in (file, here):
        os.close(each)


def remove_deep(top, name):
    """shutil.rmtree and rm stumble over paths that are too long."""
    here = os.open(top, os.O_RDONLY)
    while name in os.listdir(here):
        os.rename(name, "going", src_dir_fd=here, dst_dir_fd=here)
        below = os.open("going", os.O_RDONLY, dir_fd=here)
        for each in os.listdir(below):
            os.rename(each, each, src_dir_fd=below, dst_dir_fd=here)
        os.close(below)
        os.rmdir("going", dir_fd=here)
    os.close(here)


@mounts_module.unsanitized
@pytest.mark.parametrize("depth, length", [(300, 14), *mounts_module.if_long((2100, 1))])
def test_deep_folders(mounts, stores, depth, length):
    """So many levels that the path is longer than PATH_MAX."""
    name = "d" * length
    shares = trees.make_shares("checked", DATA, REQUIRED, 20, (0, 1, 2))
    for index, share in shares.items():
        make_deep(stores / f"store-{index}", depth, name, share)
    view = restored(mounts, stores)
    with within(60):
        here = os.open(view.path, os.O_RDONLY)
        for _ in range(depth):
            here = step_into(name, here)
        assert os.listdir(here) == ["file"]
        file = os.open("file", os.O_RDONLY, dir_fd=here)
        assert os.read(file, 100) == DATA
        for each in (file, here):
            os.close(each)
    view.unmount()
    for index in shares:
        remove_deep(stores / f"store-{index}", name)


ODD_NAMES = [
    b"new\nline",
    b"zfec-fs: a forged line\nzfec-fs: and another",
    b"\x1b[2Jescape",
    b"\x7f\x01\x1f",
    b"\xff\xfe\x80",
    b"\xf0" * 255,
    "na\u00efve \u2603".encode(),
    b"%s%n%d",
    b"back\\slash",
    b"-",
    b"...",
]


def damaged_stores(stores, names):
    """Of each name a file that cannot be restored, with a bad block, so that the log speaks of it."""
    shares = trees.make_shares("checked", DATA, REQUIRED, 20, (0, 1, 2))
    for index, share in shares.items():
        folder = stores / f"store-{index}"
        folder.mkdir()
        for name in names:
            damaged = share[:-1] + bytes([share[-1] ^ 1]) if index == 1 else share
            with open(os.path.join(os.fsencode(folder), name), "wb") as file:
                file.write(damaged)


def log_of(view):
    view.unmount()
    return view._log_path.read_bytes()


def test_odd_names_in_the_log(mounts, stores):
    damaged_stores(stores, ODD_NAMES)
    view = restored(mounts, stores)
    here = os.fsencode(view.path)
    assert sorted(os.listdir(here)) == sorted(ODD_NAMES)
    for name in ODD_NAMES:
        with pytest.raises(OSError, match="Input/output error"):
            with open(os.path.join(here, name), "rb") as file:
                file.read()
    log = log_of(view)
    lines = log.split(b"\n")[:-1]
    assert len(lines) == 2 * len(ODD_NAMES)
    assert all(line.startswith(b"zfec-fs: ") for line in lines)
    assert not any(byte < 0x20 or byte == 0x7F for line in lines for byte in line)
    for escaped in (rb"new\x0aline", rb"\x1b[2Jescape", rb"\x7f\x01\x1f", b"%s%n%d"):
        assert sum(escaped in line for line in lines) == 2, escaped


def test_control_characters_beyond_ascii_in_the_log(mounts, stores):
    """U+0085 is a line's end and U+009B begins a command, to a terminal as to Python."""
    names = ["next\u0085line".encode(), "command\u009b2J".encode(), b"raw\x9b2J", b"raw\x85line"]
    damaged_stores(stores, names)
    view = restored(mounts, stores)
    view.expect_log("", count=0)
    for name in names:
        with contextlib.suppress(OSError):
            os.stat(os.path.join(os.fsencode(view.path), name))
            with open(os.path.join(os.fsencode(view.path), name), "rb") as file:
                file.read()
    text = log_of(view).decode(errors="surrogateescape")
    found = {character for character in text if "\x80" <= character <= "\x9f"}
    found |= {character for character in text if "\udc80" <= character <= "\udc9f"}
    assert not found


# Stores that disagree on what a name is


@pytest.mark.parametrize("folders", range(1, 6))
def test_folder_here_and_file_there(mounts, stores, folders):
    """Of 6 stores some have a folder of the name and the others a share; most decide, if any."""
    trees.make_stores(stores, "other", DATA, range(6))
    shares = trees.make_shares("checked", DATA, REQUIRED, 20, range(6))
    for index in range(6):
        if index < folders:
            trees.write_file(stores / f"store-{index}" / "name" / "below", b"below")
            os.utime(stores / f"store-{index}" / "name", ns=(0, trees.MTIME_NS - 1 - index))
        else:
            trees.write_file(stores / f"store-{index}" / "name", shares[index])
    view = restored(mounts, stores)
    if folders == 3:
        with pytest.raises(OSError, match="Input/output error"):
            (view / "name").lstat()
    elif folders > 3:
        assert stat.S_ISDIR((view / "name").lstat().st_mode)
        assert os.listdir(view / "name") == ["below"]
    else:
        assert (view / "name").read_bytes() == DATA
        with pytest.raises(NotADirectoryError):
            os.listdir(view / "name")
    of_folders, of_files = (
        " ".join(f"store-{index}" for index in indexes)
        for indexes in (range(folders), range(folders, 6))
    )
    lines = [line for line in view.log().splitlines() if line.startswith("zfec-fs: name: ")]
    assert lines and all(f"a directory in {of_folders}, a file in {of_files}" in each for each in lines)


# Mountpoints within the stores


def check_ends(folder, expected):
    """A walk through the view ends, and finds these files."""
    walk = subprocess.run(
        ["find", folder, "-type", "f"], check=True, capture_output=True, text=True, timeout=60
    )
    assert sorted(walk.stdout.splitlines()) == sorted(f"{folder}/{name}" for name in expected)


RENEWED_S = 2.2  # the list of stores is older than a second for certain


@pytest.mark.parametrize("place", ["mnt", "store-2/mnt", "store-2"])
@pytest.mark.parametrize("switch", [[], ["-s"]], ids=["threads", "single"])
def test_mountpoint_within_the_stores(mounts, stores, place, switch):
    """A store that is the view itself is no store, and a folder that is the view is empty."""
    trees.make_stores(stores, "file", DATA, (0, 1, 2, 3))
    if place == "store-2/mnt":
        (stores / "store-3" / "mnt").mkdir()
    view = mounts.restored(stores, *switch, at=stores / place)
    view.expect_log(r"^zfec-fs: ", count=0)
    check_own_mount(view)
    if place == "store-2/mnt":
        assert os.listdir(view / "mnt") == []
    else:
        time.sleep(RENEWED_S)
        check_own_mount(view)


def check_own_mount(view):
    with within(10):
        check_ends(view.path, ["file"])
        assert (view / "file").read_bytes() == DATA


@pytest.mark.skipif(not LARGE, reason="takes a minute: ZFEC_FS_TEST_LARGE=1")
def test_two_views_that_are_stores_of_each_other(mounts, tmp_path):
    """They may find that they do not answer each other; what they must not do is hang."""
    for name in ("one", "two"):
        trees.make_stores(tmp_path / name, f"file-{name}", DATA, (0, 1, 2))
    views = [restored(mounts, tmp_path / "one", at=tmp_path / "two" / "mnt")]
    views.append(restored(mounts, tmp_path / "two", at=tmp_path / "one" / "mnt"))
    with within(100):
        time.sleep(RENEWED_S)
        for view, name in zip(views, ("one", "two")):
            assert f"file-{name}" in os.listdir(view.path)
            assert (view / f"file-{name}").read_bytes() == DATA
    for view in views:
        view.kill()  # each keeps the other's mount busy


# Stores that forge


def forge_digest(block, stripe, number, index, rng):
    """Another content, or none, with a right check."""
    intact = oracle.checksum(rng.randbytes(10), number) + rng.randbytes(len(block) - 32)
    return intact + oracle.checksum(intact, number * 256 + index)


def forge_payload(block, stripe, number, index, rng):
    """The digest that the others have, another payload, and a right check."""
    payload = bytearray(block[16:-16])
    payload[rng.randrange(len(payload))] ^= rng.randint(1, 255)
    intact = block[:16] + bytes(payload)
    return intact + oracle.checksum(intact, number * 256 + index)


def forge_content(block, stripe, number, index, rng):
    """The block that a lie, the same in all stores that tell it, has there."""
    lie = bytes(byte ^ 0x55 for byte in stripe)
    return oracle.checked_block(lie, number, REQUIRED, index)


FORGERIES = [forge_digest, forge_payload, forge_content]


def forge(data, index, how, rng, stripes=None, required=REQUIRED, says=None):
    """Share `index` with forged blocks (all, or those of `stripes`), maybe as share `says`."""
    index = index if says is None else says
    share = oracle.make_share("checked", data, required, 20, index, trees.MTIME_NS, BLOCK_SIZE)
    forged, at = share[:64], 64
    for number, stripe in enumerate(oracle.stripes_of(data, required, BLOCK_SIZE)):
        length = oracle.ceil_div(len(stripe), required) + 32
        block = share[at : at + length]
        is_forged = stripes is None or number in stripes
        forged += how(block, stripe, number, index, rng) if is_forged else block
        at += length
    return forged


def check_all(view, contents):
    wrong = []
    for name, data in contents.items():
        found = read_or_errno(view / name)
        if found != data:
            wrong.append((name, found if isinstance(found, int) else "WRONG BYTES"))
    assert not wrong, f"{len(wrong)} of {len(contents)}: {wrong[:10]}"


FORGED_SIZE = 3 * STRIPE + 1000


@pytest.mark.parametrize("how", FORGERIES)
@pytest.mark.parametrize("forgers", [1, 2, 3])
def test_forged_shares(mounts, stores, rng, how, forgers):
    """k honest stores are enough, however many forge (fewer than k where they agree)."""
    if how is forge_content and forgers >= REQUIRED:
        pytest.skip("k stores that agree are a file")
    contents = {}
    for number in range(30):
        data = rng.randbytes(FORGED_SIZE)
        order = rng.sample(range(20), REQUIRED + forgers)
        shares = trees.make_shares("checked", data, REQUIRED, 20, order[forgers:])
        shares |= {index: forge(data, index, how, rng) for index in order[:forgers]}
        trees.write_shares(stores, f"file-{number}", shares)
        contents[f"file-{number}"] = data
    check_all(restored(mounts, stores), contents)


@pytest.mark.parametrize("how", FORGERIES)
@pytest.mark.parametrize("required", [1, 2, 3])
def test_forged_copies_of_honest_shares(mounts, stores, rng, how, required):
    """k - 1 stores (one where k = 1) forge under the indices that the honest ones have."""
    contents = {}
    if required == 1 and how is not forge_payload:
        pytest.skip("k stores that agree are a file")
    for number in range(30):
        data = rng.randbytes(required * BLOCK_SIZE * 2 + 77)
        name = f"file-{number}"
        contents[name] = data
        for index in range(required):
            share = oracle.make_share(
                "checked", data, required, 20, index, trees.MTIME_NS, BLOCK_SIZE
            )
            trees.write_file(stores / f"{rng.randrange(9)}-honest-{index}" / name, share)
        for liar in range(max(1, required - 1)):
            if how is forge_content and required != REQUIRED:
                continue
            share = forge(data, 0, how, rng, required=required, says=rng.randrange(required))
            trees.write_file(stores / f"{rng.randrange(9)}-liar-{liar}" / name, share)
    check_all(restored(mounts, stores), contents)


@pytest.mark.parametrize("how", FORGERIES)
def test_forged_now_and_then(mounts, stores, rng, how):
    """Honest in some stripes, so that they are trusted, and lying in others; one where they agree."""
    contents = {}
    liars = 1 if how is forge_content else 2
    for number in range(30):
        data = rng.randbytes(8 * STRIPE + 1)
        order = rng.sample(range(8), REQUIRED + liars)
        shares = trees.make_shares("checked", data, REQUIRED, 20, order)
        for liar in order[:liars]:
            stripes = {stripe for stripe in range(9) if rng.random() < 0.4}
            shares[liar] = forge(data, liar, how, rng, stripes)
        trees.write_shares(stores, f"file-{number}", shares)
        contents[f"file-{number}"] = data
    check_all(restored(mounts, stores), contents)


def two_that_agree(stores, rng, stripes):
    """Of five stores two that tell the same lie in some of four stripes; they are read first."""
    data = rng.randbytes(4 * STRIPE)
    shares = trees.make_shares("checked", data, REQUIRED, 20, range(5))
    for liar in (0, 1):
        shares[liar] = forge(data, liar, forge_content, rng, stripes)
    trees.write_shares(stores, "file", shares)
    return data


def test_two_that_agree_on_one_lie_once_they_are_trusted(mounts, stores, rng):
    """Fewer than k, and k honest ones are there: the other stripes tell who is right."""
    data = two_that_agree(stores, rng, {1})
    check_all(restored(mounts, stores), {"file": data})


@pytest.mark.parametrize("stripes", [{1, 3}, {1, 2, 3}, {0, 1, 2, 3}])
def test_two_that_agree_on_lies_once_they_are_trusted(mounts, stores, rng, stripes):
    """In all other stripes, too, k honest ones agree, and these with each other."""
    data = two_that_agree(stores, rng, stripes)
    check_all(restored(mounts, stores), {"file": data})


@pytest.mark.parametrize("required, honest, forgers", [(8, 15, 1), (10, 12, 3), (20, 20, 2)])
def test_forged_payloads_among_many_shares(mounts, stores, rng, required, honest, forgers):
    """There are too many sets of k shares to try them all in order."""
    data = rng.randbytes(required * BLOCK_SIZE + 1)
    indexes = range(honest + forgers)
    for name, liars in {"first": indexes[:forgers], "random": rng.sample(indexes, forgers)}.items():
        for index in indexes:
            share = oracle.make_share(
                "checked", data, required, 64, index, trees.MTIME_NS, BLOCK_SIZE
            )
            if index in liars:
                share = forge(data, index, forge_payload, rng, required=required)
            trees.write_file(stores / f"store-{index}" / name, share)
    view = restored(mounts, stores)
    with within(20):
        check_all(view, {"first": data, "random": data})


def test_forged_payloads_do_not_keep_busy(mounts, stores, rng):
    """An error is an answer, too, but not after minutes: one store must not stop the reader."""
    required, block_size = 20, 1 << 20
    data = rng.randbytes(required * block_size)
    for index in range(required + 3):
        share = bytearray(oracle.make_share("checked", data, required, 64, index, 0, block_size))
        if index < 4:
            share[64 + 16 + 7] ^= 1
            share[-16:] = oracle.checksum(bytes(share[64:-16]), index)
        trees.write_file(stores / f"store-{index}" / "file", bytes(share))
    view = restored(mounts, stores)
    with within(10):
        assert read_or_errno(view / "file") == errno.EIO


# Two contents that claim to be one version


def edited(data, stripes):
    """The same size and time, and other bytes in some stripes."""
    changed = bytearray(data)
    for stripe in stripes:
        changed[stripe * STRIPE + 5] ^= 0xFF
    return bytes(changed)


def read_stripes(path, order):
    """Stripe -> bytes, or None for an error; each by itself, from one open file."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    found = {}
    try:
        for stripe in order:
            buffer = bytearray(STRIPE)
            try:
                count = os.preadv(file, [buffer], stripe * STRIPE)
                found[stripe] = bytes(buffer[:count])
            except OSError:
                found[stripe] = None
    finally:
        os.close(file)
    return found


def contents_of(found, old, new):
    """Of which contents the stripes are that were read: {"old"}, {"new"}, or both, if blended."""
    kinds = set()
    for stripe, data in found.items():
        place = slice(stripe * STRIPE, stripe * STRIPE + STRIPE)
        if data is None or old[place] == new[place]:
            continue
        assert data in (old[place], new[place]), f"stripe {stripe} is neither old nor new"
        kinds.add("old" if data == old[place] else "new")
    return kinds


def test_edit_that_keeps_size_and_time(mounts, stores, rng):
    """Some stores have the old content and some the new one, in every split: never both."""
    count, stripes = 6, 5
    old = rng.randbytes(stripes * STRIPE)
    pairs = {}
    for split in range(1, (1 << count) - 1):
        new = edited(old, rng.sample(range(stripes), rng.randint(1, stripes)))
        name = f"file-{split}"
        for index in range(count):
            content = new if split >> index & 1 else old
            share = oracle.make_share(
                "checked", content, REQUIRED, 20, index, trees.MTIME_NS, BLOCK_SIZE
            )
            trees.write_file(stores / f"store-{index}" / name, share)
        pairs[name] = new
    view = restored(mounts, stores)
    read = 0
    for name, new in pairs.items():
        found = read_stripes(view / name, rng.sample(range(stripes), stripes))
        kinds = contents_of(found, old, new)
        assert len(kinds) <= 1, f"{name}: a blend"
        whole = read_or_errno(view / name)
        assert whole in (old, new) or whole == errno.EIO
        read += whole != errno.EIO
    assert read > len(pairs) / 2, "what is always an error is no test"


def damage_block(share, stripe):
    at = 64 + stripe * BLOCK_STEP + 100
    return share[:at] + bytes([share[at] ^ 1]) + share[at + 1 :]


@pytest.mark.parametrize("damaged", [(0, 1, 2), (0, 1), (0,)], ids=len)
def test_edit_and_damage(mounts, stores, rng, damaged):
    """
    Stores 0, 1 and 2 have the new content, the others the old one. In stripe 0 the new one is
    damaged, so that it comes from the old one, and all others have to come from there, too.
    """
    old = rng.randbytes(5 * STRIPE)
    new = edited(old, range(5))
    for index in range(6):
        content = new if index < 3 else old
        share = trees.make_shares("checked", content, REQUIRED, 20, [index])[index]
        share = damage_block(share, 0) if index in damaged else share
        trees.write_file(stores / f"store-{index}" / "file", share)
    view = restored(mounts, stores)
    found = read_stripes(view / "file", range(5))
    assert len(contents_of(found, old, new)) <= 1, "a blend"
    assert read_or_errno(view / "file") in (old, new, errno.EIO)


def test_two_contents_are_not_blended(mounts, stores, rng):
    """Random damage that leaves two shares of either content in each stripe to witness."""
    cases, stripes, count = {}, 5, 7
    for number in range(200):
        old = rng.randbytes(stripes * STRIPE)
        new = edited(old, rng.sample(range(stripes), rng.randint(2, stripes)))
        news = set(rng.sample(range(count), rng.randint(2, count - 2)))
        shares = {
            index: trees.make_shares("checked", content, REQUIRED, 20, [index])[index]
            for index in range(count)
            for content in [new if index in news else old]
        }
        for stripe in range(stripes):
            for group in (news, set(range(count)) - news):
                for index in rng.sample(sorted(group), rng.randint(0, len(group) - 2)):
                    shares[index] = damage_block(shares[index], stripe)
        trees.write_shares(stores, f"file-{number}", shares)
        cases[f"file-{number}"] = old, new
    view = restored(mounts, stores)
    read = 0
    for name, (old, new) in cases.items():
        found = read_stripes(view / name, rng.sample(range(stripes), stripes))
        assert len(contents_of(found, old, new)) <= 1, f"{name}: a blend"
        read += len(contents_of(found, old, new))
    assert read > len(cases) / 3, "what is always an error is no test"


# The end of the server


def test_killed_while_it_is_copied_from(mounts, stores, tmp_path, rng):
    """The stores stay as they are, and whoever reads gets an error once the mount is gone."""
    for number in range(20):
        trees.make_stores(stores, f"folder/file-{number}", rng.randbytes(500_000), (0, 1, 3))
    before = trees.snapshot(stores)
    for number in range(6):
        view = mounts.restored(stores, at=tmp_path / f"killed-{number}")
        copies = [
            subprocess.Popen(["cp", "-r", view.path, tmp_path / f"copy-{number}-{copy}"],
                             stderr=subprocess.DEVNULL)
            for copy in range(3)
        ]  # fmt: skip
        time.sleep(rng.uniform(0, 0.15))
        os.kill(view.process.pid, signal.SIGKILL)
        assert mounts_module.wait_for_exit(view.process.pid)
        view.kill()
        for copy in copies:
            assert mounts_module.wait_for_exit(copy.pid, 10), "a reader hangs"
            copy.wait()
    assert trees.snapshot(stores) == before
    view = mounts.restored(stores)
    assert len(list((view / "folder").iterdir())) == 20

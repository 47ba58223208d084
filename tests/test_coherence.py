# SPDX-License-Identifier: MIT
"""A source that changes: what is seen next is what is there, and no share is of two versions."""

import errno
import mmap
import os
import subprocess
import threading
import time

import pytest

import oracle
from reading import SETTLED_S, read_calls

UNSANITIZED = True

KEPT_S = 1  # the kernel keeps names and attributes, by default
REQUIRED = 2
BLOCK_SIZE = 4096
STRIPE = REQUIRED * BLOCK_SIZE


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def mount(mounts, source, **options):
    view = mounts.encoded(source, required=REQUIRED, shares=3, block_size="4K", **options)
    view.expect_log(r"^zfec-fs: \S+: changed while its share was being read; read it again$", 0)
    return view


@pytest.fixture
def view(mounts, source):
    """What is opened is what is there; names and attributes may be kept for a second."""
    return mount(mounts, source)


@pytest.fixture
def exact(mounts, source):
    """Names and attributes, too, are those that are there."""
    return mount(mounts, source, attr_timeout=0)


def share_of(path, index=0):
    """The share of what is at `path` now, by the oracle."""
    status = path.stat()
    data = path.read_bytes()
    return oracle.make_share(
        "checked", data, REQUIRED, 3, index, status.st_mtime_ns, BLOCK_SIZE
    )


# What is seen next


def overwrite(path, data):
    with open(path, "r+b") as file:
        file.write(data)


def replace(path, data):
    path.with_name("new").write_bytes(data)
    path.with_name("new").rename(path)


@pytest.mark.parametrize("edit", [overwrite, replace])
@pytest.mark.parametrize("settled", [False, True])
def test_edits_of_one_size(exact, source, rng, edit, settled):
    """Also where the mtime is set back, and where pages of the file before are cached."""
    path = source / "file"
    path.write_bytes(rng.randbytes(5 * STRIPE))
    for number in range(4 if settled else 30):
        if settled:
            time.sleep(SETTLED_S)
        before = path.stat()
        assert (exact / "00" / "file").read_bytes() == share_of(path)
        assert (exact / "02" / "file").read_bytes() == share_of(path, 2)
        edit(path, rng.randbytes(5 * STRIPE))
        if number % 2:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (exact / "00" / "file").stat().st_mtime_ns == path.stat().st_mtime_ns
        assert (exact / "00" / "file").read_bytes() == share_of(path)
        assert (exact / "02" / "file").read_bytes() == share_of(path, 2)


def test_stat_sees_every_edit(exact, source):
    path, shown = source / "file", exact / "00" / "file"
    for number in range(200):
        path.write_bytes(bytes(number * 100))
        os.chmod(path, 0o600 + number % 8)
        found, status = shown.stat(), path.stat()
        assert found.st_size == oracle.checked_size(number * 100, REQUIRED, BLOCK_SIZE)
        assert (found.st_mtime_ns, found.st_mode) == (status.st_mtime_ns, status.st_mode)
        assert shown.read_bytes() == share_of(path)


@pytest.mark.parametrize("edit", [overwrite, replace])
@pytest.mark.parametrize("size", ["same", "other"])
def test_opens_see_every_edit(view, source, rng, edit, size):
    """By default as well, whatever was kept of the file before."""
    path, shown = source / "file", view / "00" / "file"
    path.write_bytes(rng.randbytes(3 * STRIPE))
    for _ in range(100):
        if rng.random() < 0.5:
            shown.stat()
        edit(path, rng.randbytes(3 * STRIPE if size == "same" else rng.randrange(5 * STRIPE)))
        with open(shown, "rb", buffering=0) as file:
            expected = share_of(path)
            assert file.read() == expected
            status = os.fstat(file.fileno())
            assert (status.st_size, status.st_mtime_ns) == (len(expected), path.stat().st_mtime_ns)


def test_a_file_that_is_edited_all_the_time_is_opened(view, source):
    """The kernel looks a name up once again, and then the file may be another one again."""
    path, shown = source / "file", view / "00" / "file"
    path.write_bytes(b"")
    writers = [
        subprocess.Popen(["sh", "-c", 'while :; do echo "$$" > "$0"; done', path]) for _ in range(2)
    ]
    try:
        for _ in range(100):
            os.close(os.open(shown, os.O_RDONLY))
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


def test_what_is_seen_is_right_within_a_second(view, source, rng):
    path, shown = source / "file", view / "00" / "file"
    for number in range(3):
        path.write_bytes(rng.randbytes(number * 100))
        os.chmod(path, 0o600 + number)
        (source / f"folder-{number}").mkdir()
        shown.stat()
        assert os.listdir(view / "00") == os.listdir(source)  # at once
        assert os.listdir(view / "00" / f"folder-{number}") == []
        (source / f"folder-{number}").rename(source / f"other-{number}")
        assert (view / "00" / f"other-{number}").exists()  # what was not there is not kept
        path.write_bytes(rng.randbytes(number * 100 + 50))
        os.chmod(path, 0o610 + number)
        time.sleep(KEPT_S + 0.1)
        found, status = shown.stat(), path.stat()
        assert found.st_size == len(share_of(path))
        assert (found.st_mtime_ns, found.st_mode) == (status.st_mtime_ns, status.st_mode)
        assert not (view / "00" / f"folder-{number}").exists()


def test_what_grew_since_it_was_listed(exact, source, rng):
    """A listing brings attributes along: they are not kept."""
    path = source / "file"
    for number in range(100):
        path.write_bytes(rng.randbytes(number * 100))
        with os.scandir(exact / "00") as entries:
            assert [entry.stat().st_size > 0 for entry in entries] == [True]
        path.write_bytes(rng.randbytes((number + 1) * 100))
        if number % 2:
            assert (exact / "00" / "file").stat().st_size == len(share_of(path))
        assert (exact / "00" / "file").read_bytes() == share_of(path)


def test_attributes_that_may_be_kept(mounts, source):
    """attr_timeout: for so long what stat said stays, and what is read is still what is there."""
    view = mounts.encoded(source, required=REQUIRED, shares=3, block_size="4K", attr_timeout=60)
    path = source / "file"
    path.write_bytes(b"x" * 100)
    before = (view / "00" / "file").stat()
    path.write_bytes(b"y" * 200)
    assert (view / "00" / "file").stat() == before
    with open(view / "00" / "file", "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 1000, 0) == share_of(path)
        assert os.fstat(file.fileno()).st_size == len(share_of(path))


@pytest.mark.parametrize("cache", ["yes", "no"])
@pytest.mark.parametrize("looked_up", [False, True])
def test_stat_of_an_open_file_sees_every_edit(mounts, source, looked_up, cache):
    """A look-up brings attributes, and the kernel keeps them for a tick: not those of open files."""
    view = mounts.encoded(source, required=REQUIRED, shares=3, cache=cache, attr_timeout=0)
    path, shown = source / "file", view / "00" / "file"
    path.write_bytes(b"")
    for number in range(200):
        with open(shown, "rb", buffering=0) as file:
            if looked_up:
                shown.stat()
            os.truncate(path, (number + 1) * 100)
            assert os.fstat(file.fileno()).st_mtime_ns == path.stat().st_mtime_ns


def make_file(path):
    path.write_bytes(b"file")


def make_folder(path):
    path.mkdir()
    (path / "within").write_bytes(b"x")


def make_symlink(path):
    path.symlink_to("target")


def make_fifo(path):
    os.mkfifo(path)


def make_nothing(_path):
    pass


KINDS = [make_file, make_folder, make_symlink, make_fifo, make_nothing]


def remove(path):
    if path.is_dir() and not path.is_symlink():
        (path / "within").unlink()
        path.rmdir()
    elif os.path.lexists(path):
        path.unlink()


def look(path):
    """All that can be seen of a name, whatever it is."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return None
    if os.path.islink(path):
        return kind, os.readlink(path)
    if os.path.isdir(path):
        return kind, os.listdir(path), os.lstat(path / "within").st_mode
    return kind, os.path.isfile(path) and len(path.read_bytes()) > 0


def test_kinds_that_change(exact, source, rng):
    """A name is something else all the time, and each time seen as what it is."""
    path, shown = source / "name", exact / "00" / "name"
    for _ in range(200):
        remove(path)
        rng.choice(KINDS)(path)
        assert look(shown) == look(path)
        if rng.random() < 0.5:
            assert os.listdir(exact / "00") == os.listdir(source)


def test_renamed_folders(exact, source):
    for number in range(20):
        (source / f"folder-{number}" / "deep").mkdir(parents=True)
        (source / f"folder-{number}" / "deep" / "file").write_bytes(b"x" * number)
        assert (exact / "00" / f"folder-{number}" / "deep" / "file").exists()
        (source / f"folder-{number}").rename(source / "other")
        assert not (exact / "00" / f"folder-{number}" / "deep" / "file").exists()
        assert (exact / "00" / "other" / "deep" / "file").read_bytes() == share_of(
            source / "other" / "deep" / "file"
        )
        (source / "other").rename(source / f"again-{number}")


def test_unchanged_files_stay_cached(view, source, rng):
    """They are read from the kernel's cache: what would be read from the source is gone."""
    path = source / "file"
    path.write_bytes(rng.randbytes(5 * STRIPE))
    time.sleep(SETTLED_S)
    expected = share_of(path)
    assert (view / "00" / "file").read_bytes() == expected
    before = os.stat(view / "00" / "file")
    count = read_calls(view.process.pid)
    assert (view / "00" / "file").read_bytes() == expected
    assert read_calls(view.process.pid) - count < 20 * STRIPE
    assert os.stat(view / "00" / "file").st_ino == before.st_ino


# What is read meanwhile


def read_or_error(file, size, offset):
    try:
        return os.pread(file, size, offset)
    except OSError as error:
        return error.errno


@pytest.mark.parametrize("edit", [overwrite, replace])
def test_two_readers_of_two_versions(view, source, rng, edit):
    """The first one gets what it has read already, or an error; the second what is there."""
    path, shown = source / "file", view / "00" / "file"
    path.write_bytes(rng.randbytes(64 * STRIPE))
    old = share_of(path)
    first = os.open(shown, os.O_RDONLY)
    try:
        head = os.pread(first, 4096, 0)
        edit(path, rng.randbytes(64 * STRIPE))
        new = share_of(path)
        assert head == old[:4096]
        assert shown.read_bytes() == new
        for at in range(0, len(old), 4096):
            found = read_or_error(first, 4096, at)
            assert found in (old[at : at + 4096], errno.EIO)
        assert read_or_error(first, 4096, len(old) - 4096) == errno.EIO
    finally:
        os.close(first)


def test_mapped_before_and_after(view, source, rng):
    path, shown = source / "file", view / "00" / "file"
    for _ in range(10):
        path.write_bytes(rng.randbytes(3 * STRIPE))
        with open(shown, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
            assert pages[:] == share_of(path)


class Writer(threading.Thread):
    """Rewrites a file at random, each time with one number all over."""

    SIZES = range(4 * REQUIRED, 40 * STRIPE, 4 * REQUIRED)  # whole numbers in each piece

    def __init__(self, path, rng):
        super().__init__()
        self._path, self._rng = path, rng
        self.ended = threading.Event()
        self.write(0)

    def write(self, number):
        how = self._rng.choice(("in place", "renamed", "truncated"))
        size = self._rng.choice(self.SIZES)
        if how == "in place" and self._path.exists():
            size = self._path.stat().st_size
        data = number.to_bytes(4, "big") * (size // 4)
        if how == "renamed":
            replace(self._path, data)
        elif how == "truncated" or not self._path.exists():
            self._path.write_bytes(data)
        else:
            overwrite(self._path, data)

    def run(self):
        number = 0
        while not self.ended.is_set():
            number += 1
            self.write(number)
            time.sleep(self._rng.choice((0, 0.001, 0.02)))


def numbers_in(share):
    """What is written all over the file of share 00, by its payloads: one number, if it is whole."""
    found = set()
    for at in range(oracle.HEADER_SIZE, len(share), BLOCK_SIZE + 32):
        payload = share[at : at + BLOCK_SIZE + 32][16:-16]
        found |= {payload[i : i + 4] for i in range(0, len(payload), 4)}
    return found


def expected_size(share):
    """By its header."""
    return oracle.checked_size(int.from_bytes(share[16:24], "little"), REQUIRED, BLOCK_SIZE)


def read_in_pieces(path, rng):
    size = rng.choice((4096, 16384, 1 << 20))
    with open(path, "rb", buffering=0) as file:
        return b"".join(iter(lambda: file.read(size), b""))


def test_random_edits_under_readers(view, source, rng):
    """Whatever readers get to the end is a share of one version."""
    writer = Writer(source / "file", rng)
    counts, failures = {"whole": 0, "error": 0}, []

    def read_often(seed):
        own = type(rng)(seed)
        while not writer.ended.is_set():
            try:
                share = read_in_pieces(view / "00" / "file", own)
            except OSError as error:
                counts["error"] += 1
                if error.errno not in (errno.EIO, errno.ENOENT, errno.ESTALE):
                    failures.append(str(error))
                continue
            numbers = numbers_in(share)
            counts["whole"] += len(share) > oracle.HEADER_SIZE
            if len(numbers) > 1:
                failures.append(f"a share of {len(numbers)} versions")
            if len(share) != expected_size(share):
                failures.append(f"{len(share)} bytes of a share of {expected_size(share)}")

    readers = [threading.Thread(target=read_often, args=(rng.random(),)) for _ in range(4)]
    for thread in [writer, *readers]:
        thread.start()
    time.sleep(5)
    writer.ended.set()
    for thread in [writer, *readers]:
        thread.join()
    assert not failures, failures[:5]
    assert counts["whole"] > 20 and counts["error"] > 0, counts


# torn=allow


def test_torn_reads_are_allowed(mounts, source, rng):
    """A growing log is read as long as it was, a file that was cut off with zeros behind."""
    view = mounts.encoded(source, required=1, shares=2, block_size="4K", torn="allow")
    path = source / "log"
    path.write_bytes(rng.randbytes(10 * BLOCK_SIZE))
    expected = share_data(view / "00" / "log", lambda: append(path, rng.randbytes(BLOCK_SIZE)))
    assert expected == path.read_bytes()[: 10 * BLOCK_SIZE]
    before = path.read_bytes()
    # Behind what the kernel reads along with the header: that may be kept as it was.
    found = share_data(view / "00" / "log", lambda: os.truncate(path, 6 * BLOCK_SIZE))
    assert found == before[: 6 * BLOCK_SIZE] + bytes(len(before) - 6 * BLOCK_SIZE)


def append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def share_data(path, meanwhile):
    """The payloads of a share with k = 1, of which the header is read before something happens."""
    with open(path, "rb", buffering=0) as file:
        fd = file.fileno()
        size = os.fstat(fd).st_size
        header = os.pread(fd, oracle.HEADER_SIZE, 0)
        meanwhile()
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        body = b"".join(
            os.pread(fd, BLOCK_SIZE + 32, at)
            for at in range(oracle.HEADER_SIZE, size, BLOCK_SIZE + 32)
        )
    assert len(header) == oracle.HEADER_SIZE
    blocks = [body[at : at + BLOCK_SIZE + 32] for at in range(0, len(body), BLOCK_SIZE + 32)]
    for number, block in enumerate(blocks):
        assert oracle.checksum(block[:-16], number * 256) == block[-16:]
    return b"".join(block[16:-16] for block in blocks)

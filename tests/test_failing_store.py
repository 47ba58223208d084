# SPDX-License-Identifier: MIT
"""Stores that fail, die, hang, come and go: the mounted view goes on with the others."""

import errno
import itertools
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import mounts as mounts_module
import oracle
import store_failures
import trees
from store_failures import (
    AT_ONCE_S, BLOCK_STEP, FIRST_LIMIT_S, SIZE, STRIPE, STRIPES, eventually, put, read_or_error,
    start_reader, within,
)  # fmt: skip

data = store_failures.data  # a fixture
failing = store_failures.failing  # a fixture
stores = store_failures.stores  # a fixture
view_of = store_failures.view_of  # a fixture


def stripes_that_fail(path, data):
    """The stripes that are EIO; all others must be exact."""
    failed = []
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        for number in range(STRIPES):
            buffer = bytearray(STRIPE)
            try:
                count = os.preadv(file, [buffer], number * STRIPE)
            except OSError as error:
                assert error.errno == errno.EIO
                failed.append(number)
                continue
            right = data[number * STRIPE : (number + 1) * STRIPE]
            trees.assert_same(bytes(buffer[:count]), right, f"stripe {number}")
    finally:
        os.close(file)
    return failed


# Errors


def test_read_errors_in_different_places(failing, view_of, data):
    """No share can be read whole, and yet each stripe has enough good blocks."""
    places = [failing.make(f"store-{number}") for number in range(3)]
    put(data, (0, 3, 9), [place.source for place in places])
    for stripe, place in zip((0, 2, 5), places):
        start = 64 + stripe * BLOCK_STEP
        place.fail("file", start, start + 10)
    view = view_of()
    assert stripes_that_fail(view / "file", data) == []
    assert (view / "file").read_bytes() == data


def test_read_errors_in_the_same_place(failing, view_of, data):
    """That stripe is lost, and no other."""
    places = [failing.make(f"store-{number}") for number in range(3)]
    put(data, (0, 3, 9), [place.source for place in places])
    for place in places[1:]:
        place.fail("file", 64 + 3 * BLOCK_STEP + 2000, 64 + 3 * BLOCK_STEP + 2001)
    view = view_of()
    assert stripes_that_fail(view / "file", data) == [3]
    for place in places:
        place.go_on()
    assert stripes_that_fail(view / "file", data) == []


def test_read_error_in_the_header(failing, view_of, stores, data):
    """A header that cannot be read is a lost one; the blocks are still good."""
    place = failing.make("store-1")
    for name in ("file", "another"):
        put(data, (0, 3), [stores / "store-0", place.source], name)
    place.fail("file", 0, 64)
    view = view_of()
    assert stripes_that_fail(view / "file", data) == []


def test_bad_blocks_are_not_read_again(failing, view_of, stores, data):
    """What was found bad is remembered for the open file."""
    place = failing.make("store-0")
    put(data, (0, 1, 2), [place.source, stores / "store-1", stores / "store-2"])
    place.fail("file", 64, 64 + 3 * BLOCK_STEP)
    view = view_of()
    with open(view / "file", "rb", buffering=0) as file:
        for turn in range(4):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            trees.assert_same(os.pread(file.fileno(), SIZE, 0), data, f"turn {turn}")
        assert place.counts().get("read", 0) <= 1 + STRIPES * 4 - 3 * 3


REFUSALS = [errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ENODEV]


@pytest.mark.parametrize("error", REFUSALS, ids=errno.errorcode.get)
def test_everything_fails(failing, view_of, stores, data, error):
    """Whatever the error is: the others are used, and the store again when it works again."""
    place = failing.make("store-0")
    put(data, (0, 1, 2), [place.source, stores / "store-1", stores / "store-2"])
    put(data, (0, 1), [place.source, stores / "store-1"], "other")
    view = view_of()
    file = os.open(view / "file", os.O_RDONLY | os.O_DIRECT)
    try:
        place.refuse(error)
        assert stripes_that_fail(view / "file", data) == []
        assert os.pread(file, STRIPE, 0) == data[:STRIPE]
    finally:
        os.close(file)
    assert sorted(os.listdir(view.path)) == ["file", "other"]
    assert read_or_error(view / "other") == errno.EIO
    place.refuse(0)
    assert eventually(lambda: read_or_error(view / "other") == data)


# The first look at a store, which says what share it holds, and of which k


def check_commands_fail(stores, tmp_path, text):
    """They say why, and that the files are lost is not said."""
    for words in (["check", stores], ["decode", stores, tmp_path / "out"], ["repair", stores]):
        done = mounts_module.run(*words)
        assert done.returncode == 4 and text in done.stderr, (words, done)
        assert "lost" not in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", REFUSALS, ids=errno.errorcode.get)
def test_no_store_can_be_looked_at(failing, view_of, stores, tmp_path, data, error):
    """It is an error, and no word on what they hold; when they work again, they are believed."""
    places = [failing.make(f"store-{number}") for number in range(3)]
    put(data, (0, 1, 2), [place.source for place in places])
    for place in places:
        place.refuse(error, "opendir")
    view = view_of()
    view.expect_log("^zfec-fs: the stores do not say how many .*: 3 of 3 could not be looked at: ")
    view.expect_log("^zfec-fs: too few stores say what they have: [12] of 3 could not be looked at: ", count=0)
    assert read_or_error(view / "file") == errno.EIO
    with pytest.raises(OSError):
        os.listdir(view.path)
    check_commands_fail(stores, tmp_path, "3 of 3 stores could not be looked at: ")
    for place in places:
        place.refuse(0)
    assert eventually(lambda: read_or_error(view / "file") == data)


def test_some_stores_cannot_be_looked_at(failing, view_of, stores, tmp_path, data):
    """One alone cannot say what is needed, and two of three can."""
    places = [failing.make(f"store-{number}") for number in range(3)]
    put(data, (0, 1, 2), [place.source for place in places])
    for place in places[1:]:
        place.refuse(errno.EIO, "opendir")
    check_commands_fail(stores, tmp_path, "2 of 3 stores could not be looked at: Input/output")
    places[1].refuse(0)
    done = mounts_module.run("decode", stores, tmp_path / "out")
    assert (tmp_path / "out/file").read_bytes() == data, done
    view = view_of()
    assert read_or_error(view / "file") == data


def test_headers_that_cannot_be_read_at_first(failing, view_of, stores, tmp_path, data):
    """Half of the stores cannot be heard: no one knows how many shares are needed, until they are."""
    places = [failing.make(f"store-{number}") for number in range(2)]
    put(data, (0, 3), [stores / "local", places[0].source])
    put(data, (5, 7), [stores / "another", places[1].source])
    for place in places:
        place.fail("file", 0, 64)
    view = view_of()
    view.expect_log("^zfec-fs: the stores do not say how many .*: 2 of 4 that have files have intact")
    assert read_or_error(view / "file") == errno.EIO
    check_commands_fail(stores, tmp_path, "2 of 4 that have files have intact headers")
    for place in places:
        place.go_on()
    assert eventually(lambda: read_or_error(view / "file") == data)


IN_TIME = [*((share_format, 0) for share_format in oracle.FORMATS), ("checked", 4096)]


@pytest.mark.parametrize("share_format, start", IN_TIME)
def test_what_was_not_read_in_time_is_not_lost(failing, stores, tmp_path, data, rng, share_format, start):
    """The header, or all blocks behind a damaged one; the store says so, as a network's does."""
    places = [failing.make(f"store-{number}") for number in range(3)]
    for name in ("file", "other", "third"):
        shares = trees.make_shares(share_format, data, 2, 20, range(3))
        for number, place in enumerate(places):
            share = bytearray(shares[number])
            if name == "file" and number == 0 and start > 0:
                share[:64] = rng.randbytes(64)
            if name != "file" or number < 2:
                trees.write_file(place.source / name, bytes(share))
    places[0].fail("file", start, error=errno.ETIMEDOUT)
    words = ["--format", share_format]
    for command in (["check"], ["decode"], ["repair"]):
        out = [tmp_path / "out"] if command == ["decode"] else []
        done = mounts_module.run(*command, *words, stores, *out)
        assert done.returncode == 4 and "1 lost" not in done.stdout, (command, done)


SHORTAGES = ["EMFILE", "ENFILE", "ENOMEM"]
CALLS = ["openat2", "pread64", "getdents64", "readlinkat", "listxattr", "statx"]


@pytest.mark.parametrize("call", CALLS)
def test_a_shortage_at_any_time_is_no_verdict(stores, tmp_path, data, rng, call):
    """Whatever call it hits, of the sample or later, in any thread: all of the first 30, or some."""
    put(data, (0, 1, 2), [stores / f"store-{number}" for number in range(3)])
    put(data, (0, 1, 2), [stores / f"store-{number}" for number in range(3)], "folder/other")
    for number in range(3):
        link = stores / f"store-{number}" / "link"
        link.symlink_to("x")
        for path in (link, link.parent / "folder", link.parent):
            os.utime(path, ns=(trees.MTIME_NS, trees.MTIME_NS), follow_symlinks=False)
    first = 3 if call == "pread64" else 1  # the first two are of the loader
    times = range(first, first + 30)
    for when in times if mounts_module.IS_LONG else rng.sample(times, 6):
        error = "ENOMEM" if call != "openat2" else rng.choice(SHORTAGES)
        inject = ["strace", "-f", "-o", tmp_path / "trace", "-e", f"trace={call}",
                  "-e", f"inject={call}:error={error}:when={when}"]  # fmt: skip
        done = mounts_module.run("check", stores, before=inject)
        assert done.returncode in (0, 4), (when, error, done)
        assert (done.returncode == 4) == (done.stderr != ""), (when, error, done)


# Dead, and back


def test_dead_and_mounted_again(failing, view_of, stores, data):
    """Of a dead mount (ENOTCONN) nothing is used; of its successor everything is."""
    place = failing.make("store-0")
    put(data, (0, 1, 2), [place.source, stores / "store-1", stores / "store-2"])
    put(data, (0, 1), [place.source, stores / "store-1"], "other")
    view = view_of()
    assert (view / "other").read_bytes() == data
    file = os.open(view / "file", os.O_RDONLY | os.O_DIRECT)
    try:
        assert os.pread(file, STRIPE, 0) == data[:STRIPE]
        place.kill()
        for stripe in range(STRIPES):
            at = stripe * STRIPE
            assert os.pread(file, STRIPE, at) == data[at : at + STRIPE]
    finally:
        os.close(file)
    assert stripes_that_fail(view / "file", data) == []
    assert "file" in os.listdir(view.path)
    assert read_or_error(view / "other") == errno.EIO
    place.unmount()
    assert stripes_that_fail(view / "file", data) == [], "the mountpoint is an empty store now"
    place.start()
    assert eventually(lambda: read_or_error(view / "other") == data)


def test_dead_beneath_a_symlink(failing, view_of, stores, tmp_path, data):
    """A store that is a folder somewhere in a dead mount."""
    place = failing.make("remote", tmp_path / "remote")
    put(data, (0, 1, 2), [place.source / "deep", stores / "store-1", stores / "store-2"])
    put(data, (0, 1), [place.source / "deep", stores / "store-1"], "other")
    (stores / "store-0").symlink_to(place.path / "deep")
    view = view_of()
    assert (view / "other").read_bytes() == data
    place.kill()
    assert stripes_that_fail(view / "file", data) == []
    assert read_or_error(view / "other") == errno.EIO
    place.unmount()
    place.start()
    assert eventually(lambda: read_or_error(view / "other") == data)


def test_dead_when_the_view_is_mounted(failing, view_of, stores, data):
    """One dead store keeps nobody from mounting the others."""
    place = failing.make("store-0")
    put(data, (0, 1, 2), [place.source, stores / "store-1", stores / "store-2"])
    put(data, (0, 1), [place.source, stores / "store-1"], "other")
    place.kill()
    view = view_of()
    assert stripes_that_fail(view / "file", data) == []
    place.unmount()
    place.start()
    assert eventually(lambda: read_or_error(view / "other") == data)


# Coming and going


def test_added_store(mounts, stores, data):
    """A store that comes while mounted is used, without a new mount."""
    put(data, (0,), [stores / "store-0"])
    view = mounts.restored(stores)
    view.expect_log(r"^zfec-fs: (file|only here) is not shown: only store-\d has it, 2 needed;", count=0)
    view.expect_log(r"^zfec-fs: store \S*/store-1 is there now$", count=1)
    view.expect_log("^zfec-fs: 1 store found, 2 needed: no names can be shown until more are there$", count=1)
    assert read_or_error(view / "file") == errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        os.listdir(view.path)
    put(data, (5,), [stores / "store-1"])
    put(data, (5,), [stores / "store-1"], "only here")
    assert eventually(lambda: read_or_error(view / "file") == data, 5)
    assert os.listdir(view.path) == ["file"], "one store alone is not believed"
    put(data, (3,), [stores / "store-0"], "only here")
    assert eventually(lambda: read_or_error(view / "only here") == data, 5)


def test_removed_and_restored_store(mounts, stores, tmp_path, data):
    """Without it the view goes on with the others, and what it may have a share of does not vanish;
    when it is there again, with it."""
    put(data, (0, 1, 2), [stores / f"store-{number}" for number in range(3)])
    put(data, (0, 1), [stores / "store-0", stores / "store-1"], "other")
    view = mounts.restored(stores)
    view.expect_log(r"^zfec-fs: file: ", count=0)
    view.expect_log(r"^zfec-fs: store \S*/store-0 is gone$", count=1)
    view.expect_log(r"^zfec-fs: other: only store-1 has it, 2 needed; .*: one is gone$", count=1)
    view.expect_log(r"^zfec-fs: store \S*/store-0 is there now$", count=1)
    (stores / "store-0").rename(tmp_path / "away")
    assert eventually(lambda: read_or_error(view / "other") == errno.EIO, 5), "one has it"
    assert stripes_that_fail(view / "file", data) == []
    (tmp_path / "away").rename(stores / "store-0")
    assert eventually(lambda: read_or_error(view / "other") == data, 5)


def test_store_deleted_under_an_open_file(mounts, stores, data):
    put(data, (0, 1, 2), [stores / f"store-{number}" for number in range(3)])
    view = mounts.restored(stores)
    view.expect_log(r"^zfec-fs: (store \S*/store-0 is gone$|file: )", count=0)
    file = os.open(view / "file", os.O_RDONLY | os.O_DIRECT)
    try:
        shutil.rmtree(stores / "store-0")
        for stripe in range(STRIPES):
            at = stripe * STRIPE
            assert os.pread(file, STRIPE, at) == data[at : at + STRIPE]
    finally:
        os.close(file)
    assert stripes_that_fail(view / "file", data) == []


# Hanging. A mountpoint is crossed without asking, but the way to a folder in a mount is not.

MOUNTED = "mounted below STORES"
FOLDER = "a folder of a mount"


@pytest.fixture(params=[MOUNTED, FOLDER])
def hanging(request, failing, stores, tmp_path, data):
    """A store that can be made to hang, and files that do and do not need it."""
    if request.param == MOUNTED:
        place = failing.make("store-0")
        folder = place.source
    else:
        place = failing.make("remote", tmp_path / "remote")
        folder = place.source / "deep"
        folder.mkdir()
        (stores / "store-0").symlink_to(place.path / "deep")
    put(data, (0, 1, 2), [folder, stores / "store-1", stores / "store-2"], "file")
    put(data, (1, 2), [stores / "store-1", stores / "store-2"], "folder/other")
    put(data, (0, 1), [folder, stores / "store-1"], "a-file that needs it")
    return place


def check_others(view, data):
    """All that can do without the store is there at once; one wait is for what may need it."""
    assert within(FIRST_LIMIT_S, read_or_error, view / "file") == data
    assert within(AT_ONCE_S, read_or_error, view / "folder" / "other") == data
    assert within(AT_ONCE_S, stripes_that_fail, view / "file", data) == []
    assert {"file", "folder"} <= set(within(FIRST_LIMIT_S, os.listdir, view.path))
    assert {"file", "folder"} <= set(within(AT_ONCE_S, os.listdir, view.path))
    assert within(AT_ONCE_S, os.listxattr, view / "file") == []
    assert within(AT_ONCE_S, os.statvfs, view.path).f_blocks > 0
    time.sleep(2)  # the list of stores is older than a second now
    assert within(AT_ONCE_S, read_or_error, view / "folder" / "other") == data


@pytest.mark.parametrize("hanging", [MOUNTED, FOLDER], indirect=True)
def test_hanging_store(hanging, view_of, data):
    """Those who need it get an error; the others wait once; when it answers, it is used again."""
    view = view_of()
    assert (view / "a-file that needs it").read_bytes() == data
    hanging.freeze()
    check_others(view, data)
    needing = within(FIRST_LIMIT_S, read_or_error, view / "a-file that needs it")
    assert needing in (errno.EIO, errno.ETIMEDOUT)
    hanging.thaw()
    assert eventually(lambda: read_or_error(view / "a-file that needs it") == data)


@pytest.mark.parametrize("hanging", [MOUNTED], indirect=True)
def test_hanging_reads_alone(hanging, view_of, data):
    """It answers all but reads; an open file goes on with the others."""
    view = view_of()
    file = os.open(view / "file", os.O_RDONLY | os.O_DIRECT)
    try:
        hanging.hang("read")
        assert within(FIRST_LIMIT_S, os.pread, file, STRIPE, STRIPE) == data[STRIPE : 2 * STRIPE]
        start = time.monotonic()
        assert within(FIRST_LIMIT_S, os.pread, file, STRIPE, 0) == data[:STRIPE]
        assert time.monotonic() - start < AT_ONCE_S
    finally:
        os.close(file)
    assert within(AT_ONCE_S, read_or_error, view / "folder" / "other") == data


@pytest.mark.parametrize("hanging", [MOUNTED, FOLDER], indirect=True)
def test_hanging_when_the_view_is_mounted(hanging, view_of, data):
    """It keeps nobody from mounting the others."""
    hanging.freeze()
    view = within(FIRST_LIMIT_S, view_of)
    assert within(FIRST_LIMIT_S, read_or_error, view / "file") == data
    assert within(AT_ONCE_S, read_or_error, view / "folder" / "other") == data
    hanging.thaw()
    assert eventually(lambda: read_or_error(view / "a-file that needs it") == data)


def test_hanging_when_mounted_in_the_background(hanging, stores, tmp_path, data):
    """The user's process ends in time, though a thread of the other one may hang."""
    mountpoint = tmp_path / "mountpoint"
    mountpoint.mkdir()
    hanging.freeze()
    mounts_module.adopt_servers()
    try:
        done = within(FIRST_LIMIT_S, mounts_module.run, "-o", "restore", stores, mountpoint)
        assert done.returncode == 0, done.stderr
        assert within(FIRST_LIMIT_S, read_or_error, mountpoint / "file") == data
    finally:
        subprocess.run(["fusermount3", "-u", mountpoint], check=True)
        hanging.thaw()


def test_named_store_that_hangs(hanging, view_of, stores, data):
    """As one below STORES."""
    names = [f"store={stores}/store-{number}" for number in range(3)]
    hanging.freeze()
    view = within(FIRST_LIMIT_S, view_of, "-o", ",".join(names))
    assert within(FIRST_LIMIT_S, read_or_error, view / "file") == data
    hanging.thaw()
    assert eventually(lambda: read_or_error(view / "a-file that needs it") == data)


@pytest.mark.parametrize("hanging", [FOLDER], indirect=True)
def test_stores_in_a_folder_that_hangs(hanging, tmp_path):
    """None of them is there: an error, but not after ever."""
    mountpoint = tmp_path / "mountpoint"
    mountpoint.mkdir()
    hanging.freeze()
    folder = hanging.path / "deep" / "stores"
    done = within(FIRST_LIMIT_S, mounts_module.run, "-o", "restore", folder, mountpoint)
    assert done.returncode == 4
    assert done.stderr == f"zfec-fs: {folder}: Connection timed out\n"
    hanging.thaw()


def test_added_store_that_hangs(failing, stores, tmp_path, view_of, data):
    """It is waited for once, and used when it answers."""
    put(data, (0, 1, 2), [stores / f"store-{number}" for number in range(3)])
    place = failing.make("remote", tmp_path / "remote")
    (place.source / "deep").mkdir()
    put(data, (0, 1), [place.source / "deep", stores / "store-1"], "a-file that needs it")
    view = view_of()
    assert read_or_error(view / "a-file that needs it") == errno.ENOENT
    place.freeze()
    (stores / "store-3").symlink_to(place.path / "deep")
    time.sleep(2)  # the list of stores is older than a second now
    assert within(FIRST_LIMIT_S, read_or_error, view / "file") == data
    time.sleep(2)
    assert within(AT_ONCE_S, read_or_error, view / "file") == data
    place.thaw()
    assert eventually(lambda: read_or_error(view / "a-file that needs it") == data)


def has_ended(pid):
    """Whether its main thread has; others may be in a request from which not SIGKILL frees them."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True
    return "\nState:\tZ" in status


UNMOUNTED = [(MOUNTED, "all"), (FOLDER, "frozen")]


@pytest.mark.parametrize("hanging, how", UNMOUNTED, indirect=["hanging"])
def test_unmount_while_a_store_hangs(hanging, failing, view_of, data, how):
    """The mount is gone at once and the daemon ends, as far as the kernel lets it.

    A file was open before, and closed while its store hung. The last threads end when the store
    answers: no process can leave a FUSE request that its server has taken, or a close.
    """
    view = view_of()
    looks_for_leaks = mounts_module.is_sanitized(view.process)
    with open(view / "file", "rb", buffering=0) as file:
        assert file.read(10) == data[:10]
        if how == "frozen":
            hanging.freeze()
        else:
            hanging.hang(how)
        assert within(FIRST_LIMIT_S, file.readall) == data[10:]
    assert within(FIRST_LIMIT_S, read_or_error, view / "folder" / "other") == data
    within(AT_ONCE_S, subprocess.run, ["fusermount3", "-u", view.path])
    assert not mounts_module.is_mounted(view.path)
    assert looks_for_leaks or eventually(lambda: has_ended(view.process.pid), FIRST_LIMIT_S)
    failing.answer()
    view.check_end()


@pytest.mark.parametrize("hanging", [MOUNTED], indirect=True)
def test_many_readers_while_a_store_hangs(hanging, view_of, data):
    """More than there are threads in the daemon, all of a file that needs the store."""
    view = view_of()
    with open(view / "folder" / "other", "rb", buffering=0) as file:
        hanging.freeze()
        needy = [start_reader(read_or_error, view / "a-file that needs it") for _ in range(300)]
        assert within(AT_ONCE_S, file.readall) == data, "it was open before"
    deadline = time.monotonic() + 2 * FIRST_LIMIT_S
    for reader in needy:
        reader.join(max(0, deadline - time.monotonic()))
    assert not any(reader.is_alive() for reader in needy)
    assert within(AT_ONCE_S, read_or_error, view / "file") == data


@pytest.mark.parametrize("hanging", [MOUNTED], indirect=True)
def test_many_files_closed_while_a_store_hangs(hanging, view_of, data):
    """More than there are threads in the daemon: to close a file is to ask its store, too."""
    view = view_of()
    files = [os.open(view / "file", os.O_RDONLY) for _ in range(300)]
    hanging.freeze()
    for file in files:
        os.close(file)
    assert within(FIRST_LIMIT_S, read_or_error, view / "file") == data
    assert within(AT_ONCE_S, read_or_error, view / "folder" / "other") == data


def test_attributes_of_changing_size(failing, view_of):
    """Each answer is of another size than the one before said: larger ones are not believed."""
    node = failing.make("node")
    put(b"x", (0,), [node.source], required=1)
    view = view_of()
    for sizes in itertools.permutations([2000, 0, 1, 60_000, 500], 3):
        node.say_sizes(*sizes, *[60_000] * 20)
        try:
            value = os.getxattr(view / "file", "user.one")
        except OSError as error:
            assert error.errno in (errno.ERANGE, errno.EIO)
        else:
            assert value == b"x" * len(value)
    assert view.process.poll() is None

# SPDX-License-Identifier: MIT
"""What changes while it is read is an error and no mixture; what a store says of itself sizes no
loop and no memory; and a shortage of ours is told as that, and is no verdict on the stores.
"""

import contextlib
import errno
import os
import re
import resource
import signal
import threading
import time
from pathlib import Path

import pytest

import commands
import mounts as mounts_module
import oracle
import trees
import trusting
from commands import DAMAGED, FAILED, LOST, OK
from trusting import BLOCK_SIZE, GONE, MTIME_NS, NEWER, forged, is_of

MIB = 1 << 20
AT_ONCE_S = 10  # in which all of a few small files is done, on a machine that is busy
STOP_S = 1  # in which a command ends that is told to
SAMPLED = 4096  # stripes that copies without a header are compared in, at most
make = trusting.make  # a fixture


# A header that promises too much

HUGE = 1 << 62


def huge_on_a_name_of_its_own(stores):
    """One of four stores has it."""
    trees.write_file(stores.path("03", "huge"), forged(1, HUGE, 3))
    return {"huge": None}, DAMAGED


def huge_in_place_of_a_share(stores):
    data = stores.put("huge")
    trees.write_file(stores.path("03", "huge"), forged(1, HUGE, 3, NEWER), NEWER)
    return {"huge": data}, DAMAGED


def huge_in_all_stores(stores):
    """As many as are needed say so, and all have the header alone."""
    for index, store in enumerate(stores.names):
        trees.write_file(stores.path(store, "huge"), forged(stores.required, HUGE, index))
    return {"huge": GONE}, LOST


def huge_with_large_blocks(stores):
    for index, store in enumerate(stores.names):
        header = oracle.checked_header(200, index, HUGE, MTIME_NS, MIB)
        trees.write_file(stores.path(store, "huge"), header)
    return {"huge": GONE}, LOST


HUGES = pytest.mark.parametrize(
    "promise",
    [
        huge_on_a_name_of_its_own,
        huge_in_place_of_a_share,
        huge_in_all_stores,
        huge_with_large_blocks,
    ],
    ids=lambda each: each.__name__,
)
KS = pytest.mark.parametrize("required", [1, 3])


def promised(stores, promise):
    """What is to be seen, and the status of check and of decode."""
    expected, check = promise(stores)
    if stores.required == 1 and promise is huge_on_a_name_of_its_own:
        expected, check = {"huge": GONE}, LOST  # one is enough to say so, and it is not there
    stores.settle()
    seen = {name: what for name, what in expected.items() if what is not None}
    decode = LOST if check == LOST else DAMAGED if len(seen) < len(expected) else OK
    return seen, check, decode


@HUGES
@KS
def test_a_promise_of_2_to_62_bytes_takes_no_time(make, mounts, promise, required):
    """Neither the view, nor decode, check and repair; and the honest files are there."""
    stores = make(required, 4)
    seen, check, decode = promised(stores, promise)
    start = time.monotonic()
    view = stores.view(mounts)
    trusting.compare(view.path, {**stores.files, **seen})
    stores.decode(expected=seen, status=decode)
    stores.check(status=check)
    # Four stores are fewer than the k of 200 that they use: repair asks for --required.
    repair = FAILED if promise is huge_with_large_blocks else check
    trusting.run("repair", stores.folder).demand(repair)
    assert time.monotonic() - start < AT_ONCE_S
    for store in stores.names:
        for name, data in stores.files.items():
            assert stores.path(store, name).read_bytes() == stores.share(data, store)


@HUGES
@KS
def test_nor_does_it_in_the_rebuilt_view(make, mounts, promise, required):
    stores = make(required, 4)
    promised(stores, promise)
    start = time.monotonic()
    view = mounts.rebuilt(stores.folder)
    view.expect_log(r"^zfec-fs: ", count=0)
    for name, data in stores.files.items():
        trees.assert_same((view / "00" / name).read_bytes(), stores.share(data, "00"), name)
    trusting.read(view / "00" / "huge")
    assert time.monotonic() - start < AT_ONCE_S


@HUGES
@KS
def test_nor_does_what_can_be_salvaged_of_it(make, promise, required):
    stores = make(required, 4)
    _, _, decode = promised(stores, promise)
    out = stores.base / "out"
    said = trusting.run("decode", "--salvage", stores.folder, out, limit_s=AT_ONCE_S)
    said.demand((decode, FAILED) if decode == LOST else decode)
    for name in trusting.WITNESSES:
        assert (out / name).read_bytes() == stores.files[name]
    left = out / "huge.partial"
    assert not left.exists() or left.stat().st_blocks < 2000


def sparse(stores):
    """Copies of 2 TiB, of which nothing is there: all of that would have to be read."""
    for index, store in enumerate(stores.names):
        path = trees.write_file(stores.path(store, "huge"), forged(1, 1 << 41, index))
        try:
            os.truncate(path, oracle.checked_size(1 << 41, 1, BLOCK_SIZE))
        except OSError as error:
            pytest.skip(f"no such files here: {error}")
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
    stores.settle()


def without_headers(stores):
    """Of two shares that are needed one has lost its header: thousands of large blocks may show
    whether it is of the version.
    """
    size = 2 * SAMPLED * MIB
    for index, store in enumerate(stores.names):
        share = oracle.checked_header(2, index, size, MTIME_NS, MIB)
        path = trees.write_file(stores.path(store, "huge"), share)
        try:
            os.truncate(path, oracle.checked_size(size, 2, MIB))
        except OSError as error:
            pytest.skip(f"no such files here: {error}")
        if index > 0:
            stores.spoil_header(store, "huge")
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
    stores.settle()


COMMANDS = [["decode"], ["decode", "--salvage"], ["check"], ["repair"]]


LONG_READS = pytest.mark.parametrize(
    "promise", [huge_in_all_stores, sparse, without_headers], ids=lambda each: each.__name__
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@LONG_READS
def test_a_command_ends_when_it_is_told_to(make, words, promise):
    """Whatever it is about."""
    stores = make(1, 2)
    promise(stores)
    out = [stores.base / "out"] if words[0] == "decode" else []
    process = commands.start(*words, stores.folder, *out)
    commands.worker_of(process)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    assert mounts_module.wait_for_exit(process.pid, AT_ONCE_S), kill(process)
    took = time.monotonic() - start
    result = commands.finish(process)
    assert took < STOP_S
    assert result.status in (LOST, FAILED), result.errors


def kill(process):
    """Also those that it has started; says what went wrong."""
    worker = commands.worker_of(process)
    for pid in (worker, process.pid):
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    return "it goes on"


@LONG_READS
def test_a_mount_ends_while_such_a_file_is_read(make, mounts, promise):
    stores = make(1, 2)
    promise(stores)
    view = stores.view(mounts)

    def read():
        with contextlib.suppress(OSError):
            trusting.read(view / "huge")

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.5)
    start = time.monotonic()
    view.end_by_signal(signal.SIGTERM)
    assert time.monotonic() - start < STOP_S
    reader.join()


# What this machine is short of


def limited(kind, limit):
    def before():
        resource.setrlimit(kind, (limit, limit))

    return before


def assert_told_or_done(said, words, names, data):
    """That there is too little of it, and no verdict; or all is right."""
    told = f"{words[0]} ended with {said.status}: {said.text[-1500:]}"
    if said.status == OK:
        if words[0] == "decode":
            trees.assert_same((words[-1] / "a").read_bytes(), data, "a")
        return
    assert said.status == FAILED, told
    assert any(name in said.text for name in names), told
    assert not re.search("LOST|(is|are) lost|damaged|missing", said.text), told


def assert_no_verdict(stores, data, kind, limit, names):
    """Returns the exit statuses."""
    stores.settle()
    before = trusting.fingerprints(stores.folder)
    out = stores.base / "out"
    folder = stores.folder
    statuses = []
    for words in (["decode", folder, out], ["check", folder], ["repair", folder]):
        said = trusting.run(*words, preexec_fn=limited(kind, limit))
        if "error while loading shared libraries" not in said.errors:
            assert_told_or_done(said, words, names, data)
        assert trusting.fingerprints(stores.folder) == before
        statuses.append(said.status)
    return statuses


@pytest.mark.parametrize("limit", [8, 12, 40, *mounts_module.if_long(6, 10, 14, 16, 20, 24)])
def test_too_few_descriptors_are_no_verdict(make, limit):
    """With some more all is done."""
    stores = make(2, 5)
    data = stores.put("a", size=stores.stripes(3))
    statuses = assert_no_verdict(stores, data, resource.RLIMIT_NOFILE, limit, ["Too many open files"])
    print(limit, statuses)
    assert limit > 12 or set(statuses) == {FAILED}
    assert limit < 40 or set(statuses) == {OK}


NO_MEMORY = ["Cannot allocate memory", "Resource temporarily unavailable"]  # the latter of threads
WIDE = 20  # of 1 MiB each are a stripe


@pytest.fixture(scope="module")
def wide_shares(module_rng):
    """A file whose stripes take memory, and its shares."""
    data = module_rng.randbytes(25 * MIB)

    def share(index):
        return oracle.make_share("checked", data, WIDE, WIDE + 1, index, MTIME_NS, MIB)

    return data, [share(index) for index in range(WIDE + 1)]


def put_wide(stores, wide_shares):
    data, shares = wide_shares
    for store, share in zip(stores.names, shares):
        trees.write_file(stores.path(store), share)
    return data


@mounts_module.unsanitized
@pytest.mark.parametrize("limit", [16, 96, *mounts_module.if_long(8, 32, 48, 64, 128, 192)])
def test_too_little_memory_is_no_verdict(make, wide_shares, limit):
    stores = make(WIDE, WIDE + 1)
    data = put_wide(stores, wide_shares)
    statuses = assert_no_verdict(stores, data, resource.RLIMIT_AS, limit * MIB, NO_MEMORY)
    print(limit, statuses)
    assert limit > 16 or OK not in statuses


def test_a_mount_with_few_descriptors_says_so(make, mounts):
    """Reads are right, or EIO with the reason in the log; and later they are right again."""
    stores = make(2, 5)
    names = [f"file-{number}" for number in range(30)]
    contents = {name: stores.put(name, size=100_000) for name in names}
    try:
        view = mounts.start("-o", "restore", stores.folder, before=["prlimit", "--nofile=40:40"])
    except mounts_module.StartFailed as failure:
        assert "Too many open files" in str(failure) and "exit status 4" in str(failure)
        return
    view.expect_log("^zfec-fs: ", count=0)
    found, opened = [], []
    for name in names:
        try:
            opened.append(os.open(view / name, os.O_RDONLY | os.O_DIRECT))
        except OSError as error:
            found.append(error.errno)
            continue
        part = trusting.read_at(opened[-1], 0)
        found.append(0 if is_of(part, contents[name], 0) else part)
    for file in opened:
        os.close(file)
    assert set(found) <= {0, errno.EIO}, "other bytes, or another error"
    assert errno.EIO not in found or "Too many open files" in view.log(), view.log()
    assert eventually_all(view, contents), "what was short once is not lost for ever"
    assert "LOST" not in view.log() and "damaged" not in view.log()


@trusting.as_root
def test_a_mount_that_runs_out_of_descriptors_says_so(make, mounts):
    """None at all are left, for a while."""
    stores = make(2, 5)
    contents = {name: stores.put(name, size=100_000) for name in ("a", "b", "c")}
    view = stores.view(mounts)
    assert (view / "a").read_bytes() == contents["a"]
    limits = resource.prlimit(view.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(view.process.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    found = trusting.read(view / "b")
    resource.prlimit(view.process.pid, resource.RLIMIT_NOFILE, limits)
    assert found == errno.EIO
    assert "Too many open files" in view.log(), view.log()
    assert eventually_all(view, contents), "what was short once is not lost for ever"


def eventually_all(view, contents, limit_s=30):
    """A store that was set aside for a while comes back."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if all(trusting.read(view / name) == data for name, data in contents.items()):
            return True
        time.sleep(0.2)
    return False


@trusting.as_root
@mounts_module.unsanitized
def test_a_mount_without_memory_says_so(make, mounts, wide_shares):
    """When there is no more than what there was before."""
    stores = make(WIDE, WIDE + 1)
    data = put_wide(stores, wide_shares)
    view = stores.view(mounts)
    os.listdir(view.path)
    no_limit = resource.RLIM_INFINITY
    resource.prlimit(view.process.pid, resource.RLIMIT_AS, (16 * MIB, no_limit))
    found = trusting.read(view / "a")
    resource.prlimit(view.process.pid, resource.RLIMIT_AS, (no_limit, no_limit))
    assert found in (errno.EIO, errno.ENOMEM, data)
    assert found == data or any(name in view.log() for name in NO_MEMORY), view.log()
    assert eventually_all(view, {"a": data}), "what was short once is not lost for ever"


# What takes long to find out


def processor_s(process):
    """What a process has computed, in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("share_format", ["classic", "fec"])
def test_what_contradicts_itself_is_searched_once_while_it_is_open(make, mounts, share_format):
    """Noise in all of 24 stores has more sets of 12 than are tried; it is read in small pieces."""
    stores = make(12, 24, share_format)
    stores.put(size=stores.stripes(3))
    for store in stores.names:
        stores.scribble(store, 5000, 4000)
    view = stores.view(mounts)
    file = os.open(view / "a", os.O_RDONLY | os.O_DIRECT)
    places = range(72 * 1024, 96 * 1024, 512)
    before = processor_s(view.process)
    assert trusting.read_at(file, places[0]) in (errno.EIO, errno.ETIMEDOUT)
    once = processor_s(view.process)
    assert {trusting.read_at(file, at) for at in places} <= {errno.EIO, errno.ETIMEDOUT}
    again = processor_s(view.process) - once
    os.close(file)
    assert again < max(once - before, 0.5), f"{once - before} s once, {again} s for the others"

# SPDX-License-Identifier: MIT
"""Stores that are slow: no one waits longer than is needed for what is sure to be right.

Times are compared with what the slow store takes, or with one another, and generously: what the
stores were asked, and how much of it at once, says the rest.
"""

import contextlib
import errno
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

import mounts as mounts_module
import oracle
import trees
from reading import SETTLED_S
from store_failures import (  # noqa: F401
    FIRST_LIMIT_S,
    eventually,
    failing,
    read_or_error,
    start_reader,
    stores,
    view_of,
    within,
)

UNSANITIZED = True
EARLY = True
REQUIRED = 3
NODES = 6
BLOCK_SIZE = 4096
STRIPE = REQUIRED * BLOCK_SIZE
FAR_S = 0.05  # of a round trip to each store
SLOW_S = 2  # of one to a store that is much slower than the others


@pytest.fixture
def data(rng):
    return rng.randbytes(40 * STRIPE + 4567)


@pytest.fixture
def nodes(failing):
    return [failing.make(f"node-{number}") for number in range(NODES)]


def put(nodes, name, data, indexes=range(NODES), required=REQUIRED):
    shares = trees.make_shares("checked", data, required, 20, indexes, BLOCK_SIZE)
    for index, node in zip(indexes, nodes):
        trees.write_file(node.source / name, shares[index])


def seconds_of(function, *arguments):
    start = time.monotonic()
    function(*arguments)
    return time.monotonic() - start


def read_direct(path, offset, size):
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        return os.pread(file, size, offset)
    finally:
        os.close(file)


def names_and_sizes(folder):
    return {entry.name: entry.stat().st_size for entry in os.scandir(folder)}


def peaks(nodes):
    return [node.most_at_once() for node in nodes]


def report_of(path, name):
    return os.getxattr(path, f"user.zfec-fs.{name}").decode()


def states(view):
    found = re.findall(r"state=(\S+) store=.*/(\S+)\n", report_of(view.path, "stores"))
    return {store: state for state, store in found}


# Far away, all of them


def test_listing_far_stores(nodes, view_of):
    """Many names are looked up at once, and what was listed is not asked for again."""
    for number in range(60):
        put(nodes, f"folder/file-{number}", b"x" * number)
    view = view_of()
    for node in nodes:
        node.delay(FAR_S, "all")
    os.stat(view / "folder")
    peaks(nodes)
    found = names_and_sizes(view / "folder")
    assert found == {f"file-{number}": number for number in range(60)}
    assert all(peak["open"] >= 4 for peak in peaks(nodes))
    assert all(node.counts()["open"] <= 65 for node in nodes)
    names_and_sizes(view / "folder")


def test_listing_six_far_stores_takes_no_longer_than_one(nodes, view_of):
    for number in range(20):
        put(nodes, f"folder/file-{number}", b"x" * number)
    view = view_of()
    for node in nodes:
        node.delay(FAR_S, "all")
    of_one = seconds_of(names_and_sizes, nodes[0].path / "folder")
    assert seconds_of(names_and_sizes, view / "folder") < 1.2 * of_one


def test_first_look_at_far_stores(nodes, view_of, tmp_path):
    """It takes longer than stores have for one answer; but they go on answering, many questions at
    once."""
    for number in range(40):
        put(nodes, f"folder-{number}/deep/file", b"x")
    for node in nodes:
        for folder in [node.source, *(path for path in node.source.rglob("*") if path.is_dir())]:
            os.utime(folder, ns=(0, trees.MTIME_NS))
        node.delay(FAR_S, "all")
    peaks(nodes)
    view = view_of("-o", "store_timeout=1", nodes[0].path.parent)
    assert len(os.listdir(view.path)) == 40
    most = peaks(nodes)
    assert all(peak["opendir"] >= 6 and peak["read"] >= 6 for peak in most), most
    assert (view / "folder-7/deep/file").read_bytes() == b"x"
    far, words = nodes[0].path.parent, ["--store-timeout", "1"]
    assert mounts_module.run("decode", *words, far, tmp_path / "out").returncode == 0
    assert (tmp_path / "out/folder-7/deep/file").read_bytes() == b"x"
    checked = mounts_module.run("check", *words, far)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout


def test_attributes_of_far_files(nodes, view_of):
    """For each question the way to the file is gone once; its header says whose words count."""
    for number in range(10):
        put(nodes, f"folder/file-{number}", b"x")
    view = view_of()
    names_and_sizes(view / "folder")
    for node in nodes:
        node.counts()
    for number in range(10):
        with pytest.raises(OSError, match="No data available|not supported"):
            os.getxattr(view / "folder" / f"file-{number}", "user.one")
    for node in nodes:
        counts = node.counts()
        assert counts["lookup"] <= 2 * 10
        assert counts["open"] <= 10 and counts["read"] <= 10 and counts["getattr"] <= 12, counts


def test_sequential_read_of_far_stores(nodes, view_of, data):
    """The next stripes are fetched while one is read, each block of them once."""
    put(nodes, "file", data)
    view = view_of()
    for node in nodes:
        node.delay(FAR_S, "read")
    peaks(nodes)
    trees.assert_same((view / "file").read_bytes(), data, "file")
    most = [peak.get("read", 0) for peak in peaks(nodes)]
    assert sum(count >= 4 for count in most) >= REQUIRED, most
    assert sum(node.counts()["read"] for node in nodes) < 1.3 * REQUIRED * 41 + 3 * NODES


def test_one_request_for_many_stripes(nodes, view_of, data):
    """They are fetched many at once from its first stripe to its last."""
    put(nodes[:REQUIRED], "file", data)
    view = view_of()
    names_and_sizes(view.path)
    nodes[0].delay(0.3, "read")
    stripes = len(data) // STRIPE
    assert seconds_of((view / "file").read_bytes) < 0.3 * stripes / 2


def test_random_reads_fetch_nothing_ahead(nodes, view_of, data, rng):
    put(nodes, "file", data)
    view = view_of()
    file = os.open(view / "file", os.O_RDONLY | os.O_DIRECT)
    try:
        for node in nodes:
            node.counts()
        for stripe in (30, 10, 38, 4, 20):
            at = stripe * STRIPE
            assert os.pread(file, 4096, at) == data[at : at + 4096]
        assert sum(node.counts().get("read", 0) for node in nodes) <= 5 * REQUIRED
    finally:
        os.close(file)


def wait_until_closed(view, name):
    """The kernel tells of a close later than it returns, and pages are kept while a file is open."""

    def is_open(link):
        with contextlib.suppress(FileNotFoundError):
            return os.path.basename(os.readlink(link)) == name
        return False

    until = time.monotonic() + 20
    while any(map(is_open, Path(f"/proc/{view.process.pid}/fd").iterdir())):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_far_stores_are_asked_again(nodes, view_of, data):
    """What they say of inodes and times need not change with the content: no page is kept."""
    put(nodes, "file", data)
    time.sleep(SETTLED_S)
    view = view_of()
    for _ in range(3):
        wait_until_closed(view, "file")
        for node in nodes:
            node.counts()
        trees.assert_same((view / "file").read_bytes(), data, "file")
        assert sum(node.counts().get("read", 0) for node in nodes) >= REQUIRED * 40


def test_closing_while_stripes_are_fetched(nodes, view_of, data):
    put(nodes, "file", data)
    view = view_of()
    for node in nodes:
        node.delay(FAR_S, "read")
    for _ in range(10):
        with open(view / "file", "rb", buffering=0) as file:
            for at in range(0, 5 * STRIPE, STRIPE):
                assert file.read(STRIPE) == data[at : at + STRIPE]


COMMANDS = {
    "decode": lambda far, place: ["decode", far, place / "restored"],
    "check": lambda far, place: ["check", far],
    "repair": lambda far, place: ["repair", "--add", f"06={place}/added", far],
}


def run_far(nodes, tmp_path, name):
    """Runs a command over stores far away; returns what each was asked, and how much at once."""
    (tmp_path / "added").mkdir()
    for node in nodes:
        node.delay(FAR_S, "all")
        node.counts()
    peaks(nodes)
    words = COMMANDS[name](nodes[0].path.parent, tmp_path)
    done = subprocess.run([mounts_module.BINARY, *words], check=False, capture_output=True)
    # To these stores nothing can be written, as repair would write the directories' times.
    assert done.returncode in (0, 1, 4), done
    return [node.counts() for node in nodes], peaks(nodes)


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_on_a_large_file_far_away(nodes, tmp_path, data, name):
    """Many stripes are on their way at once, each block once: in all, or in k of the stores."""
    put(nodes, "file", data)
    counts, most = run_far(nodes, tmp_path, name)
    stores = REQUIRED if name == "decode" else NODES
    assert sum(peak.get("read", 0) >= 6 for peak in most) >= stores, most
    rounds = 2 if name == "repair" else 1  # it looks what is wrong, and then makes it
    assert sum(count["read"] for count in counts) < 1.3 * rounds * stores * 41 + 10 * NODES


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_on_small_files_far_away(nodes, tmp_path, name):
    for number in range(40):
        put(nodes, f"folder/file-{number}", b"x" * (number + 1))
    _, most = run_far(nodes, tmp_path, name)
    made = {"decode": "restored/folder", "repair": "added/folder"}.get(name)
    assert made is None or len(os.listdir(tmp_path / made)) == 40
    assert all(peak["open"] >= 6 for peak in most), most


# One of them much slower


@pytest.mark.parametrize("slow", [0, NODES - 1])
def test_one_slow_store_holds_up_nothing(nodes, view_of, data, slow):
    """Not its first user either."""
    for number in range(10):
        put(nodes, f"folder/file-{number}", data)
    view = view_of()
    assert names_and_sizes(view.path) == {"folder": os.stat(view / "folder").st_size}
    nodes[slow].delay(SLOW_S, "all")

    def use_all():
        assert len(names_and_sizes(view / "folder")) == 10
        for number in range(10):
            trees.assert_same((view / f"folder/file-{number}").read_bytes(), data, "file")

    assert seconds_of(use_all) < 4 * SLOW_S  # it would be more than twenty times
    assert states(view)[f"node-{slow}"] in ("slow", "aside")  # a look takes five round trips
    nodes[slow].go_on()


@pytest.mark.parametrize("slow", [0, NODES - 1])
def test_store_that_becomes_slow_under_an_open_file(nodes, view_of, data, slow):
    """Its blocks are raced by others'."""
    put(nodes, "file", data)
    view = view_of()
    with open(view / "file", "rb", buffering=0) as file:
        assert file.read(STRIPE) == data[:STRIPE]
        nodes[slow].delay(SLOW_S, "read")

        def read_rest():
            trees.assert_same(file.readall(), data[STRIPE:], "file")

        assert seconds_of(read_rest) < 2 * SLOW_S  # it would be five times or more


def test_slow_store_that_is_needed(nodes, view_of, data):
    """It is waited for where there are no k others, also by a file opened without it."""
    put(nodes[:4], "file", data)
    put(nodes[:3], "few", data)
    view = view_of()
    assert (view / "few").read_bytes() == data
    nodes[0].delay(1, "all")
    names_and_sizes(view.path)
    time.sleep(0.3)  # longer than what is usual
    with open(view / "file", "rb", buffering=0) as file:
        nodes[1].fail("file", 64, 1 << 62)
        trees.assert_same(file.readall(), data, "with blocks of the slow store")
    trees.assert_same((view / "few").read_bytes(), data, "only with the slow store")


def test_stale_minority_does_not_win(nodes, view_of, data, rng):
    """k quick stores have an old version, and k slow ones a newer one: it is waited for."""
    old = rng.randbytes(len(data))
    put(nodes[:3], "file", old, range(3))
    newer = trees.MTIME_NS + 10**9
    for index, node in enumerate(nodes[3:], 3):
        share = oracle.make_share("checked", data, REQUIRED, 20, index, newer, BLOCK_SIZE)
        trees.write_file(node.source / "file", share, newer)
    view = view_of()
    for node in nodes[3:]:
        node.delay(0.5, "all")
    os.listdir(view.path)
    trees.assert_same((view / "file").read_bytes(), data, "the newer version")


def test_a_symlink_that_slow_stores_alone_have_is_there(nodes, view_of, data):
    """Two votes are enough for it: where two stores may still have it, nobody can say that it is not."""
    put(nodes, "file", data)
    for node in nodes[4:]:
        (node.source / "link").symlink_to("file")
    view = view_of()
    os.stat(view / "file")
    for node in nodes[4:]:
        node.delay(0.5, "all")
    assert os.readlink(view / "link") == "file"


def test_inode_numbers_stay(nodes, view_of, data):
    """Whoever answers in time: a file goes by one number, so that hard links are seen as such."""
    put(nodes, "file", data)
    view = view_of("-o", "attr_timeout=0", nodes[0].path.parent)
    nodes[0].delay(0.5, "all")
    seconds_of(os.stat, view / "file")
    time.sleep(0.6)
    numbers = {os.stat(view / "file").st_ino for _ in range(20)}
    assert len(numbers) == 1


# Deadlines


def test_store_timeout(nodes, view_of, data):
    """Fewer than k answer: an error after the deadline, and at once from then on."""
    put(nodes, "file", data)
    view = view_of("-o", "store_timeout=1", nodes[0].path.parent)
    with open(view / "file", "rb", buffering=0) as file:
        assert file.read(100) == data[:100]
        for node in nodes[: NODES - REQUIRED + 1]:
            node.hang("read")

        def fails():
            with pytest.raises(OSError) as failure:
                os.pread(file.fileno(), 100, 30 * STRIPE)
            assert failure.value.errno == errno.EIO

        took = seconds_of(within, FIRST_LIMIT_S, fails)
        assert 0.9 < took < 4.5, "the default is five seconds"
        for node in nodes:
            node.go_on()

        def reads():
            return read_or_error(view / "file") == data

        assert eventually(reads)


@pytest.mark.parametrize("how", ["check", "read"])
def test_store_that_answers_is_not_said_not_to(nodes, view_of, data, how):
    """A narrow line: what is asked for at once takes longer than the deadline, one answer does
    not."""
    put(nodes, "file", data)
    stores = nodes[0].path.parent
    view = view_of("-o", "store_timeout=1", stores) if how == "read" else None
    for node in nodes:
        os.utime(node.source, ns=(0, trees.MTIME_NS))
        node.take_turns(0.25, "read")
    if view:
        trees.assert_same((view / "file").read_bytes(), data, "file")
        assert "does not answer" not in view.log()
    else:
        checked = mounts_module.run("check", "--store-timeout", "1", stores)
        assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout


def test_what_hangs_in_a_store_that_answers_otherwise(nodes, view_of, data):
    """It is given up, too."""
    put(nodes, "file", data)
    for node in nodes:
        (node.source / "link").symlink_to("file")
    view = view_of("-o", "store_timeout=1,attr_timeout=0", nodes[0].path.parent)
    view.expect_log("^zfec-fs: link: only node-0 has it")
    os.stat(view / "file")
    for node in nodes[1:]:
        node.hang("readlink")
    ended = threading.Event()

    def keep_asking():
        while not ended.wait(0.05):
            read_or_error(view / "file")

    start_reader(keep_asking)
    try:
        with pytest.raises(OSError):
            within(3 * FIRST_LIMIT_S, os.readlink, view / "link")
    finally:
        ended.set()


def test_hanging_store_is_set_aside_though_no_one_needs_it(nodes, view_of, data):
    put(nodes, "file", data)
    view = view_of("-o", "store_timeout=1", nodes[0].path.parent)
    nodes[2].hang("all")

    def is_aside():
        read_or_error(view / "file")
        return states(view)["node-2"] == "aside"

    assert eventually(is_aside)
    nodes[2].go_on()
    assert eventually(lambda: states(view)["node-2"] != "aside" or not is_aside())


def test_threads_are_bounded(nodes, view_of, data):
    """A store that hangs for good gets no more than its threads, however much it is asked for."""
    put(nodes, "file", data)
    view = view_of("-o", "store_timeout=60,attr_timeout=0", nodes[0].path.parent)
    nodes[2].hang("all")
    for _ in range(100):
        assert (view / "file").stat().st_size == len(data)
    threads = os.listdir(f"/proc/{view.process.pid}/task")
    assert nodes[2].most_at_once()["lookup"] <= 16
    assert len(threads) < 17 * NODES + 140


# What can be seen of it


def test_report_of_stores(nodes, view_of, data):
    put(nodes, "file", data, [5, 3, 1, 0, 2, 4])
    view = view_of()
    (view / "file").read_bytes()
    lines = report_of(view.path, "stores").splitlines()
    found = [re.fullmatch(r"share=(\S\S?) usual_ms=\d+\.\d state=quick store=(.*)", line)
             for line in lines]
    assert [(match[1], match[2]) for match in found] == [
        (f"0{index}", str(node.path)) for index, node in zip([5, 3, 1, 0, 2, 4], nodes)
    ]


def test_report_of_a_local_store(mounts, tmp_path, data):
    trees.make_stores(tmp_path / "stores", "file", data, range(4))
    view = mounts.restored(tmp_path / "stores")
    os.stat(view / "file")
    lines = report_of(view.path, "stores").splitlines()
    assert lines[1] == f"share=01 usual_ms=- state=local store={tmp_path}/stores/store-1"
    assert len(lines) == 4


def test_health(mounts, tmp_path, data):
    trees.make_stores(tmp_path / "stores", "file", data, range(6))
    trees.make_stores(tmp_path / "stores", "folder/four", data, range(4))
    trees.make_stores(tmp_path / "stores", "two", data, range(2))
    view = mounts.restored(tmp_path / "stores")
    view.expect_log("^zfec-fs: (two: 2 different shares|file: store .*(header is damaged|block 0 is bad))", count=0)
    assert report_of(view / "file", "health") == "good=6 stores=6 may_lose=3\n"
    assert report_of(view / "folder/four", "health") == "good=4 stores=6 may_lose=1\n"
    assert report_of(view / "two", "health") == "good=2 stores=6 may_lose=-1\n"
    assert report_of(view / "folder", "health") == "good=4 stores=6 may_lose=2\n"
    (tmp_path / "stores/store-2/file").write_bytes(b"")
    assert report_of(view / "file", "health") == "good=5 stores=6 may_lose=2\n"


def test_reports_do_not_leak_into_copies(mounts, tmp_path, data):
    """They are in no list, nor elsewhere; what has their names in a store is not shown."""
    trees.make_stores(tmp_path / "stores", "file", data, range(4))
    view = mounts.restored(tmp_path / "stores")
    for path in (view.path, view / "file"):
        assert not [name for name in os.listxattr(path) if "zfec" in name]
    for path, name in ((view.path, "health"), (view / "file", "stores"), (view / "file", "x")):
        with pytest.raises(OSError) as failure:
            report_of(path, name)
        assert failure.value.errno == errno.ENODATA
    subprocess.run(["cp", "-a", view.path, tmp_path / "copy"], check=True)
    subprocess.run(["rsync", "-aX", f"{view.path}/", tmp_path / "copy-2"], check=True)
    for path in [*(tmp_path / "copy").rglob("*"), *(tmp_path / "copy-2").rglob("*")]:
        assert not [name for name in os.listxattr(path) if "zfec" in name]


def test_report_on_a_signal(mounts, tmp_path, data):
    trees.make_stores(tmp_path / "stores", "file", data, range(3))
    view = mounts.restored(tmp_path / "stores")
    os.stat(view / "file")
    view.expect_log(r"^zfec-fs: share=0[0-2] usual_ms=- state=local store=/.*/store-[0-2]$", count=3)
    view.process.send_signal(signal.SIGUSR1)
    assert eventually(lambda: len(view.log().splitlines()) == 3)


def test_signal_to_an_encoded_view(mounts, tmp_path):
    (tmp_path / "source").mkdir()
    view = mounts.encoded(tmp_path / "source", shares=3)
    view.process.send_signal(signal.SIGUSR1)
    assert len(os.listdir(view.path)) == 3

# SPDX-License-Identifier: MIT
"""Stripes of which the blocks contradict each other: the search for what they may be holds up
neither who wants to stop nor who reads something else.
"""

import contextlib
import errno
import os
import signal
import threading
import time

import pytest

import commands
import mounts as mounts_module
import oracle
import trusting
from commands import FAILED, LOST

EARLY = True
REQUIRED, STORES = 12, 24  # more sets than are tried
CLASSIC_STEP = 1 << 16  # bytes of each share that are solved at a time
STOP_S = 1.0
TRIES = 3  # a machine that is busy with other things is late now and then, but not always
COMMANDS = [["decode"], ["decode", "--salvage"], ["check"], ["repair"]]


def unsettled(folder, rng, share_format, files, good=0):
    """Files that are noise in all stores in their first stripe, and stripes behind it that are not."""
    stores = trusting.Stores(folder, rng, REQUIRED, STORES, share_format)
    step = CLASSIC_STEP if share_format == "classic" else trusting.BLOCK_SIZE
    for number in range(files):
        name = f"a{number}"
        stores.files[name] = stores.put(name, size=REQUIRED * step * (1 + good))
        header = len(stores.share(b"", "00"))
        for store in stores.names:
            if share_format == "checked":
                forge(stores, store, name)
            else:
                stores.scribble(store, header + 100, 3900, name)
    stores.settle()
    return stores, REQUIRED * step


def forge(stores, store, name):
    """A payload that is not what its digest says, with a right check."""
    start = oracle.HEADER_SIZE

    def change(share):
        share[start + 500 : start + 3500] = stores.rng.randbytes(3000)
        end = start + trusting.BLOCK_STEP - oracle.CHECK_SIZE
        share[end : end + oracle.CHECK_SIZE] = oracle.checksum(bytes(share[start:end]), int(store, 16))

    stores.change(store, change, name)


def demand_one_in_time(attempt):
    """attempt() returns seconds."""
    took = []
    while not took or took[-1] >= STOP_S:
        assert len(took) < TRIES, f"it ended after {took} s"
        took.append(attempt())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_a_command_ends_within_a_second_while_it_searches(tmp_path, rng, binary, share_format, words):
    files = 100 if share_format == "checked" else 12  # there, one takes some 30 ms
    stores, _ = unsettled(tmp_path, rng, share_format, files)

    def attempt():
        out = [tmp_path / f"out-{rng.random()}"] if words[0] == "decode" else []
        process = commands.start(*words, "-j", "1", *stores.words(), stores.folder, *out)
        commands.worker_of(process)
        time.sleep(0.3 + rng.random())
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert mounts_module.wait_for_exit(process.pid), "it goes on"
        took = time.monotonic() - start
        result = commands.finish(process)
        assert result.status in (LOST, FAILED) and "stopping" in result.errors, result.errors
        return took

    demand_one_in_time(attempt)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_a_mount_ends_within_a_second_while_it_searches(tmp_path, rng, mounts, share_format):
    stores, _ = unsettled(tmp_path, rng, share_format, 12)

    def read_until_the_end(view):
        with contextlib.suppress(OSError):
            trusting.read(view / "a0")

    def attempt():
        view = stores.view(mounts)
        reader = threading.Thread(target=read_until_the_end, args=[view])
        reader.start()
        time.sleep(0.2 + rng.random() / 2)
        start = time.monotonic()
        view.end_by_signal(signal.SIGTERM)
        took = time.monotonic() - start
        reader.join()
        return took

    demand_one_in_time(attempt)


@pytest.mark.parametrize("share_format", ["classic", "fec"])
def test_a_search_holds_up_no_reader_of_another_stripe(tmp_path, rng, mounts, share_format):
    """Also of the same open file. How long a search takes says one that is alone."""
    stores, stripe = unsettled(tmp_path, rng, share_format, 1, good=8)
    data, search, reads = stores.files["a0"], [], []
    view = stores.view(mounts, cache="no")
    files = [os.open(view / "a0", os.O_RDONLY) for _ in range(2)]

    def read_first():
        search.append(time.monotonic())
        search.append(trusting.read_at(files[0], 0))
        search.append(time.monotonic())

    searcher = threading.Thread(target=read_first)
    searcher.start()
    while searcher.is_alive():
        at = (1 + len(reads) % 8) * stripe + len(reads) % 16 * 512
        start = time.monotonic()
        found = trusting.read_at(files[len(reads) % 2], at, 512)
        reads.append((start, time.monotonic()))
        assert found == data[at : at + 512]
    searcher.join()
    for file in files:
        os.close(file)
    begin, found, end = search
    assert found in (errno.EIO, errno.ETIMEDOUT)
    during = [last - first for first, last in reads if begin < first < end]
    assert len(during) > 1 and max(during) < (end - begin) / 2, f"{during} in a search of {end - begin} s"

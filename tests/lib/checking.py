# SPDX-License-Identifier: MIT
"""Stores that are intact at first, what is done to them, and what check says of them."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import commands
import mounts as mounts_module
import oracle
import trees
from commands import OK

GOLDEN = Path(__file__).parents[1] / "golden" / "check"
BLOCK_SIZE = 4096
BLOCK_STEP = BLOCK_SIZE + 32
REQUIRED = 2
STRIPE = REQUIRED * BLOCK_SIZE
STRIPES = 5
SIZE = (STRIPES - 1) * STRIPE + 5000
HOUR_NS = 3600 * 10**9
LIMIT_S = 60
HANG_LIMIT_S = 15  # in which a check ends, whatever the stores do


# Stores: directories a, b, c, ..., of which the first holds share 00, and so on


def block_place(number):
    """Where a block starts and ends in a share whose blocks are all full."""
    start = oracle.HEADER_SIZE + number * BLOCK_STEP
    return slice(start, start + BLOCK_STEP)


class Stores:
    """Stores that are intact as they are made, and what can be done to what is in them."""

    def __init__(self, folder, rng, names="abcd", required=REQUIRED, share_format="checked"):
        self.folder, self.rng, self.names = folder, rng, names
        self.required, self.share_format = required, share_format
        for name in names:
            (folder / name).mkdir(parents=True)

    def path(self, store, name="file"):
        return self.folder / store / name

    def share(self, data, index, mtime_ns=trees.MTIME_NS):
        total = max(len(self.names), self.required)
        return oracle.make_share(
            self.share_format, data, self.required, total, index, mtime_ns, BLOCK_SIZE
        )

    def put(self, name="file", size=SIZE, data=None, mtime_ns=trees.MTIME_NS, at=None):
        """A file's shares in all stores, or in those of AT: store -> index. Returns its bytes."""
        data = self.rng.randbytes(size) if data is None else data
        at = {store: i for i, store in enumerate(self.names)} if at is None else at
        for store, index in at.items():
            share = self.share(data, index, mtime_ns)
            trees.write_file(self.path(store, name), share, mtime_ns)
        return data

    def change(self, store, change, name="file"):
        """Has change(bytearray) change a copy, or return another; its time stays."""
        path = self.path(store, name)
        found = path.stat()
        share = bytearray(path.read_bytes())
        share = change(share) or share
        path.write_bytes(share)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def flip(self, store, offset, name="file"):
        def change(share):
            share[offset] ^= 1

        self.change(store, change, name)

    def spoil(self, store, *numbers, name="file"):
        """Bits of the payload of some blocks."""

        def change(share):
            for number in numbers:
                share[block_place(number).start + 100] ^= 1

        self.change(store, change, name)

    def settle_times(self):
        """What was done to directories is not to be seen in their times."""
        for path, folders, _ in os.walk(os.fsencode(self.folder)):
            for folder in folders:
                os.utime(os.path.join(path, folder), ns=(trees.MTIME_NS, trees.MTIME_NS))


@pytest.fixture
def stores(tmp_path, rng):
    """Four, with two small files by which each store is known, besides what a test puts there."""
    made = Stores(tmp_path / "stores", rng)
    for name in ("other-1", "other-2"):
        made.put(name, 5000)
    return made


# Running


def words_of(folder, words):
    return ["check", "-j", "1", *words, folder]


def run_text(*words, before=(), binary=None, limit_s=LIMIT_S, **how):
    """(status, standard output) of a run that ends, whatever happens."""
    done = subprocess.run(
        [*before, binary or mounts_module.BINARY, *words],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=limit_s,
        **how,
    )
    errors = done.stderr.decode(errors="backslashreplace")
    assert not mounts_module.SANITIZER.search(errors), errors
    return done.returncode, done.stdout.decode(errors="backslashreplace")


def check(stores, *words, status=OK, **how):
    """Runs check; returns path -> line of JSON, and the summary. The stores stay as they are."""
    stores.settle_times()
    before = commands.snapshot(stores.folder)
    result = commands.run("check", *words, stores.folder, status=status, noisy=True, **how)
    assert commands.snapshot(stores.folder) == before
    lines = [line for line in result.json if line["message_type"] == "check"]
    assert result.summary["exit_status"] == status
    return {line["path"]: line for line in lines}, result.summary


def problems_of(line):
    """store -> what is said of it, without its name."""
    found = {}
    for problem in line["problems"]:
        store = problem.pop("store").rpartition("/")[2]
        assert store not in found
        found[store] = problem
    return found


def file_line(stores, *words, status, **how):
    """(may_lose, store -> what is wrong) of the file; nothing is said of the other names."""
    lines, _ = check(stores, *words, status=status, **how)
    assert set(lines) <= {"file"}, set(lines)
    if not lines:
        return None, {}
    return lines["file"]["may_lose"], problems_of(lines["file"])


def damaged(index, *blocks):
    """What is said of a damaged copy of share INDEX, with such blocks alone."""
    ranges = []
    for number in blocks:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return {"state": "damaged", "share": f"{index:02x}", "damaged_blocks": ranges}


# Golden output


def shown_text(text, folder):
    text = re.sub(r" in \d+\.\d s: ", " in T s: ", text)
    return text.replace(str(folder), "STORES")


def shown_json(lines, folder):
    text = json.dumps(lines, indent=1, sort_keys=True) + "\n"
    text = re.sub(r'"seconds": \d+\.\d+(e-\d+)?', '"seconds": 0', text)
    return text.replace(str(folder), "STORES")


def compare_with_golden(name, actual):
    path = GOLDEN / name
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    assert actual == expected, f"{path} should be, if this is right:\n{actual}"


def check_golden(kind, stores, **how):
    """Both forms of the output are the golden ones, and the stores stay as they are."""
    stores.settle_times()
    before = commands.snapshot(stores.folder)
    status, text = run_text(*words_of(stores.folder, ()), **how)
    result = commands.run(*words_of(stores.folder, ()), status=status, noisy=True, **how)
    assert commands.snapshot(stores.folder) == before
    assert result.summary["exit_status"] == status
    compare_with_golden(f"{kind}.txt", shown_text(text, stores.folder))
    compare_with_golden(f"{kind}.json", shown_json(result.json, stores.folder))


def intact(stores):
    """Nothing is said but the sums."""


def missing(stores):
    stores.path("c").unlink()


def lost(stores):
    """One stripe has a good block only in one store, all others in all of them."""
    for store in "abc":
        stores.spoil(store, 3)


HOSTILE_NAMES = [
    b"new\nline: can lose 5 more stores",
    b"\r\x1b[2K\x1b[31mred\x1b[0m",
    b"\xff\xfe not UTF-8 \x80",
    b"c1 \xc2\x9b31m",
    b"back\\x0aslash",
    b" leading and trailing ",
    b"quote\" and 'quote'; a: missing",
    b"%s%n%d",
    b"\x7f\x01\x02",
    b"\xed\xa0\x80 surrogate",
    b"\xf0\x9f\x92\xbe.txt",
    b"n" * 255,
]

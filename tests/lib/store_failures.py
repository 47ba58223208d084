# SPDX-License-Identifier: MIT
"""Stores that fail, hang, die and come back as a test says, and a view of them."""

import threading
import time

import pytest

import trees

pytest.importorskip("pyfuse3", reason="needs python3-pyfuse3")
failing_store = pytest.importorskip("failing_store")

BLOCK_SIZE = 4096
BLOCK_STEP = BLOCK_SIZE + 32
REQUIRED = 2
STRIPE = REQUIRED * BLOCK_SIZE
STRIPES = 6
SIZE = (STRIPES - 1) * STRIPE + 4567
FIRST_LIMIT_S = 10  # of the first reads when a store hangs
AT_ONCE_S = 1.5  # of all others
BACK_LIMIT_S = 30  # until a store that is there again is used

readers = []  # threads of the test, which may hang until the stores answer


@pytest.fixture
def data(rng):
    return rng.randbytes(SIZE)


@pytest.fixture
def stores(tmp_path):
    folder = tmp_path / "stores"
    folder.mkdir()
    return folder


class FailingStores:
    """The failing stores of a test, each served from a folder of its own below `behind`."""

    def __init__(self, behind, stores):
        self._behind, self._stores = behind, stores
        self._made = []

    def make(self, name, at=None):
        """One of that name below STORES, or mounted elsewhere."""
        source = self._behind / name
        source.mkdir(parents=True, exist_ok=True)
        self._made.append(failing_store.FailingStore(source, at or self._stores / name))
        return self._made[-1]

    def answer(self):
        """No one waits for any of them any more: not even SIGKILL ends a process that does."""
        for store in self._made:
            store.thaw()
            store.go_on()

    def close(self):
        for store in self._made:
            store.close()


@pytest.fixture
def failing(tmp_path, stores):
    """Its mounts are there until the views are unmounted."""
    made = FailingStores(tmp_path / "behind", stores)
    yield made
    made.close()


@pytest.fixture
def view_of(failing, mounts, stores):
    """Mounts the restored view; of what a store's failure may say, the log is free."""
    made = []

    def mount(*words):
        view = mounts.start("-o", "restore", *(words or [stores]))
        view.expect_log(r"^zfec-fs: (store \S+ |(a-)?(file|other|folder)\b.*: )", count=0)
        made.append(view)
        return view

    yield mount
    failing.answer()
    for reader in readers:
        reader.join(FIRST_LIMIT_S)
    readers.clear()
    for view in made:
        view.unmount()


def put(data, indexes, places, name="file", required=REQUIRED):
    """Writes a share into each of the folders."""
    shares = trees.make_shares("checked", data, required, 20, indexes)
    for index, place in zip(indexes, places):
        trees.write_file(place / name, shares[index])


def read_or_error(path):
    try:
        return path.read_bytes()
    except OSError as error:
        return error.errno


def eventually(condition, limit_s=BACK_LIMIT_S):
    """Waits until a condition holds that nothing announces."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def start_reader(function, *arguments):
    readers.append(threading.Thread(target=function, args=arguments, daemon=True))
    readers[-1].start()
    return readers[-1]


def within(limit_s, function, *arguments):
    """What function() returns, if it does in time; a reader who hangs must not hang the tests."""
    results = []

    def run():
        try:
            results.append((function(*arguments), None))
        except OSError as error:
            results.append((None, error))

    start_reader(run).join(limit_s)
    assert results, f"no answer after {limit_s} s"
    result, error = results[0]
    if error:
        raise error
    return result

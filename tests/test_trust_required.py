# SPDX-License-Identifier: MIT
"""How many shares are needed, where stores differ in it, go, come, or do not say it."""

import os
import shutil
import time

import pytest

import oracle
import trusting
from commands import DAMAGED, LOST, OK, USAGE
from trusting import DIRECTORY, GONE, Link

SPREAD = True
make = trusting.make  # a fixture


# What is needed, where that is not the same for all


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_half_way_to_a_smaller_k_the_error_says_what_would_do(make, mounts, share_format):
    stores = make(3, 4, share_format, witnesses=())
    contents = {}
    for name in ("a", "b", "c"):
        contents[name] = data = stores.put(name, stores=["02", "03"], size=20_000)
        stores.put(name, data=data, stores=["00", "01"], required=2)
    expected = dict.fromkeys(contents, GONE)
    stores.holds(mounts, expected, decode=LOST, check=LOST, says=["required=2"],
                 log=[f"{name}.*required=2" for name in contents])  # fmt: skip
    stores.settle()
    stores.show(mounts, contents, required=2)
    stores.decode(expected=contents, required=2, status=(OK, DAMAGED))
    stores.check(status=DAMAGED, required=2)


def two_ks(stores, first, second):
    contents = {f"two/{name}": stores.put(f"two/{name}", required=2) for name in first}
    contents |= {f"five/{name}": stores.put(f"five/{name}", required=5) for name in second}
    stores.settle()
    return contents


@pytest.mark.parametrize("first, second", [("abc", "abcde"), ("abcde", "abc")], ids=["5", "2"])
def test_files_of_another_k_are_restored_where_enough_stores_have_them(make, mounts, first, second):
    """K is what most of them say."""
    stores = make(5, 5, witnesses=())
    stores.holds(mounts, two_ks(stores, first, second))
    stores.intact()


@pytest.mark.parametrize("required", [1, 2])
def test_else_what_would_do_is_said_and_does(make, mounts, required):
    """With k = 5 in most files, k = 2 is not enough before it is given."""
    stores = make(5, 5, witnesses=())
    contents = two_ks(stores, "abc", "abcde")
    data = contents["two/a"]
    for store in ("03", "04"):
        stores.path(store, "two/a").unlink()
    stores.holds(mounts, {**contents, "two/a": GONE}, decode=LOST, check=LOST,
                 says=["required=2"], log=["two/a.*required=2"])  # fmt: skip
    stores.holds(mounts, contents, check=DAMAGED, required=required,
                 writes=stores.shares(data, ["03", "04"], "two/a", required=2))  # fmt: skip
    stores.check(status=OK, required=required)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_required_counts_in_every_format(make, mounts, share_format):
    """Two stores are not enough for what needs three, whatever they say."""
    stores = make(2, 2, share_format)
    stores.holds(mounts, {"a": stores.put()}, required=2)
    view = stores.view(mounts, required=3)
    trusting.assert_error(view / "a")
    said = ["2 stores found, 3 needed"]
    stores.check(status=LOST, required=3, says=said)
    stores.check("-k", "3", status=LOST, says=said)
    stores.repair("-k", "3", status=LOST, says=said)
    stores.files = {}
    stores.decode("-k", "3", expected={}, status=LOST, says=said)


def test_where_k_is_1_one_store_is_enough(make, mounts):
    """For all kinds."""
    stores = make(1, 2)
    data = stores.put("dir/a")
    shutil.rmtree(stores.path("01", "dir"))
    stores.symlink("01", "link", "dir/a")
    stores.holds(mounts, {"dir": DIRECTORY, "dir/a": data, "link": Link("dir/a")}, check=DAMAGED,
                 writes=["01/dir", "01/dir/a", "00/link"])  # fmt: skip


# Stores that go and come while a view is mounted


def plant(stores):
    """02 says k = 1 of all that it has, and has a name of its own."""
    for name in trusting.WITNESSES:
        stores.put(name, data=stores.files[name], stores=["02"], required=1)
    stores.put("planted", stores=["02"], required=1)


def empty(store):
    for path in store.iterdir():
        path.unlink()


def holds_for(seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition()
        time.sleep(0.2)


def test_stores_that_go_leave_what_is_needed_as_it_was(make, mounts):
    """Else the last one would be believed whatever it says."""
    stores = make(2, 3)
    plant(stores)
    view = stores.view(mounts)
    trusting.compare(view.path, stores.files)
    for store in ("00", "01"):
        empty(stores.folder / store)
    holds_for(3, lambda: not os.path.lexists(view / "planted"))
    trusting.assert_error(view / "other-1")


def test_stores_that_come_are_counted(make, mounts):
    """What one had to say by itself is not believed any more, and that is logged."""
    stores = make(2, 3)
    plant(stores)
    for store in ("00", "01"):
        (stores.folder / store).rename(stores.base / store)
        (stores.folder / store).mkdir()
    view = stores.view(mounts)
    assert isinstance(trusting.read(view / "planted"), bytes)
    for store in ("00", "01"):
        for name in trusting.WITNESSES:
            (stores.base / store / name).rename(stores.folder / store / name)
    deadline = time.monotonic() + 30
    while os.path.lexists(view / "planted"):
        assert time.monotonic() < deadline, view.log()
        time.sleep(0.2)
    trusting.compare(view.path, stores.files)
    view.unmount()
    assert "2 shares are needed from now on, not 1" in view.log(), view.log()


@pytest.mark.parametrize("required", [None, 3])
def test_where_no_header_is_intact_all_is_lost(make, required):
    """Noise in place of all shares, or another format than was said: one line, and no file."""
    stores = make(3, 5)
    stores.files = {}
    for store in stores.names:
        for name in trusting.WITNESSES:
            stores.change(store, lambda share: stores.rng.randbytes(len(share)), name)
    stores.check(status=LOST, required=required, says=["is --format right"])
    stores.decode(expected={}, status=LOST, required=required, says=["is --format right"])
    stores.repair(status=LOST, required=required, says=["is --format right"])


@pytest.mark.parametrize("given", oracle.FORMATS)
@pytest.mark.parametrize("share_format", ["fec", "classic"])
def test_another_format_is_named(make, mounts, tmp_path, share_format, given):
    """By every command, and by a mount that is to start; nothing is written."""
    if given == share_format:
        return
    stores = make(2, 4, share_format)
    for number in range(5):
        stores.put(f"more-{number}")
    before = trusting.fingerprints(stores.folder)
    says = [f"^zfec-fs: the stores hold shares of format {share_format}, not {given}; "
            f"give format {share_format}$"]  # fmt: skip
    for words in (["check"], ["check", "--required", "2"], ["decode"], ["repair"]):
        out = [tmp_path / "new"] if words == ["decode"] else []
        said = trusting.run(*words, "--format", given, stores.folder, *out)
        said.demand(USAGE, says)
        assert len(said.text.splitlines()) == 1, said.text
    (tmp_path / "mnt").mkdir()
    trusting.run("-f", "-o", f"restore,format={given}", stores.folder, tmp_path / "mnt").demand(
        USAGE, says
    )
    assert trusting.fingerprints(stores.folder) == before and not (tmp_path / "new").exists()

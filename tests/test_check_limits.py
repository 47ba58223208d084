# SPDX-License-Identifier: MIT
"""What check says of a store as a whole: what its storage cannot keep, and that it is empty."""

import os
import re
import shutil

import pytest

import commands
import trees
from checking import STRIPE, Stores, check, run_text, words_of
from commands import DAMAGED, LOST, OK

FILES, FOLDERS = 9, 3
OTHER_TIME = trees.MTIME_NS + 5 * 10**9
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")


@pytest.fixture
def stores(tmp_path, rng):
    """Files of several modes, directories, symlinks and a FIFO, with times of fractions."""
    made = Stores(tmp_path / "stores", rng)
    for number in range(FILES):
        made.put(f"file-{number}", 1000, mtime_ns=trees.MTIME_NS + number * 10**9 + 123456789)
    for store in made.names:
        made.path(store, "file-0").chmod(0o600)
        for number in range(FOLDERS):
            made.path(store, f"folder-{number}").mkdir(mode=0o750 if number else 0o755)
        made.path(store, "link").symlink_to("file-1")
        os.mkfifo(made.path(store, "fifo"))
        for name in ("link", "fifo"):
            os.utime(made.path(store, name), ns=(0, trees.MTIME_NS), follow_symlinks=False)
    return made


def names_in(stores, store):
    """All but symlinks."""
    return [path for path in stores.path(store, ".").rglob("*") if not path.is_symlink()]


def look(stores, status, *words, settle=True):
    """The lines for names; the rows of stores, by name; the last line."""
    if settle:
        stores.settle_times()
    done, text = run_text(*words_of(stores.folder, words))
    assert done == status, text
    names, _, rest = text.partition("Stores, and the share that each holds:\n")
    names = [line for line in names.splitlines() if not re.search(r" in \d+\.\d s: ", line)]
    rows = re.findall(r"^  .*?  (\w+)(: .*)$", rest, re.MULTILINE)
    return names, dict(rows), rest.splitlines()[-1]


def lose_modes(stores, store):
    for path in names_in(stores, store):
        path.chmod(0o700 if path.is_dir() else 0o644)


def lose_owners(stores, store):
    for path in [*names_in(stores, store), stores.path(store, "link"), stores.path(store, ".")]:
        os.chown(path, 1234, 1234, follow_symlinks=False)


def lose_kinds(stores, store):
    lose_modes(stores, store)
    stores.path(store, "link").unlink()
    stores.path(store, "fifo").unlink()


def lose_times(stores, store):
    for path in names_in(stores, store):
        if path.is_file():
            os.utime(path, ns=(0, OTHER_TIME))


def lose_fractions(stores, store):
    for path in names_in(stores, store):
        if path.is_file():
            seconds = path.stat().st_mtime_ns // 10**9
            os.utime(path, ns=(0, seconds * 10**9))


LIMITS = {
    lose_modes: ("modes", ["modes"]),
    lose_kinds: ("modes, symlinks, special files (2 names)", ["modes", "symlinks", "special files"]),
    lose_times: ("times of files", ["times of files"]),
    lose_fractions: ("fractions of seconds", ["fractions of seconds"]),
    lose_owners: ("owners", ["owners"]),
}


@pytest.mark.parametrize(
    "change",
    [pytest.param(lose, marks=needs_root) if lose is lose_owners else lose for lose in LIMITS],
    ids=lambda change: change.__name__,
)
def test_what_storage_cannot_keep_is_told_once(stores, change):
    """No name is damaged by it, and JSON has all of it."""
    change(stores, "c")
    shown, listed = LIMITS[change]
    names, rows, last = look(stores, OK)
    assert names == []
    assert rows["c"].endswith(f"; its storage does not keep {shown}")
    assert [store for store in "abd" if "keep" in rows[store]] == []
    spare = "1 further store" if change is lose_kinds else "2 further stores"  # of the FIFO
    assert last == f"Every file survives the loss of any {spare}."
    lines, summary = check(stores, status=OK)
    assert [store.get("not_kept") for store in summary["stores"]] == [None, None, listed, None]
    assert (summary["degraded"], summary["lost"]) == (0, 0)
    assert {line["health"] for line in lines.values()} <= {"intact"}
    problems = [problem for line in lines.values() for problem in line["problems"]]
    assert all(problem["not_kept"] for problem in problems)
    assert (problems == []) == (change is lose_fractions)


def put_links(stores, clouds):
    """link and link-2, in some stores as rclone keeps them."""
    for store in clouds:
        lose_kinds(stores, store)
        trees.write_file(stores.path(store, "link.rclonelink"), b"file-1")
        trees.write_file(stores.path(store, "link-2.rclonelink"), b"file-2")
    for store in set("abcd") - set(clouds):
        stores.path(store, "link-2").symlink_to("file-2")
    for path in stores.folder.glob("*/link*"):
        os.utime(path, ns=(0, trees.MTIME_NS), follow_symlinks=False)


@pytest.mark.parametrize("clouds", ["c", "cd", "abcd"])
def test_symlinks_as_rclone_keeps_them(stores, tmp_path, clouds):
    """They are symlinks, and no files: for check, repair and decode, also where no store has another."""
    put_links(stores, clouds)
    names, _, _ = look(stores, OK)
    assert names == []
    before = sorted(stores.folder.glob("*/link*"))
    commands.run("repair", stores.folder, status=OK if clouds == "abcd" else DAMAGED)
    assert sorted(stores.folder.glob("*/link*")) == before
    commands.run("decode", stores.folder, tmp_path / "out", noisy=True)
    assert {path.name: os.readlink(path) for path in (tmp_path / "out").glob("link*")} == {
        "link": "file-1",
        "link-2": "file-2",
    }


def test_what_is_no_such_symlink(stores):
    """Another target, and a share, with the name of one of rclone's."""
    put_links(stores, "cd")
    for store in "cd":
        trees.write_file(stores.path(store, "link.rclonelink"), b"file-2")
    for store in "abcd":
        shutil.copy2(stores.path(store, "file-3"), stores.path(store, "file-3.rclonelink"))
    names, _, _ = look(stores, LOST)
    assert [name.partition(":")[0] for name in names] == ["link"]
    lines, _ = check(stores, "--verbose", status=LOST)
    assert lines["file-3.rclonelink"]["health"] == "intact"


def one_mode(stores):
    stores.path("c", "file-3").chmod(0o640)


def one_time(stores):
    os.utime(stores.path("c", "file-3"), ns=(0, OTHER_TIME))


def missing_symlink(stores):
    stores.path("c", "link").unlink()


def missing_fifo(stores):
    stores.path("c", "fifo").unlink()


def missing_file_where_modes_are_lost(stores):
    lose_modes(stores, "c")
    stores.path("c", "file-3").unlink()


def one_time_where_modes_are_lost(stores):
    lose_modes(stores, "c")
    os.utime(stores.path("c", "file-3"), ns=(0, OTHER_TIME))


def one_symlink_of_two_where_modes_are_lost(stores):
    lose_modes(stores, "c")
    for store in stores.names:
        stores.path(store, "link-2").symlink_to("file-2")
        os.utime(stores.path(store, "link-2"), ns=(0, trees.MTIME_NS), follow_symlinks=False)
    stores.path("c", "link-2").unlink()


@pytest.mark.parametrize("change", [
    one_mode, one_time, missing_symlink, missing_fifo, missing_file_where_modes_are_lost,
    one_time_where_modes_are_lost, one_symlink_of_two_where_modes_are_lost,
], ids=lambda change: change.__name__)  # fmt: skip
def test_what_storage_does_keep_is_damage(stores, change):
    change(stores)
    names, _, _ = look(stores, DAMAGED)
    assert len(names) == 1 and "; c: " in names[0]
    assert check(stores, status=DAMAGED)[1]["degraded"] == 1


def test_a_few_names_do_not_tell(tmp_path, rng):
    """Somebody may have changed them all."""
    stores = Stores(tmp_path / "few", rng)
    for number in range(3):
        stores.put(f"file-{number}", 100)
        for store in stores.names:
            stores.path(store, f"file-{number}").chmod(0o600 + number)
    for number in range(3):
        stores.path("b", f"file-{number}").chmod(0o644)
    names, rows, _ = look(stores, DAMAGED)
    assert len(names) == 3 and "keep" not in rows["b"]


def test_an_empty_store_is_one_line(stores):
    stores.path("e", ".").mkdir()
    names, rows, _ = look(stores, DAMAGED)
    assert names == []
    assert rows["e"].endswith("; it is empty: is it mounted?")
    assert len(look(stores, DAMAGED, "-v")[0]) == FILES + FOLDERS + 3
    assert len(check(stores, status=DAMAGED)[0]) == FILES + FOLDERS + 2


def test_a_store_with_few_of_the_names_is_one_line(stores):
    """Its damage is told, and that the rest is missing is damage, too."""
    for number in range(1, FILES):
        stores.path("d", f"file-{number}").unlink()
    stores.spoil("d", 0, name="file-0")
    names, rows, _ = look(stores, DAMAGED)
    assert [name.partition(":")[0] for name in names] == ["file-0"]
    assert "8 missing" in rows["d"] and rows["d"].endswith("; is it new, or copied in part?")
    assert len(look(stores, DAMAGED, "-v")[0]) == FILES + FOLDERS + 3


def test_a_question_ends_the_line_of_a_store(stores):
    for number in range(2 * FILES):
        stores.put(f"more-{number}", 100)
        stores.path("d", f"more-{number}").unlink()
    lose_modes(stores, "d")
    _, rows, _ = look(stores, DAMAGED)
    assert rows["d"].endswith(" missing; its storage does not keep modes; is it new, or copied in part?")


def test_at_most_a_hundred_lines(tmp_path, rng):
    """Lost names have lines of their own."""
    stores = Stores(tmp_path / "many", rng, "abc")
    for number in range(130):
        stores.put(f"file-{number:03}", STRIPE)
        stores.spoil("a", 0, name=f"file-{number:03}")
    stores.spoil("b", 0, name="file-100")
    stores.settle_times()
    status, text = run_text(*words_of(stores.folder, ()))
    lines = text.splitlines()
    assert status == 2
    assert len([line for line in lines if "block 0 damaged" in line]) == 101
    assert len([line for line in lines if ": LOST" in line]) == 1
    assert lines[101] == "... and 29 more names with which something is wrong; -v shows all, --json too"
    assert re.search(r": 1 intact, 129 degraded, 1 lost$", lines[102])
    assert len(check(stores, status=2)[0]) == 130
    status, text = run_text(*words_of(stores.folder, ["-v"]))
    assert len(re.findall(r"^file-.*block 0 damaged", text, re.MULTILINE)) == 130
    assert "... and" not in text
    status, text = run_text("repair", "-j", "1", "--dry-run", stores.folder)
    assert "... and 29 more names" in text

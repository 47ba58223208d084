# SPDX-License-Identifier: MIT
"""check: what it is told to look at, in which stores, its sums, its statuses and its words."""

import math
import os
import re
import shutil
import signal
import subprocess

import pytest

import checking
import commands
import mounts as mounts_module
import oracle
import trees
import users
from checking import (
    BLOCK_SIZE, HOSTILE_NAMES, HOUR_NS, LIMIT_S, SIZE, STRIPE, Stores, block_place, check,
    damaged, file_line, run_text, words_of,
)  # fmt: skip
from commands import DAMAGED, FAILED, LOST, OK, USAGE

stores = checking.stores  # a fixture

needs_root = users.needs_root
user = users.user  # a fixture


# What is not looked at


def test_quick_looks_at_headers_and_sizes_alone(tmp_path, rng):
    stores = Stores(tmp_path / "stores", rng, "abcde")
    for name in ("other-1", "other-2", "file"):
        stores.put(name)
    for store in "abcde":
        stores.spoil(store, 1)
    os.utime(stores.path("a"), ns=(0, 0))
    check(stores, "--quick", status=OK)
    stores.flip("a", 20)
    stores.change("b", lambda share: share + b"x")
    stores.path("c").unlink()
    may_lose, problems = file_line(stores, "--quick", status=DAMAGED)
    assert may_lose == 2 and problems == {
        "a": {"state": "damaged", "header_damaged": True},
        "b": {"state": "damaged", "share": "01", "size_wrong": True},
        "c": {"state": "missing"},
    }
    _, text = run_text("check", "--quick", stores.folder)
    assert text.endswith("further stores, by headers alone.\n")


@pytest.mark.parametrize("left", [1, 5, 64, 5000])
def test_quick_does_not_count_what_is_cut_off(stores, left):
    stores.put()
    stores.change("a", lambda share: share[:left])
    for how in ([], ["--quick"]):
        assert file_line(stores, *how, status=DAMAGED)[0] == 1


def test_quick_reads_no_blocks(stores, tmp_path):
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    stores.put(size=100 * STRIPE)
    trace = tmp_path / "trace"
    strace = [*commands.STRACE, trace]
    check(stores, "--quick", status=OK, before=strace)
    reads = re.findall(r"/stores/\S*>, .*, (\d+)\) += (\d+)\n", commands.take_trace(trace))
    # The start of each file, with its header, and behind it no more than digests, for the holes.
    assert reads and all(int(size) <= (1024 if offset == "0" else 16) for offset, size in reads)


def test_a_sample_finds_its_part(tmp_path, rng):
    """Of much damage about the part that was asked for, of all blocks all."""
    stripes = 2400
    stores = Stores(tmp_path / "stores", rng, "ab", 1)
    for number in range(4):
        name = f"file-{number}"
        stores.put(name, stripes // 4 * BLOCK_SIZE)
        stores.spoil("b", *range(stripes // 4), name=name)

    def found(part):
        _, summary = check(stores, "--sample", part, status=DAMAGED)
        return summary["stores"][1]["damaged_blocks"]

    assert found("100%") == found("1") == stripes
    for part in (0.5, 0.05):
        expected = part * stripes
        spread = 7 * math.sqrt(expected * (1 - part))
        counts = [found(f"{part * 100:g}%") for _ in range(4)]
        assert all(abs(count - expected) < spread for count in counts), (part, counts)
        assert len(set(counts)) > 1, "another choice each time"


def test_a_sample_is_no_promise(stores):
    stores.put()
    survives, looked = "Every file survives the loss of any", "as far as was checked"
    _, text = run_text("check", "--sample", "50%", stores.folder)
    assert text.endswith(f"{survives} 2 further stores, {looked}.\n")
    stores.path("c").unlink()
    _, text = run_text("check", "--sample", "50%", stores.folder)
    assert text.endswith(f"{survives} 1 further store, {looked}.\n")


def test_a_share_with_an_extension_is_intact(stores):
    """Bytes between the header and the blocks, which say something to later programs."""
    stores.put()

    def change(share):
        fields = share[:12] + (7).to_bytes(4, "little") + share[16:48]
        return fields + oracle.checksum(bytes(fields), 0) + b"unknown" + share[64:]

    stores.change("c", change)
    check(stores, status=OK)
    stores.flip("c", block_place(1).start + 7 + 100)
    assert file_line(stores, status=DAMAGED) == (1, {"c": damaged(2, 1)})


# Which stores


def test_stores_from_anywhere(stores, tmp_path):
    """The same whether they lie in one directory, are named each, or are named twice."""
    stores.put()
    stores.spoil("c", 1)
    stores.settle_times()
    named = [word for name in "abcd" for word in ("--store", stores.folder / name)]
    forms = [[stores.folder], named, [*named, stores.folder]]
    summaries = []
    for words in forms:
        result = commands.run("check", *words, status=DAMAGED, noisy=True)
        assert {line["path"] for line in result.json[:-1]} == {"file"}
        summaries.append({**result.summary, "seconds": 0})
    assert summaries[0] == summaries[1] == summaries[2]
    elsewhere = shutil.copytree(stores.folder, tmp_path / "elsewhere", symlinks=True)
    shutil.rmtree(stores.folder / "c")
    result = commands.run(
        "check", "--store", elsewhere / "c", stores.folder, status=DAMAGED, noisy=True
    )
    (line,) = result.json[:-1]
    assert (line["path"], line["problems"][0]["store"]) == ("file", str(elsewhere / "c"))
    assert len(result.summary["stores"]) == 4


def test_one_store_under_two_names_counts_once(stores):
    """The loss of one directory is the loss of all its names."""
    stores.put()
    for store in "abcd":
        (stores.folder / f"{store}-too").symlink_to(store)
    lines, _ = check(stores, "-v", status=OK)
    assert lines["file"]["may_lose"] == 2


def test_stores_of_one_name_are_told_apart(tmp_path, rng):
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for index, folder in enumerate(folders):
        share = oracle.make_share("checked", b"data", 2, 3, index, trees.MTIME_NS, BLOCK_SIZE)
        trees.write_file(folder / "store" / "file", share)
        os.utime(folder / "store", ns=(0, trees.MTIME_NS))
    (folders[2] / "store").rename(folders[2] / "other")
    (folders[1] / "store" / "file").unlink()
    os.utime(folders[1] / "store", ns=(0, trees.MTIME_NS))
    words = [
        word
        for path in (folders[0] / "store", folders[1] / "store", folders[2] / "other")
        for word in ("--store", path)
    ]
    status, text = run_text("check", *words)
    assert status == DAMAGED
    assert f"{folders[1]}/store: 1 good, 1 missing; it is empty: is it mounted?\n" in text
    assert f"  00  {folders[0]}/store: 2 good\n" in text and "  02  other: 2 good\n" in text


def test_stores_are_listed_by_their_shares(tmp_path, rng):
    """Whatever they are called; those without a share come last."""
    stores = Stores(tmp_path, rng, "abcd")
    stores.put()
    stores.path("a", ".").rename(tmp_path / "z")
    (tmp_path / "a0").mkdir()
    status, text = run_text("check", tmp_path)
    assert status == DAMAGED
    assert re.findall(r"^  (..)  (\w+): ", text, re.MULTILINE) == [
        ("00", "z"), ("01", "b"), ("02", "c"), ("03", "d"), ("--", "a0")]  # fmt: skip


# Statuses


def test_lost_comes_before_damaged(stores):
    stores.put()
    stores.put("worse")
    stores.spoil("a", 1)
    for store in "abc":
        stores.spoil(store, 2, name="worse")
    lines, summary = check(stores, status=LOST)
    assert {name: line["health"] for name, line in lines.items()} == {
        "file": "degraded",
        "worse": "lost",
    }
    assert summary["sentence"] == "1 of 4 files is lost."
    assert (summary["intact"], summary["degraded"], summary["lost"]) == (3, 1, 1)


@needs_root
def test_lost_comes_before_failed(user, rng):
    """A directory that nobody can list is a failure; where something is lost, that is said."""
    stores = Stores(user.folder / "stores", rng)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    for name in ("closed/file", "other"):
        stores.put(name, 5000)
    user.own(stores.folder)
    for store in "abcd":
        stores.path(store, "closed").chmod(0)
    result = commands.run("check", stores.folder, status=FAILED, noisy=True, **how)
    assert "closed: cannot be checked" in result.errors
    for store in "abc":
        stores.flip(store, 70, "other")
    result = commands.run("check", stores.folder, status=LOST, noisy=True, **how)
    assert "closed: cannot be checked" in result.errors


WRONG_WORDS = {
    "no stores": [],
    "two directories": ["one", "two"],
    "unknown option": ["--unknown", "stores"],
    "option of another command": ["--older", "stores"],
    "no value": ["stores", "--sample"],
    "a value too much": ["--quick=1", "stores"],
    "sample 0": ["--sample", "0", "stores"],
    "sample above all": ["--sample", "101%", "stores"],
    "sample below 0": ["--sample=-5%", "stores"],
    "sample without number": ["--sample", "half", "stores"],
    "no number": ["--sample", "nan", "stores"],
    "jobs 0": ["-j", "0", "stores"],
    "unknown format": ["--format", "best", "stores"],
    "k 0": ["-k", "0", "--format", "classic", "stores"],
}


@pytest.mark.parametrize("words", WRONG_WORDS.values(), ids=WRONG_WORDS.keys())
def test_words_that_make_no_sense(stores, words):
    """Also where the stores are there."""
    result = commands.run("check", *words, status=USAGE, noisy=True, cwd=stores.folder.parent)
    assert result.json == [] and result.errors.startswith("zfec-fs: ")


def test_stores_that_are_not_there(tmp_path, stores):
    for words in ([tmp_path / "nowhere"], ["--store", tmp_path / "nowhere"]):
        result = commands.run("check", *words, status=FAILED, noisy=True)
        assert result.json == [] and "nowhere: No such file or directory" in result.errors


def test_a_store_that_leads_nowhere(stores):
    """It is named, as one that could not be looked at."""
    place = stores.folder / "c"
    place.rename(stores.folder.parent / "away")
    place.symlink_to("not-mounted")
    result = commands.run("check", stores.folder, status=DAMAGED, noisy=True)
    assert re.search(r"stores/c is left out: No such file.*mounted", result.errors)
    assert len(result.summary["stores"]) == 3
    place.unlink()
    place.symlink_to("../away")
    check(stores, status=OK)


def test_no_stores_are_no_success(tmp_path):
    """A disk that is not mounted leaves an empty directory; that is not to be called well."""
    (tmp_path / "stores").mkdir()
    status, _ = run_text("check", tmp_path / "stores")
    assert status == FAILED


@pytest.mark.parametrize("words", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("spoiled", ["", "a"], ids=["intact", "damaged"])
def test_output_that_cannot_be_written(stores, words, spoiled):
    """That is a failure, unless something is lost."""
    stores.put()
    for store in spoiled:
        stores.spoil(store, 1)
    stores.settle_times()
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [mounts_module.BINARY, "check", *words, stores.folder],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=LIMIT_S,
        )
    assert b"No space left" in done.stderr and done.returncode == FAILED


def test_a_check_that_is_stopped(tmp_path, rng):
    """Ends soon, and sums nothing up that it has not seen."""
    stores = Stores(tmp_path / "stores", rng, "ab", 1)
    stores.put("file", 1000 * BLOCK_SIZE)
    for store in "ab":
        for number in range(300):
            os.link(stores.path(store), stores.path(store, f"link-{number}"))
    process = commands.start("check", stores.folder)
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    result = commands.finish(process, first)
    assert result.status == FAILED
    assert all(line["message_type"] == "check" for line in result.json)


# Sums


def test_sums_and_sentences(stores):
    """Of all names, and of each store."""
    stores.put()
    stores.put("old")
    stores.put("old", mtime_ns=trees.MTIME_NS - HOUR_NS, at={"b": 1, "c": 2})
    stores.put("empty", 0)
    for store in "abcd":
        stores.path(store, "folder").mkdir()
        stores.path(store, "link").symlink_to("file")
        os.utime(stores.path(store, "link"), ns=(0, trees.MTIME_NS), follow_symlinks=False)
    stores.spoil("a", 0, 2, 3)
    stores.path("b", "link").unlink()
    stores.path("d", "empty").chmod(0o600)
    stores.settle_times()
    status, text = run_text(*words_of(stores.folder, ()))
    assert status == DAMAGED
    lines = [re.sub(r" in \d+\.\d s", "", line) for line in text.splitlines()]
    assert lines == [
        "empty: can lose 2 more stores; d: differs in mode",
        "file: can lose 1 more store; a: blocks 0, 2-3 damaged",
        "link: can lose 1 more store; b: missing",
        "old: can lose 0 more stores; b: another version; c: another version",
        "5 files (85.5 kB) and 3 other names: 4 intact, 4 degraded, 0 lost",
        "Stores, and the share that each holds:",
        "  00  a: 7 good, 1 damaged (3 bad blocks)",
        "  01  b: 6 good, 1 missing, 1 of another version",
        "  02  c: 7 good, 1 of another version",
        "  03  d: 8 good, 1 with other metadata",
        "1 of 5 files would be lost if one more store were.",
    ]
    _, summary = check(stores, status=DAMAGED)
    assert [summary[name] for name in ("files", "others", "bytes")] == [5, 3, 2 * 5000 + 2 * SIZE]
    assert [summary[name] for name in ("intact", "degraded", "lost")] == [4, 4, 0]
    assert summary["sentence"] == lines[-1]
    assert summary["command"] == "check" and summary["may_lose"] == 0


@pytest.mark.parametrize("command", ["check", "decode", "repair"])
def test_stores_with_one_share_are_told(stores, tmp_path, command):
    folder = stores.folder
    stores.settle_times()
    shutil.copytree(folder / "a", folder / "twin")
    status, text = run_text(command, folder, *([tmp_path / "out"] if command == "decode" else []))
    line = f"Stores {folder}/a and {folder}/twin hold the same share, 00: they count once"
    assert status == OK and text.splitlines()[0] == line


def test_the_sentence_tells_files_from_other_names(stores):
    """A symlink is no file."""
    stores.put()
    for store in "ab":
        (stores.folder / store / "link").symlink_to("file")
    for store in "cd":
        (stores.folder / store / "link").symlink_to("other-1")
    _, summary = check(stores, status=LOST)
    assert summary["sentence"] == "1 of 1 other name is lost."


def test_verbose_names_what_is_intact(stores):
    stores.put()
    stores.settle_times()
    status, text = run_text(*words_of(stores.folder, ["-v"]))
    assert status == OK
    assert text.splitlines()[:4] == [
        f"{name}: can lose {count} more stores"
        for name, count in (("file", 2), ("other-1", 2), ("other-2", 2), (".", 2))
    ]


def test_quiet_says_nothing(stores):
    stores.put()
    stores.spoil("a", 1)
    stores.settle_times()
    assert run_text("check", "-q", stores.folder) == (DAMAGED, "")


def test_no_files_at_all(tmp_path, rng):
    stores = Stores(tmp_path / "stores", rng)
    stores.settle_times()
    result = commands.run("check", stores.folder, status=LOST, noisy=True)
    assert result.json == [] and "needed" in result.errors


# Names that are made to mislead


def hostile_stores(tmp_path, rng):
    """One name is missing in one store; the stores' names are not better."""
    names = [b"a", b"s\ntore\x1b[1m", b"\xffstore"]
    stores = Stores(tmp_path / "stores", rng, [os.fsdecode(name) for name in names], 1)
    for name in HOSTILE_NAMES:
        stores.put(os.fsdecode(name), 100)
        stores.path(stores.names[1], os.fsdecode(name)).unlink()
    folder = os.fsdecode(b"folder\n\xff")
    stores.put(os.fsdecode(b"folder\n\xff/inner\n"), 100)
    stores.path(stores.names[1], os.fsdecode(b"folder\n\xff/inner\n")).unlink()
    stores.settle_times()
    return stores, {*HOSTILE_NAMES, os.fsencode(folder) + b"/inner\n"}


def test_names_forge_no_lines(tmp_path, rng):
    stores, names = hostile_stores(tmp_path, rng)
    status, text = run_text("check", "-v", stores.folder)
    assert status == DAMAGED and text.isprintable() is False
    *lines, last = text.split("\n")
    assert last == "" and all(re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]*", line) for line in lines)
    told = [line for line in lines if line.endswith(r"; s\x0atore\x1b[1m: missing")]
    assert len(told) == len(names)
    assert len(lines) == len(names) + 2 + 6  # the two directories; the sums, three stores
    assert rf"  02  \xffstore: {len(names) + 2} good" in lines


def test_names_in_json(tmp_path, rng):
    stores, names = hostile_stores(tmp_path, rng)
    result = commands.run("check", stores.folder, status=DAMAGED, noisy=True)
    lines = [line for line in result.json if line["message_type"] == "check"]
    assert len(lines) == len(names) and {commands.path_in(line) for line in lines} == names
    for line in lines:
        (problem,) = line["problems"]
        assert problem["store"] == str(stores.folder / stores.names[1])
    decoded = [
        commands.path_in({key.replace("store", "path"): value for key, value in each.items() if "store" in key})
        for each in result.summary["stores"]
    ]
    assert sorted(decoded) == sorted(os.fsencode(stores.folder / name) for name in stores.names)


@pytest.mark.parametrize("liars", ["c", "cd"])
def test_a_size_that_no_file_has(stores, liars):
    """Stores may say it, of a name that no other has; check ends all the same."""
    stores.put()
    for store in liars:
        header = oracle.checked_header(1, "abcd".index(store), 1 << 62, trees.MTIME_NS, BLOCK_SIZE)
        trees.write_file(stores.path(store, "huge"), header)
    stores.settle_times()
    try:
        status, text = run_text(*words_of(stores.folder, ()), limit_s=10)
    except subprocess.TimeoutExpired:
        pytest.fail("it looks for all blocks of a file of 4 EiB")
    assert status == (DAMAGED if liars == "c" else LOST)
    line = "huge: only c has it" if liars == "c" else "huge: LOST, .* a: missing; b: missing; c: size, "
    assert re.match(line, text), text

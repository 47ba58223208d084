# SPDX-License-Identifier: MIT
"""info says what a share file says of itself, and what is wrong with it: a line each, and a status.

What it prints stands in golden/info/KIND.txt and KIND.json; a test that fails prints what should
stand there if it is right.
"""

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
import users
from commands import DAMAGED, FAILED, OK, USAGE

GOLDEN = Path(__file__).parent / "golden" / "info"
BLOCK_SIZE = 4096
BLOCK_STEP = BLOCK_SIZE + 32
REQUIRED, SHARES, INDEX = 3, 7, 4
SIZE = 5 * REQUIRED * BLOCK_SIZE + 1000
LIMIT_S = 60

needs_root = users.needs_root
user = users.user  # a fixture


def share_of(rng, share_format="checked", size=SIZE, block_size=BLOCK_SIZE, **how):
    """A share of a file of random bytes."""
    return bytearray(
        oracle.make_share(
            share_format,
            rng.randbytes(size),
            how.pop("required", REQUIRED),
            how.pop("shares", SHARES),
            how.pop("index", INDEX),
            how.pop("mtime_ns", trees.MTIME_NS),
            block_size,
        )
    )


def block_start(number):
    return oracle.HEADER_SIZE + number * BLOCK_STEP


def words_for(share_format, required=REQUIRED):
    words = ["--format", share_format]
    return words + (["-k", str(required)] if share_format == "classic" else [])


def run_text(*words, before=(), binary=None, limit_s=LIMIT_S, **how):
    """(status, standard output, standard error)"""
    done = subprocess.run(
        [*before, binary or mounts_module.BINARY, "info", *words],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=limit_s,
        **how,
    )
    errors = done.stderr.decode(errors="backslashreplace")
    assert not mounts_module.SANITIZER.search(errors), errors
    return done.returncode, done.stdout.decode(errors="backslashreplace"), errors


def one_line_of_error(text):
    assert text.count("\n") == 1 and text.startswith("zfec-fs: "), text
    return text[len("zfec-fs: ") : -1]


def compare_with_golden(name, actual):
    path = GOLDEN / name
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    assert actual == expected, f"{path} should be, if this is right:\n{actual}"


# Kinds of shares: rng -> (words, bytes of the file, exit status)


def checked(rng):
    return [], share_of(rng), OK


def checked_of_an_empty_file(rng):
    return [], share_of(rng, size=0), OK


def checked_with_default_blocks(rng):
    return [], share_of(rng, size=1_000_000, block_size=65536), OK


def checked_of_extremes(rng):
    """The last share, most shares needed, a time before 1970."""
    return [], share_of(rng, required=255, shares=256, index=255, mtime_ns=-1), OK


def checked_of_no_year(rng):
    """A time far away."""
    return [], share_of(rng, mtime_ns=(1 << 63) - 1), OK


def classic(rng):
    return words_for("classic"), share_of(rng, "classic"), OK


def classic_of_an_empty_file(rng):
    return words_for("classic"), share_of(rng, "classic", size=0), OK


def fec(rng):
    return words_for("fec"), share_of(rng, "fec"), OK


def fec_of_an_empty_file(rng):
    return words_for("fec"), share_of(rng, "fec", size=0), OK


def fec_of_256(rng):
    return words_for("fec"), share_of(rng, "fec", shares=256, index=200, required=100), OK


def damaged_blocks(rng):
    """One, and two beside each other; the last one too."""
    share = share_of(rng)
    for offset in (block_start(0) + 3, block_start(2) + 500, block_start(4) - 1, len(share) - 1):
        share[offset] ^= 1
    return [], share, DAMAGED


def truncated_in_a_block(rng):
    return [], share_of(rng)[: block_start(3) + 7], DAMAGED


def truncated_behind_the_header(rng):
    return [], share_of(rng)[:64], DAMAGED


def truncated_to_whole_blocks(rng):
    return [], share_of(rng)[: block_start(2)], DAMAGED


def trailing_bytes(rng):
    return [], share_of(rng) + b"more", DAMAGED


def another_share_by_its_header(rng):
    """The blocks are those of another share than the header says: none is in its place."""
    share = share_of(rng)
    share[:64] = oracle.checked_header(REQUIRED, INDEX + 1, SIZE, trees.MTIME_NS, BLOCK_SIZE)
    return [], share, DAMAGED


def with_an_extension(rng):
    share = share_of(rng)
    fields = share[:12] + (7).to_bytes(4, "little") + share[16:48]
    return [], fields + oracle.checksum(bytes(fields), 0) + b"unknown" + share[64:], OK


KINDS = [
    checked, checked_of_an_empty_file, checked_with_default_blocks, checked_of_extremes,
    checked_of_no_year, classic, classic_of_an_empty_file, fec, fec_of_an_empty_file, fec_of_256,
    damaged_blocks, truncated_in_a_block, truncated_behind_the_header, truncated_to_whole_blocks,
    trailing_bytes, another_share_by_its_header, with_an_extension,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_kind_of_share(tmp_path, rng, kind):
    words, share, status = kind(rng)
    trees.write_file(tmp_path / "share", share)
    before = commands.snapshot(tmp_path)
    found, text, errors = run_text(*words, "share", cwd=tmp_path)
    result = commands.run("info", *words, "share", status=status, cwd=tmp_path)
    assert commands.snapshot(tmp_path) == before
    assert (found, errors, result.errors) == (status, "", "")
    compare_with_golden(f"{kind.__name__}.txt", text)
    lines = json.dumps(result.json, indent=1, sort_keys=True) + "\n"
    compare_with_golden(f"{kind.__name__}.json", lines)


def test_each_golden_file_has_its_test():
    expected = {f"{kind.__name__}.{form}" for kind in KINDS for form in ("txt", "json")}
    assert {path.name for path in GOLDEN.iterdir()} == expected


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_any_share(tmp_path, rng, share_format):
    """What is said is what the share was made with; one flipped bit of a checked one is found."""
    paths, made = [], []
    for number in range(60):
        required = rng.randint(1, 6) if share_format != "classic" else REQUIRED
        shares = rng.randint(max(2, required), 256)
        index, size = rng.randrange(shares), rng.randint(0, 60_000)
        block_size = rng.choice((4096, 8192, 65536)) if share_format == "checked" else 4096
        share = share_of(
            rng, share_format, size, block_size, required=required, shares=shares, index=index
        )
        bad = None
        if share_format == "checked" and len(share) > 64 and rng.random() < 0.5:
            at = rng.randrange(64, len(share))
            share[at] ^= 1 << rng.randrange(8)
            bad = (at - 64) // (block_size + 32)
        paths.append(trees.write_file(tmp_path / f"share-{number}", share))
        made.append((required, index, size, shares, len(share), bad))
    status = DAMAGED if any(each[-1] is not None for each in made) else OK
    result = commands.run("info", *words_for(share_format), *paths, status=status, noisy=True)
    assert [line["path"] for line in result.json] == [str(path) for path in paths]
    for line, (required, index, size, shares, length, bad) in zip(result.json, made):
        assert (line["required"], int(line["share"], 16)) == (required, index), line
        assert (line["source_size"], line["size"], line["right_size"]) == (size, length, length)
        assert line["damaged_blocks"] == ([] if bad is None else [[bad, bad]])
        assert line["intact"] == (bad is None) and line["checked"] == (share_format == "checked")
        assert line.get("total") == (shares if share_format == "fec" else None)


# What is no share


def no_share(folder, rng):
    return trees.write_file(folder / "name", rng.randbytes(10_000)), DAMAGED


def empty(folder, _rng):
    return trees.write_file(folder / "name", b""), DAMAGED


def header_alone_and_cut(folder, rng):
    return trees.write_file(folder / "name", share_of(rng)[:63]), DAMAGED


def header_damaged(folder, rng):
    share = share_of(rng)
    share[rng.randrange(64)] ^= 1 << rng.randrange(8)
    return trees.write_file(folder / "name", share), DAMAGED


def directory(folder, _rng):
    (folder / "name").mkdir()
    return folder / "name", FAILED


def special_file(folder, _rng):
    os.mkfifo(folder / "name")
    return folder / "name", FAILED


def missing(folder, _rng):
    return folder / "name", FAILED


def beneath_a_file(folder, rng):
    return trees.write_file(folder / "file", share_of(rng)) / "name", FAILED


def dangling_symlink(folder, _rng):
    (folder / "name").symlink_to("nowhere")
    return folder / "name", FAILED


REASONS = {
    no_share: r"has no intact header of a share \(is --format right\?\)",
    empty: r"has no intact header of a share \(is --format right\?\)",
    header_alone_and_cut: r"has no intact header of a share \(is --format right\?\)",
    header_damaged: r"has no intact header of a share \(is --format right\?\)",
    directory: "Is a directory",
    special_file: ".+",
    missing: "No such file or directory",
    beneath_a_file: "Not a directory",
    dangling_symlink: "No such file or directory",
}


@pytest.mark.parametrize("kind", REASONS, ids=lambda kind: kind.__name__)
def test_what_is_no_share(tmp_path, rng, kind):
    path, status = kind(tmp_path, rng)
    for words in ([], ["--json"]):
        found, text, errors = run_text(*words, path)
        assert (found, text) == (status, "")
        assert re.fullmatch(f"{re.escape(str(path))}: {REASONS[kind]}", one_line_of_error(errors))


@pytest.mark.parametrize("share_format", oracle.FORMATS)
@pytest.mark.parametrize("told", oracle.FORMATS)
def test_another_format(tmp_path, rng, share_format, told):
    """A checked share begins with what no other does; in fec, anything may be a header."""
    trees.write_file(tmp_path / "share", share_of(rng, share_format))
    status, text, errors = run_text(*words_for(told), tmp_path / "share")
    if share_format == told:
        assert (status, errors) == (OK, "")
    elif told != "fec" and "checked" in (share_format, told):
        assert (status, text) == (DAMAGED, "")
        assert "is --format right?" in one_line_of_error(errors)


@needs_root
def test_a_file_that_may_not_be_read(user, rng):
    path = trees.write_file(user.folder / "share", share_of(rng))
    path.chmod(0o600)
    how = {"before": user.WORDS, "binary": user.binary, "cwd": "/"}
    status, text, errors = run_text(path, **how)
    assert (status, text) == (FAILED, "")
    assert one_line_of_error(errors) == f"{path}: Permission denied"


def test_the_worst_of_many_counts(tmp_path, rng):
    """Each is told; the status is that of the worst."""
    good = trees.write_file(tmp_path / "good", share_of(rng))
    share = share_of(rng)
    share[100] ^= 1
    bad = trees.write_file(tmp_path / "bad", share)
    none = trees.write_file(tmp_path / "none", b"plain text")
    for words, status in (
        ([good], OK),
        ([good, bad, good], DAMAGED),
        ([none, good], DAMAGED),
        ([tmp_path / "missing", good, bad], FAILED),
    ):
        result = commands.run("info", *words, status=status, noisy=True)
        told = [line["path"] for line in result.json]
        assert told == [str(path) for path in words if path in (good, bad)]
        found, text, _ = run_text(*words)
        assert found == status and len(re.findall(r": share 04, ", text)) == len(told)


@pytest.mark.parametrize(
    "words", [[], ["--unknown", "x"], ["--quick", "x"], ["--format", "x", "x"]]
)
def test_words_that_make_no_sense(words):
    status, text, errors = run_text(*words)
    assert (status, text) == (USAGE, "")
    assert one_line_of_error(errors)


def test_names_forge_no_lines(tmp_path, rng):
    names = [b"new\nline: share 00", b"\x1b[31mred", b"\xff not UTF-8", b"c1 \xc2\x9b"]
    for name in names:
        trees.write_file(tmp_path / os.fsdecode(name), share_of(rng))
        path = os.fsencode(tmp_path) + b"/" + name
        _, text, _ = run_text(path)
        assert text.count("\n") == 1 and re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]*", text[:-1])
        result = commands.run("info", path)
        assert commands.path_in(result.json[0]) == path
        _, text, errors = run_text(path + b"missing")
        assert text == "" and re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]*", one_line_of_error(errors))


def test_a_size_that_no_file_has(tmp_path, rng):
    """A header may say what it likes; that costs neither memory nor hours."""
    header = oracle.checked_header(255, 0, (1 << 63) - 1, trees.MTIME_NS, 4096)
    for more in (b"", rng.randbytes(100), rng.randbytes(10_000)):
        trees.write_file(tmp_path / "share", header + more)
        try:
            status, text, _ = run_text("--json", tmp_path / "share", limit_s=10)
        except subprocess.TimeoutExpired:
            pytest.fail("it looks for all blocks of a file of 8 EiB")
        line = json.loads(text)
        assert status == DAMAGED and line["intact"] is False and line["size"] == 64 + len(more)

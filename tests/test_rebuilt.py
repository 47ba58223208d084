# SPDX-License-Identifier: MIT
"""The rebuilt view: from the stores the same shares as the encoded view gave, also those lost."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

import mounts as mounts_module
import oracle
import trees
import vectors_file

UNSANITIZED = True

GROUPS = vectors_file.groups()
DATA = b"0123456789"
REQUIRED = 3
SHARES = 20
BLOCK_SIZE = 4096


@pytest.fixture
def stores(tmp_path):
    folder = tmp_path / "stores"
    folder.mkdir()
    return folder


def options_of(share_format, required=REQUIRED):
    return {} if share_format == "checked" else {"format": share_format, "required": required}


def share_of(share_format, data, index, required=REQUIRED, shares=SHARES):
    return oracle.make_share(
        share_format, data, required, shares, index, trees.MTIME_NS, BLOCK_SIZE
    )


def check_shares(view, name, data, share_format, indexes):
    """The rebuilt shares of a file are those that the oracle makes, and stat says their sizes."""
    for index in indexes:
        path = view / trees.share_name(index) / name
        expected = share_of(share_format, data, index)
        trees.assert_same(path.read_bytes(), expected, f"share {index} of {name}")
        assert path.stat().st_size == len(expected)
        assert path.stat().st_mtime_ns == trees.MTIME_NS


# The vectors


def vector_stores(stores, group, indexes):
    """For each size that the group's rows speak of a file, its shares `indexes` from the oracle."""
    for size in {row["size"] for row in GROUPS[group]}:
        for index in indexes:
            share = oracle.make_share(
                group.format,
                oracle.source_bytes(size),
                group.required,
                group.shares,
                index,
                vectors_file.mtime_ns(),
                group.block_size or BLOCK_SIZE,
            )
            trees.write_file(stores / f"node-{index}" / str(size), share, vectors_file.mtime_ns())


@pytest.mark.parametrize("group", GROUPS, ids=vectors_file.name_of)
def test_every_row(mounts, stores, group, rng):
    vector_stores(stores, group, rng.sample(range(group.shares), group.required))
    view = mounts.rebuilt(
        stores, format=group.format, required=group.required, shares=group.shares
    )
    wrong = []
    for row in GROUPS[group]:
        path = view / trees.share_name(row["index"]) / str(row["size"])
        found = vectors_file.differences(row, path.read_bytes())
        if path.stat().st_size != row["share_size"]:
            found.append(f"stat says {path.stat().st_size} bytes")
        if found:
            wrong.append((row["size"], row["index"], found))
    assert not wrong


# Which shares there are


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_sizes(mounts, stores, rng, share_format):
    sizes = trees.interesting_sizes(REQUIRED)
    contents = {f"size-{size}": rng.randbytes(size) for size in sizes}
    for name, data in contents.items():
        trees.make_stores(stores, name, data, (1, 4, 11), share_format=share_format)
    view = mounts.rebuilt(stores, **options_of(share_format))
    for name, data in contents.items():
        check_shares(view, name, data, share_format, (0, 1, 2, 4, 7, 19))


@pytest.mark.parametrize("share_format", ["checked", "classic"])
def test_more_shares_than_there_ever_were(mounts, stores, rng, share_format):
    data = rng.randbytes(3 * REQUIRED * BLOCK_SIZE + 7)
    trees.make_stores(stores, "file", data, (0, 1, 2), share_format=share_format)
    view = mounts.rebuilt(stores, shares=256, **options_of(share_format))
    assert sorted(os.listdir(view.path)) == [trees.share_name(index) for index in range(256)]
    check_shares(view, "file", data, share_format, range(256))


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_from_parity_alone(mounts, stores, rng, share_format):
    data = rng.randbytes(2 * REQUIRED * BLOCK_SIZE + 5001)
    trees.make_stores(stores, "file", data, (19, 7, 3), share_format=share_format)
    view = mounts.rebuilt(stores, **options_of(share_format))
    check_shares(view, "file", data, share_format, range(SHARES))


@pytest.mark.parametrize("required", [1, 2, 16, 100, 255])
def test_from_the_last_shares(mounts, stores, rng, required):
    """k of them, the last that the code has, and the first ones from these."""
    data = rng.randbytes(required * BLOCK_SIZE + 3)
    for index in range(256 - required, 256):
        share = share_of("checked", data, index, required, 256)
        trees.write_file(stores / f"store-{index}" / "file", share)
    view = mounts.rebuilt(stores, shares=256)
    for index in sorted({0, required - 1, required // 2, 255 - required, 255}):
        expected = share_of("checked", data, index, required, 256)
        found = (view / trees.share_name(index) / "file").read_bytes()
        trees.assert_same(found, expected, f"share {index}")


def test_no_fec_shares_beyond_m(mounts, stores):
    """m stands in every share of that format: there, shares cannot be added later."""
    trees.make_stores(stores, "file", DATA, (0, 1, 2), share_format="fec", shares=5)
    view = mounts.rebuilt(stores, format="fec", shares=256)
    for index in (5, 6, 255):
        view.expect_log(f"^zfec-fs: share {index:02x}: .*5 shares", count=1)
        assert os.listdir(view / f"{index:02x}") == ["file"]
        with pytest.raises(OSError, match="Input/output error"):
            os.close(os.open(view / f"{index:02x}" / "file", os.O_RDONLY))
    for index in range(5):
        expected = share_of("fec", DATA, index, shares=5)
        assert (view / f"{index:02x}" / "file").read_bytes() == expected


def test_files_of_different_k_and_block_size(mounts, stores, rng):
    """What a share says of itself counts; required=1 is that this is enough."""
    contents = {}
    for required in (1, 2, 5):
        for block_log in (12, 16, 20):
            name = f"{required}-{block_log}"
            contents[name] = data = rng.randbytes(100_000)
            for index in rng.sample(range(10), required):
                share = oracle.make_share(
                    "checked", data, required, 10, index, trees.MTIME_NS, 1 << block_log
                )
                trees.write_file(stores / f"store-{index}" / name, share)
    view = mounts.rebuilt(stores, required=1, block_size="8K")
    for name, data in contents.items():
        required, block_log = map(int, name.split("-"))
        for index in (0, 6, 13):
            expected = oracle.make_share(
                "checked", data, required, 20, index, trees.MTIME_NS, 1 << block_log
            )
            found = (view / f"{index:02x}" / name).read_bytes()
            trees.assert_same(found, expected, f"{name}, share {index}")


def test_extensions_are_not_passed_on(mounts, stores, rng):
    """They are one share's own; what is rebuilt is what the encoded view gives."""
    data = rng.randbytes(30000)
    shares = trees.make_shares("checked", data, REQUIRED, SHARES, (0, 4, 5))
    for index, share in shares.items():
        fields = share[:12] + (77).to_bytes(4, "little") + share[16:48]
        shares[index] = fields + oracle.checksum(fields, 0) + rng.randbytes(77) + share[64:]
    trees.write_shares(stores, "file", shares)
    check_shares(mounts.rebuilt(stores), "file", data, "checked", (0, 1, 4, 17))


# A real tree


def rsync(*words):
    if not shutil.which("rsync"):
        pytest.skip("rsync is missing")
    return subprocess.run(
        ["rsync", "-aHAX", *words], check=True, capture_output=True, text=True, timeout=300
    ).stdout


def differences(one, other):
    return rsync("-nic", "--delete", f"{one}/", f"{other}/")


def make_source(folder):
    """A tree of this machine's, and what such trees have not."""
    real = Path("/usr/include/linux" if mounts_module.IS_LONG else "/usr/include/linux/netfilter")
    if not real.is_dir():
        pytest.skip(f"no {real}")
    folder.mkdir()
    rsync(f"{real}/", f"{folder}/linux/")
    trees.write_file(folder / "odd" / "new\nline", DATA)
    (folder / "odd" / "empty").touch()
    (folder / "odd" / "link").symlink_to("nowhere")
    os.mkfifo(folder / "odd" / "fifo")
    os.chmod(folder / "odd" / "empty", 0o4751)
    os.utime(folder / "odd", ns=(1, trees.MTIME_NS + 5))


def copy_share(view, index, stores):
    rsync(f"{view / trees.share_name(index)}/", f"{stores}/node-{index}/")


def test_real_tree(mounts, stores, tmp_path):
    """Shares at hand and shares lost; and the lost one, put in its place, restores the source."""
    source = tmp_path / "source"
    make_source(source)
    encoded = mounts.encoded(source)
    for index in (0, 4, 9):
        copy_share(encoded, index, stores)
    rebuilt = mounts.rebuilt(stores)
    for index in (0, 1, 4, 19):
        name = trees.share_name(index)
        assert differences(encoded / name, rebuilt / name) == "", name
    shutil.rmtree(stores / "node-4")
    copy_share(mounts.rebuilt(encoded.path), 4, stores)
    assert differences(source, mounts.restored(stores).path) == ""


def test_lost_store_refilled(mounts, stores, tmp_path, rng):
    """The last copy of the third share is gone; it comes from four, and then one more may go."""
    data = {f"file-{number}": rng.randbytes(40_000 + number) for number in range(20)}
    for name, content in data.items():
        trees.make_stores(stores, f"folder/{name}", content, (1, 4, 11, 12))
    shutil.rmtree(stores / "store-4")
    view = mounts.rebuilt(stores)
    shutil.copytree(view / "04", tmp_path / "refilled")
    view.unmount()
    (tmp_path / "refilled").rename(stores / "store-4")
    shutil.rmtree(stores / "store-12")
    restored = mounts.restored(stores)
    for name, content in data.items():
        trees.assert_same((restored / "folder" / name).read_bytes(), content, name)


def test_rebuilt_from_rebuilt(mounts, stores, rng):
    data = rng.randbytes(30000)
    trees.make_stores(stores, "file", data, (7, 8, 9))
    first = mounts.rebuilt(stores, shares=3)
    check_shares(mounts.rebuilt(first.path), "file", data, "checked", range(SHARES))


def test_kinds_and_modes(mounts, stores):
    for index in range(3):
        folder = stores / f"store-{index}"
        (folder / "folder").mkdir(parents=True)
        (folder / "link").symlink_to("anywhere")
        os.mkfifo(folder / "fifo", 0o620)
        os.chmod(folder / "folder", 0o751)
    view = mounts.rebuilt(stores)
    for name in ("00", "13"):
        assert sorted(os.listdir(view / name)) == ["fifo", "folder", "link"]
        assert os.readlink(view / name / "link") == "anywhere"
        assert stat.S_ISFIFO((view / name / "fifo").lstat().st_mode)
        assert stat.S_IMODE((view / name / "folder").stat().st_mode) == 0o751


def test_different_shares_are_different_files(mounts, stores):
    trees.make_stores(stores, "file", DATA, (0, 1, 2))
    view = mounts.rebuilt(stores)
    numbers = {os.lstat(view / trees.share_name(index) / "file").st_ino for index in range(SHARES)}
    assert len(numbers) == SHARES


# Stale and damaged stores


def test_stale_and_damaged_stores(mounts, stores, rng):
    """Never one of the older version's bytes, and no block that does not verify."""
    data = rng.randbytes(5 * REQUIRED * BLOCK_SIZE + 99)
    older = trees.make_shares("checked", data[::-1], REQUIRED, SHARES, (3, 4, 5, 6))
    for index, share in older.items():
        fields = share[:24] + (trees.MTIME_NS - 1).to_bytes(8, "little") + share[32:48]
        older[index] = fields + oracle.checksum(fields, 0) + share[64:]
    shares = trees.make_shares("checked", data, REQUIRED, SHARES, (0, 1, 2, 8))
    for stripe, index in enumerate(shares):
        at = 64 + stripe * (BLOCK_SIZE + 32) + 500
        shares[index] = shares[index][:at] + b"\0" * 100 + shares[index][at + 100 :]
    shares[8] = b"\0" * 64 + shares[8][64:]
    trees.write_shares(stores, "file", older | shares)
    view = mounts.rebuilt(stores)
    view.expect_log(r"^zfec-fs: file: store .*store-3 has another version \(older\)", count=1)
    view.expect_log(r"^zfec-fs: file: ")
    check_shares(view, "file", data, "checked", range(10))


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_too_few_shares(mounts, stores, share_format):
    """Listed, and an error: also that of a share at hand. What one store alone has is not."""
    trees.make_stores(stores, "file", DATA, (4, 7), share_format=share_format)
    trees.make_stores(stores, "alone", DATA, (4,), share_format=share_format)
    trees.make_stores(stores, "whole", DATA, (4, 7, 9), share_format=share_format)
    view = mounts.rebuilt(stores, **options_of(share_format))
    view.expect_log("^zfec-fs: file: 2 different shares .* 3 needed$")
    view.expect_log("^zfec-fs: alone is not shown: only store-4 has it, 3 needed", count=1)
    for index in (0, 4, 9):
        assert os.listdir(view / trees.share_name(index)) == ["file", "whole"]
        path = view / trees.share_name(index) / "file"
        assert stat.S_ISREG(path.lstat().st_mode)
        with pytest.raises(OSError, match="Input/output error"):
            path.read_bytes()


def test_one_stripe_lost(mounts, stores, rng):
    """Its block is an error in every share, and all the others are there."""
    data = rng.randbytes(4 * REQUIRED * BLOCK_SIZE)
    shares = trees.make_shares("checked", data, REQUIRED, SHARES, (0, 1, 2))
    step = BLOCK_SIZE + 32
    damaged = bytearray(shares[1])
    damaged[64 + 2 * step + 8] ^= 1
    trees.write_shares(stores, "file", shares | {1: bytes(damaged)})
    view = mounts.rebuilt(stores)
    view.expect_log(r"^zfec-fs: file: ")
    for index in (0, 1, 7):
        expected = share_of("checked", data, index)
        with open(view / f"{index:02x}" / "file", "rb", buffering=0) as file:
            # Pages at a time, so that no other block shares one with the lost one.
            for at in (0, 4096, 64 + 3 * step - 64 + 4096 - (3 * step) % 4096):
                trees.assert_same(os.pread(file.fileno(), 1000, at), expected[at : at + 1000], at)
            with pytest.raises(OSError, match="Input/output error"):
                os.pread(file.fileno(), 100, 64 + 2 * step + 50)


# Options


def check_refused(words, mountpoint, pattern, status=3):
    result = mounts_module.run(*words, mountpoint, limit_s=10)
    assert result.returncode == status
    assert result.stdout == ""
    assert re.fullmatch(rf"zfec-fs: .*({pattern}).*\n", result.stderr), result.stderr
    assert not mounts_module.is_mounted(mountpoint)


@pytest.mark.parametrize("options", ["rebuild,restore", "restore,rebuild", "rebuild=1,restore=1"])
def test_not_together_with_restore(binary, stores, tmp_path, options):
    (tmp_path / "mnt").mkdir()
    check_refused(["-f", "-o", options, stores], tmp_path / "mnt", "two views")


@pytest.mark.parametrize("words, pattern", [(["-o", "rebuild"], "STORES"),
                                            (["-o", "rebuild=2", "stores"], "rebuild"),
                                            (["-o", "rebuild,shares=257", "stores"], "shares"),
                                            (["-o", "rebuild", "nowhere"], "nowhere")],
                         ids=str)  # fmt: skip
def test_refused(binary, stores, tmp_path, monkeypatch, words, pattern):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnt").mkdir()
    status = 4 if words[-1] == "nowhere" else 3
    check_refused(["-f", *words], tmp_path / "mnt", pattern, status)


def test_store_options(mounts, stores, tmp_path):
    """One store from elsewhere, or all of them."""
    trees.make_stores(stores, "file", DATA, (2, 9, 13))
    moved = shutil.move(stores / "store-9", tmp_path / "elsewhere")
    view = mounts.rebuilt(stores, store=moved)
    check_shares(view, "file", DATA, "checked", (0, 9))
    words = [f"-ostore={path}" for path in (moved, stores / "store-2", stores / "store-13")]
    view = mounts.start("-o", "rebuild", *words)
    check_shares(view, "file", DATA, "checked", (0, 9))


def test_fewer_shares_than_k(mounts, stores):
    """It shows a part of them: k is the stores' affair."""
    trees.make_stores(stores, "file", DATA, (2, 9, 13))
    view = mounts.rebuilt(stores, shares=2)
    assert sorted(os.listdir(view.path)) == ["00", "01"]
    check_shares(view, "file", DATA, "checked", (0, 1))
    with pytest.raises(FileNotFoundError):
        os.lstat(view / "02")


def test_rebuild_switched_off(mounts, tmp_path):
    trees.write_file(tmp_path / "source" / "file", DATA)
    view = mounts.start("-o", "rebuild=0", tmp_path / "source")
    assert (view / "04" / "file").stat().st_size == 100

# SPDX-License-Identifier: MIT
"""decode tells what cannot be restored, keeps what is there, and salvages what is left."""

import os
import shutil
import subprocess

import pytest

import commands
import decoding
import encoding
import mounts as mounts_module
import trees
from commands import DAMAGED, FAILED, LOST, run
from decoding import STRIPE, damage, keep
from encoding import ENCODE, K, N

out = decoding.out  # a fixture
stores = decoding.stores  # a fixture
source = encoding.source  # a fixture


# What cannot be restored


@pytest.fixture
def lossy(tmp_path, rng):
    """The source's contents, its stores, and which stripes of `lost` are beyond repair."""
    contents = {
        "dir/lost": rng.randbytes(10 * STRIPE + 1234),
        "dir/fine": rng.randbytes(20_000),
        "fine": rng.randbytes(5),
    }
    for name, data in contents.items():
        trees.write_file(tmp_path / "source" / name, data)
    words = [*ENCODE, "--block-size", "4K"]
    run("encode", *words, tmp_path / "source", tmp_path / "stores")
    gone = rng.sample(range(11), 3)
    for stripe in gone:
        for share in rng.sample(commands.all_shares(N), N - K + 1):
            damage(tmp_path / "stores" / share / "dir" / "lost", stripe)
    return contents, tmp_path / "stores", gone


def errors_about(done, name):
    return [line for line in done.errors.splitlines() if f"{name}: cannot be read" in line]


def test_goes_on_past_what_is_lost(tmp_path, lossy):
    contents, stores, _ = lossy
    done = run("decode", "-v", stores, tmp_path / "out", status=LOST)
    assert done.summary["lost"] == 1 and done.summary["exit_status"] == LOST
    assert set(done.actions()) >= {("lost", "dir/lost"), ("made", "dir/fine"), ("made", "fine")}
    assert len(errors_about(done, "dir/lost")) == 1
    assert sorted(os.listdir(tmp_path / "out" / "dir")) == ["fine"]
    for name in ("fine", "dir/fine"):
        trees.assert_same((tmp_path / "out" / name).read_bytes(), contents[name], name)


@pytest.mark.parametrize("words", [[], ["--delete"], ["--salvage"], ["--older"]])
def test_keeps_what_is_there(tmp_path, lossy, words):
    _, stores, _ = lossy
    there = trees.write_file(tmp_path / "out" / "dir" / "lost", b"what was there")
    before = there.stat()
    run("decode", *words, stores, tmp_path / "out", status=LOST)
    assert there.read_bytes() == b"what was there"
    assert (there.stat().st_ino, there.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_keeps_a_directory_that_is_there(tmp_path, lossy):
    """What can be salvaged of a file does not cost what has its name."""
    _, stores, _ = lossy
    trees.write_file(tmp_path / "out" / "dir" / "lost" / "inside", b"inside")
    run("decode", "--salvage", "--delete", stores, tmp_path / "out", status=LOST)
    assert (tmp_path / "out" / "dir" / "lost" / "inside").exists()
    assert (tmp_path / "out" / "dir" / "lost.partial").exists()


def test_checksum_tells_what_is_lost(tmp_path, lossy):
    """What shall be compared and cannot be read is no success."""
    contents, stores, _ = lossy
    trees.write_file(tmp_path / "out" / "dir" / "lost", contents["dir/lost"])
    done = run("decode", "-c", stores, tmp_path / "out", status=LOST)
    assert len(errors_about(done, "dir/lost")) == 1
    trees.assert_same((tmp_path / "out/dir/lost").read_bytes(), contents["dir/lost"], "lost")


def test_salvage(tmp_path, lossy):
    """Each stripe that can be restored is right, the others are zeros; metadata is the file's."""
    contents, stores, gone = lossy
    for share in commands.all_shares(N):
        (stores / share / "dir" / "lost").chmod(0o640)
    done = run("decode", "--salvage", stores, tmp_path / "out", status=LOST)
    assert set(done.actions()) >= {("lost", "dir/lost"), ("partial", "dir/lost.partial")}
    assert sorted(os.listdir(tmp_path / "out" / "dir")) == ["fine", "lost.partial"]
    expected = bytearray(contents["dir/lost"])
    for stripe in gone:
        end = min((stripe + 1) * STRIPE, len(expected))
        expected[stripe * STRIPE : end] = bytes(end - stripe * STRIPE)
    partial = tmp_path / "out" / "dir" / "lost.partial"
    trees.assert_same(partial.read_bytes(), bytes(expected), "lost.partial")
    assert partial.stat().st_mode & 0o7777 == 0o640
    assert partial.stat().st_mtime_ns == trees.MTIME_NS


def read_files(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def test_salvage_beside_a_file_of_that_name(tmp_path, rng, lossy):
    """Neither a file of the tree nor one that is there is overwritten, nor overwrites."""
    contents, stores, _ = lossy
    other = rng.randbytes(777)
    trees.write_file(tmp_path / "source" / "dir" / "lost.partial", other)
    run("encode", *ENCODE, "--block-size", "4K", tmp_path / "source", tmp_path / "again")
    for share in commands.all_shares(N):
        (tmp_path / "again" / share / "dir" / "lost.partial").rename(
            stores / share / "dir" / "lost.partial"
        )
    out = tmp_path / "out"
    trees.write_file(out / "dir" / "lost.partial.2", b"of somebody")
    done = run("decode", "--salvage", stores, out, status=LOST)
    assert ("partial", "dir/lost.partial.3") in done.actions()
    found = read_files(out / "dir")
    assert found.keys() == {"fine", "lost.partial", "lost.partial.2", "lost.partial.3"}
    trees.assert_same(found["lost.partial"], other, "lost.partial")
    assert found["lost.partial.2"] == b"of somebody"
    assert len(found["lost.partial.3"]) == len(contents["dir/lost"])


def lose(stores, stripe):
    for share in commands.all_shares(N)[: N - K + 1]:
        damage(stores / share / "dir" / "lost", stripe)


@pytest.mark.parametrize("words", [["--salvage"], ["--salvage", "--delete"], ["--delete"]], ids=" ".join)
def test_what_was_salvaged_is_not_lost_again(tmp_path, lossy, words):
    """What cannot be read any more is kept from an earlier run's, and so while the file is lost."""
    _, stores, gone = lossy
    out = tmp_path / "out"
    run("decode", "--salvage", stores, out, status=LOST)
    before = (out / "dir" / "lost.partial").read_bytes()
    for stripe in [i for i in range(11) if i not in gone][:3]:
        lose(stores, stripe)
    run("decode", *words, stores, out, status=LOST)
    assert sorted(os.listdir(out / "dir")) == ["fine", "lost.partial"]
    trees.assert_same((out / "dir" / "lost.partial").read_bytes(), before, "lost.partial")


def test_salvage_adds_to_what_was_salvaged(tmp_path, lossy):
    """Of two states of the stores, each has what the other has lost, its end too; zeros count."""
    contents, stores, gone = lossy
    whole = contents["dir/lost"]
    partial = tmp_path / "out" / "dir" / "lost.partial"
    data = bytearray(b"?" * len(whole))
    for stripe in gone:
        data[stripe * STRIPE : (stripe + 1) * STRIPE] = whole[stripe * STRIPE : (stripe + 1) * STRIPE]
    trees.write_file(partial, bytes(data))
    done = run("decode", "--salvage", stores, tmp_path / "out", status=LOST)
    assert ("partial", "dir/lost.partial") in done.actions()
    trees.assert_same(partial.read_bytes(), whole, "lost.partial")


@pytest.mark.parametrize("before", [False, True])
def test_salvage_of_what_has_no_end(tmp_path, lossy, before):
    """The end of all shares is gone: it is a hole, or what an earlier run has read."""
    contents, stores, _ = lossy
    whole = contents["dir/lost"]
    partial = tmp_path / "out" / "dir" / "lost.partial"
    if before:
        trees.write_file(partial, whole)
    for share in commands.all_shares(N):
        path = stores / share / "dir" / "lost"
        os.truncate(path, path.stat().st_size // 2)
        os.utime(path, ns=(trees.MTIME_NS, trees.MTIME_NS))
    run("decode", "--salvage", stores, tmp_path / "out", status=LOST)
    assert sorted(os.listdir(partial.parent)) == ["fine", "lost.partial"]
    found = partial.read_bytes()
    assert found == whole if before else len(found) == len(whole) and found.endswith(bytes(5 * STRIPE))


def test_salvage_of_another_version_is_left_alone(tmp_path, lossy):
    contents, stores, _ = lossy
    partial = tmp_path / "out" / "dir" / "lost.partial"
    other = b"?" * len(contents["dir/lost"])
    trees.write_file(partial, other, trees.MTIME_NS + 10**10)
    done = run("decode", "--salvage", "--delete", stores, tmp_path / "out", status=LOST)
    assert ("partial", "dir/lost.partial.2") in done.actions()
    assert partial.read_bytes() == other


@pytest.mark.parametrize("command", ["decode", "encode"])
def test_what_was_salvaged_goes_with_the_loss(tmp_path, lossy, command):
    """With --delete, once the file is there; and at once what only looks like it."""
    contents, stores, _ = lossy
    out = tmp_path / "out"
    for name in ("lost.partial", "lost.partial.2", "fine.partial", "none.partial", "lost.partial.x"):
        trees.write_file(out / "dir" / name, b"salvaged")
    run("decode", "--delete", "--delete-most", stores, out, status=LOST)
    assert sorted(os.listdir(out / "dir")) == ["fine", "lost.partial", "lost.partial.2"]
    if command == "encode":
        trees.write_file(stores / "00" / "dir" / "fine.partial", b"of somebody")
        run("encode", *ENCODE, "--block-size", "4K", "--delete", "--delete-most", tmp_path / "source", stores)
        assert sorted(os.listdir(stores / "00" / "dir")) == ["fine", "lost"]
        return
    run("encode", *ENCODE, "--block-size", "4K", "-c", tmp_path / "source", stores)
    run("decode", "--delete", "--delete-most", stores, out)
    assert sorted(os.listdir(out / "dir")) == ["fine", "lost"]


@pytest.mark.parametrize("command", ["-c", "-q"])
def test_what_was_salvaged_stays_by_what_is_in_doubt(tmp_path, lossy, command):
    """A file that seems to be there, and cannot be compared, may be worse than its part."""
    contents, stores, _ = lossy
    out = tmp_path / "out"
    trees.write_file(out / "dir" / "lost", contents["dir/lost"])
    trees.write_file(out / "dir" / "lost.partial", b"salvaged")
    run("decode", "--delete", command, stores, out, status=LOST if command == "-c" else 0)
    assert (out / "dir" / "lost.partial").exists() == (command == "-c")


@pytest.mark.parametrize("letter", ["n", "\N{CYRILLIC SMALL LETTER ZHE}"])
def test_salvage_of_long_names(tmp_path, rng, letter):
    """Their ends give way to the suffix; names that are alike until there stay apart."""
    stem = letter * (253 // len(letter.encode()))
    names = [stem + end for end in ("-1", "-2")]
    names = [name if len(name.encode()) == 255 else "x" + name for name in names]
    contents = {name: rng.randbytes(5 * STRIPE) for name in (*names, "fine")}
    for name, content in contents.items():
        trees.write_file(tmp_path / "source" / name, content)
    run("encode", *ENCODE, "--block-size", "4K", tmp_path / "source", tmp_path / "stores")
    for share in commands.all_shares(N)[: N - K + 1]:
        for name in names:
            damage(tmp_path / "stores" / share / name, 2)
    out = tmp_path / "out"
    for words in ([], ["--delete"]):
        done = run("decode", "--salvage", *words, tmp_path / "stores", out, status=LOST)
        assert not [action for action, _ in done.actions() if action == "failed"]
        found = read_files(out)
        assert found.pop("fine") == contents["fine"]
        assert len(found) == 2 and all(name.endswith(".partial") for name in found)
        for name, content in found.items():
            assert 250 < len(name.encode()) <= 255  # which is UTF-8 still
            assert content[: 2 * STRIPE] in [contents[each][: 2 * STRIPE] for each in names]
        assert len({content for content in found.values()}) == 2


@pytest.mark.parametrize("words", [[], ["--delete"], ["--delete", "--dry-run"]], ids=" ".join)
def test_what_is_not_restored_is_told_once(stores, out, words):
    shutil.copy(stores / "00" / "file-0", stores / "00" / "one")
    done = run("decode", *words, stores, out, status=DAMAGED)
    (line,) = [line for line in done.errors.splitlines() if "is not restored" in line]
    assert "one is not restored" in line


@pytest.fixture
def versions(tmp_path, rng):
    """Three versions of a file, each in k stores of its own; the newer two are beyond repair."""
    contents = [rng.randbytes(5 * STRIPE + 7 * version) for version in range(3)]
    for version, data in enumerate(contents):
        folder = tmp_path / f"source-{version}"
        trees.write_file(folder / "file", data, trees.MTIME_NS + version)
        trees.write_file(folder / "other", b"other")
        places = [(index, tmp_path / "stores" / f"{version}-{index}") for index in range(K)]
        (tmp_path / "stores").mkdir(exist_ok=True)
        to = [word for index, place in places for word in ("--to", f"{index:02x}={place}")]
        run("encode", *ENCODE, "--block-size", "4K", *to, folder)
        if version > 0:
            damage(rng.choice(places)[1] / "file", rng.randrange(5))
    return contents, tmp_path / "stores"


def test_older(tmp_path, versions):
    contents, stores = versions
    done = run("decode", stores, tmp_path / "out", status=LOST)
    assert os.listdir(tmp_path / "out") == ["other"]
    assert "decode --older takes an older version" in done.errors
    done = run("decode", "--older", stores, tmp_path / "out", status=DAMAGED)
    assert "--older takes" not in done.errors
    assert done.summary["older"] == 1 and done.summary["lost"] == 0
    assert ("older", "file") in done.actions()
    found = tmp_path / "out" / "file"
    trees.assert_same(found.read_bytes(), contents[0], "file")
    assert found.stat().st_mtime_ns == trees.MTIME_NS
    there = (found.stat().st_ino, found.stat().st_ctime_ns)
    again = run("decode", "--older", stores, tmp_path / "out", status=DAMAGED)
    assert again.summary["older"] == 1 and again.summary["made"] == 0
    assert (found.stat().st_ino, found.stat().st_ctime_ns) == there
    run("decode", "--older", "--checksum", stores, tmp_path / "out", status=DAMAGED)
    trees.assert_same(found.read_bytes(), contents[0], "file")


def test_check_tells_of_an_older_version(tmp_path, versions):
    _, stores = versions
    done = run("check", stores, status=LOST)
    (line,) = [line for line in done.json if line.get("path") == "file"]
    assert line["older_version_in"] == K
    done = subprocess.run([mounts_module.BINARY, "check", stores], capture_output=True, text=True, check=False)
    assert f"; an older version is in {K} stores: decode --older takes it" in done.stdout


def test_of_an_older_version_only_what_is_true_is_said(tmp_path, rng):
    """It is taken, and the newest one, which is lost, is in more stores."""
    for version, count in enumerate((K, K + 1)):
        folder = tmp_path / f"source-{version}"
        trees.write_file(folder / "file", rng.randbytes(STRIPE), trees.MTIME_NS + version)
        for index in range(count):
            place = tmp_path / "stores" / f"{version}-{index}"
            place.parent.mkdir(exist_ok=True)
            run("encode", "-k", str(K), "-n", "9", "--block-size", "4K", folder,
                "--to", f"{index:02x}={place}")  # fmt: skip
            if version == 1 and index < 2:
                damage(place / "file", 0)
    done = run("decode", "--older", tmp_path / "stores", tmp_path / "out", status=DAMAGED)
    assert "an older version is in more stores" not in done.errors
    said = f"file: a newer version is in more stores ({K + 1}) than the one shown ({K})"
    assert said in done.errors


def test_older_is_lost_as_well(tmp_path, versions):
    """Not even a mixture is taken; then --salvage has the newest's."""
    contents, stores = versions
    damage(stores / "0-1" / "file", 2)
    done = run("decode", "--older", "--salvage", stores, tmp_path / "out", status=LOST)
    assert done.summary["lost"] == 1
    assert sorted(os.listdir(tmp_path / "out")) == ["file.partial", "other"]
    assert (tmp_path / "out" / "file.partial").stat().st_size == len(contents[2])
    assert len(errors_about(done, "file")) == 1


def test_too_few_stores(tmp_path, stores, rng):
    """One line, and nothing is made: not even of what needs no shares."""
    keep(stores, rng, K - 1)
    done = run("decode", stores, tmp_path / "out", status=LOST)
    assert done.errors == f"zfec-fs: {K - 1} stores found, {K} needed: nothing can be restored\n"
    assert not done.json and not list((tmp_path / "out").rglob("*"))


def test_the_stores_are_not_written_over(tmp_path, rng):
    """By a tree that has names like theirs, where DEST is around them."""
    names = [f"n/{number}/{name}" for number in range(3) for name in ("file", "inner/file")]
    for name in [*names, "file"]:
        trees.write_file(tmp_path / "source" / name, rng.randbytes(5000))
    (tmp_path / "around").mkdir()
    run("encode", "-k", "2", "-n", "3", tmp_path / "source", tmp_path / "around" / "n")
    for number in range(3):
        os.rename(tmp_path / "around" / "n" / f"{number:02x}", tmp_path / "around" / "n" / str(number))
    before = commands.snapshot(tmp_path / "around" / "n")
    done = run("decode", tmp_path / "around" / "n", tmp_path / "around", status=FAILED, noisy=True)
    assert {path: item for path, item in commands.snapshot(tmp_path / "around" / "n").items() if path} == {
        path: item for path, item in before.items() if path
    }
    assert (tmp_path / "around" / "file").read_bytes() == (tmp_path / "source" / "file").read_bytes()
    assert "n: holds what is read; nothing is written there" in done.errors

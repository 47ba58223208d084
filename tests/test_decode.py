# SPDX-License-Identifier: MIT
"""decode makes what the restored view shows, of whatever is left of the stores."""

import os
import shutil
import signal
import subprocess

import pytest

import commands
import disks
import mounts as mounts_module
import oracle
import test_encode
import trees
import users
from commands import DAMAGED, FAILED, LOST, USAGE, compare_trees, run

K, N = 3, 5
ENCODE = ["-k", str(K), "-n", str(N)]
BLOCK_SIZE = 4096
STEP = BLOCK_SIZE + oracle.DIGEST_SIZE + oracle.CHECK_SIZE
STRIPE = K * BLOCK_SIZE
needs_root = users.needs_root
user = users.user  # a fixture
fast_place = disks.fast_place  # a fixture
everything = test_encode.everything  # a fixture
source = test_encode.source  # a fixture


@pytest.fixture
def stores(tmp_path, source):
    run("encode", *ENCODE, source, tmp_path / "stores")
    return tmp_path / "stores"


def damage(path, block):
    """One bit of a block of a share, under the same size and time."""
    found = path.stat()
    with open(path, "r+b") as file:
        file.seek(oracle.HEADER_SIZE + block * STEP + oracle.DIGEST_SIZE)
        byte = file.read(1)[0] ^ 0x10
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte]))
    os.utime(path, ns=(found.st_mtime_ns, found.st_mtime_ns))


def keep(stores, rng, count=K):
    """Throws away all stores but some."""
    names = sorted(os.listdir(stores))
    for name in rng.sample(names, len(names) - count):
        (stores / name).rename(stores.parent / f"lost-{name}")


# What is made


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_makes_the_source(fast_place, mounts, everything, rng, share_format):
    """Of any k stores; the same as what the restored view shows."""
    place = fast_place / f"decode-{share_format}"
    place.mkdir()
    words = ["--format", share_format]
    run("encode", *ENCODE, *words, everything, place / "stores")
    keep(place / "stores", rng)
    words += ["-k", str(K)] if share_format == "classic" else []
    run("decode", *words, place / "stores", place / "out")
    compare_trees(everything, place / "out")
    if share_format == "checked":
        compare_trees(mounts.restored(place / "stores").path, place / "out")
    before = commands.snapshot(place / "out")
    for more in ([], ["-c"]):
        again = run("decode", *words, *more, place / "stores", place / "out").summary
        assert again["made"] == again["metadata"] == 0
        assert commands.snapshot(place / "out") == before


def test_stores_from_anywhere(tmp_path, source, stores):
    """--store alone, or with STORES, which has two only."""
    places = []
    for name in ("00", "02", "04"):
        shutil.move(stores / name, tmp_path / f"place-{name}")
        places += ["--store", tmp_path / f"place-{name}"]
    run("decode", *places, tmp_path / "out")
    compare_trees(source, tmp_path / "out")
    run("decode", *places[:2], stores, tmp_path / "again")
    compare_trees(source, tmp_path / "again")


def test_a_damaged_store(tmp_path, source, stores, rng):
    """All is restored, with the exit status of that."""
    for path in (stores / "01").rglob("*"):
        if path.is_file() and not path.is_symlink():
            share = bytearray(path.read_bytes())
            for _ in range(3):
                share[rng.randrange(len(share))] ^= 1 << rng.randrange(8)
            trees.write_file(path, share, path.stat().st_mtime_ns)
    (stores / "01" / "file-1").unlink()
    shutil.rmtree(stores / "03" / "dir")
    run("decode", stores, tmp_path / "out", noisy=True)
    compare_trees(source, tmp_path / "out")


def test_holes_stay_holes(tmp_path, rng):
    size = 64 << 20
    data = rng.randbytes(1000)
    (tmp_path / "source").mkdir()
    with open(tmp_path / "source" / "file", "xb") as file:
        file.seek(20 << 20)
        file.write(data)
        file.truncate(size)
    (tmp_path / "source" / "hole").touch()
    os.truncate(tmp_path / "source" / "hole", size)
    run("encode", "-n", "3", tmp_path / "source", tmp_path / "stores")
    run("decode", tmp_path / "stores", tmp_path / "out")
    compare_trees(tmp_path / "source", tmp_path / "out")
    assert (tmp_path / "out" / "file").stat().st_blocks * 512 < 4 << 20
    assert (tmp_path / "out" / "hole").stat().st_blocks * 512 < 1 << 20
    assert run("decode", "-c", tmp_path / "stores", tmp_path / "out").summary["made"] == 0


def test_reads_once(tmp_path, rng):
    """k blocks of each stripe, and nothing more of the others than headers."""
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    data = rng.randbytes(10_000_000)
    trees.write_file(tmp_path / "source" / "file", data)
    run("encode", "-k", "3", "-n", "6", tmp_path / "source", tmp_path / "stores")
    strace = [*commands.STRACE, tmp_path / "trace"]
    run("decode", tmp_path / "stores", tmp_path / "out", before=strace)
    trace = commands.take_trace(tmp_path / "trace")
    paths = [tmp_path / "stores" / name / "file" for name in commands.all_shares(6)]
    read = sum(test_encode.bytes_read(trace, path) for path in paths)
    assert len(data) <= read < len(data) * 1.05
    trees.assert_same((tmp_path / "out" / "file").read_bytes(), data, "out/file")


@needs_root
def test_a_user(user, rng):
    """Also where the target's root and directories in it are closed to their owner."""
    home = user.folder / "home"
    home.mkdir()
    source = test_encode.make_source(home / "source", rng)
    user.own(home)
    for folder in (source / "dir" / "inner", source / "dir", source):
        folder.chmod(0o555)
    users.run_as(user, "encode", *ENCODE, source, home / "stores")
    users.run_as(user, "decode", home / "stores", home / "out")
    compare_trees(source, home / "out")
    for name in ("file-1", "dir/inner/file"):
        trees.write_file(source / name, b"changed")
    user.own(source)
    shutil.rmtree(home / "stores")
    users.run_as(user, "encode", *ENCODE, source, home / "stores")
    users.run_as(user, "decode", home / "stores", home / "out")
    compare_trees(source, home / "out")
    assert users.run_as(user, "decode", home / "stores", home / "out").summary["made"] == 0


# A second run


@pytest.fixture
def out(tmp_path, stores):
    run("decode", stores, tmp_path / "out")
    return tmp_path / "out"


def encode_again(source, stores):
    run("encode", *ENCODE, "--delete", source, stores)


def test_changes(source, stores, out, rng):
    """What differs is made anew, metadata is mended, and all else stays as it is."""
    trees.write_file(source / "file-0", rng.randbytes(1000))
    trees.write_file(source / "new" / "deep" / "file", rng.randbytes(1000))
    (source / "file-1").chmod(0o600)
    os.setxattr(source / "dir" / "inner", "user.new", b"value")
    (source / "link").unlink()
    (source / "link").symlink_to("file-0")
    encode_again(source, stores)
    before = commands.snapshot(out)
    done = run("decode", "-v", stores, out)
    made = {path for action, path in done.actions() if action == "made"}
    assert made == {"file-0", "new", "new/deep", "new/deep/file", "link"}
    compare_trees(source, out)
    after = commands.snapshot(out)
    anew = {path for path in before if after[path][0][0] != before[path][0][0]}
    assert anew == {"/file-0", "/link"}
    assert run("decode", stores, out).summary["made"] == 0


def test_checksum(source, stores, out):
    found = (out / "file-2").stat()
    data = bytearray((out / "file-2").read_bytes())
    data[-1] ^= 1
    trees.write_file(out / "file-2", data, found.st_mtime_ns)
    assert run("decode", stores, out).summary["made"] == 0
    assert run("decode", "-c", stores, out).summary["made"] == 1
    compare_trees(source, out)


def test_removal(source, stores, out):
    (source / "file-0").unlink()
    shutil.rmtree(source / "dir")
    encode_again(source, stores)
    assert run("decode", stores, out).summary["removed"] == 0
    assert (out / "file-0").exists() and (out / "dir" / "inner" / "file").exists()
    gone = {"file-0", *(f"dir{path}" for path in commands.describe(out / "dir")[0])}
    done = run("decode", "--delete", stores, out)
    assert done.summary["removed"] == len(gone)
    assert set(done.actions()) == {("removed", path) for path in gone}
    compare_trees(source, out)


def test_stores_are_not_removed(source, stores):
    """A place around them has much that was not restored: it stays."""
    before = commands.snapshot(stores)
    each = [f"--store={stores / name}" for name in sorted(os.listdir(stores))]
    for words in ([stores, stores.parent], [*each, stores]):
        done = run("decode", "--delete", *words, status=USAGE)
        assert f"{words[-1]}: --delete would remove" in done.errors
    assert commands.snapshot(stores) == before


def test_stores_behind_symlinks(source, stores, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "below"
    elsewhere.mkdir(parents=True)
    links = tmp_path / "links"
    links.mkdir()
    for name in sorted(os.listdir(stores)):
        os.rename(stores / name, elsewhere / name)
        (links / name).symlink_to(elsewhere / name)
    before = commands.snapshot(elsewhere)
    done = run("decode", "--delete", links, elsewhere.parent, status=USAGE)
    assert f"{elsewhere.parent}: --delete would remove" in done.errors
    share = elsewhere / sorted(os.listdir(elsewhere))[0]
    done = run("decode", links, share, status=USAGE)
    assert f"{share}: lies in the stores that are read" in done.errors
    assert commands.snapshot(elsewhere) == before


def test_stores_are_not_written_to(source, stores):
    before = commands.snapshot(stores)
    each = [f"--store={stores / name}" for name in sorted(os.listdir(stores))]
    share = stores / sorted(os.listdir(stores))[0]
    for words in ([stores, stores], [stores, share], [stores, stores / "out"], [*each, share / "dir"]):
        done = run("decode", *words, status=USAGE)
        assert f"{words[-1]}: lies in the stores that are read" in done.errors
    assert commands.snapshot(stores) == before


def test_a_symlink_to_nothing_as_target(stores, tmp_path):
    link = tmp_path / "link"
    link.symlink_to("gone")
    done = run("decode", stores, link, status=FAILED)
    assert f"{link}: is a dangling symlink; create its target first" in done.errors
    (tmp_path / "gone").mkdir()
    run("decode", stores, link)


def test_other_kinds(source, stores, out):
    shutil.rmtree(source / "dir" / "inner")
    trees.write_file(source / "dir" / "inner", b"a file now")
    for name in ("file-1", "link"):
        (source / name).unlink()
        trees.write_file(source / name / "inside", b"inside")
    encode_again(source, stores)
    run("decode", stores, out, status=FAILED)
    assert (out / "dir" / "inner" / "file").exists()
    run("decode", "--delete", stores, out)
    compare_trees(source, out)


def test_dry_run(source, stores, out):
    trees.write_file(source / "file-0", b"changed")
    trees.write_file(source / "new" / "file", b"new")
    (source / "file-1").unlink()
    (source / "file-2").chmod(0o600)
    encode_again(source, stores)
    before = commands.snapshot(out)
    done = run("decode", "--dry-run", "--delete", stores, out)
    assert commands.snapshot(out) == before
    assert {key for key in done.actions() if key[1] not in ("", ".")} == {
        ("made", "file-0"),
        ("made", "new"),
        ("made", "new/file"),
        ("removed", "file-1"),
        ("metadata", "file-2"),
    }
    assert all(line["target"] == str(out) for line in done.json[:-1])


def test_dry_run_makes_nothing(tmp_path, stores):
    """It says the same where nothing is there yet."""
    dry = run("decode", "--dry-run", stores, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert dry.actions() == run("decode", "-v", stores, tmp_path / "new").actions()


def test_a_target_that_leads_elsewhere(tmp_path, source, stores, out, rng):
    outside = test_encode.make_source(tmp_path / "outside", rng)
    before = commands.snapshot(outside)
    shutil.rmtree(out / "dir")
    (out / "dir").symlink_to(outside)
    (out / "file-0").unlink()
    (out / "file-0").symlink_to("../outside/file-0")
    run("decode", "--delete", stores, out)
    assert commands.snapshot(outside) == before
    compare_trees(source, out)


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


def test_salvage_of_less_keeps_what_was_salvaged(tmp_path, lossy):
    """An earlier run may have found more."""
    _, stores, gone = lossy
    out = tmp_path / "out"
    run("decode", "--salvage", stores, out, status=LOST)
    before = (out / "dir" / "lost.partial").read_bytes()
    for share in commands.all_shares(N)[: N - K + 1]:
        damage(stores / share / "dir" / "lost", next(i for i in range(11) if i not in gone))
    done = run("decode", "--salvage", stores, out, status=LOST)
    assert ("partial", "dir/lost.partial.2") in done.actions()
    trees.assert_same((out / "dir" / "lost.partial").read_bytes(), before, "lost.partial")
    assert (out / "dir" / "lost.partial.2").read_bytes() != before


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
    for count in (1, 2):
        done = run("decode", "--salvage", tmp_path / "stores", out, status=LOST)
        assert not [action for action, _ in done.actions() if action == "failed"]
        found = read_files(out)
        assert found.pop("fine") == contents["fine"]
        ends = (".partial", ".partial.2")[:count]
        assert len(found) == 2 * count and all(name.endswith(ends) for name in found)
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


# Interrupted


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_cut_short(tmp_path, rng, number):
    """What has its name is whole, and the next run makes the rest."""
    contents = test_encode.make_many(tmp_path / "source", rng)
    run("encode", "-k", "2", "-n", "2", tmp_path / "source", tmp_path / "stores")
    words = ["decode", "-j", "1", tmp_path / "stores", tmp_path / "out"]
    with test_encode.started(*words) as (process, first):
        process.send_signal(number)
        if number == signal.SIGINT:
            assert commands.finish(process, first).status == FAILED
            assert commands.leftovers(tmp_path / "out") == []
    for path in (tmp_path / "out").rglob("file-*"):
        assert path.read_bytes() == contents[str(path.relative_to(tmp_path / "out"))]
    run(*words)
    compare_trees(tmp_path / "source", tmp_path / "out")


def test_two_runs_at_once(tmp_path, rng):
    test_encode.make_many(tmp_path / "source", rng)
    run("encode", "-k", "2", "-n", "2", tmp_path / "source", tmp_path / "stores")
    test_encode.check_second_is_refused(["decode", tmp_path / "stores", tmp_path / "out"])
    compare_trees(tmp_path / "source", tmp_path / "out")


@needs_root
def test_a_full_disk(tmp_path, rng):
    for number in range(5):
        trees.write_file(tmp_path / "source" / f"file-{number}", rng.randbytes(700_000))
    run("encode", *ENCODE, tmp_path / "source", tmp_path / "stores")
    with disks.small_disk(tmp_path / "out", "2m") as full:
        done = run("decode", tmp_path / "stores", full, status=FAILED)
        lines = done.errors.splitlines()
        assert 0 < len(lines) == done.summary["failed"] < 5
        assert all("No space left on device" in line and str(full) in line for line in lines)
        for name in os.listdir(full):
            assert (full / name).read_bytes() == (tmp_path / "source" / name).read_bytes()


# Arguments


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["stores"],
        ["stores", "out", "more"],
        ["--store", "stores/00"],
        ["--store", "stores/00", "stores", "out", "more"],
        ["--format", "odd", "stores", "out"],
        ["-k", "0", "stores", "out"],
        ["-n", "3", "stores", "out"],
        ["--exclude", "x", "stores", "out"],
        ["--unknown", "stores", "out"],
        ["--older=1", "stores", "out"],
        ["-j", "many", "stores", "out"],
    ],
    ids=" ".join,
)
def test_wrong_arguments(tmp_path, stores, words):
    before = sorted(os.listdir(tmp_path))
    done = run("decode", *words, status=USAGE, cwd=tmp_path)
    assert done.errors.startswith("zfec-fs: ") and len(done.errors.splitlines()) == 1
    assert done.json == []
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("there", [True, False], ids=["empty", "missing"])
def test_no_stores(tmp_path, there):
    """Nothing is taken for an empty tree, above all not with --delete."""
    if there:
        (tmp_path / "stores").mkdir()
    kept = trees.write_file(tmp_path / "out" / "kept", b"kept")
    done = run("decode", "--delete", tmp_path / "stores", tmp_path / "out", status=FAILED)
    assert done.errors.startswith("zfec-fs: ") and len(done.errors.splitlines()) == 1
    assert kept.read_bytes() == b"kept"


# What has another kind in the destination


@pytest.mark.parametrize("words", [[], ["--dry-run"], ["--verbose"]], ids=lambda words: "".join(words))
@pytest.mark.parametrize("command", ["decode", "encode"])
def test_a_symlink_to_a_directory_gives_way_and_that_is_told(tmp_path, rng, command, words):
    """As rsync does it; what is behind the symlink stays, to the byte and time."""
    source, out, user = (tmp_path / name for name in ("source", "out", "user"))
    trees.write_file(source / "dir" / "file", rng.randbytes(9000))
    trees.write_file(source / "plain", rng.randbytes(9000))
    trees.write_file(user / "file", b"the user's own")
    run("encode", *ENCODE, source, tmp_path / "stores")
    line = ["decode", *words, tmp_path / "stores", out]
    if command == "encode":
        line = ["encode", *ENCODE, *words, source, "--to", f"00={out}"]
        shutil.copytree(tmp_path / "stores" / "00", out)
        shutil.rmtree(out / "dir")
        (out / "plain").unlink()
    out.mkdir(exist_ok=True)
    for name in ("dir", "plain"):
        (out / name).symlink_to("../user")
    before = commands.snapshot(user)
    done = subprocess.run([mounts_module.BINARY, *line], capture_output=True, text=True, check=True)
    verb = "would be removed" if "--dry-run" in words else "removed"
    for name in ("dir", "plain"):
        assert (done.stdout + done.stderr).count(f"{name}: {verb} in {out}\n") == 1, done
        assert (out / name).is_symlink() == ("--dry-run" in words)
    assert "2 removed" in done.stdout
    assert commands.snapshot(user) == before


def test_a_destination_that_is_a_symlink(tmp_path, rng):
    """The user has put the destination there: what is behind it is the destination."""
    trees.write_file(tmp_path / "source" / "file", rng.randbytes(9000))
    trees.write_file(tmp_path / "user" / "own", b"the user's own")
    run("encode", *ENCODE, tmp_path / "source", tmp_path / "stores")
    (tmp_path / "out").symlink_to("user")
    run("decode", tmp_path / "stores", tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert sorted(os.listdir(tmp_path / "user")) == ["file", "own"]


def test_most_of_what_is_there_is_not_deleted_unless_forced(tmp_path, stores, out):
    """A directory that is not what the stores are of."""
    for number in range(40):
        trees.write_file(out / "of somebody" / str(number), b"else")
    before = commands.snapshot(out)
    for words in ([], ["--dry-run"]):
        done = run("decode", "--delete", *words, stores, out, status=FAILED)
        assert "--delete would remove 41 of " in done.errors and "--delete-most" in done.errors
        assert commands.snapshot(out) == before
    run("decode", "--delete", "--delete-most", stores, out)
    assert "of somebody" not in os.listdir(out)
    run("decode", "--delete", stores, out)

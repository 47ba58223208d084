# SPDX-License-Identifier: MIT
"""decode makes what the restored view shows, of whatever is left of the stores."""

import os
import re
import shutil
import signal
import subprocess

import pytest

import commands
import decoding
import disks
import encoding
import mounts as mounts_module
import oracle
import trees
import users
from commands import FAILED, LOST, OK, USAGE, compare_trees, run
from decoding import keep
from encoding import ENCODE, K

out = decoding.out  # a fixture
stores = decoding.stores  # a fixture

needs_root = users.needs_root
user = users.user  # a fixture
fast_place = disks.fast_place  # a fixture
everything = encoding.everything  # a fixture
source = encoding.source  # a fixture


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


def last_line(*words, status):
    done = subprocess.run(
        [mounts_module.BINARY, "decode", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == status, done.stderr
    return done.stdout.splitlines()[-1]


def test_the_last_sentence(tmp_path, source, stores):
    """All is back, or not, and from where."""
    few = [word for name in ("00", "01", "03") for word in ("--store", stores / name)]
    used = f"read from {stores / '00'}, {stores / '01'} and {stores / '03'}"
    said = last_line(*few, tmp_path / "out", status=OK)
    assert re.fullmatch(rf"All is restored: \d+ files, [\d.]+ .B; {used}", said), said
    said = last_line(*few, tmp_path / "out", status=OK)
    assert re.fullmatch(r"All is restored: \d+ files, [\d.]+ .B", said), said
    name = max((path for path in source.rglob("*") if path.is_file() and not path.is_symlink()), key=os.path.getsize)
    for store in ("00", "01"):
        os.truncate(stores / store / name.relative_to(source), 10)
    said = last_line(*few, tmp_path / "new", status=LOST)
    assert said == f"Not all is restored: too few good shares: 1; see above; {used}"


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
    read = sum(encoding.bytes_read(trace, path) for path in paths)
    assert len(data) <= read < len(data) * 1.05
    trees.assert_same((tmp_path / "out" / "file").read_bytes(), data, "out/file")


@needs_root
def test_a_user(user, rng):
    """Also where the target's root and directories in it are closed to their owner."""
    home = user.folder / "home"
    home.mkdir()
    source = encoding.make_source(home / "source", rng)
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
    outside = encoding.make_source(tmp_path / "outside", rng)
    before = commands.snapshot(outside)
    shutil.rmtree(out / "dir")
    (out / "dir").symlink_to(outside)
    (out / "file-0").unlink()
    (out / "file-0").symlink_to("../outside/file-0")
    run("decode", "--delete", stores, out)
    assert commands.snapshot(outside) == before
    compare_trees(source, out)


# Interrupted


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_cut_short(tmp_path, rng, number):
    """What has its name is whole, and the next run makes the rest."""
    contents = encoding.make_many(tmp_path / "source", rng)
    run("encode", "-k", "2", "-n", "2", tmp_path / "source", tmp_path / "stores")
    words = ["decode", "-j", "1", tmp_path / "stores", tmp_path / "out"]
    with encoding.started(*words) as (process, first):
        process.send_signal(number)
        if number == signal.SIGINT:
            assert commands.finish(process, first).status == FAILED
            assert commands.leftovers(tmp_path / "out") == []
    for path in (tmp_path / "out").rglob("file-*"):
        assert path.read_bytes() == contents[str(path.relative_to(tmp_path / "out"))]
    run(*words)
    compare_trees(tmp_path / "source", tmp_path / "out")


def test_two_runs_at_once(tmp_path, rng):
    encoding.make_many(tmp_path / "source", rng)
    run("encode", "-k", "2", "-n", "2", tmp_path / "source", tmp_path / "stores")
    encoding.check_second_is_refused(["decode", tmp_path / "stores", tmp_path / "out"])
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

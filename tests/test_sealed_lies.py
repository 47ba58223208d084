# SPDX-License-Identifier: MIT
"""Forgeries in fewer than k stores of a sealed set: what comes is right, or an error.

Those who forge hold their stores, old copies of them and another set, but not the key; they act as one.
Where k honest stores are left, everything comes. ZFEC_FS_TEST_CASES says how many forgeries there are.
"""

import os
import random
import shutil
import stat

import pytest

import commands
import forging
import keyfiles
import mounts as mounts_module
import mounts as mounts_module
import sealing
import trees
import whole_tree

SPREAD = True
FORGED = int(os.environ.get("ZFEC_FS_TEST_CASES", "600"))
FILES = 14
ROUNDS = max(1, FORGED // (FILES * 16))
GEOMETRIES = [(2, 3), (2, 4), (3, 5), (3, 4), (4, 8)]
BLOCK_SIZE = 4096


def encode(source, made, key_file, required, shares):
    words = ["--format", "sealed", "--key", key_file, "-k", str(required), "-n", str(shares)]
    commands.run("encode", *words, "--block-size", "4K", source, made)


def write_key(path, master):
    path.write_text(keyfiles.key_text(master))
    path.chmod(0o600)
    return path


def make_source(folder, rng, required):
    """Files, also with the same content, in three directories, two of which are like each other."""
    sizes = trees.interesting_sizes(required, BLOCK_SIZE)
    same = rng.randbytes(2 * required * BLOCK_SIZE)
    for where in (folder, folder / "d", folder / "e", folder / "d" / "f"):
        where.mkdir(exist_ok=True)
        for i in range(3):
            trees.write_file(where / f"name-{i}", rng.randbytes(rng.choice(sizes)))
            os.chmod(where / f"name-{i}", rng.choice([0o600, 0o644, 0o4755]))
        trees.write_file(where / "same", same)
        os.symlink(f"target-{rng.randrange(1000)}", where / "link")
        whole_tree.set_attribute(where / "same", b"user.what", rng.randbytes(20))
    os.link(folder / "same", folder / "e" / "other-name")


def change_source(folder, rng):
    """So that shares of what was before are there: other bytes of one size and time, others, none."""
    for path in whole_tree.everything_in(folder):
        if path.is_symlink() or not path.is_file():
            continue
        how = rng.choice(["as it was", "content", "size", "mode", "gone", "emptied"])
        time_ns, data = os.stat(path).st_mtime_ns, path.read_bytes()
        if how == "content":
            trees.write_file(path, rng.randbytes(len(data)), time_ns)
        elif how == "size":
            trees.write_file(path, data + rng.randbytes(5), time_ns + rng.choice([-5, 5]))
        elif how == "emptied":
            trees.write_file(path, b"", time_ns + 9)
        elif how == "mode":
            path.chmod(0o640)
        elif how == "gone":
            path.unlink()
            os.symlink("now a link", path)
    (folder / "new").write_bytes(rng.randbytes(9000))


class Set:
    def __init__(self, folder, rng, required, shares):
        self.source, self.required, self.shares = folder / "source", required, shares
        self.key_file = write_key(folder / "set.key", rng.randbytes(32))
        self.other_key = write_key(folder / "other.key", rng.randbytes(32))
        self.now, self.old, self.foreign = (folder / name for name in ("now", "old", "foreign"))
        make_source(self.source, rng, required)
        encode(self.source, self.old, self.key_file, required, shares)
        change_source(self.source, rng)
        encode(self.source, self.now, self.key_file, required, shares)
        encode(self.source, self.foreign, self.other_key, required, shares)
        masters = [
            keyfiles.read_key_text(each.read_text())[0] for each in (self.key_file, self.other_key)
        ]
        self.keys, self.other_keys = map(sealing.Keys, masters)
        self.theirs = self._foreign_paths()

    def _foreign_paths(self):
        """A path in a share of ours -> that of the same file in one of the other set."""
        found = {sealing.MANIFEST: sealing.MANIFEST}
        for path in whole_tree.everything_in(self.source):
            plain = os.path.relpath(path, self.source)
            if plain != ".":
                ours, theirs = (k.share_path(plain) for k in (self.keys, self.other_keys))
                found[ours] = theirs
                found[f"{ours}/{sealing.MANIFEST}"] = f"{theirs}/{sealing.MANIFEST}"
        return found

    def lie(self, stores, rng, liars):
        """Returns what was done: path in a share -> the forgery."""
        for index in range(self.shares):
            copy = shutil.copy2 if index in liars else os.link
            name = trees.share_name(index)
            shutil.copytree(self.now / name, stores / name, copy_function=copy)
        files = forging.files_of(stores / "00")
        done = {}
        for path in rng.sample(files, min(FILES, len(files))):
            kind = rng.choice(forging.FORGERIES * 3 + list(forging.IN_PLACE))
            other, seed = rng.choice(files), rng.random()
            done[path] = kind
            for index in liars:
                self._forge(stores, index, path, kind, other, seed)
        for index in liars:
            for change in rng.choices([forging.plant, forging.exchange_folders, None], k=1):
                if change:
                    change(rng, stores / trees.share_name(index))
        return done

    def _forge(self, stores, index, path, kind, other, seed):
        name = trees.share_name(index)
        seeds = random.Random(seed), random.Random(f"{seed} {index}")
        theirs = self.theirs.get(path)
        forging.forge(
            seeds,
            kind,
            stores / name / path,
            self.old / name / path,
            theirs and self.foreign / name / theirs,
            self.now / name / other,
        )


@pytest.fixture(scope="module", params=GEOMETRIES, ids=lambda geometry: "%d-of-%d" % geometry)
def sealed_set(request, binary, tmp_path_factory):
    rng = random.Random(f"{os.environ['ZFEC_FS_TEST_SEED']} {request.param}")
    return Set(tmp_path_factory.mktemp("set"), rng, *request.param)


# What comes


class Seen:
    """All that can be read in a folder: path -> (lstat, target, attributes, pieces of content)."""

    def __init__(self, folder):
        self.found, self.errors = {}, {}
        self._walk(os.fspath(folder), "")

    def is_unknown(self, path):
        """Without its manifest a directory is there, and no more: it cannot be listed, or comes empty."""
        return path in self.errors or not any(each.startswith(path + "/") for each in self.found)

    def _walk(self, folder, path):
        try:
            names = os.listdir(folder)
        except OSError as error:
            self.errors[path] = error
            return
        for name in names:
            self._see(os.path.join(folder, name), f"{path}/{name}")

    def _see(self, whole, path):
        try:
            status = os.lstat(whole)
            target = os.readlink(whole) if stat.S_ISLNK(status.st_mode) else None
            names = sorted(os.listxattr(whole, follow_symlinks=False))
            xattrs = [(each, os.getxattr(whole, each, follow_symlinks=False)) for each in names]
        except OSError as error:
            self.errors[path] = error
            return
        pieces = self._read(whole, path, status) if stat.S_ISREG(status.st_mode) else None
        self.found[path] = status, target, xattrs, pieces
        if stat.S_ISDIR(status.st_mode):
            self._walk(whole, path)

    def _read(self, whole, path, status):
        """offset -> bytes; where there is an error, others may still be there."""
        pieces = {}
        try:
            file = os.open(whole, os.O_RDONLY)
        except OSError as error:
            self.errors[path] = error
            return pieces
        try:
            for at in range(0, max(1, status.st_size), BLOCK_SIZE):
                try:
                    pieces[at] = os.pread(file, BLOCK_SIZE, at)
                except OSError as error:
                    self.errors[path] = error
        finally:
            os.close(file)
        return pieces


def lies_in(expected, seen, strict):
    """What is in SEEN, and not in the source; what is missing is none.

    A header's time is not keyed: without k honest stores, liars may have it shown for content that
    is right.
    """
    wrong = []
    for path, (status, target, xattrs, pieces) in seen.found.items():
        if path not in expected.found:
            wrong.append(f"{path} should not be there")
            continue
        was, was_target, was_xattrs, was_pieces = expected.found[path]
        facts = [
            ("mode", status.st_mode, was.st_mode),
            ("owner", (status.st_uid, status.st_gid), (was.st_uid, was.st_gid)),
            ("target", target, was_target),
            ("attributes", xattrs, was_xattrs),
        ]
        if strict or pieces is None or status.st_size == 0:
            facts.append(("time", status.st_mtime_ns, was.st_mtime_ns))
        if pieces is not None:
            facts.append(("size", status.st_size, was.st_size))
            facts += [(f"bytes at {at}", got, (was_pieces or {}).get(at)) for at, got in pieces.items()]
        if not (stat.S_ISDIR(status.st_mode) and seen.is_unknown(path)):
            wrong += [f"{path} ({was.st_size}): {what} {str(is_)[:60]}, not {str(wanted)[:60]}" for what, is_, wanted in facts if is_ != wanted]
    return wrong


def decode(sealed_set, stores, back, strict):
    words = ["decode", "--key", sealed_set.key_file, stores, back]
    line = commands.command_line(*words)
    done = mounts_module.run(*line[1:], limit_s=120)
    assert not mounts_module.SANITIZER.search(done.stderr), done.stderr
    assert done.returncode in ((0, 1) if strict else (0, 1, 2, 3, 4)), done
    return done.returncode, done.stderr


def check(sealed_set, seen, done, strict, told=""):
    expected = Seen(sealed_set.source)
    forged = {path: done.get(sealed_set.keys.share_path(path[1:])) for path in expected.found}
    folders = {
        path: done.get(f"{sealed_set.keys.share_path(path[1:])}/{sealing.MANIFEST}".lstrip("/"))
        for path in ["", *expected.found]
    }
    said = f"\nforged: {forged}\nmanifests: {folders}\nerrors: {seen.errors}\n{told[-3000:]}"
    wrong = lies_in(expected, seen, strict)
    assert not wrong, "\n".join(wrong[:10]) + said
    missing = [path for path in expected.found if path not in seen.found]
    if strict:
        assert not missing and not seen.errors, f"missing: {missing}{said}"


def liars_of(sealed_set, rng):
    count = rng.randrange(1, sealed_set.required)
    liars = rng.sample(range(sealed_set.shares), count)
    return liars, sealed_set.shares - count >= sealed_set.required


@pytest.mark.parametrize("number", range(ROUNDS))
def test_decoded(sealed_set, rng, tmp_path, number):
    for attempt in range(8 // len(GEOMETRIES) + 1):
        stores, back = (tmp_path / f"{what}-{attempt}" for what in ("stores", "back"))
        liars, strict = liars_of(sealed_set, rng)
        done = sealed_set.lie(stores, rng, liars)
        status, told = decode(sealed_set, stores, back, strict)
        seen = Seen(back) if back.exists() else None
        assert seen or not strict, told
        if status in (commands.OK, commands.DAMAGED):
            assert seen.found.keys() == Seen(sealed_set.source).found.keys(), told
        if seen:
            check(sealed_set, seen, done, strict, f"liars {liars}\n{told}")


@pytest.mark.parametrize("number", range(ROUNDS))
def test_restored_view(mounts, sealed_set, rng, tmp_path, number):
    for attempt in range(8 // len(GEOMETRIES) + 1):
        stores = tmp_path / f"stores-{attempt}"
        liars, strict = liars_of(sealed_set, rng)
        done = sealed_set.lie(stores, rng, liars)
        view = mounts.restored(stores, key=sealed_set.key_file)
        view.expect_log("", 0)
        check(sealed_set, Seen(view.path), done, strict, f"liars {liars}\n{view.log()}")
        view.unmount()


@pytest.mark.parametrize("lost", ["manifest", "key and manifest"])
def test_no_ciphertext_for_content(mounts, rng, tmp_path, lost):
    """Where too few stores have the root's manifest, nobody opens the shares: they are no files."""
    source, made, back = (tmp_path / name for name in ("source", "made", "back"))
    source.mkdir()
    (source / "d").mkdir()
    for name in ("a", "d/b"):
        trees.write_file(source / name, rng.randbytes(5000))
    encode(source, made, write_key(tmp_path / "set.key", rng.randbytes(32)), 2, 3)
    for index in range(2):
        for name in lost.split(" and "):
            (made / trees.share_name(index) / {"manifest": sealing.MANIFEST}.get(name, name)).unlink()
    if lost == "manifest":  # of which the shares of the key tell
        shutil.copytree(source, back)
    commands.run("decode", "--delete", "--delete-most", made, back, status=commands.LOST)
    if lost == "manifest":
        commands.compare_trees(source, back)
    else:
        assert not [path for path in back.rglob("*") if path.is_file()]
    if lost != "manifest":
        with pytest.raises(mounts_module.StartFailed, match="too few stores have a part of one key"):
            mounts.restored(made)
        return
    view = mounts.restored(made)
    view.expect_log("", 0)
    seen = Seen(view.path)
    assert not [pieces for *_, pieces in seen.found.values() if pieces]


@pytest.mark.parametrize("left", [0, 1])
def test_lost_directory(mounts, rng, tmp_path, left):
    """A directory whose manifest too few stores have is lost, not empty, and what is there is kept."""
    source, made, back = (tmp_path / name for name in ("source", "made", "back"))
    for name in ("a", "d/b", "d/e/c"):
        trees.write_file(source / name, rng.randbytes(5000))
    key_file = write_key(tmp_path / "set.key", rng.randbytes(32))
    encode(source, made, key_file, 2, 3)
    keys = sealing.Keys(keyfiles.read_key_text(key_file.read_text())[0])
    commands.run("decode", "--key", key_file, made, back)
    for index in range(3 - left):
        (made / trees.share_name(index) / keys.name("d") / sealing.MANIFEST).unlink()
    said = commands.run(
        "decode", "--delete", "--delete-most", "--key", key_file, made, back, status=commands.LOST
    )
    assert "d: too few stores have its manifest" in said.errors
    assert Seen(back).found.keys() == Seen(source).found.keys()
    commands.run("decode", "--key", key_file, made, tmp_path / "new", status=commands.LOST)
    view = mounts.restored(made, key=key_file)
    view.expect_log("d: too few stores have its manifest")
    view.expect_log("", 0)
    with pytest.raises(OSError, match="Input/output error"):
        os.listdir(view / "d")
    with pytest.raises(FileNotFoundError):
        os.lstat(view / "x")

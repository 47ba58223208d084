# SPDX-License-Identifier: MIT
"""check and repair of sealed shares, with their key: names, forgeries, and what nobody could prove."""

import os
import shutil
import subprocess

import pytest

import commands
import forging
import keyfiles
import mounts as mounts_module
import sealing
import trees
from commands import DAMAGED, LOST, OK, USAGE

K, N = 2, 4
MASTER = bytes(range(7, 39))
BLOCK_SIZE = 4096
STRIPES = 5


class Set:
    """A sealed set, and paths in it."""

    def __init__(self, folder, rng):
        self.folder, self.rng = folder, rng
        self.source, self.stores = folder / "source", folder / "stores"
        self.keys, self.key = sealing.Keys(MASTER), write_key(folder / "set.key", MASTER)
        trees.write_file(self.source / "dir" / "file", rng.randbytes(STRIPES * K * BLOCK_SIZE - 100))
        trees.write_file(self.source / "dir" / "deep" / "other name", b"hello")
        trees.write_file(self.source / "none", b"")
        self.encode(self.stores)

    def encode(self, stores):
        commands.run("encode", "--format", "sealed", "--key", self.key, "-k", str(K), "-n", str(N),
                     "--block-size", "4K", self.source, stores, noisy=True)  # fmt: skip

    def share(self, index, path, manifest=False):
        place = self.stores / trees.share_name(index) / self.keys.share_path(path)
        return place / sealing.MANIFEST if manifest else place

    def everywhere(self, path, manifest=False):
        return [self.share(index, path, manifest) for index in range(N)]

    def check(self, *words, status=OK, with_key=True):
        """What is told of each name, and the result."""
        words = ("--key", self.key, *words) if with_key else words
        done = commands.run("check", *words, self.stores, status=status, noisy=True)
        return {line["path"]: line for line in done.json if line["message_type"] == "check"}, done

    def repair(self, *words, status, with_key=True):
        words = ("--key", self.key, *words) if with_key else words
        return commands.run("repair", *words, self.stores, status=status, noisy=True)

    def bytes(self):
        return {path: path.read_bytes() for path in self.stores.rglob("*") if path.is_file()}


def write_key(path, master):
    path.write_text(keyfiles.key_text(master))
    path.chmod(0o600)
    return path


@pytest.fixture
def sealed(tmp_path, rng):
    return Set(tmp_path, rng)


class AsItWas:
    """A share's bytes change, and its times do not."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.times = [(path, os.stat(path)) for path in (self.path, self.path.parent)]
        return self.path

    def __exit__(self, *_):
        for path, status in self.times:
            if path.exists():
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def forge(path, numbers, change):
    """Blocks whose checks are right: (digest, payload) -> others."""
    with AsItWas(path):
        share = forging.Share(path.read_bytes())
        for number in numbers:
            share.blocks[number] = change(*share.blocks[number])
        path.write_bytes(share.bytes())


def flip_payload(digest, payload):
    return digest, bytes([payload[0] ^ 1]) + payload[1:]


def remove(path):
    with AsItWas(path):
        path.unlink()


def states(line):
    return {os.path.basename(p["store"]): (p["state"], p.get("damaged_blocks")) for p in line["problems"]}


# Names


def test_names_are_those_of_the_source(sealed):
    lines, done = sealed.check("--verbose")
    manifests = {os.path.join(path, sealing.MANIFEST) for path in ("", "dir", "dir/deep")}
    assert lines.keys() == {"", "dir", "dir/deep", "dir/file", "dir/deep/other name", "none"} | manifests
    assert lines["dir/file"]["stored_as"] == sealed.keys.share_path("dir/file")
    assert done.json[-1]["orphans"] == 0
    ids, done = sealed.check("--verbose", with_key=False)
    assert sealed.keys.share_path("dir/file") in ids and "dir/file" not in ids
    assert "orphans" not in done.json[-1]


def test_ids_stand_where_a_manifest_is_lost(sealed):
    for path in sealed.everywhere("dir", manifest=True)[:3]:
        with AsItWas(path):
            path.write_bytes(path.read_bytes()[:64])
    remove(sealed.share(0, "dir/file"))
    remove(sealed.share(0, "none"))
    lines, _ = sealed.check(status=LOST)
    assert lines["dir/zmanifest"]["health"] == "lost" and lines["none"]["health"] == "degraded"
    assert states(lines[sealed.keys.share_path("dir/file")]) == {"00": ("missing", None)}


def test_what_repair_makes_is_called_by_its_name(sealed):
    remove(sealed.share(1, "dir/file"))
    done = sealed.repair("--verbose", status=DAMAGED)
    assert done.actions()["made", "dir/file"] == {"01"}
    sealed.check()


# Forgeries


@pytest.mark.parametrize("numbers", [[0], [1, 4], range(STRIPES)])
def test_forged_blocks_are_damage_with_the_key(sealed, numbers):
    before = sealed.bytes()
    forge(sealed.share(2, "dir/file"), numbers, flip_payload)
    forge(sealed.share(0, "dir", manifest=True), [0], flip_payload)
    told, _ = sealed.check(status=LOST, with_key=False)
    assert told[sealed.keys.share_path("dir/file")]["health"] == "lost"
    forged = sealed.bytes()
    sealed.repair(status=LOST, with_key=False)
    assert sealed.bytes() == forged, "without the key no intact block is replaced"
    lines, _ = sealed.check(status=DAMAGED)
    ranges = [pair for pair in lines["dir/file"]["problems"][0]["damaged_blocks"]]
    assert {number for first, last in ranges for number in range(first, last + 1)} == set(numbers)
    assert states(lines["dir/file"]).keys() == {"02"}
    assert states(lines["dir/zmanifest"]) == {"00": ("damaged", [[0, 0]])}
    sealed.repair(status=DAMAGED)
    assert sealed.bytes() == before
    assert sealed.check() and sealed.check(with_key=False)


def test_a_share_that_is_there_twice_agrees_with_itself(sealed):
    """Else the one that is read first would say what the other is."""
    shutil.copytree(sealed.stores / "02", sealed.stores / "again")
    before = sealed.bytes()
    forge(sealed.share(2, "dir/file"), [1], flip_payload)
    for name in ("00", "01"):
        (sealed.stores / name).rename(sealed.folder / name)
    forged = sealed.bytes()
    sealed.repair("--required", str(K), status=LOST, with_key=False)
    (sealed.folder / "00").rename(sealed.stores / "00")
    sealed.check(status=LOST, with_key=False)
    sealed.repair(status=LOST, with_key=False)
    assert {path: sealed.bytes()[path] for path in forged} == forged
    (sealed.folder / "01").rename(sealed.stores / "01")
    sealed.repair(status=DAMAGED)
    assert sealed.bytes() == before


def test_what_fills_up_the_end_is_zeros(sealed):
    """Of one byte, k - 1 pieces are nothing else."""
    short = sealed.share(1, "dir/deep/other name")
    forge(short, [0], lambda digest, payload: (digest, payload[:-1] + b"x"))
    forged = sealed.bytes()
    told, _ = sealed.check(status=LOST, with_key=False)
    assert told[sealed.keys.share_path("dir/deep/other name")]["health"] == "lost"
    sealed.repair(status=LOST, with_key=False)
    assert sealed.bytes() == forged
    lines, _ = sealed.check(status=DAMAGED)
    assert states(lines["dir/deep/other name"]) == {"01": ("damaged", [[0, 0]])}


def test_a_block_of_another_tag_is_kept(sealed):
    """It may be of another content of this time: fewer than k blocks of a tag prove nothing."""
    forge(sealed.share(3, "dir/file"), [2], lambda _digest, payload: (bytes(16), payload))
    before = sealed.bytes()
    for with_key in (True, False):
        lines, _ = sealed.check(status=DAMAGED, with_key=with_key)
        name = "dir/file" if with_key else sealed.keys.share_path("dir/file")
        assert states(lines[name]) == {"03": ("stale", None)}
    sealed.repair(status=DAMAGED)
    assert sealed.bytes() == before


def test_what_the_key_has_not_made_is_lost(sealed):
    """As reading it is an error: k and more forged shares that agree."""
    for index, path in enumerate(sealed.everywhere("dir/file")):
        stripes = [bytes(K * BLOCK_SIZE)] * STRIPES
        stripes[-1] = stripes[-1][:-100]
        tags = [bytes([number]) * 16 for number in range(STRIPES)]
        with AsItWas(path):
            data = path.read_bytes()[:64]
            blocks = (sealing.block(each, tag, t, K, index) for t, (each, tag) in enumerate(zip(stripes, tags)))
            path.write_bytes(data + b"".join(blocks))
    sealed.check(with_key=False)
    lines, done = sealed.check(status=LOST)
    assert lines["dir/file"]["lost_stripes"] == [[0, STRIPES - 1]]
    assert "were not made with this key" in done.errors
    commands.run("decode", "--key", sealed.key, sealed.stores, sealed.folder / "back", status=LOST)


def test_an_empty_share_is_no_file_that_has_content(sealed):
    for index, path in enumerate(sealed.everywhere("dir/file")):
        with AsItWas(path):
            path.write_bytes(sealing.header(K, index, 0, trees.MTIME_NS, BLOCK_SIZE))
    sealed.check(with_key=False)
    lines, _ = sealed.check(status=LOST)
    assert lines["dir/file"]["health"] == "lost" and "none" not in lines
    commands.run("decode", "--key", sealed.key, sealed.stores, sealed.folder / "back", status=LOST)


def test_a_manifest_of_another_directory_is_lost(sealed):
    for here, other in zip(sealed.everywhere("dir", True), sealed.everywhere("dir/deep", True)):
        shutil.copy2(other, here)
    sealed.check(with_key=False)
    lines, _ = sealed.check(status=LOST)
    assert lines["dir/zmanifest"]["health"] == "lost"
    commands.run("decode", "--key", sealed.key, sealed.stores, sealed.folder / "back", status=LOST)


# What manifests tell of


@pytest.mark.parametrize("path,manifest", [("dir/file", False), ("none", False), ("dir", True)])
@pytest.mark.parametrize("left", [0, 1])
def test_what_no_store_has_is_lost(sealed, path, manifest, left):
    """Or one, where two are needed: a name in a manifest is more than one that a store has alone. That each
    directory has a manifest is known without a key."""
    for share in sealed.everywhere(path, manifest)[left:]:
        remove(share)
    sealed.check(with_key=False, status=LOST if manifest else DAMAGED if left else OK)
    lines, done = sealed.check(status=LOST)
    name = os.path.join(path, sealing.MANIFEST) if manifest else path
    assert lines[name]["health"] == "lost"
    assert done.json[-1]["lost"] == 1
    sealed.repair(status=LOST)


def test_orphans_are_counted(sealed):
    orphan = sealed.keys.name("gone")
    for index, path in enumerate(sealed.everywhere("dir/file")):
        with AsItWas(path):
            shares = sealing.file_shares(sealed.keys, "gone", b"gone", trees.MTIME_NS, K, [index], BLOCK_SIZE)
            trees.write_file(path.parent / orphan, shares[index])
            (path.parent / orphan).chmod(0o600)
    lines, done = sealed.check("--verbose")
    assert done.json[-1]["orphans"] == 1
    assert lines[f"{sealed.keys.share_path('dir')}/{orphan}"]["orphan"] is True
    text = subprocess.run([mounts_module.BINARY, "check", "--key", sealed.key, sealed.stores], check=True, capture_output=True, text=True).stdout
    assert "1 orphan: stored, but in no manifest" in text
    assert text.count("orphan") == 1


# What nobody could prove


def test_what_was_rebuilt_unverified_is_told(sealed):
    """With just k blocks there is nothing to compare; the key finds out later."""
    before, path = sealed.bytes(), sealed.keys.share_path("dir/file")
    away = sealed.folder / "away"
    away.mkdir()
    (sealed.stores / "01").rename(away / "01")
    forge(sealed.share(2, "dir/file"), [3], flip_payload)
    remove(sealed.share(3, "dir/file"))
    lines, done = sealed.check(with_key=False, status=DAMAGED)
    assert lines[path]["unverified_stripes"] == [[0, STRIPES - 1]] and done.json[-1]["unverified"] == 1
    text = subprocess.run([mounts_module.BINARY, "repair", sealed.stores], check=False, capture_output=True, text=True)
    assert text.returncode == DAMAGED
    assert "1 file rebuilt unverified" in text.stdout and "stripes 0-4 unverified" not in text.stderr
    (away / "01").rename(sealed.stores / "01")
    sealed.check(with_key=False, status=LOST)
    lines, done = sealed.check(status=DAMAGED)
    assert states(lines["dir/file"]) == {"02": ("damaged", [[3, 3]]), "03": ("damaged", [[3, 3]])}
    assert "unverified" not in done.json[-1]
    sealed.repair(status=DAMAGED)
    assert sealed.bytes() == before


def test_with_the_key_just_k_blocks_are_no_doubt(sealed):
    remove(sealed.share(0, "dir/file"))
    remove(sealed.share(1, "dir/file"))
    lines, done = sealed.check(status=DAMAGED)
    assert "unverified_stripes" not in lines["dir/file"] and "unverified" not in done.json[-1]
    forge(sealed.share(2, "dir/file"), [1], flip_payload)
    lines, _ = sealed.check(status=LOST)
    assert lines["dir/file"]["lost_stripes"] == [[1, 1]]
    sealed.repair(status=LOST)
    assert not sealed.share(0, "dir/file").exists()


# The key


def test_nobody_is_asked_for_a_passphrase(sealed):
    phrase = sealed.folder / "phrase"
    phrase.write_text("correct horse\n")
    commands.run("key", "passphrase", "--passphrase-file", phrase, sealed.key, sealed.stores, noisy=True)
    assert sealed.check("--verbose", with_key=False)[0].keys() & {"dir/file"} == set()
    sealed.repair(status=OK, with_key=False)
    lines, _ = sealed.check("--passphrase-file", phrase, "--verbose", with_key=False)
    assert "dir/file" in lines
    phrase.write_text("wrong\n")
    sealed.check("--passphrase-file", phrase, with_key=False, status=USAGE)


@pytest.mark.parametrize("command", ["check", "repair"])
def test_another_key_is_refused(sealed, command):
    other = write_key(sealed.folder / "other.key", bytes(32))
    before = sealed.bytes()
    done = commands.run(command, "--key", other, sealed.stores, status=USAGE)
    assert "is the key of another set" in done.errors
    commands.run("encode", "-k", "2", "-n", "3", sealed.source, sealed.folder / "plain")
    done = commands.run(command, "--key", sealed.key, sealed.folder / "plain", status=USAGE)
    assert "do not hold sealed shares" in done.errors
    assert sealed.bytes() == before

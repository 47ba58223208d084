# SPDX-License-Identifier: MIT
"""Sealed shares against the reference in Python, and that against the vectors of RFC 8452 and ours."""

import json
import os
import stat
import struct
from pathlib import Path

import pytest

import commands
import keyfiles
import sealing
import trees
import whole_tree
from users import IS_ROOT

BLOCK_SIZE = 4096
VECTORS = json.loads(Path(__file__).with_name("vectors").joinpath("sealed.json").read_text())
# RFC 8452, C.2 and C.3: key, nonce, associated data, plain, result
RFC_8452 = [
    ("01" + "00" * 31, "03" + "00" * 11, "", "", "07f5f4169bbf55a8400cd47ea6fd400f"),
    (
        "01" + "00" * 31,
        "03" + "00" * 11,
        "",
        "0100000000000000",
        "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28",
    ),
    (
        "01" + "00" * 31,
        "03" + "00" * 11,
        "01",
        "0200000000000000",
        "1de22967237a813291213f267e3b452f02d01ae33e4ec854",
    ),
    (
        "00" * 32,
        "00" * 12,
        "",
        "000000000000000000000000000000004db923dc793ee6497c76dcc03a98e108",
        "f3f80f2cf0cb2dd9c5984fcda908456cc537703b5ba70324a6793a7bf218d3ea"
        "ffffffff000000000000000000000000",
    ),
]  # fmt: skip


@pytest.fixture
def keys():
    return sealing.Keys(bytes(range(32)))


@pytest.mark.parametrize("vector", RFC_8452)
def test_rfc_8452(vector):
    key, nonce, data, plain, result = map(bytes.fromhex, vector)
    cipher, tag = sealing.seal(key, nonce, data, plain)
    assert cipher + tag == result
    assert sealing.open_sealed(key, nonce, data, cipher, tag) == plain


def test_polyval():
    """RFC 8452, appendix A."""
    key = bytes.fromhex("25629347589242761d31f826ba4b757b")
    data = bytes.fromhex("4f4f95668c83dfb6401762bb2d01a262d1a24ddd2721d006bbe45f20d3c9f362")
    assert sealing.polyval(key, data).hex() == "f7a3b47b846119fae5b7866cf5e5b77e"


def test_vectors(keys):
    assert keys.id.hex() == VECTORS["id"]
    for label, value in VECTORS["derived"].items():
        assert getattr(keys, label).hex() == value
    for each in VECTORS["ids"]:
        assert keys.name(each["path"]) == each["id"]
    link = dict(VECTORS["link"])
    assert link.pop("hex") == keys.link(*link.values()).hex()
    manifest = VECTORS["manifest"]
    content = bytes.fromhex(manifest["content"])
    assert keys.manifest_time(manifest["ctime_ns"], content) == manifest["time_ns"]
    made = sealing.manifest_shares(
        keys, content, manifest["time_ns"], manifest["k"], [0, 4], manifest["block"]
    )
    assert {str(index): share.hex() for index, share in made.items()} == manifest["shares"]


# Trees


def random_name(rng):
    if rng.random() < 0.3:
        length = rng.choice([1, 8, 255])
        return bytes(rng.choice(whole_tree.ALL_BYTES) for _ in range(length)).strip(b".") or b"x"
    return b"name-%x" % rng.randrange(1 << 40)


def make_object(path, rng, sizes):
    kind = rng.choice(["file"] * 6 + ["link", "fifo", "device"])
    if kind == "file":
        Path(os.fsdecode(path)).write_bytes(rng.randbytes(rng.choice(sizes)))
        twin = path[:-1] + b"~" if len(path) > 200 else path + b"~"
        if rng.random() < 0.2 and not os.path.lexists(twin):
            os.link(path, twin)
    elif kind == "link":
        os.symlink(rng.choice(list(whole_tree.TARGETS.values())), path)
        return
    elif kind == "fifo" or not IS_ROOT:
        os.mkfifo(path)
    else:
        device = os.makedev(rng.randrange(1 << 12), rng.randrange(1 << 20))
        os.mknod(path, rng.choice([stat.S_IFCHR, stat.S_IFBLK]) | 0o600, device)
    os.chmod(path, rng.choice([0o4755, 0o600, 0o444, 0o1777]))


def make_random_tree(folder, rng, sizes, depth=3):
    folder.mkdir()
    for _ in range(rng.randrange(9) if depth < 3 else 9):
        path = os.fsencode(folder) + b"/" + random_name(rng)
        if os.path.lexists(path):
            continue
        if depth and rng.random() < 0.3:
            make_random_tree(Path(os.fsdecode(path)), rng, sizes, depth - 1)
            continue
        make_object(path, rng, sizes)
    for path in whole_tree.everything_in(folder):
        whole_tree.set_attribute(path, b"user.zfec-fs-test", rng.randbytes(rng.randrange(1, 80)))


def found_in(share):
    found = {}
    for folder, _, names in os.walk(share):
        at = os.path.relpath(folder, share)
        at = "" if at == "." else at
        found[at] = None
        for name in names:
            path = os.path.join(folder, name)
            assert stat.S_ISREG(os.lstat(path).st_mode), path
            found[os.path.join(at, name)] = path
    return found


def check_time(time_ns, share):
    """A file has the time that its header says, where that can say it."""
    (said_ns,) = struct.unpack("<q", share[24:32])
    assert time_ns == said_ns or abs(said_ns) >= (1 << 63) - 1


def check_share(share, expected, index, keys, required):
    found = found_in(share)
    # It is there where it is a share of a set; with a passphrase alone it is anything else.
    key = found.pop("key", None)
    if key:
        assert Path(key).read_bytes() == keyfiles.key_share(keys.master, required, index)
    assert found.keys() == expected.keys()
    for path, file in found.items():
        status = os.lstat(os.path.join(share, path))
        wanted = stat.S_IFREG | 0o600 if file else stat.S_IFDIR | 0o700
        assert status.st_mode == wanted or path == "", path
        if file:
            trees.assert_same(Path(file).read_bytes(), expected[path][index], f"{share}: {path}")
            assert (status.st_nlink, os.listxattr(file)) == (1, []), path
            check_time(status.st_mtime_ns, expected[path][index])


def check_encoded(mounts, keys, key_file, tmp_path, required, shares):
    source, made = tmp_path / "source", tmp_path / "made"
    expected = sealing.tree_shares(keys, source, required, range(shares), BLOCK_SIZE)
    options = {"format": "sealed", "key": key_file, "required": required, "shares": shares}
    view = mounts.encoded(source, **options, block_size="4K")
    for index in range(shares):
        check_share(view / trees.share_name(index), expected, index, keys, required)
    view.unmount()
    words = ["--format", "sealed", "--key", key_file, "-k", str(required), "-n", str(shares)]
    commands.run("encode", *words, "--block-size", "4K", source, made)
    for index in range(shares):
        check_share(made / trees.share_name(index), expected, index, keys, required)
    return made


@pytest.fixture
def key_file(tmp_path, keys):
    path = tmp_path / "set.key"
    path.write_text(keyfiles.key_text(keys.master))
    path.chmod(0o600)
    return path


def test_all_kinds(mounts, keys, key_file, rng, tmp_path):
    """All that there is: kinds, names, times before 1970 and after 2262, owners, attributes, lists."""
    whole_tree.make_tree(tmp_path / "source", rng)
    check_encoded(mounts, keys, key_file, tmp_path, 3, 4)


@pytest.mark.parametrize("number", range(6))
def test_random_trees(mounts, keys, key_file, rng, tmp_path, number):
    required = rng.choice([2, 3, 5])
    make_random_tree(tmp_path / "source", rng, trees.interesting_sizes(required, BLOCK_SIZE))
    made = check_encoded(mounts, keys, key_file, tmp_path, required, required + 2)
    back = tmp_path / "back"
    commands.run("decode", "--key", key_file, made, back)
    commands.compare_trees(tmp_path / "source", back)

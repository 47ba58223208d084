# SPDX-License-Identifier: MIT
"""What fewer than k nodes have of a sealed set tells nothing of contents, names, targets and attributes."""

import os
import shutil
import subprocess

import pytest

import commands
import keyfiles
import trees
import whole_tree

REQUIRED, SHARES = 3, 4
LEAST = 8
HEADER_SIZE = 64


def key_file(folder, rng):
    path = folder / "set.key"
    path.write_text(keyfiles.key_text(rng.randbytes(32)))
    path.chmod(0o600)
    return path


def encode(source, made, key):
    words = ["--format", "sealed", "--key", key, "-k", str(REQUIRED), "-n", str(SHARES)]
    commands.run("encode", *words, "--block-size", "4K", source, made)


def name_of(rng):
    return rng.randbytes(rng.randrange(LEAST, 40)).replace(b"/", b"_").replace(b"\0", b"_")


def make_tree(folder, rng, secrets, depth=2):
    """Names, targets, values and contents are random, and are put into SECRETS."""
    folder.mkdir()
    for kind in ["file"] * 4 + ["link", "folder", "large"]:
        name = name_of(rng)
        path = folder / os.fsdecode(name)
        secrets.append(name)
        if kind == "folder":
            if depth:
                make_tree(path, rng, secrets, depth - 1)
            continue
        value = name_of(rng)
        secrets.append(value)
        if kind == "link":
            os.symlink(value, path)
            continue
        content = rng.randbytes(rng.randrange(LEAST, 100) if kind == "file" else 40000)
        trees.write_file(path, content)
        whole_tree.set_attribute(path, b"user.named-for-it", value)
        secrets += [content, b"named-for-it"]


def content_of(share):
    """All files' bytes, and all names, one behind the other: whoever has it has these."""
    parts = []
    for folder, folders, names in os.walk(os.fsencode(share)):
        folders.sort()
        parts += [*folders, *sorted(names)]
        for name in sorted(names):
            with open(os.path.join(folder, name), "rb") as file:
                parts.append(file.read())
    return b"\n".join(parts)


def windows(data):
    return {data[at : at + LEAST] for at in range(len(data) - LEAST + 1)}


def test_nothing_plain(rng, tmp_path):
    secrets = []
    make_tree(tmp_path / "source", rng, secrets)
    encode(tmp_path / "source", tmp_path / "made", key_file(tmp_path, rng))
    plain = set().union(*map(windows, secrets))
    shares = [content_of(tmp_path / "made" / trees.share_name(i)) for i in range(SHARES)]
    for index, share in enumerate(shares):
        assert not plain & windows(share), f"share {index}"
    # Blocks of several shares side by side are what those who act as one may look at: the pieces of a
    # stripe, as they would stand in it.
    for folder, _, names in os.walk(tmp_path / "made" / "00"):
        for name in names:
            at = os.path.relpath(os.path.join(folder, name), tmp_path / "made" / "00")
            read = [(tmp_path / "made" / trees.share_name(i) / at).read_bytes() for i in (0, 1)]
            pieces = [share[HEADER_SIZE + 16 : -16] for share in read]
            assert not plain & windows(b"".join(pieces)), at


def files_of(share):
    return {
        os.path.relpath(os.path.join(folder, name), share): os.path.join(folder, name)
        for folder, _, names in os.walk(share)
        for name in names
    }


def assert_random(data):
    """As many bits are set as would be by chance, and all bytes come as often, but for 1 in 10^9."""
    bits, set_ = 8 * len(data), int.from_bytes(data, "little").bit_count()
    assert abs(2 * set_ - bits) < 6.2 * bits**0.5
    expected = len(data) / 256
    chi = sum((data.count(bytes([byte])) - expected) ** 2 for byte in range(256)) / expected
    assert len(data) < 2000 or abs(chi - 255) < 6.5 * (2 * 255) ** 0.5


@pytest.mark.parametrize("content", ["random", "zeros", "text"])
def test_contents_do_not_show(rng, tmp_path, content):
    """Two trees that differ in contents of equal size and time differ in bytes that look random."""
    source, key = tmp_path / "source", key_file(tmp_path, rng)
    make_tree(source, rng, [])
    encode(source, tmp_path / "one", key)
    for path in whole_tree.everything_in(source):
        if path.is_file() and not path.is_symlink():
            size = path.stat().st_size
            data = {"random": rng.randbytes(size), "zeros": bytes(size), "text": b"text" * size}
            trees.write_file(path, data[content][:size])
    encode(source, tmp_path / "other", key)
    for index in range(SHARES):
        one, other = (files_of(tmp_path / made / trees.share_name(index)) for made in ("one", "other"))
        assert one.keys() == other.keys()
        differences = b""
        for path, file in one.items():
            with open(file, "rb") as first, open(other[path], "rb") as second:
                was, now = first.read(), second.read()
            is_manifest = path.endswith("zmanifest")
            assert len(was) == len(now)
            assert is_manifest or was[:HEADER_SIZE] == now[:HEADER_SIZE]
            for bytes_ in (was, now):
                assert was == now or not bytes_[HEADER_SIZE:].count(bytes(LEAST))
            if was != now and not is_manifest:
                a, b = (int.from_bytes(each[HEADER_SIZE:], "little") for each in (was, now))
                differences += (a ^ b).to_bytes(len(was) - HEADER_SIZE, "little")
        assert len(differences) > 20000
        assert_random(differences)


def test_fewer_than_k(rng, tmp_path):
    """k - 1 stores give no name, and nothing else."""
    secrets, source, back = [], tmp_path / "source", tmp_path / "back"
    make_tree(source, rng, secrets)
    encode(source, tmp_path / "made", key_file(tmp_path, rng))
    for index in range(REQUIRED - 1, SHARES):
        shutil.rmtree(tmp_path / "made" / trees.share_name(index))
    done = commands.command_line("decode", "--key", tmp_path / "set.key", tmp_path / "made", back)
    commands.mounts_module.run(*done[1:])
    assert not back.exists() or not list(back.iterdir())


def blocks_of(path):
    """The digests, checks and payloads of a share, 16 bytes at a time."""
    content = path.read_bytes()[HEADER_SIZE:]
    return {content[at : at + 16] for at in range(0, len(content) - 15, 16)}


def test_files_that_share_stripes_do_not_show(rng, tmp_path):
    """Who plants a file beside a secret that he guesses learns nothing from any tag, name or payload."""
    source, key = tmp_path / "source", key_file(tmp_path, rng)
    (source / "deep").mkdir(parents=True)
    stripes = [rng.randbytes(3 * 4096) for _ in range(2)]
    for name, content in (
        ("secret", stripes),
        ("planted", stripes),  # the same whole
        ("deep/secret", stripes),  # and by the same name
        ("longer", [*stripes, b"more"]),  # its last stripe is not the last
        ("again", [stripes[0]] * 3),  # one stripe behind the other
    ):
        (source / name).write_bytes(b"".join(content))
    encode(source, tmp_path / "made", key)
    for index in range(SHARES):
        share = tmp_path / "made" / trees.share_name(index)
        files = [path for path in share.rglob("*") if path.is_file() and path.name != "key"]
        seen = [blocks_of(path) for path in files]
        assert len(files) == 7
        assert sum(map(len, seen)) == len(set().union(*seen))
        for path in files:
            blocks = path.read_bytes()[HEADER_SIZE:]
            assert len(blocks_of(path)) == len(blocks) // 16


COLLIDING = """
#include <dlfcn.h>
#include <string.h>
#include <gcrypt.h>

unsigned char *gcry_md_read(gcry_md_hd_t md, int algo)
{
    unsigned char *(*real)(gcry_md_hd_t, int) = dlsym(RTLD_NEXT, "gcry_md_read");

    return memset(real(md, algo), 7, 10);
}
"""


@pytest.mark.unsanitized
def test_names_with_one_id(rng, tmp_path):
    """Which a chance of 1 in 2^80 brings, or here a library: an error that says both, and no file is lost."""
    (tmp_path / "colliding.c").write_text(COLLIDING)
    words = ["-D_GNU_SOURCE", "-shared", "-fPIC", "-o", tmp_path / "colliding.so", tmp_path / "colliding.c"]
    subprocess.run(["gcc", *words], check=True)
    (tmp_path / "source").mkdir()
    for name in ("one", "other"):
        (tmp_path / "source" / name).write_text(name)
    key = key_file(tmp_path, rng)
    words = ["--format", "sealed", "--key", key, "-k", "2", "-n", "3", "--key-on-nodes=no"]
    done = commands.run("encode", *words, tmp_path / "source", tmp_path / "made", status=commands.FAILED, noisy=True,
                        env={**os.environ, "LD_PRELOAD": str(tmp_path / "colliding.so")})  # fmt: skip
    assert "one and other have one id by chance; rename one of them" in done.errors
    assert not [path for path in (tmp_path / "made").rglob("*") if path.is_file()]

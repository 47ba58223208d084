# SPDX-License-Identifier: MIT
"""Keys of stores of which some lie, what killed runs left, and what is said of stores' keys."""

import os
import re
import signal
import subprocess
import time

import commands
import keyfiles
import mounts as mounts_module
import pytest
import sealing
from commands import DAMAGED, FAILED, LOST, OK, USAGE
from keying import MASTER, OTHER, key, make_stores, stores_of, stretch_for, write_key

ID, OTHER_ID = (keyfiles.expand(each, b"id", 16).hex() for each in (MASTER, OTHER))
WEAK = (b"p" * 32, b"s" * 16, 65536, 3, 4)
COSTLY = (b"p" * 32, b"s" * 16, 1 << 20, 64, 1)


def three_of_seven_lie(tmp_path, stretch, honest=None, lied_for=OTHER):
    shares = [keyfiles.key_share(lied_for, 3, i, stretch) for i in range(3)]
    return make_stores(
        tmp_path / "stores", shares + [keyfiles.key_share(MASTER, 3, i, honest) for i in range(3, 7)]
    )


def test_fewer_liars_get_nobody_asked_for_a_passphrase(tmp_path):
    stores = three_of_seven_lie(tmp_path, WEAK)
    told = key("recover", stores, tmp_path / "key", status=DAMAGED, start_new_session=True).stdout
    assert told.count("of another set") == 3
    assert (tmp_path / "key").read_text() == keyfiles.key_text(MASTER)


def test_two_sets_are_named_with_their_stores(tmp_path):
    stores = three_of_seven_lie(tmp_path, None)
    error = key("recover", stores, tmp_path / "key", status=FAILED).stderr
    said = {each: re.findall(r"s\d", paths) for each, paths in re.findall(r"([0-9a-f]{32}) \((.*?)\)", error)}
    assert said == {OTHER_ID: ["s0", "s1", "s2"], ID: ["s3", "s4", "s5", "s6"]}
    key("recover", "--id", ID, stores, tmp_path / "key", status=DAMAGED)


@pytest.mark.parametrize("lied_for", [MASTER, OTHER])
def test_liars_do_not_cost_more_than_the_honest(tmp_path, lied_for):
    stretch, secret = stretch_for("secret", tmp_path), tmp_path / "secret"
    secret.write_text("secret")
    stores = three_of_seven_lie(tmp_path, COSTLY, stretch, lied_for)
    start = time.monotonic()
    key("recover", "--passphrase-file", secret, stores, tmp_path / "key", status=DAMAGED)
    assert time.monotonic() - start < 30


@pytest.fixture
def sealed(tmp_path):
    source, path = tmp_path / "source", write_key(tmp_path / "key")
    source.mkdir()
    (source / "a").write_text("a" * 1000)
    words = ["--format", "sealed", "--key", path, "-k", "3", "-n", "5"]
    commands.run("encode", *words, source, tmp_path / "shares")
    return tmp_path / "shares"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("words", [["key", "recover"], ["decode"]])
def test_a_signal_ends_what_takes_long(sealed, tmp_path, number, words):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for i in range(5):
        (sealed / f"0{i}" / "key").write_bytes(keyfiles.key_share(MASTER, 3, i, COSTLY))
    words = [*words, "--passphrase-file", secret, sealed, tmp_path / "out"]
    process = subprocess.Popen(
        [mounts_module.BINARY, *words], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    time.sleep(2)
    assert process.poll() is None
    process.send_signal(number)
    process.wait(5)
    assert process.returncode == -number, process.stderr.read()
    assert not (tmp_path / "out").exists()


def test_what_killed_runs_left_is_removed(tmp_path):
    path, secret, stores = write_key(tmp_path / "key"), tmp_path / "secret", stores_of(tmp_path / "stores")
    secret.write_text("secret")
    gone = [tmp_path / "key.new-0123abcd", stores / "s1" / ".zfec-fs-new-0123456789abcdef"]
    names = ("key.new-0123ABCD", "key2.new-0123abcd", "key.new-01234567", "stores/s1/.zfec-fs-new-1")
    kept = [tmp_path / name for name in names]
    for each in gone + kept:
        each.write_bytes(path.read_bytes()[:100])
    kept[2].write_bytes(bytes(512))
    key("passphrase", "--passphrase-file", secret, path, stores)
    assert [each.exists() for each in gone + kept] == [False] * 2 + [True] * 4
    gone[0].write_text("zfec-fs key 1")
    path.unlink()
    key("new", path)
    assert not gone[0].exists()


def test_no_key_is_written_into_a_store(tmp_path):
    stores, path = stores_of(tmp_path / "stores"), write_key(tmp_path / "key")
    (stores / "deep" / "folder").mkdir(parents=True)
    (stores / "deep" / "zmanifest").write_bytes(b"manifest")
    paper = tmp_path / "paper"
    paper.write_text(keyfiles.paper(MASTER))
    actions = [["new"], ["recover", "--paper", paper], ["recover", "--store", stores / "s0"]]
    for place in (stores / "s1" / "new", stores / "deep" / "folder" / "new"):
        for words in (*actions, ["passphrase", "--remove"]):
            assert "lies in" in key(*words, place, status=USAGE).stderr
            assert not place.exists()
    write_key(stores / "s1" / "old")
    assert "lies in the store" in key("passphrase", "--remove", stores / "s1" / "old", status=USAGE).stderr
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "key").write_text("of a door")
    key("new", tmp_path / "own" / "new")
    assert path.exists()


def test_too_few_parts_of_the_key_are_a_loss(sealed, tmp_path):
    for i in range(3):
        (sealed / f"0{i}" / "key").write_bytes(b"")
    assert "too few" in commands.run("decode", sealed, tmp_path / "out", status=LOST).errors
    for i in range(5):
        (sealed / f"0{i}" / "key").unlink()
    assert "--key FILE names one" in commands.run("decode", "--format", "sealed", sealed, tmp_path / "out", status=USAGE).errors


def test_a_copy_of_another_stores_key_is_told(sealed, tmp_path):
    (sealed / "00" / "key").write_bytes((sealed / "01" / "key").read_bytes())
    told = key("recover", sealed, tmp_path / "back", status=DAMAGED).stdout
    assert re.findall(r"shares/(..): its key is that of another share", told) == ["00"]


def test_what_info_says_of_a_key(sealed):
    line = commands.run("info", sealed / "02" / "key").json[0]
    assert (line["kind"], line["share"], line["required"], line["id"]) == ("key", "02", 3, ID)
    assert line["passphrase"] is False
    words = [mounts_module.BINARY, "info", sealed / "02" / "key"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert f"share 02, 3 are enough; of the set {ID}, without a passphrase" in done.stdout


@pytest.mark.parametrize("count", [5, 7])
def test_a_manifest_that_is_said_to_be_huge_is_left_out(sealed, tmp_path, count):
    """In K stores. Where as many have the one that was written, that is read."""
    words = ["--format", "sealed", "--key", tmp_path / "key", "-k", "3", "-n", str(count)]
    commands.run("encode", *words, tmp_path / "source", sealed)
    for i in range(3):
        path = sealed / f"0{i}" / "zmanifest"
        newer_ns = int.from_bytes(path.read_bytes()[24:32], "little") + 10**9
        path.write_bytes(sealing.header(3, i, 1 << 40, newer_ns, 4096))
        line = commands.run("info", path, status=DAMAGED).json[0]
        assert line["source_size"] == 1 << 40
        os.truncate(path, line["right_size"])
    status = LOST if count == 5 else OK
    told = commands.run("decode", sealed, tmp_path / "out", status=status, noisy=True).errors
    assert "more than 1 GiB is not read" in told
    assert "allocate" not in told
    if count == 7:
        assert (tmp_path / "out" / "a").read_text() == "a" * 1000

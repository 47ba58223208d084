# SPDX-License-Identifier: MIT
"""zfec-fs key: files of keys, on paper, from stores, and their passphrases."""

import contextlib
import fcntl
import json
import os
import pty
import re
import subprocess
import termios
import time
from pathlib import Path

import pytest

import commands
import keyfiles
import mounts as mounts_module
from commands import DAMAGED, FAILED, LOST, OK, USAGE
from keying import MASTER, OTHER, key, keys_in, make_stores, stores_of, stretch_for, write_key

SECRET = "correct horse\tbattery"


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


def test_python_has_the_vectors_too():
    vectors = json.loads((mounts_module.REPOSITORY / "tests/vectors/sealed.json").read_text())
    assert keyfiles.key_text(bytes.fromhex(vectors["master"])) == vectors["key_file"]
    for row in vectors["keys"]:
        stretch = None
        if "P" in row:
            parts = [bytes.fromhex(row[name]) for name in ("P", "salt")]
            stretch = (*parts, row["memory_kib"], row["passes"], row["lanes"])
        share = keyfiles.key_share(MASTER, row["k"], row["index"], stretch)
        assert share.hex() == row["hex"]


# New, and the file


def test_a_new_key(tmp_path):
    paths = [tmp_path / name for name in "ab"]
    masters = set()
    for path in paths:
        said = key("new", path, umask=0).stdout
        assert path.stat().st_mode == 0o100600
        master, stretch = keyfiles.read_key_text(path.read_text())
        assert stretch is None
        assert keyfiles.expand(master, b"id", 16).hex() in said
        assert master.hex() not in said
        masters.add(master)
    assert len(masters) == 2
    before = paths[0].read_text()
    assert "is there already" in key("new", paths[0], status=FAILED).stderr
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    key("new", tmp_path / "link", status=FAILED)
    key("new", tmp_path / "missing" / "a", status=FAILED)
    assert paths[0].read_text() == before
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "link"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    path = write_key(tmp_path / "key")
    path.chmod(mode)
    assert "others can read this key" in key("show", path, status=FAILED).stderr


@pytest.mark.parametrize("change", [
    lambda text: "", lambda text: text[:-1], lambda text: text + "\n", lambda text: text + "x" * 10000,
    lambda text: text.replace("key 1", "key 2"), lambda text: text.replace("\n", "\r\n"),
    lambda text: text.replace("0a0b", "0A0B"), lambda text: text.replace("0a0b", "0a0c"),
    lambda text: text.replace("master ", "master  "), lambda text: re.sub("check .", "check 0", text),
    lambda text: text.replace("65536", "065536"), lambda text: text.replace("65536", "4294967295"),
])  # fmt: skip
def test_a_key_that_is_not_as_it_was_written_is_refused(tmp_path, change):
    stretch = (b"p" * 32, b"s" * 16, 65536, 3, 4)
    path = write_key(tmp_path / "key", stretch=stretch)
    key("show", path)
    text = path.read_text()
    if change(text) == text:
        pytest.fail("nothing is changed")
    path.write_bytes(change(text).encode())
    error = key("show", path, status=FAILED).stderr
    assert re.search(r"line \d is not as it was written", error)
    assert "0a0b0c" not in error.lower()


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        assert "no regular file" in key("show", path, status=FAILED).stderr
    key("show", tmp_path / "missing", status=FAILED)


@pytest.mark.parametrize("words", [
    [], ["old", "a"], ["new"], ["new", "a", "b"], ["show"], ["recover", "a"], ["recover"],
    ["recover", "--paper", "p", "a", "b"], ["passphrase"], ["passphrase", "a", "b", "c"],
    ["new", "--remove", "a"], ["show", "--paper", "p", "a"], ["recover", "--remove", "a", "b"],
    ["recover", "--id", "12", "a", "b"], ["passphrase", "--remove", "--passphrase-file", "p", "a"],
], ids=" ".join)  # fmt: skip
def test_wrong_words(tmp_path, words):
    key(*words, status=USAGE, cwd=tmp_path)
    assert os.listdir(tmp_path) == []


# Paper


@pytest.mark.parametrize("stretch", [None, (b"p" * 32, b"s" * 16, 65536, 3, 4)])
def test_there_and_back_on_paper(tmp_path, stretch):
    path = write_key(tmp_path / "key", stretch=stretch)
    paper = key("show", path).stdout
    assert paper.endswith(keyfiles.paper(MASTER, stretch))
    assert max(map(len, re.findall(r"\w+", paper.partition("key 1\n")[2]))) <= 10
    typed = paper.upper().replace(" ", "   ").replace("\n", "\r\n\n").replace("0A", "oA")
    key("recover", "--paper", "-", tmp_path / "back", stdin=None, input=typed)
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert (tmp_path / "back").stat().st_mode == 0o100600
    (tmp_path / "paper").write_text(paper)
    key("recover", "--paper", tmp_path / "paper", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_slip_on_paper_is_told_by_its_line(tmp_path):
    lines = key("show", write_key(tmp_path / "key")).stdout.partition("zfec-fs key 1\n")[2]
    lines = ["zfec-fs key 1", *lines.splitlines()]
    wrong = [
        (3, [*lines[:2], lines[2].replace("1213", "1218"), *lines[3:]]),
        (2, [lines[0], lines[2], lines[1], *lines[3:]]),
        (4, lines[:3]),
        (3, [*lines[:2], *lines[3:]]),
        (1, lines[1:]),
        (1, []),
    ]
    for line, typed in wrong:
        words = ["recover", "--paper", "-", tmp_path / "back"]
        error = key(*words, status=FAILED, stdin=None, input="\n".join(typed)).stderr
        assert f"line {line} " in error, typed
        assert "1213" not in error
        assert "1218" not in error
    assert not (tmp_path / "back").exists()


# A terminal


@contextlib.contextmanager
def on_terminal(*words, **how):
    """Starts the program with a terminal of its own. Gives it, and the terminal's other end."""
    ours, theirs = pty.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [mounts_module.BINARY, "key", *words],
        stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=take_terminal, **how,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal, text=None):
    """What the terminal shows, up to a text, or to its end."""
    shown = ""
    while text is None or text not in shown:
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:
            assert text is None, shown
            break
    return shown


def has_echo(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def test_a_passphrase_is_asked_for_and_not_shown(tmp_path):
    path = write_key(tmp_path / "key")
    with on_terminal("passphrase", path) as (process, terminal):
        shown = read_until(terminal, "New passphrase: ")
        assert not has_echo(terminal)
        os.write(terminal, f"{SECRET}\n".encode())
        shown += read_until(terminal, "Once more: ")
        worker = commands.worker_of(process)
        for pid in (process.pid, worker):
            assert SECRET not in Path(f"/proc/{pid}/cmdline").read_text()
        limits = Path(f"/proc/{worker}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
        os.write(terminal, f"{SECRET}\n".encode())
        shown += read_until(terminal)
        assert process.wait(60) == OK, shown
    assert SECRET not in shown
    master, stretch = keyfiles.read_key_text(path.read_text())
    assert master == MASTER
    stores = stores_of(tmp_path / "stores", stretch=stretch)
    with on_terminal("recover", stores, tmp_path / "back") as (process, terminal):
        read_until(terminal, "key: ")
        os.write(terminal, f"{SECRET}\n".encode())
        read_until(terminal)
        assert process.wait(60) == OK
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_two_different_ones(tmp_path):
    path = write_key(tmp_path / "key")
    with on_terminal("passphrase", path) as (process, terminal):
        read_until(terminal, "New passphrase: ")
        os.write(terminal, b"one\n")
        read_until(terminal, "Once more: ")
        os.write(terminal, b"two\n")
        assert "not the same" in read_until(terminal)
        assert process.wait(60) == USAGE
    assert path.read_text() == keyfiles.key_text(MASTER)


def test_an_interrupt_leaves_the_terminal_as_it_was(tmp_path):
    path = write_key(tmp_path / "key")
    with on_terminal("passphrase", path) as (process, terminal):
        read_until(terminal, "New passphrase: ")
        os.write(terminal, b"\x03")
        deadline = time.monotonic() + 60
        while not has_echo(terminal) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert has_echo(terminal)
        read_until(terminal)
        assert process.wait(60) == FAILED
    assert path.read_text() == keyfiles.key_text(MASTER)


def test_a_picture_where_the_program_is(tmp_path):
    """By standard input alone, and only on a terminal."""
    path, folder = write_key(tmp_path / "key"), tmp_path / "bin"
    folder.mkdir()
    fake = folder / "qrencode"
    fake.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/words\ncat >{tmp_path}/seen\necho PICTURE\n')
    fake.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    assert "PICTURE" not in key("show", path, env=environment).stdout
    with on_terminal("show", path, env=environment) as (process, terminal):
        assert "PICTURE" in read_until(terminal)
        assert process.wait(60) == OK
    assert (tmp_path / "seen").read_bytes() == path.read_bytes()
    assert MASTER.hex() not in (tmp_path / "words").read_text()
    fake.unlink()
    with on_terminal("show", path, env=environment) as (process, terminal):
        assert "check" in read_until(terminal)
        assert process.wait(60) == OK


# From stores


def test_any_k_stores_have_the_key(tmp_path):
    stores = stores_of(tmp_path / "stores")
    key("recover", stores, tmp_path / "a")
    assert (tmp_path / "a").read_text() == keyfiles.key_text(MASTER)
    assert (tmp_path / "a").stat().st_mode == 0o100600
    key("recover", stores, tmp_path / "a", status=FAILED)
    words = [word for name in ("s1", "s2", "s4") for word in ("--store", stores / name)]
    key("recover", *words, tmp_path / "b")
    assert (tmp_path / "b").read_text() == keyfiles.key_text(MASTER)
    assert "too few" in key("recover", *words[2:], tmp_path / "c", status=LOST).stderr
    assert not (tmp_path / "c").exists()


def test_a_key_is_not_written_into_a_store(tmp_path):
    stores = stores_of(tmp_path / "stores")
    assert "lies in the store" in key("recover", stores, stores / "s1" / "k", status=USAGE).stderr
    key("recover", "--log-file", stores / "s1" / "log", stores, tmp_path / "k", status=USAGE)
    assert sorted(os.listdir(stores / "s1")) == ["key"]


def test_wrong_stores_are_named(tmp_path):
    stores = stores_of(tmp_path / "stores", count=9)
    forged = bytearray((stores / "s1" / "key").read_bytes())
    forged[70] ^= 1
    (stores / "s1" / "key").write_bytes(forged[:112] + keyfiles.digest(bytes(forged[:112])))
    (stores / "s2" / "key").write_bytes(b"\0" * 128)
    (stores / "s3" / "key").write_bytes(keyfiles.key_share(OTHER, 3, 3))
    (stores / "s4" / "key").unlink()
    (stores / "s5" / "key").unlink()
    (stores / "s5" / "key").symlink_to(stores / "s6" / "key")
    told = key("recover", stores, tmp_path / "key", status=DAMAGED).stdout
    said = dict(re.findall(r"stores/(s\d): its key is (.*)", told))
    assert said == {
        "s1": "wrong: it is damaged or forged",
        "s2": "damaged, or no key",
        "s3": "of another set",
        "s4": "missing",
        "s5": "damaged, or no key",
    }
    assert (tmp_path / "key").read_text() == keyfiles.key_text(MASTER)


def test_two_sets(tmp_path):
    stores = stores_of(tmp_path / "stores")
    for i in range(3):
        (stores / f"t{i}").mkdir()
        (stores / f"t{i}" / "key").write_bytes(keyfiles.key_share(OTHER, 3, i))
    assert "two sets" in key("recover", stores, tmp_path / "a", status=FAILED).stderr
    for master in (MASTER, OTHER):
        path, words = tmp_path / master.hex(), ["--id", keyfiles.expand(master, b"id", 16).hex()]
        key("recover", *words, stores, path, status=DAMAGED)
        assert path.read_text() == keyfiles.key_text(master)


def test_k_of_the_user(tmp_path):
    """A node that says that two are enough, twice, is not believed before three that say three."""
    stores = stores_of(tmp_path / "stores", count=3)
    for i in range(3):
        (stores / f"t{i}").mkdir()
        (stores / f"t{i}" / "key").write_bytes(keyfiles.key_share(OTHER, 2, i))
    assert "--required" in key("recover", stores, tmp_path / "a", status=FAILED).stderr
    key("recover", "-k", "3", stores, tmp_path / "a", status=DAMAGED)
    assert (tmp_path / "a").read_text() == keyfiles.key_text(MASTER)


def test_passphrases_of_stores(tmp_path, secret_file):
    stretch = stretch_for(SECRET, tmp_path)
    stores = stores_of(tmp_path / "stores", stretch=stretch)
    key("recover", "--passphrase-file", secret_file, stores, tmp_path / "a")
    assert (tmp_path / "a").read_text() == keyfiles.key_text(MASTER, stretch)
    for wrong in (SECRET[:-1], SECRET + "\n\n", SECRET.upper()):
        (tmp_path / "wrong").write_text(wrong)
        words = ["--passphrase-file", tmp_path / "wrong", stores, tmp_path / "b"]
        assert key("recover", *words, status=FAILED).stderr == "zfec-fs: no key: the passphrase is wrong\n"
    for wrong in ("", "\n", "x" * 1025):
        (tmp_path / "wrong").write_text(wrong)
        key("recover", "--passphrase-file", tmp_path / "wrong", stores, tmp_path / "b", status=FAILED)
    told = key("recover", stores, tmp_path / "b", status=FAILED, start_new_session=True).stderr
    assert "--passphrase-file" in told
    assert not (tmp_path / "b").exists()


def test_an_open_key_where_there_should_be_a_passphrase(tmp_path, secret_file):
    stores = stores_of(tmp_path / "stores")
    words = ["recover", "--passphrase-file", secret_file, stores, tmp_path / "a"]
    assert "may be forged" in key(*words, status=FAILED).stderr
    one = make_stores(tmp_path / "one", [keyfiles.key_share(MASTER, 1, 0)])
    assert "may be forged" in key("recover", one, tmp_path / "a", status=FAILED).stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("numbers", [(0xFFFFFFFF, 3, 4), (4 << 20, 3, 4), (65536, 2**31, 4), (65536, 3, 65)])
def test_what_would_take_all_memory_is_refused_at_once(tmp_path, secret_file, numbers):
    shares = [keyfiles.key_share(MASTER, 3, i, (b"p" * 32, b"s" * 16, *numbers)) for i in range(5)]
    stores = make_stores(tmp_path / "stores", shares)
    done = key("recover", "--passphrase-file", secret_file, stores, tmp_path / "a", status=LOST)
    assert done.stdout.count("damaged, or no key") == 5


def test_the_nodes_of_a_set(tmp_path):
    stores, sets = stores_of(tmp_path / "stores"), tmp_path / "sets.ini"
    (tmp_path / "source").mkdir()
    lines = ["[home]", f"source = {tmp_path / 'source'}", "required = 3", "shares = 5"]
    for i in range(5):
        lines += [f"[home/n{i}]", f"rsync = {stores / f's{i}'}", f"share = {i:02x}"]
    sets.write_text("\n".join(lines) + "\n")
    key("recover", "--config", sets, "home:", tmp_path / "a")
    assert (tmp_path / "a").read_text() == keyfiles.key_text(MASTER)


# Changing the passphrase


def test_stores_get_a_passphrase_and_lose_it(tmp_path, secret_file):
    path, stores = write_key(tmp_path / "key"), stores_of(tmp_path / "stores")
    (stores / "s0" / "zmanifest").write_bytes(b"manifest")
    key("passphrase", "--passphrase-file", secret_file, path, stores)
    master, stretch = keyfiles.read_key_text(path.read_text())
    assert (master, stretch[2:]) == (MASTER, (65536, 3, 4))
    expected = {f"s{i}": keyfiles.key_share(MASTER, 3, i, stretch) for i in range(5)}
    assert keys_in(stores) == expected
    for name, share in expected.items():
        status = (stores / name / "key").stat()
        assert status.st_mtime_ns == keyfiles.time_of(share) * 10**9
        assert status.st_mode == 0o100600
    assert sorted(os.listdir(stores / "s0")) == ["key", "zmanifest"]
    key("recover", "--passphrase-file", secret_file, stores, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == path.read_bytes()

    key("passphrase", "--remove", path, stores)
    assert path.read_text() == keyfiles.key_text(MASTER)
    assert keys_in(stores) == {f"s{i}": keyfiles.key_share(MASTER, 3, i) for i in range(5)}
    assert path.stat().st_mode == 0o100600
    assert sorted(os.listdir(tmp_path)) == ["a", "key", "secret", "stores"]


def test_a_key_behind_a_symlink_is_changed_where_it_is(tmp_path, secret_file):
    (tmp_path / "folder").mkdir()
    path = write_key(tmp_path / "folder" / "key")
    (tmp_path / "link").symlink_to(path)
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
    owner = path.stat().st_uid, path.stat().st_gid
    key("passphrase", "--passphrase-file", secret_file, tmp_path / "link")
    assert keyfiles.read_key_text(path.read_text())[1] is not None
    assert (path.stat().st_uid, path.stat().st_gid) == owner
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path / "folder") == ["key"]


def test_one_passphrase_twice_is_not_the_same(tmp_path, secret_file):
    """No difference of what one node has is a function of passphrases alone: a fresh salt is in it."""
    path, stores = write_key(tmp_path / "key"), stores_of(tmp_path / "stores")
    seen = [keys_in(stores)["s1"]]
    for passphrase in ("one", "two", "one"):
        secret_file.write_text(passphrase)
        key("passphrase", "--passphrase-file", secret_file, path, stores)
        seen.append(keys_in(stores)["s1"])
    values, secrets = [share[64:96] for share in seen], [share[96:112] for share in seen]
    assert len({share[32:48] for share in seen}) == len(set(values)) == len(set(secrets)) == 4
    differences = {keyfiles.xor(a, b) for a in values for b in values if a != b}
    assert len(differences) == 6
    p = keyfiles.read_key_text(path.read_text())[1][0]
    assert keyfiles.xor(values[0], values[3]) != p


def test_two_k_of_one_node_have_nothing_in_common():
    stretch = (b"p" * 32, b"s" * 16, 65536, 3, 4)
    for kind in (None, stretch):
        values = [keyfiles.key_share(MASTER, k, 1, kind)[64:96] for k in (2, 3, 4)]
        lines = [keyfiles.xor(a, b) for a, b in zip(values, values[1:])]
        assert len({*values, *lines}) == 5
        assert all(len(set(line)) > 16 for line in lines)


def test_one_node_with_and_without_a_passphrase():
    """Whoever has a node's old part and its new one has nothing of P, nor of the difference of two."""
    kinds = [None, *((p * 32, s * 16, 65536, 3, 4) for p in (b"p", b"q") for s in (b"s", b"t"))]
    values = [keyfiles.key_share(MASTER, 3, 1, kind)[64:96] for kind in kinds]
    lines = {keyfiles.xor(a, b) for at, a in enumerate(values) for b in values[:at]}
    assert len({*values, *lines}) == len(values) + len(values) * (len(values) - 1) // 2
    assert all(len(set(line)) > 16 for line in lines)


def test_stores_that_cannot_be_changed(tmp_path, secret_file):
    path, stores = write_key(tmp_path / "key"), stores_of(tmp_path / "stores", count=6)
    other, one = keyfiles.key_share(OTHER, 3, 3), keyfiles.key_share(MASTER, 1, 4)
    (stores / "s3" / "key").write_bytes(other)
    (stores / "s5" / "key").unlink()
    done = key("passphrase", "--passphrase-file", secret_file, path, stores, status=FAILED)
    assert "2 stores were not changed" in done.stderr
    stretch = keyfiles.read_key_text(path.read_text())[1]
    right = {f"s{i}": keyfiles.key_share(MASTER, 3, i, stretch) for i in (0, 1, 2, 4)}
    assert keys_in(stores) == right | {"s3": other}
    assert one != right["s4"]


def test_a_store_that_says_that_one_is_enough_does_not_get_the_key(tmp_path, secret_file):
    """It would be given the secret itself."""
    stretch = stretch_for("another one", tmp_path)
    path, stores = write_key(tmp_path / "key", stretch=stretch), stores_of(tmp_path / "stores", stretch=stretch)
    lie = bytearray((stores / "s2" / "key").read_bytes())
    lie[9] = 1
    (stores / "s2" / "key").write_bytes(lie[:112] + keyfiles.digest(bytes(lie[:112])))
    key("passphrase", "--passphrase-file", secret_file, path, stores)
    assert {share[9] for share in keys_in(stores).values()} == {3}

    # None is of this key and its passphrase, nor are enough of another: K is not known by any.
    for name in ("s0", "s1", "s2"):
        (stores / name / "key").write_bytes(lie[:112] + keyfiles.digest(bytes(lie[:112])))
    before = keys_in(stores)
    write_key(path, stretch=stretch)
    done = key("passphrase", "--passphrase-file", secret_file, path, stores, status=USAGE)
    assert "--required" in done.stderr
    assert keys_in(stores) == before
    for i in range(3):
        (stores / f"s{i}" / "key").write_bytes(keyfiles.key_share(MASTER, 3, i, stretch))
    key("passphrase", "--passphrase-file", secret_file, "-k", "3", path, stores)
    assert before != keys_in(stores)
    key("recover", "--passphrase-file", secret_file, stores, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


def test_k_1_keeps_its_passphrase(tmp_path, secret_file):
    stretch = stretch_for(SECRET, tmp_path)
    path = write_key(tmp_path / "key", stretch=stretch)
    stores = stores_of(tmp_path / "stores", required=1, count=2, stretch=stretch)
    before = keys_in(stores)
    assert "k = 1" in key("passphrase", "--remove", path, stores, status=USAGE).stderr
    assert keys_in(stores) == before
    assert path.read_text() == keyfiles.key_text(MASTER, stretch)

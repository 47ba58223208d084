# SPDX-License-Identifier: MIT
"""The command line: every form that works, and one clear line for each that does not."""

import os
import re
import shutil
import socket
import stat
import subprocess

import pytest

import mounts as mounts_module
import oracle
import trees

USAGE, FAILED = 3, 4  # exit statuses
DATA = b"0123456789"
INDEX_NAMES = [trees.share_name(index) for index in range(256)]


@pytest.fixture
def source(tmp_path):
    trees.write_file(tmp_path / "source" / "file", DATA)
    return tmp_path / "source"


@pytest.fixture
def mountpoint(tmp_path):
    path = tmp_path / "mountpoint"
    path.mkdir()
    return path


# What is refused


def check_refused(result, culprit, mountpoint, status=USAGE):
    """One line that names the culprit, an exit status, nothing mounted."""
    mounted = mounts_module.is_mounted(mountpoint)
    if mounted:
        mounts_module.unmount_at_any_cost(mountpoint)
    assert not mounted, "it has mounted"
    assert result.returncode == status
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("zfec-fs: ")
    assert re.search(culprit, lines[0]), lines[0]
    assert re.match(r"zfec-fs: .+: .+", lines[0]), "what: why, what to do"


BAD_OPTIONS = {
    "required=0": "required",
    "required=256": "required",
    "required=-1": "required",
    "required=4294967297": "required",
    "required=": "required",
    "required=three": "required",
    "required=3x": "required",
    "required=0x3": "required",
    "required=3.0": "required",
    "required=21": "required|shares",
    "required=7,shares=6": "required|shares",
    "shares=2": "required|shares",
    "shares=0": "shares",
    "shares=257": "shares",
    "shares=-20": "shares",
    "shares=18446744073709551617": "shares",
    "shares=": "shares",
    "shares=many": "shares",
    "block_size=0": "block_size",
    "block_size=2K": "block_size",
    "block_size=2048": "block_size",
    "block_size=2M": "block_size",
    "block_size=65535": "block_size",
    "block_size=5000": "block_size",
    "block_size=12K": "block_size",
    "block_size=64KK": "block_size",
    "block_size=64X": "block_size",
    "block_size=-4096": "block_size",
    "block_size=": "block_size",
    "block_size=18014398509481988K": "block_size",
    "format=zip": "format",
    "format=": "format",
    "format=Checked": "format",
    "no_such_option": "no_such_option",
    "no_such_option=1": "no_such_option",
    "requires=3": "requires",
    "restore=2": "restore",
    "restore,unconfirmed=0": "unconfirmed",
    "xdev=no": "xdev",
    "restore=yes": "restore",
}


@pytest.mark.parametrize("options", BAD_OPTIONS)
@pytest.mark.parametrize("foreground", [True, False], ids=["foreground", "background"])
def test_bad_option(binary, source, mountpoint, options, foreground):
    words = ["-f"] if foreground else []
    result = mounts_module.run(*words, "-o", options, source, mountpoint, limit_s=10)
    check_refused(result, BAD_OPTIONS[options], mountpoint)


@pytest.mark.parametrize("word", ["-Z", "--no-such-option"])
def test_unknown_switch(binary, source, mountpoint, word):
    check_refused(mounts_module.run(word, source, mountpoint), re.escape(word), mountpoint)


def test_more_than_two_folders(binary, source, mountpoint, tmp_path):
    surplus = tmp_path / "surplus"
    surplus.mkdir()
    for folder in (surplus, mountpoint):
        result = mounts_module.run(source, mountpoint, surplus)
        check_refused(result, "surplus|mountpoint", folder)


def test_source_given_twice(binary, source, mountpoint, tmp_path):
    """Which of the two is meant cannot be known, unless they are one and the same."""
    other = tmp_path / "other"
    other.mkdir()
    result = mounts_module.run("-o", f"source={other}", source, mountpoint)
    check_refused(result, "source|other", mountpoint)


@pytest.mark.parametrize("spelled", ["positional", "option"])
@pytest.mark.parametrize("restore", [False, True], ids=["encoded", "restored"])
def test_no_such_source(binary, mountpoint, tmp_path, spelled, restore):
    words = source_words(tmp_path / "nowhere", spelled, restore)
    check_refused(mounts_module.run(*words, mountpoint), "nowhere", mountpoint, FAILED)


@pytest.mark.parametrize("spelled", ["positional", "option"])
@pytest.mark.parametrize("restore", [False, True], ids=["encoded", "restored"])
def test_source_is_a_file(binary, source, mountpoint, spelled, restore):
    words = source_words(source / "file", spelled, restore)
    check_refused(mounts_module.run(*words, mountpoint), "source/file", mountpoint, FAILED)


def source_words(path, spelled, restore):
    words = ["-o", "restore"] if restore else []
    return [*words, path] if spelled == "positional" else [*words, "-o", f"source={path}"]


@pytest.mark.parametrize("words, meant", [
    (["encod", "-k", "3", "a", "b"], "encode"), (["repiar", "--delete", "a"], "repair"),
    (["verify", "a"], "check"), (["fsck"], "check"), (["restor", "a", "b"], "restore"),
    (["restored"], "restore"), (["decod"], "decode"), (["help"], None), (["a", "b"], None),
    (["sync-all-of-my-nodes"], None), (["ver"], None), ([" "], None),
])  # fmt: skip
def test_no_such_command(binary, tmp_path, words, meant):
    done = subprocess.run([binary, *words], capture_output=True, text=True, check=False, cwd=tmp_path)
    rest = f": did you mean {meant}?" if meant else ", and no such directory; see zfec-fs --help"
    line = f"zfec-fs: there is no command '{words[0]}'{rest}\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", line)


@pytest.mark.parametrize("words, told", [
    (["info", "-c", "sets.ini"],
     "-c: not an option of info, but of encode (--checksum), decode (--checksum), check (--config), "
     "repair (--config), sync (--config), status (--config), recover (--config)"),
    (["encode", "--config", "sets.ini"],
     "--config: not an option of encode, but of decode, check, repair, sync, status, recover, key"),
    (["bench", "--to", "00=a"], "--to: not an option of bench, but of encode"),
    (["info", "-Z"], "-Z: not an option of info"),
])  # fmt: skip
def test_an_option_of_another_command(binary, words, told):
    done = mounts_module.run(*words)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert re.fullmatch(rf"zfec-fs: {re.escape(told)}; see zfec-fs \w+ --help\n", done.stderr)


def test_restore_is_another_name_of_decode(binary, source, tmp_path):
    mounts_module.run("encode", "-k", "2", "-n", "3", source, tmp_path / "shares")
    done = mounts_module.run("restore", "--json", tmp_path / "shares", tmp_path / "restored")
    assert (done.returncode, done.stderr) == (0, "")
    assert '"command":"decode"' in done.stdout
    assert (tmp_path / "restored" / "file").read_bytes() == DATA
    shown = mounts_module.run("restore", "--help").stdout
    assert shown == mounts_module.run("decode", "--help").stdout


def test_mountpoint_missing(binary, source, tmp_path):
    missing = tmp_path / "missing"
    check_refused(mounts_module.run(source, missing), "missing", missing)


def test_mountpoint_is_a_file(binary, source, tmp_path):
    path = trees.write_file(tmp_path / "a-file", DATA)
    check_refused(mounts_module.run(source, path), "a-file", path)


def test_mountpoint_that_is_a_mount_already(mounts, source):
    view = mounts.encoded(source)
    result = mounts_module.run(source, view.path)
    assert result.returncode == USAGE
    assert re.fullmatch(r"zfec-fs: .*: zfec-fs has mounted .*nonempty\n", result.stderr)
    assert mounts_module.run("-o", "nonempty", source, view.path).returncode == 0
    subprocess.run(["fusermount3", "-u", view.path], check=True)
    assert (view / "00" / "file").exists()


def test_mountpoint_that_is_not_empty(mounts, source, mountpoint):
    """Perhaps the only word was meant to be the source; at least its files would be hidden."""
    for words in ([source], [mountpoint, source], ["-o", "restore", mountpoint, source]):
        result = mounts_module.run(*words)
        check_refused(result, "source: cannot be the mountpoint: not empty", source)
        assert ("if it is the source, give an empty directory behind it" in result.stderr) == (len(words) == 1)
    view = mounts.encoded(source, at=source, nonempty=True)
    assert (view / "00" / "file").exists()


@pytest.mark.parametrize("top, required", [("files", 1), ("files", 2), ("directories", 2)])
@pytest.mark.parametrize("words", ["decode", "check", "repair", "-o restore", "-o rebuild"])
def test_store_in_place_of_the_stores(binary, source, mountpoint, words, top, required):
    """Of a store for k = 1 alone all could be restored, but from the wrong directory."""
    trees.write_file(source / "folder" / "file", DATA)
    trees.write_file(source / "other" / "file", DATA)
    if top == "directories":
        (source / "file").unlink()
        (source / "empty").mkdir()
    shares = source.parent / "shares"
    mounts_module.run("encode", "-k", str(required), "-n", "2", source, shares)
    more = [] if words in ("check", "repair") else [mountpoint]
    result = mounts_module.run(*words.split(), shares / "01", *more)
    check_refused(result, "01: looks like a store itself, of share 01", mountpoint)
    alone = mounts_module.run("check", "--store", shares / "01")
    assert alone.returncode == (0 if required == 1 else 2)


@pytest.mark.parametrize("words", [[], ["-f"], ["-o", "required=3"], ["-o", "source=/tmp"]], ids=str)
def test_no_mountpoint(binary, tmp_path, words):
    check_refused(mounts_module.run(*words, cwd=tmp_path), "(?i)mountpoint|mount point", tmp_path)


def test_restore_without_stores(binary, mountpoint):
    result = mounts_module.run("-o", "restore", mountpoint)
    check_refused(result, "(?i)store|source", mountpoint)


def test_no_such_store(binary, source, mountpoint, tmp_path):
    for words in ([], [source]):
        result = mounts_module.run(
            "-o", f"restore,store={tmp_path}/nowhere", *words, mountpoint
        )
        check_refused(result, "nowhere", mountpoint, FAILED)


def test_store_is_a_file(binary, source, mountpoint):
    result = mounts_module.run("-o", f"restore,store={source}/file", mountpoint)
    check_refused(result, "source/file", mountpoint, FAILED)


def test_store_without_restore(binary, source, mountpoint):
    """Taken silently, it would show the encoded view to someone who asked for the restored one."""
    result = mounts_module.run("-o", f"store={source}", source, mountpoint)
    check_refused(result, "store", mountpoint)


def test_classic_restore_of_too_many(binary, source, mountpoint):
    result = mounts_module.run(
        "-o", "restore,format=classic,required=256", source, mountpoint
    )
    check_refused(result, "required", mountpoint)


# What is told


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help(binary, word):
    result = mounts_module.run(word)
    assert (result.returncode, result.stderr) == (0, "")
    assert max(map(len, result.stdout.expandtabs().splitlines())) <= 80
    for name in ("source=", "required=", "shares=", "restore", "format=", "block_size=", "store="):
        assert name in result.stdout
    for switch in ("-f", "-d", "-s", "-h", "-V", "-o"):
        assert re.search(rf"(^|\s){switch}\b", result.stdout), switch


@pytest.mark.parametrize("word", ["-V", "--version"])
def test_version(binary, word):
    result = mounts_module.run(word)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"zfec-fs\D* \d+\.\d+", result.stdout)


def test_help_fails_where_it_cannot_be_written(binary):
    with open("/dev/full", "w", encoding="ascii") as full:
        result = subprocess.run([binary, "-h"], check=False, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == FAILED


# What works


def check_encoded(view, required, shares, share_format="checked", block_size=65536):
    """The root lists the shares; the last share is as these options say."""
    assert sorted(os.listdir(view.path)) == INDEX_NAMES[:shares]
    index = shares - 1
    expected = oracle.make_share(
        share_format, DATA, required, shares, index, trees.MTIME_NS, block_size
    )
    share = (view / trees.share_name(index) / "file").read_bytes()
    trees.assert_same(share, expected, f"share {index}")


def test_defaults(mounts, source):
    check_encoded(mounts.start(source), 3, 20)


def test_source_option(mounts, source):
    check_encoded(mounts.start("-o", f"source={source},required=3,shares=6"), 3, 6)


def test_options_apart(mounts, source):
    view = mounts.start("-o", f"source={source}", "-o", "required=2", "-oshares=5")
    check_encoded(view, 2, 5)


def test_later_option_overrides_an_earlier_one(mounts, source):
    check_encoded(mounts.start("-o", "required=4,required=2", source), 2, 20)


def test_options_after_the_mountpoint(mounts, source, mountpoint):
    view = mounts.start(
        source, mountpoint, "-o", "required=2", at=mountpoint, spelled="-oshares=4"
    )
    check_encoded(view, 2, 4)


def test_whole_root_by_default(mounts):
    view = mounts.start()
    assert sorted(os.listdir(view.path)) == INDEX_NAMES[:20]
    for index in (0, 19):
        assert set(os.listdir(view / trees.share_name(index))) == set(os.listdir("/"))
    own_root = view / f"00{view.path}"
    assert stat.S_ISDIR(own_root.lstat().st_mode)
    assert os.listdir(own_root) == []
    expected = oracle.make_share(
        "checked", mounts_module.BINARY.read_bytes(), 3, 20, 19, os.stat(binary_path()).st_mtime_ns
    )
    trees.assert_same((view / f"13{binary_path()}").read_bytes(), expected, "zfec-fs, encoded")


def binary_path():
    return os.path.realpath(mounts_module.BINARY)


@pytest.mark.parametrize("required, shares", [(1, 1), (1, 256), (255, 256), (255, 255), (20, 20)])
def test_extreme_numbers(mounts, source, required, shares):
    check_encoded(mounts.encoded(source, required=required, shares=shares), required, shares)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_formats(mounts, source, share_format):
    check_encoded(mounts.encoded(source, format=share_format), 3, 20, share_format)


@pytest.mark.parametrize(
    "text, size",
    [("4K", 4096), ("4096", 4096), ("64K", 65536), ("65536", 65536), ("1M", 1 << 20),
     ("1024K", 1 << 20), ("1048576", 1 << 20)],
)  # fmt: skip
def test_block_sizes(mounts, tmp_path, rng, text, size):
    data = rng.randbytes(2 * size + 77)
    trees.write_file(tmp_path / "source" / "file", data)
    view = mounts.encoded(tmp_path / "source", required=2, shares=3, block_size=text)
    expected = oracle.make_share("checked", data, 2, 3, 2, trees.MTIME_NS, size)
    trees.assert_same((view / "02" / "file").read_bytes(), expected, text)


def test_switches(mounts, source):
    check_encoded(mounts.start("-s", source), 3, 20)


def test_debug(mounts, source):
    view = mounts.start("-d", source)
    view.expect_log("")
    check_encoded(view, 3, 20)
    assert "LOOKUP" in view.log()


@pytest.mark.parametrize("words", [["-o", "restore"], ["-o", "restore=1"], ["-orestore"]], ids=str)
@pytest.mark.parametrize("spelled", ["positional", "option"])
def test_restore(mounts, tmp_path, words, spelled):
    stores = tmp_path / "stores"
    trees.make_stores(stores, "file", DATA, (2, 9, 13))
    view = mounts.start(*words, *source_words(stores, spelled, False))
    assert (view / "file").read_bytes() == DATA


@pytest.mark.parametrize(
    "options",
    [
        "ro",
        "rw",
        "default_permissions",
        "allow_other",
        "nosuid,nodev,noexec,noatime",
        "dev,suid",
        "io_uring",
        "cache=yes",
        "cache=no",
    ],
)
def test_options_of_every_fuse_program(mounts, source, options):
    check_encoded(mounts.start("-o", options, source), 3, 20)


def test_what_the_mount_table_says(mounts, source):
    entry = mounts_module.entry_of(mounts.start("-o", "fsname=my-backup", source).path)
    assert entry.source == "my-backup"
    assert "ro" in entry.options


@pytest.mark.parametrize("options, expected", [
    ("allow_other", {"allow_other", "default_permissions"}),
    ("fsname=x,allow_other,nosuid", {"allow_other", "default_permissions"}),
    ("default_permissions", {"default_permissions"}),
    ("fsname=allow_other", set()), ("fsname=x\\,allow_other", set()),
    ("fsname=default_permissions", set()), ("fsname=x\\,default_permissions\\,y", set()),
    ("source={source}/allow_other", set()), ("source={source}\\,allow_other", set()),
])  # fmt: skip
def test_the_value_of_an_option_is_no_option(mounts, source, options, expected):
    """With allow_other, and only with it, default_permissions is added."""
    for name in ("source/allow_other", "source,allow_other"):
        trees.write_file(source.parent / name / "file", DATA)
    named = [] if "source=" in options else [source]
    view = mounts.start("-o", options.format(source=source), *named)
    mounted = mounts_module.entry_of(view.path).options
    assert {"allow_other", "default_permissions"} & {*mounted} == expected


def test_source_is_what_the_mount_table_names(mounts, source):
    assert mounts_module.entry_of(mounts.start(source).path).source == str(source)


@pytest.mark.parametrize("name", ["a,b", "a b", "a\\b", "a,ro=b,", "-dash", "naïve", "x\ny"])
def test_source_names(mounts, tmp_path, name):
    trees.write_file(tmp_path / name / "file", DATA)
    check_encoded(mounts.start(tmp_path / name), 3, 20)


@pytest.mark.parametrize("name", ["a,b", "a b", "naïve"])
def test_mountpoint_names(mounts, source, tmp_path, name):
    check_encoded(mounts.start(source, at=tmp_path / name), 3, 20)


def test_comma_within_an_option(mounts, tmp_path):
    """mount(8) and libfuse write it so."""
    trees.write_file(tmp_path / "a,b" / "file", DATA)
    check_encoded(mounts.start("-o", f"source={tmp_path}/a\\,b,shares=4"), 3, 4)


@pytest.mark.parametrize("restore", [False, True], ids=["encoded", "restored"])
def test_mount_command(binary, source, mountpoint, tmp_path, restore):
    """As mount(8) calls its helper, which finds the program by the type's name.

    Not through mount(8) itself: that sets a PATH of its own.
    """
    helper = shutil.which("mount.fuse3") or shutil.which("mount.fuse")
    if not helper or os.geteuid() != 0:
        pytest.skip("needs mount.fuse3 (Debian: fuse3) and root")
    trees.make_stores(tmp_path / "stores", "file", DATA, (0, 1, 2))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "zfec-fs").symlink_to(binary)
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    options = "rw,restore" if restore else "rw,required=2,shares=4"
    what = tmp_path / "stores" if restore else source
    command = [helper, what, mountpoint, "-o", options, "-t", "fuse.zfec-fs"]
    try:
        subprocess.run(command, check=True, env=environment, capture_output=True, timeout=30)
        expected = ["file"] if restore else INDEX_NAMES[:4]
        assert sorted(os.listdir(mountpoint)) == expected
        assert mounts_module.entry_of(mountpoint).source == str(what)
    finally:
        server = mounts_module.servers()
        mounts_module.unmount_at_any_cost(mountpoint)
        assert all(mounts_module.wait_for_exit(pid) for pid in server)


def test_source_may_hold_what_is_no_file(mounts, source):
    """A socket in the source must not keep the mount from starting."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
        check_encoded(mounts.start(source), 3, 20)

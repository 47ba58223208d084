# SPDX-License-Identifier: MIT
"""The restored view's tree: the union of the stores, and all that a copy of shares brings back."""

import os
import re
import shutil
import stat
import subprocess

import pytest

import commands
import mounts as mounts_module
import oracle
import trees

DATA = b"0123456789"
REQUIRED = 3
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def stores(tmp_path):
    folder = tmp_path / "stores"
    folder.mkdir()
    return folder


# The round trip that the program is there for


def fill(folder, rng):
    """A tree with something of everything, and times of its own everywhere."""
    for size in trees.interesting_sizes(REQUIRED, 65536):
        trees.write_file(folder / "sizes" / f"size-{size}", rng.randbytes(size))
    trees.write_file(folder / "doc" / "new\nline", b"odd")
    trees.write_file(folder / "doc" / ("n" * 255), b"long")
    trees.write_file(os.fsdecode(os.fsencode(folder) + b"/doc/\xff\xfe"), b"not UTF-8")
    (folder / "doc" / "empty").mkdir()
    (folder / "to-doc").symlink_to("doc")
    (folder / "to-nothing").symlink_to("no/such/file")
    os.link(folder / "doc" / "new\nline", folder / "sizes" / "same")
    os.mkfifo(folder / "fifo", 0o620)
    os.chmod(folder / "sizes" / "size-1", 0o4750)
    if os.geteuid() == 0:
        os.chown(folder / "sizes" / "size-0", 1234, 5678)
        os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    for number, path in enumerate(sorted(folder.rglob("*"), reverse=True)):
        os.utime(path, ns=(1, trees.MTIME_NS + number), follow_symlinks=False)
    os.utime(folder, ns=(1, trees.MTIME_NS - 1))


def rsync(*words):
    if not shutil.which("rsync"):
        pytest.skip("rsync is missing")
    # -D goes with -a for root alone; without it a user's copy would lack the FIFO's like.
    return subprocess.run(
        ["rsync", "-aHAX", *words], check=True, capture_output=True, text=True, timeout=300
    )


def differences(source, restored):
    """What rsync would do to make the restored tree equal to the source: nothing, it is hoped."""
    return rsync("-nic", "--delete", f"{source}/", f"{restored}/").stdout


STORE_NAMES = ["node A", ".hidden", "new\nline", "naïve", "99", "-dash", "a,b", "x" * 255]


def copy_shares(encoded, stores, indexes):
    """Each share's folder into a store of its own, whose name says nothing of the index."""
    for index, name in zip(indexes, STORE_NAMES):
        rsync(f"{encoded / trees.share_name(index)}/", f"{stores}/{name}/")


def mount_options(share_format):
    return {} if share_format == "checked" else {"format": share_format, "required": REQUIRED}


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_round_trip(mounts, source, stores, rng, share_format):
    fill(source, rng)
    encoded = mounts.encoded(source, required=REQUIRED, shares=20, format=share_format)
    copy_shares(encoded, stores, rng.sample(range(20), REQUIRED))
    restored = mounts.restored(stores, **mount_options(share_format))
    assert differences(source, restored.path) == ""


def test_round_trip_with_more_stores_than_needed(mounts, source, stores, rng):
    fill(source, rng)
    copy_shares(mounts.encoded(source), stores, rng.sample(range(20), 7))
    assert differences(source, mounts.restored(stores).path) == ""


def test_round_trip_without_copies(mounts, source, rng):
    """The encoded view's own shares are stores like any others."""
    fill(source, rng)
    encoded = mounts.encoded(source, shares=4)
    assert differences(source, mounts.restored(encoded.path).path) == ""


def test_the_comparison_can_fail(source, tmp_path, rng):
    """rsync's silence above means something only if it speaks here."""
    fill(source, rng)
    rsync(f"{source}/", f"{tmp_path}/copy/")
    assert differences(source, tmp_path / "copy") == ""
    (tmp_path / "copy" / "sizes" / "size-2").write_bytes(b"xx")
    os.chmod(tmp_path / "copy" / "doc", 0o700)
    assert len(differences(source, tmp_path / "copy").splitlines()) == 2


def set_attributes(source):
    """Extended attributes and an access list, or skip where /tmp cannot hold them."""
    if not shutil.which("setfacl"):
        pytest.skip("setfacl is missing")
    try:
        for name in ("file", "folder"):
            os.setxattr(source / name, "user.note", b"kept")
        subprocess.run(["setfacl", "-m", "u:1234:r", source / "file"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no extended attributes here: {error}")


def test_round_trip_of_attributes(mounts, source, stores):
    """rsync -X and -A ask for them, so that the demo's comparison is about them, too."""
    trees.write_file(source / "file", DATA)
    (source / "folder").mkdir()
    set_attributes(source)
    encoded = mounts.encoded(source)
    assert os.getxattr(encoded / "04" / "file", "user.note") == b"kept"
    assert "user.note" in os.listxattr(encoded / "04" / "folder")
    copy_shares(encoded, stores, (4, 5, 6))
    assert differences(source, mounts.restored(stores).path) == ""


# What is a store


def test_what_is_no_folder_is_no_store(mounts, stores):
    trees.make_stores(stores, "file", DATA, (2, 9, 13))
    trees.write_file(stores / "README", b"not a store")
    (stores / "dangling").symlink_to("nowhere")
    (stores / "to-file").symlink_to("README")
    os.mkfifo(stores / "fifo")
    view = mounts.restored(stores)
    view.expect_log("^zfec-fs: .*(dangling|to-file|README|fifo)", count=0)
    assert os.listdir(view.path) == ["file"]
    assert (view / "file").read_bytes() == DATA


def move_stores(stores, elsewhere, indexes):
    elsewhere.mkdir()
    return [shutil.move(stores / f"store-{i}", elsewhere / f"store-{i}") for i in indexes]


def test_store_from_elsewhere(mounts, stores, tmp_path):
    trees.make_stores(stores, "file", DATA, (2, 9, 13))
    (moved,) = move_stores(stores, tmp_path / "elsewhere", [9])
    view = mounts.restored(stores, store=moved)
    assert (view / "file").read_bytes() == DATA


def test_stores_from_elsewhere_alone(mounts, stores, tmp_path):
    trees.make_stores(stores, "file", DATA, (2, 9, 13))
    moved = move_stores(stores, tmp_path / "elsewhere", [2, 9, 13])
    view = mounts.start("-o", "restore", *(f"-ostore={path}" for path in moved))
    assert (view / "file").read_bytes() == DATA


def test_no_stores_in_stores(mounts, stores):
    view = mounts.restored(stores)
    view.expect_log(f"^zfec-fs: .*{stores}", count=1)
    view.expect_log("^zfec-fs: 0 stores found, 1 needed: .*; are they mounted[?]$", count=1)
    assert stat.S_ISDIR(view.path.stat().st_mode)
    with pytest.raises(OSError, match="Input/output error"):
        os.listdir(view.path)


def test_store_given_twice(mounts, stores, tmp_path):
    """Its share counts once: two of three are there."""
    trees.make_stores(stores, "file", DATA, (2, 9))
    trees.make_stores(stores, "whole", DATA, (2, 9, 13))
    view = mounts.restored(stores, store=stores / "store-2")
    check_too_few(view, "file", 2)


# The union


def make_links_and_folders(stores):
    """A folder, a symlink and an empty folder, each in two stores; and some that one alone has."""
    for index in (2, 9):
        (stores / f"store-{index}" / "only-in-two").mkdir()
    for index in (9, 13):
        (stores / f"store-{index}" / "link").symlink_to("file")
    for index in (0, 13):
        (stores / f"store-{index}" / "folder" / "deep").mkdir()
    (stores / "store-2" / "folder" / "alone").mkdir()
    (stores / "store-13" / "link-alone").symlink_to("file")


def test_union_of_trees(mounts, stores):
    """What two stores have is there, whichever two they are; what one has, that may be anything."""
    trees.make_stores(stores, "file", DATA, (2, 9, 13))
    trees.make_stores(stores, "folder/a", b"aaa", (2, 9), 2)
    trees.make_stores(stores, "folder/b", b"bbb", (9, 13), 2)
    trees.make_stores(stores, "folder/c", b"ccc", (0, 13), 2)
    trees.make_stores(stores, "folder/d", b"ddd", (0, 2), 1)
    make_links_and_folders(stores)
    view = mounts.restored(stores)
    for name, store in (("folder/alone", "store-2"), ("link-alone", "store-13")):
        view.expect_log(f"^zfec-fs: {name} is not shown: only {store} has it, 2 needed", count=1)
    assert sorted(os.listdir(view.path)) == ["file", "folder", "link", "only-in-two"]
    assert sorted(os.listdir(view / "folder")) == ["a", "b", "c", "d", "deep"]
    for name in "abcd":
        assert (view / "folder" / name).read_bytes() == name.encode() * 3
    assert os.readlink(view / "link") == "file"
    assert (view / "link").read_bytes() == DATA


def test_many_names(mounts, stores):
    """More than one buffer of a listing; each name once, though three stores or more have it."""
    names = [f"a-name-that-is-not-too-short-{number}" for number in range(2000)]
    shares = trees.make_shares("checked", DATA, REQUIRED, 20, range(4))
    for index, share in shares.items():
        (stores / f"store-{index}").mkdir()
        for name in names[: index * 100] + names[(index + 1) * 100 :]:
            (stores / f"store-{index}" / name).write_bytes(share)
    view = mounts.restored(stores)
    assert sorted(os.listdir(view.path)) == sorted(names)
    assert {path.stat().st_size for path in view.path.iterdir()} == {len(DATA)}


def test_files_that_need_different_numbers_of_shares(mounts, stores, rng):
    """required=1: what each says of itself is enough."""
    contents = {}
    for required in (1, 2, 3, 7):
        contents[f"of-{required}"] = data = rng.randbytes(40000)
        indexes = rng.sample(range(8), required)
        trees.make_stores(stores, f"of-{required}", data, indexes, required, shares=8)
    view = mounts.restored(stores, required=1)
    for name, data in contents.items():
        trees.assert_same((view / name).read_bytes(), data, name)


def test_block_sizes_side_by_side(mounts, stores, rng):
    data = rng.randbytes(3 << 20)
    for log in range(12, 21):
        trees.make_stores(stores, f"log-{log}", data, (0, 5, 6), block_size=1 << log)
    view = mounts.restored(stores)
    for log in range(12, 21):
        trees.assert_same((view / f"log-{log}").read_bytes(), data, f"log {log}")


# Too few shares


def number(value):
    """A number that is a word of its own, and no part of a path."""
    return rf"(?<![\w/-]){value}(?![\w/-])"


def check_too_few(view, name, there, required=REQUIRED):
    """Listed, of a size that nobody has to believe, and EIO on open with one line on why."""
    base = os.path.basename(name)
    assert base in os.listdir((view / name).parent)
    assert (view / name).stat().st_size == 0
    view.expect_log(
        rf"^zfec-fs: (?=.*\b{base}\b)(?=.*{number(there)})(?=.*{number(required)})", count=1
    )
    with pytest.raises(OSError, match="Input/output error"):
        (view / name).read_bytes()


def test_too_few_shares(mounts, stores):
    trees.make_stores(stores, "folder/lost", DATA, (0, 1))
    trees.make_stores(stores, "whole", DATA, (0, 1, 2))
    view = mounts.restored(stores)
    check_too_few(view, "folder/lost", 2)
    assert (view / "whole").read_bytes() == DATA


def test_a_share_in_one_store_alone(mounts, stores):
    """It is not shown, and the log says so once."""
    trees.make_stores(stores, "folder/alone", DATA, (1,))
    trees.make_stores(stores, "folder/whole", DATA, (0, 1, 2))
    view = mounts.restored(stores)
    view.expect_log("^zfec-fs: folder/alone is not shown: only store-1 has it, 3 needed", count=1)
    for _ in range(2):
        assert os.listdir(view / "folder") == ["whole"]
        assert not os.path.lexists(view / "folder" / "alone")
    assert (view / "folder" / "whole").read_bytes() == DATA


@pytest.mark.parametrize("share_format", ["classic", "fec"])
def test_too_few_shares_in_other_formats(mounts, stores, share_format):
    trees.make_stores(stores, "lost", DATA, (4, 7), share_format=share_format)
    trees.make_stores(stores, "whole", DATA, (4, 7, 9), share_format=share_format)
    view = mounts.restored(stores, format=share_format)
    check_too_few(view, "lost", 2)


def test_empty_file_with_too_few_shares(mounts, stores):
    """Nothing is nothing that it could stand for either: the shares may be of another version."""
    trees.make_stores(stores, "lost", b"", (4, 7))
    trees.make_stores(stores, "whole", DATA, (4, 7, 9))
    check_too_few(mounts.restored(stores), "lost", 2)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_the_same_index_twice_counts_once(mounts, stores, share_format):
    made = trees.make_stores(stores, "file", DATA, (4, 7), share_format=share_format)
    trees.make_stores(stores, "whole", DATA, (4, 7, 9), share_format=share_format)
    trees.write_file(stores / "copy" / "file", made[7])
    view = mounts.restored(stores, **mount_options(share_format))
    check_too_few(view, "file", 2)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_the_same_index_twice_does_no_harm(mounts, stores, share_format):
    made = trees.make_stores(stores, "file", DATA, (4, 7, 9), share_format=share_format)
    trees.write_file(stores / "copy" / "file", made[7])
    view = mounts.restored(stores, **mount_options(share_format))
    assert (view / "file").read_bytes() == DATA


# What stat says


@as_root
def test_owner_and_mode(mounts, stores):
    trees.make_stores(stores, "file", DATA, (0, 1, 2))
    for index in range(3):
        path = stores / f"store-{index}" / "file"
        os.chown(path, 1234, 5678)
        os.chmod(path, 0o2640)
    found = (mounts.restored(stores) / "file").stat()
    assert (found.st_uid, found.st_gid) == (1234, 5678)
    assert stat.S_IMODE(found.st_mode) == 0o2640
    assert (found.st_size, found.st_nlink, found.st_mtime_ns) == (len(DATA), 1, trees.MTIME_NS)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_sizes(mounts, stores, rng, share_format):
    for size in trees.interesting_sizes(REQUIRED):
        data = rng.randbytes(size)
        trees.make_stores(stores, f"size-{size}", data, (3, 4, 19), share_format=share_format)
    view = mounts.restored(stores, **mount_options(share_format))
    for size in trees.interesting_sizes(REQUIRED):
        assert (view / f"size-{size}").stat().st_size == size


def test_inode_numbers(mounts, stores):
    """Different files have different numbers; listings and stat say the same."""
    for number in range(50):
        trees.make_stores(stores, f"folder/file-{number}", DATA, (number % 4, 5, 6))
    view = mounts.restored(stores)
    numbers = {path: path.lstat().st_ino for path in [view.path, *view.path.rglob("*")]}
    assert len(set(numbers.values())) == 52
    for entry in os.scandir(view / "folder"):
        assert entry.inode() == entry.stat().st_ino


# Stores that are not to be trusted


@pytest.mark.parametrize("spelled", ["absolute", "relative", "within"])
def test_a_symlink_in_a_store_leads_nowhere(mounts, stores, tmp_path, spelled):
    """A folder that is a symlink in one store must not bring in what lies outside of it."""
    made = trees.make_stores(stores, "folder/file", DATA, (0, 1, 2))
    trees.make_stores(stores, "whole", DATA, (0, 1, 2))
    outside = stores / "store-2" / "other" if spelled == "within" else tmp_path / "outside"
    trees.write_file(outside / "file", made[2])
    shutil.rmtree(stores / "store-2" / "folder")
    target = outside if spelled == "absolute" else os.path.relpath(outside, stores / "store-2")
    (stores / "store-2" / "folder").symlink_to(target)
    view = mounts.restored(stores)
    view.expect_log(
        "^zfec-fs: folder: the stores have a directory in store-0 store-1, a symlink to .* in store-2$",
        count=1,
    )
    check_too_few(view, "folder/file", 2)


def test_a_symlinked_share_is_no_share(mounts, stores, tmp_path):
    made = trees.make_stores(stores, "file", DATA, (0, 1, 2))
    trees.make_stores(stores, "whole", DATA, (0, 1, 2))
    outside = trees.write_file(tmp_path / "outside", made[2])
    (stores / "store-2" / "file").unlink()
    (stores / "store-2" / "file").symlink_to(outside)
    view = mounts.restored(stores)
    view.expect_log(
        "^zfec-fs: file: the stores have a file in store-0 store-1, a symlink to .* in store-2$",
        count=1,
    )
    check_too_few(view, "file", 2)


def put_fifo(path):
    os.mkfifo(path)


def put_folder(path):
    (path / "below").mkdir(parents=True)


def put_symlink(path):
    path.symlink_to("elsewhere")


def put_empty_file(path):
    path.touch()


def put_text(path):
    path.write_bytes(b"this is no share\n" * 20)


def mount_with(mounts, stores, name, put):
    """Three good shares of a file, and in a store called `name` something else in its place."""
    trees.make_stores(stores, "file", DATA, (0, 1, 2))
    (stores / name).mkdir()
    put(stores / name / "file")
    view = mounts.restored(stores)
    view.expect_log("^zfec-fs: .*file", count=0)
    return view


@pytest.mark.parametrize("name", ["a-first", "z-last"])
@pytest.mark.parametrize("put", [put_empty_file, put_text])
def test_a_file_that_is_no_share(mounts, stores, put, name):
    """Three good shares restore a file, whatever files have its name in other stores."""
    view = mount_with(mounts, stores, name, put)
    assert (view / "file").stat().st_size == len(DATA)
    assert (view / "file").read_bytes() == DATA


@pytest.mark.parametrize("name", ["a-first", "z-last"])
@pytest.mark.parametrize("put", [put_fifo, put_folder, put_symlink])
def test_another_kind_among_shares(mounts, stores, put, name):
    """Three good shares restore a file, though one store has something else of its name."""
    view = mount_with(mounts, stores, name, put)
    assert stat.S_ISREG((view / "file").lstat().st_mode)
    assert (view / "file").read_bytes() == DATA


@pytest.mark.parametrize("put", [put_empty_file, put_text])
def test_nothing_but_what_is_no_share(mounts, stores, put):
    """A file of which there is no share is listed, and is an error to open."""
    trees.make_stores(stores, "whole", DATA, range(4))
    for number in range(4):
        put(stores / f"store-{number}" / "lost")
    view = mounts.restored(stores)
    view.expect_log(r"^zfec-fs: .*\blost\b")
    assert sorted(os.listdir(view.path)) == ["lost", "whole"]
    with pytest.raises(OSError, match="Input/output error"):
        (view / "lost").read_bytes()


def check_not_mounted(stores, mountpoint, status, culprit, **options):
    mountpoint.mkdir(exist_ok=True)
    for kind in ("restore", "rebuild"):
        words = mounts_module.option_list({kind: True, **options})
        result = mounts_module.run(*words, stores, mountpoint)
        mounted = mounts_module.is_mounted(mountpoint)
        if mounted:
            mounts_module.unmount_at_any_cost(mountpoint)
        assert (result.returncode, mounted) == (status, False), result.stderr
        assert re.fullmatch(f"zfec-fs: [^\n]*{culprit}[^\n]*\n", result.stderr), result.stderr


@pytest.mark.parametrize("options", [{}, {"required": 2}, {"format": "fec"}])
def test_no_intact_header_anywhere(stores, tmp_path, options):
    """As decode does: what is mounted would be empty, or all an error, and nothing is to come."""
    content = b"\xff\xff\xff" * 20  # no header in any format
    for number in range(4):
        trees.write_file(stores / f"store-{number}" / "lost", content)
    culprit = "no share with an intact header in any store.*is --format right"
    check_not_mounted(stores, tmp_path / "at", commands.LOST, culprit, **options)


@pytest.mark.parametrize("share_format", ["classic", "fec"])
@pytest.mark.parametrize("how", ["all", "one"])
def test_checked_shares_are_not_taken_for_other_formats(stores, tmp_path, share_format, how):
    """In fec, their first bytes look like share 00 of k = 1: headers would be in the files."""
    other = share_format if how == "one" else "checked"
    for index in range(3):
        kind = "checked" if index == 1 else other
        trees.make_stores(stores, "file", DATA, (index,), share_format=kind)
    culprit = f"store {stores}/[^ ]*1 holds shares of format checked, not {share_format}"
    if how == "all":
        culprit = culprit.replace("[^ ]*1", "[^ ]*")
    check_not_mounted(stores, tmp_path / "at", commands.USAGE, culprit, format=share_format)
    before = commands.snapshot(stores)
    for words in (["check"], ["repair"], ["decode"]):
        dest = [tmp_path / "dest"] if words == ["decode"] else []
        done = commands.run(*words, "--format", share_format, stores, *dest, status=commands.USAGE)
        assert re.search(culprit, done.errors) and done.errors.count("\n") == 1, done.errors
    assert commands.snapshot(stores) == before
    assert not (tmp_path / "dest").exists()


@pytest.mark.parametrize("share_format", ["classic", "fec"])
def test_other_formats_where_checked_is_asked_for(stores, tmp_path, share_format):
    trees.make_stores(stores, "file", DATA, (0, 1, 2), share_format=share_format)
    culprit = f"the stores hold shares of format {share_format}, not checked"
    check_not_mounted(stores, tmp_path / "at", commands.USAGE, culprit)


def test_a_single_checked_share_among_others(stores, tmp_path):
    """It restores nothing, and nothing writes over it."""
    for name in ("file", "other", "third"):
        trees.make_stores(stores, name, DATA, (0, 1, 2, 3), share_format="fec")
    strange = next(stores.iterdir()) / "file"
    before = trees.make_shares("checked", DATA, 3, 20, (0,))[0]
    strange.write_bytes(before)
    done = commands.run("repair", "--format", "fec", stores, status=commands.DAMAGED)
    assert "a share of another format" in done.errors
    assert strange.read_bytes() == before
    commands.run("decode", "--format", "fec", stores, tmp_path / "dest", noisy=True)
    assert (tmp_path / "dest" / "file").read_bytes() == DATA


def test_no_intact_header_until_a_store_comes(mounts, stores):
    """Then nothing says how many shares are needed, and all is an error that says so."""
    for number in range(4):
        trees.write_file(stores / f"store-{number}" / "lost", b"this is no share\n" * 20)
    (stores / "not-mounted").mkdir()
    view = mounts.restored(stores)
    view.expect_log("^zfec-fs: the stores do not say how many shares are needed: .*required=")
    with pytest.raises(OSError, match="Input/output error"):
        os.listdir(view.path)


def test_other_formats_are_not_taken_for_checked(mounts, stores):
    trees.make_stores(stores, "whole", DATA, (0, 1, 2))
    trees.make_stores(stores, "lost", DATA, (0, 1, 2), share_format="classic")
    view = mounts.restored(stores)
    view.expect_log(r"^zfec-fs: .*\blost\b")
    with pytest.raises(OSError, match="Input/output error"):
        (view / "lost").read_bytes()


def test_space(mounts, stores, tmp_path):
    """k times what a store has, since each takes a k-th of a file; of shares, what the source has."""
    trees.make_stores(stores, "file", DATA * 100, (0, 1, 2))
    view = mounts.restored(stores)
    (view / "file").stat()
    found, below = os.statvfs(view.path), os.statvfs(stores)
    size = below.f_blocks * below.f_frsize
    assert abs(found.f_blocks * found.f_frsize - 3 * size) < 3 * 4096
    assert 0 < found.f_bavail <= found.f_bfree <= found.f_blocks
    assert (found.f_namemax, found.f_files) == (below.f_namemax, below.f_files)
    trees.write_file(tmp_path / "source" / "file", DATA)
    encoded = os.statvfs(mounts.encoded(tmp_path / "source").path)
    assert encoded.f_blocks * encoded.f_frsize == size


def test_the_root_is_a_dot_in_messages(mounts, stores, tmp_path):
    """And of a store that has other modes, one name is told."""
    trees.make_stores(stores, "file", DATA, (0, 1, 2, 3))
    for path in (stores / "store-1", stores / "store-1" / "file"):
        path.chmod(0o700)
    done = commands.run("decode", stores, tmp_path / "dest", noisy=True)
    said = f"zfec-fs: .: store {stores}/store-1 has another mode or owner than most, and maybe "
    assert done.errors.startswith(said) and done.errors.count("\n") == 1
    view = mounts.restored(stores)
    os.stat(view.path)
    view.expect_log("^zfec-fs: [.]: store .* has another mode or owner than most")

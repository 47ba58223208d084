# SPDX-License-Identifier: MIT
"""All that a tree holds beside its bytes survives: as shares, as their copies, and back again."""

import errno
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

import pytest

import mounts as mounts_module
import trees
import users
from disks import MEMORY
from faithful import (
    A_TIME, HANDS, OUT_TOOLS, SHARES, TOOLS, Hands, as_shares, assert_alike, carried_by,
    check_blocks, check_copy, check_harms_show, check_same_files, check_shares_apart, check_view,
    copy_shares, harm, set_list,
)  # fmt: skip
from users import IS_ROOT, NOBODY, needs_root, user_mount
from whole_tree import DEVICES, REQUIRED, make_tree, run_here, set_attribute

UNSANITIZED = True

VIEWS = pytest.mark.parametrize("view", ["encoded", "restored", "rebuilt"])


# The tree, its shares, and their copies


@pytest.fixture(scope="module", autouse=True)
def tools():
    for tool in ("rsync", "tar", "setfacl", "getfattr"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is missing")


@pytest.fixture(scope="module", params=[*mounts_module.if_long("disk"), "memory"])
def place(request, tmp_path_factory):
    """Two file systems, as a rule: one in memory has room for large attributes and all times."""
    if request.param == "disk":
        yield tmp_path_factory.mktemp("place")
        return
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < 200 << 20:
        pytest.skip(f"no room in {MEMORY}")
    with tempfile.TemporaryDirectory(prefix="zfec-fs-test-", dir=MEMORY) as folder:
        if not set_attribute(folder, "user.probe", b""):
            pytest.skip(f"no extended attributes in {MEMORY}")
        yield Path(folder)


@pytest.fixture(scope="module")
def source(place, module_rng):
    return make_tree(place / "source", module_rng)


@pytest.fixture(scope="module")
def encoded(source, module_mounts):
    view = module_mounts.encoded(source, required=REQUIRED, shares=SHARES)
    yield view
    view.unmount()


@pytest.fixture(scope="module")
def stores(place, encoded):
    return copy_shares(HANDS, "rsync", encoded, place / "stores")


@pytest.fixture(scope="module")
def restored(stores, module_mounts):
    view = module_mounts.restored(stores)
    yield view
    view.unmount()


def test_nothing_is_left_out(source):
    """The comparisons below mean something only if there is something to compare."""
    facts, attributes = HANDS.facts(source), "\n".join(HANDS.attributes(source).values())
    assert {found.kind for found in facts.values()} >= set("fdlps" + "bc" * IS_ROOT)
    assert max(len(os.fsencode(os.path.basename(path))) for path in facts) == 255
    assert max(len(os.fsencode(found.target)) for found in facts.values()) == 4095
    times = [float(found.others.split()[-1]) for found in facts.values()]
    assert min(times) <= -(1 << 31) and max(times) > 1 << 33
    assert any(each.blocks == "0" != each.size for each in HANDS.numbers(source).values())
    assert "default:" in "\n".join(HANDS.lists(source).values())
    names = ["user.empty=0x\n", "user.large=", *["trusted.", "security.capability="] * IS_ROOT]
    assert all(name in attributes for name in names)


@pytest.mark.parametrize("tool", ["rsync", "cp"])
def test_tools_are_faithful(place, source, tool):
    """Where a tool loses something by itself, the views are not to blame."""
    check_copy(HANDS, source, HANDS.copy(tool, source, place / f"plain-{tool}"))


@pytest.mark.parametrize("index", range(SHARES))
def test_shares(source, encoded, index):
    share = encoded / trees.share_name(index)
    assert_alike(HANDS.state(share), as_shares(HANDS.state(source)))
    check_same_files(HANDS, source, share)
    check_blocks(HANDS, share)


@pytest.mark.parametrize("tool", TOOLS)
def test_round_trip(mounts, place, source, encoded, tool):
    view = mounts.restored(copy_shares(HANDS, tool, encoded, place / f"stores-by-{tool}"))
    check_view(HANDS, carried_by(HANDS, tool, source, place), view.path)


def test_rebuilt(mounts, encoded, stores):
    view = mounts.rebuilt(stores, shares=SHARES)
    for index in range(SHARES):
        check_view(HANDS, encoded / trees.share_name(index), view / trees.share_name(index))
    check_shares_apart(HANDS, view)


@pytest.mark.parametrize("tool", OUT_TOOLS)
def test_copied_out(place, source, restored, tool):
    copy = HANDS.copy(tool, restored.path, place / f"out-by-{tool}")
    check_copy(HANDS, carried_by(HANDS, tool, source, place), copy)


def test_shares_are_apart(encoded):
    check_shares_apart(HANDS, encoded)


@VIEWS
def test_numbers_stay(mounts, source, stores, view):
    """Backup programs take a file for the one that they know by its number."""
    start, beneath = getattr(mounts, view), source if view == "encoded" else stores
    options = {} if view == "restored" else {"shares": SHARES}
    first = start(beneath, **options)
    numbers = HANDS.numbers(first.path)
    first.unmount()
    assert_alike(HANDS.numbers(start(beneath, **options).path), numbers)


# The comparisons can fail


def test_harms_show(place, source):
    copy = HANDS.copy("cp", source, place / "harmed")
    check_harms_show(source, copy, harm(copy))


def test_harms_in_stores_show(mounts, place, source, stores):
    """But for a file's time, which its shares have in their headers as well."""
    folder = HANDS.copy("cp", stores, place / "harmed-stores")
    for store in folder.iterdir():
        harmed = harm(store)
    restored = mounts.restored(folder).path
    check_harms_show(source, restored, harmed - {A_TIME})
    assert (restored / A_TIME).stat().st_mtime_ns == (source / A_TIME).stat().st_mtime_ns


@pytest.mark.parametrize("harmed", ["a-first", "z-last"])
def test_harm_in_one_store_of_four(mounts, place, source, encoded, stores, harmed):
    """Of all that is shown, that is right which three stores say."""
    folder = HANDS.copy("cp", stores, place / f"stores-and-{harmed}")
    harm(HANDS.copy("rsync", encoded / "00", folder / harmed))
    view = mounts.restored(folder)
    view.expect_log("^zfec-fs: .*: store ", count=0)
    view.expect_log("^zfec-fs: (special/socket|symlinks/here): the stores have ", count=0)
    check_view(HANDS, source, view.path)


user = users.user  # a fixture


home = users.home  # a fixture
ENCODE = ["-o", f"required={REQUIRED},shares={SHARES}"]


@needs_root
@pytest.mark.parametrize("tool", OUT_TOOLS)
def test_round_trip_of_a_user(user, home, mounts, rng, tool):
    hands = Hands(user.run)
    source = make_tree(home / "source", rng, NOBODY)
    encoded = user_mount(mounts, user, *ENCODE, source, name="encoded")
    stores = copy_shares(hands, tool, encoded, home / "stores")
    restored = user_mount(mounts, user, "-o", "restore", stores, name="restored")
    expected = carried_by(hands, tool, source, home)
    check_view(hands, expected, restored.path)
    check_copy(hands, expected, hands.copy(tool, restored.path, home / "out"))


@needs_root
def test_rebuilt_of_a_user(user, home, mounts, rng):
    hands = Hands(user.run)
    source = make_tree(home / "source", rng, NOBODY)
    encoded = user_mount(mounts, user, *ENCODE, source, name="encoded")
    stores = copy_shares(hands, "rsync", encoded, home / "stores")
    rebuilt = user_mount(mounts, user, "-o", f"rebuild,shares={SHARES}", stores, name="rebuilt")
    for name in ("00", "01"):  # lost, and not lost
        check_view(hands, encoded / name, rebuilt / name)
    check_shares_apart(hands, rebuilt)


def make_devices(folder):
    folder.mkdir(parents=True)
    for name, (kind, major, minor) in DEVICES.items():
        os.mknod(folder / name, kind | 0o666, os.makedev(major, minor))


def described(run, folder):
    """Kind, number and mode of each device."""
    done = run("stat", "-c", "%n %F %t %T %a", *(folder / name for name in DEVICES))
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().replace(f"{folder}/", "")


@needs_root
@pytest.mark.parametrize("view", [[], ["-o", "restore"], ["-o", "rebuild"]], ids=str)
def test_devices_for_a_user(user, home, mounts, view):
    """Shown as what they are, and of no use."""
    for index in range(REQUIRED):
        make_devices(home / f"stores/store-{index}")
    mount = user_mount(mounts, user, *view, home / "stores" / ("" if view else "store-0"), name="mnt")
    shown = mount.path if view == ["-o", "restore"] else mount / "00"
    assert described(user.run, shown) == described(run_here, home / "stores" / "store-0")
    assert b"Permission denied" in user.read(shown / "null")


# Access lists hold


def make_listed_files(folder):
    """A file that a list opens to nobody, the user, and one that a list closes to him."""
    trees.write_file(folder / "opened", b"data")
    trees.write_file(folder / "closed", b"data")
    set_list(folder / "opened", 0o600, f"u:{NOBODY}:r")
    set_list(folder / "closed", 0o644, f"u:{NOBODY}:-")
    return folder


def show_to_all(mounts, view, source, folder):
    """Mounts a view of the source, or of copies of its shares, for every user."""
    beneath = source
    if view != "encoded":
        encoded = mounts.encoded(source, required=REQUIRED, shares=SHARES)
        beneath = copy_shares(HANDS, "rsync", encoded, folder / "stores")
    mount = getattr(mounts, view)(beneath, allow_other=True, at=folder / "mnt")
    return mount.path if view == "restored" else mount / "00"


@needs_root
@VIEWS
def test_lists_hold(user, mounts, view):
    shown = show_to_all(mounts, view, make_listed_files(user.folder / "source"), user.folder)
    assert user.run("test", "-r", shown / "opened").returncode == 0
    assert user.run("test", "-r", shown / "closed").returncode == 1


@needs_root
@VIEWS
@pytest.mark.parametrize("is_open", [True, False], ids=["open", "closed"])
def test_the_list_of_the_root_holds(user, mounts, view, is_open):
    """What it opens is reached, though its mode alone, and that of the view's root, would not do.

    A list's mask stands in the mode where the group's rights do without a list.
    """
    source = make_listed_files(user.folder / "source")
    set_list(source, 0o700, f"u:{NOBODY}:{'rx' if is_open else '-'},g:1:rwx")
    shown = show_to_all(mounts, view, source, user.folder)
    assert (user.run("test", "-r", shown / "opened").returncode == 0) == is_open
    assert (user.run("ls", shown).returncode == 0) == is_open


# Special files are shown; what they stand for is out of reach


@pytest.fixture
def descriptors():
    """Closes what a test opens."""
    opened = []
    yield opened
    for descriptor in opened:
        os.close(descriptor)


def beneath(view, tmp_path):
    """The folders that a view is made from: a source, or as many stores as are needed."""
    count = 1 if view == "encoded" else REQUIRED
    folders = [tmp_path / "trees" / f"tree-{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


def show(mounts, view, folders):
    """Mounts a view of what beneath() has made; the folder that shows the names in it."""
    mount = getattr(mounts, view)(folders[0] if view == "encoded" else folders[0].parent)
    return mount.path if view == "restored" else mount / "00"


@VIEWS
def test_a_fifo_leads_nowhere(mounts, tmp_path, descriptors, view):
    """Readers and writers beneath are not met, and the view's own are not waited for."""
    folders = beneath(view, tmp_path)
    for folder in folders:
        os.mkfifo(folder / "fifo")
        descriptors.append(os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK))
        descriptors.append(os.open(folder / "fifo", os.O_WRONLY | os.O_NONBLOCK))
        os.write(descriptors[-1], b"secret")
    shown = show(mounts, view, folders)
    with pytest.raises(OSError) as caught:
        descriptors.append(os.open(shown / "fifo", os.O_WRONLY | os.O_NONBLOCK))
    assert caught.value.errno == errno.ENXIO
    descriptors.append(os.open(shown / "fifo", os.O_RDONLY | os.O_NONBLOCK))
    assert os.read(descriptors[-1], 10) == b""
    for reader in descriptors[: 2 * len(folders) : 2]:
        assert os.read(reader, 10) == b"secret"


@VIEWS
def test_a_socket_leads_nowhere(mounts, tmp_path, monkeypatch, view):
    folders = beneath(view, tmp_path)
    listeners = []
    for folder in folders:
        monkeypatch.chdir(folder)  # a socket's path may have no more than 107 bytes
        listeners.append(socket.socket(socket.AF_UNIX))
        listeners[-1].bind("socket")
        listeners[-1].listen()
    monkeypatch.chdir(show(mounts, view, folders))
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect("socket")
    monkeypatch.chdir(tmp_path)
    for listener in listeners:
        listener.close()


@needs_root
@VIEWS
def test_a_device_leads_nowhere(mounts, tmp_path, view):
    folders = beneath(view, tmp_path)
    for folder in folders:
        os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    shown = show(mounts, view, folders)
    assert (shown / "null").lstat().st_rdev == os.makedev(1, 3)
    with pytest.raises(PermissionError):
        os.close(os.open(shown / "null", os.O_RDONLY | os.O_NONBLOCK))


def bind_socket(path):
    os.mknod(path, stat.S_IFSOCK | 0o666)


def make_null(path):
    if not IS_ROOT:
        pytest.skip("needs root")
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


@VIEWS
@pytest.mark.parametrize("put", [os.mkfifo, bind_socket, make_null])
def test_a_file_that_becomes_special(mounts, tmp_path, descriptors, view, put):
    """What the kernel takes for a file still is opened by the server: to no effect, and at once."""
    folders = beneath(view, tmp_path)
    for index, folder in enumerate(folders):
        made = trees.make_shares("checked", b"data", REQUIRED, 20, [index])
        trees.write_file(folder / "file", made[index])
    shown = show(mounts, view, folders)
    descriptors.append(os.open(shown / "file", os.O_PATH))
    for folder in folders:
        (folder / "file").unlink()
        put(folder / "file")
    with pytest.raises(OSError):
        descriptors.append(os.open(f"/proc/self/fd/{descriptors[0]}", os.O_RDONLY | os.O_NONBLOCK))
    assert os.listdir(shown) == ["file"]
    assert stat.S_IFMT((shown / "file").lstat().st_mode) == stat.S_IFMT(
        (folders[0] / "file").lstat().st_mode
    )

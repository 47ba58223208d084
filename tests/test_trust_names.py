# SPDX-License-Identifier: MIT
"""Which names a tree has, of which kinds, and with which modes, owners, times and attributes: what
enough stores say. What one store has of its own is told, and neither shown nor made nor multiplied.
"""

import os
import shutil
import stat
import subprocess

import pytest

import oracle
import trusting
from commands import DAMAGED, LOST, OK
from hostile import put_socket
from trusting import CONFLICT, DEVICE, DIRECTORY, FIFO, GONE, MTIME_NS, Link, as_root

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
make = trusting.make  # a fixture


def set_attribute(path, name, value):
    try:
        os.setxattr(path, name, value, follow_symlinks=False)
    except OSError as error:
        pytest.skip(f"no {name} here: {error}")


def set_acl(path):
    done = subprocess.run(["setfacl", "-m", "u:1000:rw", path], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"no access control lists here: {done.stderr}")


def make_device(path, kind=stat.S_IFCHR):
    try:
        os.mknod(path, kind | 0o666, os.makedev(1, 5))
    except OSError as error:
        pytest.skip(f"cannot make a device: {error}")


def settled(path):
    os.utime(path, ns=(MTIME_NS, MTIME_NS), follow_symlinks=False)


# What one store has on a name of its own


def plant_file(stores, path):
    """With k = 1: it alone would do."""
    stores.put(path.name, stores=[path.parent.name], required=1)


def plant_share(stores, path):
    """As the others' are: what has come to one store only, until now."""
    stores.put(path.name, stores=[path.parent.name])


def plant_setuid(stores, path):
    plant_file(stores, path)
    path.chmod(0o4755)


def plant_capability(stores, path):
    plant_file(stores, path)
    set_attribute(path, "security.capability", CAPABILITY)


def plant_trusted(stores, path):
    plant_file(stores, path)
    set_attribute(path, "trusted.x", b"value")


def plant_acl(stores, path):
    plant_file(stores, path)
    set_acl(path)


def plant_device(stores, path):
    make_device(path)


def plant_block_device(stores, path):
    make_device(path, stat.S_IFBLK)


def plant_fifo(stores, path):
    os.mkfifo(path)


def plant_socket(stores, path):
    put_socket(path)


def plant_symlink(stores, path):
    path.symlink_to("/etc/passwd")


def plant_directory(stores, path):
    path.mkdir()


def plant_directory_with_a_file(stores, path):
    stores.put(f"{path.name}/inner", stores=[path.parent.name], required=1)


def plant_text(stores, path):
    path.write_bytes(b"no share at all")


PLANTED = [
    plant_file, plant_share, plant_setuid, plant_fifo, plant_socket, plant_symlink,
    plant_directory, plant_directory_with_a_file, plant_text,
]  # fmt: skip
PLANTED_BY_ROOT = [plant_device, plant_block_device, plant_capability, plant_trusted, plant_acl]
planted = pytest.mark.parametrize(
    "plant",
    [*PLANTED, *(pytest.param(plant, marks=as_root) for plant in PLANTED_BY_ROOT)],
    ids=lambda plant: plant.__name__.removeprefix("plant_"),
)


def assert_not_believed(stores, mounts, plant):
    plant(stores, stores.path("04", "planted"))
    settled(stores.path("04", "planted"))
    stores.holds(mounts, {}, decode=DAMAGED, check=DAMAGED, absent=["planted"],
                 says=["planted", "only 04 has it"])  # fmt: skip


@planted
def test_what_one_store_has_is_told_and_not_made(make, mounts, plant):
    assert_not_believed(make(3, 5), mounts, plant)


@pytest.mark.parametrize("share_format", ["classic", "fec"])
@pytest.mark.parametrize("plant", [plant_file, plant_share, plant_symlink])
def test_nor_is_it_in_formats_without_checks(make, mounts, plant, share_format):
    assert_not_believed(make(3, 5, share_format), mounts, plant)


@planted
def test_nor_what_one_store_has_under_two_names(make, mounts, plant):
    """A share has one say, in however many directories it lies; K is 2."""
    stores = make(2, ["00", "01", "02", "02-too"])
    plant(stores, stores.path("02", "planted"))
    settled(stores.path("02", "planted"))
    shutil.rmtree(stores.folder / "02-too")
    if plant is plant_socket:
        (stores.folder / "02-too").symlink_to("02")
    else:
        subprocess.run(["cp", "-a", stores.folder / "02", stores.folder / "02-too"], check=True)
    stores.holds(mounts, {}, decode=DAMAGED, check=DAMAGED, absent=["planted"], says=["planted"])


ATTRIBUTES = {
    "setuid": lambda path: path.chmod(0o4755),
    "security.capability": lambda path: set_attribute(path, "security.capability", CAPABILITY),
    "trusted.x": lambda path: set_attribute(path, "trusted.x", b"value"),
    "user.x": lambda path: set_attribute(path, "user.x", b"value"),
    "acl": set_acl,
    "owner": lambda path: os.chown(path, 1000, 1000),
}
attributes = pytest.mark.parametrize("give", ATTRIBUTES.values(), ids=ATTRIBUTES.keys())


def assert_plain(path):
    found = path.lstat()
    assert (oct(stat.S_IMODE(found.st_mode)), found.st_uid, found.st_gid) == ("0o644", 0, 0)
    assert os.listxattr(path) == []


def assert_plain_everywhere(stores, mounts, *mended, name="other-1"):
    """What is mended is the attributes of some copies, and nothing else."""
    stores.settle()
    view = stores.view(mounts)
    assert_plain(view / name)
    view.unmount()
    stores.decode(expected={})
    assert_plain(stores.out / name)
    stores.check(status=DAMAGED, health={name: ("degraded",)})
    stores.repair(status=DAMAGED, writes=[f"{store}/{name}" for store in mended])
    for store in stores.names:
        assert_plain(stores.path(store, name))
    stores.intact()


@as_root
@attributes
@pytest.mark.parametrize("modes", ["one mode", "several modes"])
def test_attributes_that_one_store_gives_are_not_taken(make, mounts, give, modes):
    stores = make(3, 5)
    if modes == "several modes":
        for store in stores.names:
            stores.path(store, "other-2").chmod(0o600)
    give(stores.path("04", "other-1"))
    assert_plain_everywhere(stores, mounts, "04")


@as_root
@attributes
@pytest.mark.parametrize("modes", ["one mode", "several modes"])
def test_nor_those_of_one_store_under_two_names(make, mounts, give, modes):
    stores = make(2, ["00", "01", "02", "02-too"])
    if modes == "several modes":
        for store in stores.names:
            stores.path(store, "other-2").chmod(0o600)
    for store in ("02", "02-too"):
        give(stores.path(store, "other-1"))
    assert_plain_everywhere(stores, mounts, "02", "02-too")


@as_root
def test_what_one_store_has_is_to_be_had_unconfirmed(make, mounts):
    """By request, without anything that gives rights; never devices."""
    stores = make(3, 5)
    data = stores.put("file", stores=["04"], required=1)
    inner = stores.put("dir/inner", stores=["04"], required=1)
    path = stores.path("04", "file")
    set_attribute(path, "trusted.x", b"value")
    set_attribute(path, "user.x", b"value")
    path.chmod(0o6755)
    set_attribute(path, "security.capability", CAPABILITY)
    stores.path("04", "dir").chmod(0o3777)
    stores.symlink("04", "link", "gone")
    os.mkfifo(stores.path("04", "fifo"))
    make_device(stores.path("04", "device"))
    stores.settle()
    expected = {"file": data, "dir/inner": inner, "link": Link("gone"), "fifo": FIFO}

    def assert_no_rights(folder):
        assert not {"security.capability", "trusted.x"} & set(os.listxattr(folder / "file"))
        assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o755
        assert stat.S_IMODE((folder / "dir").stat().st_mode) == 0o777

    view = stores.view(mounts, unconfirmed=True)
    trusting.compare(view.path, {**stores.files, **expected})
    assert_no_rights(view.path)
    assert not os.path.lexists(view / "device")
    view.unmount()
    stores.decode("--unconfirmed", expected=expected, status=(OK, DAMAGED))
    assert_no_rights(stores.out)
    stores.holds(mounts, {}, decode=DAMAGED, check=DAMAGED, absent=expected)


def test_what_is_unconfirmed_is_like_its_own_copies(make, mounts):
    """What other kinds of the name are like does not count."""
    stores = make(3, 6)
    for store, time in (("00", MTIME_NS + 1), ("01", MTIME_NS + 2)):
        os.mkfifo(stores.path(store, "a"), 0o600)
        os.utime(stores.path(store, "a"), ns=(time, time))
    stores.path("02", "a").mkdir()
    stores.path("02", "a").chmod(0o777)
    os.utime(stores.path("02", "a"), ns=(MTIME_NS, MTIME_NS))
    data = stores.put("b", stores=["00"], required=1)
    make_device(stores.path("01", "b"))
    stores.put("b", stores=["02"], required=1, data=data)
    stores.spoil_header("02", "b")
    stores.settle()
    view = stores.view(mounts, unconfirmed=True)
    status = os.lstat(view / "a")
    assert stat.S_ISFIFO(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_mtime_ns == MTIME_NS + 2
    assert (view / "b").read_bytes() == data
    view.unmount()


@pytest.mark.parametrize("other", ["a symlink", "a FIFO", "a directory"])
def test_two_kinds_that_are_unconfirmed_are_a_conflict(make, mounts, other):
    """What is at the destination does not give way to a guess."""
    stores = make(2, 3)
    stores.put("a", stores=["02"])
    path = stores.path("01", "a")
    if other == "a symlink":
        path.symlink_to("other")
    elif other == "a FIFO":
        os.mkfifo(path)
    else:
        path.mkdir()
    stores.settle()
    stores.decode("--unconfirmed", expected={"a": GONE}, status=LOST, says=["conflict: .*file in 02"])
    (stores.out / "a").write_bytes(b"the last one")
    trusting.run("decode", "--unconfirmed", "--delete", stores.folder, stores.out).demand(LOST)
    assert (stores.out / "a").read_bytes() == b"the last one"
    stores.show(mounts, {"a": CONFLICT}, unconfirmed=True, log=[f"a: conflict: .*{other}.* in 01"])


# What enough stores have


def assert_everywhere(make, mounts, required, count, holders, plant, what):
    """Shown, made and multiplied."""
    stores = make(required, count)
    for store in stores.names[:holders]:
        plant(stores, stores.path(store, "planted"))
        settled(stores.path(store, "planted"))
    writes = [f"{store}/planted" for store in stores.names[holders:]]
    stores.holds(mounts, {"planted": what}, check=DAMAGED, writes=writes)
    stores.intact()


def test_a_symlink_of_two_stores_is_one(make, mounts):
    """The three others, which cannot hold any, do not hide it, though K is 3."""
    assert_everywhere(make, mounts, 3, 5, 2, plant_symlink, Link("/etc/passwd"))


def test_an_empty_directory_of_two_stores_is_one(make, mounts):
    assert_everywhere(make, mounts, 3, 5, 2, plant_directory, DIRECTORY)


def test_a_fifo_of_k_stores_is_one(make, mounts):
    assert_everywhere(make, mounts, 3, 5, 3, plant_fifo, FIFO)


@as_root
def test_a_device_of_k_stores_is_one(make, mounts):
    assert_everywhere(make, mounts, 3, 5, 3, plant_device, DEVICE)


@pytest.mark.parametrize("plant", [plant_fifo, pytest.param(plant_device, marks=as_root)])
def test_of_fewer_than_k_stores_it_is_none(make, mounts, plant):
    stores = make(3, 5)
    for store in ("03", "04"):
        plant(stores, stores.path(store, "planted"))
        settled(stores.path(store, "planted"))
    stores.holds(mounts, {}, decode=DAMAGED, check=DAMAGED, absent=["planted"], says=["planted"])


def test_symlinks_with_as_many_for_each_target_are_a_conflict(make, mounts):
    stores = make(2, 4)
    for store, target in zip(stores.names, ("one", "one", "two", "two")):
        stores.symlink(store, "a", target)
    says = ["conflict", r"\bone\b", r"\btwo\b"]
    stores.holds(mounts, {"a": CONFLICT}, decode=LOST, check=LOST, says=says, log=says)


@pytest.mark.parametrize("share_format", oracle.FORMATS)
def test_two_shares_of_a_file_that_the_third_store_lacks_are_lost(make, mounts, share_format):
    """At K = 3: it was a file, and is not foreign."""
    stores = make(3, 3, share_format)
    stores.put(stores=["00", "01"])
    stores.holds(mounts, {"a": GONE}, decode=LOST, check=LOST, says=["required=2|2.*3 needed"])


def test_one_share_of_a_file_under_two_names_is_not_lost_but_foreign(make, mounts):
    stores = make(3, ["00", "01", "02", "02-too"])
    stores.put(stores=["02", "02-too"])
    stores.holds(mounts, {}, decode=DAMAGED, check=DAMAGED, absent=["a"], says=[r"\ba\b"])


def test_a_tree_without_files_is_what_most_stores_have(make, mounts):
    stores = make(2, 3, witnesses=())
    for store in stores.names:
        stores.path(store, "dir").mkdir()
    for store in ("00", "01"):
        stores.symlink(store, "link", "dir")
    stores.symlink("02", "other", "dir")
    stores.settle()
    expected = {"dir": DIRECTORY, "link": Link("dir")}
    stores.show(mounts, expected, absent=["other"])
    stores.decode(expected=expected, status=DAMAGED, says=["other"])
    stores.check(status=DAMAGED, says=["other"])
    trusting.run("repair", stores.folder)
    for store in ("00", "01"):
        assert not os.path.lexists(stores.path(store, "other"))


# Modes, owners, times and attributes


def mode_of(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def assert_mode(stores, mounts, name, mode, *mended):
    """In the view, decoded, and in all stores once they are mended."""
    stores.settle()
    view = stores.view(mounts)
    assert mode_of(view / name) == oct(mode)
    view.unmount()
    stores.decode(expected={})
    assert mode_of(stores.out / name) == oct(mode)
    stores.check(status=DAMAGED if mended else OK)
    writes = [f"{store}/{name}" for store in mended]
    stores.repair(status=DAMAGED if mended else OK, writes=writes)
    assert {mode_of(stores.path(store, name)) for store in stores.names} == {oct(mode)}
    stores.intact()


def test_stores_that_show_one_mode_for_everything_do_not_say_it(make, mounts):
    """FAT and the like, in three of five: the two others know better."""
    stores = make(3, 5, witnesses=())
    for name, mode in (("secret", 0o600), ("plain", 0o644)):
        stores.files[name] = stores.put(name)
        for store in stores.names:
            stores.path(store, name).chmod(mode if store in ("00", "01") else 0o644)
    assert_mode(stores, mounts, "secret", 0o600, "02", "03", "04")


def test_a_share_is_counted_by_the_store_of_it_that_keeps_modes(make, mounts):
    """00 shows one mode for everything; 00-too, which has the same share, has a say, and 01 has."""
    stores = make(2, ["00", "00-too", "01"])
    for store in stores.names:
        stores.path(store, "other-1").chmod(0o755 if store == "01" else 0o666)
        stores.path(store, "other-2").chmod(0o666 if store == "00" else 0o600)
    view = stores.view(mounts)
    assert (mode_of(view / "other-1"), mode_of(view / "other-2")) == ("0o644", "0o600")


def test_of_two_modes_with_as_many_stores_only_what_both_allow_is_given(make, mounts):
    stores = make(2, 4)
    for store in stores.names:
        stores.path(store, "other-2").chmod(0o600)
        stores.path(store, "other-1").chmod(0o640 if store in ("00", "01") else 0o604)
    view = stores.view(mounts)
    assert mode_of(view / "other-1") == "0o600"
    stores.check(status=DAMAGED)
    stores.repair(status=DAMAGED)  # nothing is written: none of them may be what was right


@pytest.mark.parametrize("holders, mode", [(5, 0o4755), (4, 0o4755), (2, 0o755)])
def test_setuid_needs_k_stores(make, mounts, holders, mode):
    stores = make(3, 5)
    for store in stores.names:
        stores.path(store, "other-1").chmod(0o4755 if int(store) < holders else 0o755)
    mended = stores.names[holders:] if mode == 0o4755 else stores.names[:holders]
    assert_mode(stores, mounts, "other-1", mode, *mended)


@as_root
def test_setuid_needs_k_stores_that_show_one_owner(make, mounts):
    """Else it may become another one's program."""
    stores = make(3, 4)
    for store, owner in zip(stores.names, (0, 0, 1000, 1000)):
        os.chown(stores.path(store, "other-1"), owner, -1)
        stores.path(store, "other-1").chmod(0o4755)
    view = stores.view(mounts)
    assert mode_of(view / "other-1") == "0o755"
    view.unmount()
    stores.decode(expected={})
    assert mode_of(stores.out / "other-1") == "0o755"


def test_times_to_the_second_are_no_difference(make, mounts):
    """The finest is shown, and the others stay: they would be as coarse again."""
    stores = make(3, 5)
    for store in ("02", "03", "04"):
        for name in trusting.WITNESSES:
            second = MTIME_NS // 10**9 * 10**9
            os.utime(stores.path(store, name), ns=(second, second))
    stores.holds(mounts, {})
    view = stores.view(mounts)
    assert (view / "other-1").stat().st_mtime_ns == MTIME_NS
    stores.decode(expected={})
    assert (stores.out / "other-1").stat().st_mtime_ns == MTIME_NS


def test_attributes_of_as_many_stores_as_not_are_there_and_access_lists_not(make, mounts):
    stores = make(2, 4)
    for store in ("00", "01"):
        set_attribute(stores.path(store, "other-1"), "user.x", b"value")
        set_acl(stores.path(store, "other-2"))
        stores.path(store, "other-2").chmod(0o644)
    stores.settle()
    view = stores.view(mounts)
    assert os.listxattr(view / "other-1") == ["user.x"]
    assert os.listxattr(view / "other-2") == []

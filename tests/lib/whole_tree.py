# SPDX-License-Identifier: MIT
"""A tree that has all that there is: kinds, names, holes, links, owners, times, attributes, lists."""

import errno
import itertools
import os
import stat
import struct
import subprocess
from pathlib import Path

import pytest

import trees
from users import IS_ROOT

REQUIRED = 3


# The tree

SECOND_NS = 10**9
YEAR_NS = 365 * 86400 * SECOND_NS
TIMES_NS = [
    0,
    1,
    -1,
    -SECOND_NS,
    -SECOND_NS - 1,
    -40 * YEAR_NS,
    -100 * YEAR_NS,  # before 1901: more than 32 bits of seconds
    -500 * YEAR_NS,
    trees.MTIME_NS,
    (1 << 31) * SECOND_NS - 1,
    (1 << 31) * SECOND_NS,
    (1 << 32) * SECOND_NS + 7,
    400 * YEAR_NS,  # more than 64 bits of nanoseconds
    900 * YEAR_NS,
]
OWNERS = [0, 1, 1234, 65534, 70000, (1 << 31) + 5, (1 << 32) - 2]
ALL_BYTES = bytes(byte for byte in range(1, 256) if byte != ord("/"))
NAMES = [
    ALL_BYTES,
    ALL_BYTES[::-1] + b"~",
    b"n" * 255,
    b"\xf0" * 255,
    b"new\nline",
    b"\n",
    b"-rf",
    b"--",
    b" ",
    b" both ends ",
    b"tab\t",
    b"'\"`$(x)*?[a]\\",
    b"back\\012slash",
    b"\xff\xfe\x80",
    "naïve ☃".encode(),
    b"...",
    b"..2",
    b".hidden",
    b"# file: x",
    b"00",
]
TARGETS = {
    "dangling": b"no/such/file",
    "absolute": b"/etc/passwd",
    "root": b"/",
    "here": b".",
    "up": b"../../..",
    "slashes": b"//a///b//",
    "line": b"new\nline\n",
    "space": b" ",
    "all-bytes": ALL_BYTES,
    "inline": b"i" * 59,  # in the inode itself, on some file systems
    "not-inline": b"i" * 60,
    "long": b"l" * 1023 + b"/x",
    "longest": (b"\xff\n" + b"t" * 253 + b"/") * 15 + b"u" * 255,
}
STRIPE = REQUIRED * 65536
# The size, and where data lies.
SPARSE = {
    "nothing but a hole": (700_000, []),
    "a hole first": (600_000, [599_000]),
    "a hole last": (700_001, [0]),
    "holes between": (1_500_000, [0, STRIPE, 1_400_000]),
    "a stripe of holes": (3 * STRIPE, [0, 2 * STRIPE]),
}
DEVICES = {
    "null": (stat.S_IFCHR, 1, 3),
    "zeros": (stat.S_IFCHR, 0, 0),
    "disk": (stat.S_IFBLK, 259, 70000),
    "largest": (stat.S_IFBLK, 4095, (1 << 20) - 1),
}
ATTRIBUTES = {
    b"user.text": b"plain",
    b"user.empty": b"",
    b"user.nul": b"\0",
    b"user.binary": bytes(range(256)),
    b"user.lines": b"a\n\nb\n",
    b"user.\xff\n= %3D": b"an odd name",
    b"user." + b"n" * 250: b"the longest name",
}
# May open raw sockets when executed: struct vfs_cap_data of linux/capability.h.
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
LARGE = (3_000, 60 << 10, 64 << 10)
# What file systems say of an attribute that they cannot hold.
REFUSALS = {errno.ENOTSUP, errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EPERM}
LISTS = {
    "file": "u:1234:rwx,g:5678:r-x,m::r-x",
    "closed": "u:1234:---,g::---,o::---,m::---",
    "many": ",".join(f"u:{10_000 + number}:r-x" for number in range(200)),
    "fifo": "u:1234:rw-",
    "folder": "u:1234:rwx,d:u:1234:rwx,d:g:70000:r-x,d:m::r-x,d:o::---",
    "default": "d:g:4294967294:r--",
    "folder/inherits": "u:1:r--",
    "folder/folder": "d:u:1:r--",
}


def path_of(folder, name):
    return folder / os.fsdecode(name)


def everything_in(folder):
    """All paths, the folder's too, in an order that is the same for each run with one seed."""
    yield folder
    for here, folders, others in os.walk(folder):
        folders.sort()
        yield from (Path(here, name) for name in sorted([*folders, *others]))


def make_contents(folder, rng):
    """Files around the borders of blocks, of stripes and of a header, and files with holes."""
    sizes = {511, 512, 513, 65535, 65536, 65537}
    for block_size in (4096, 65536):
        sizes.update(trees.interesting_sizes(REQUIRED, block_size))
    trees.write_sizes(folder / "sizes", sorted(sizes), rng)
    (folder / "sparse").mkdir()
    for name, (size, starts) in SPARSE.items():
        with open(folder / "sparse" / name, "xb") as file:
            for start in starts:
                file.seek(start)
                file.write(rng.randbytes(min(1000, size - start)))
            file.truncate(size)


def make_names(folder, rng):
    """Names that scripts stumble over, of files and of directories, and empty directories."""
    drawn = [bytes(rng.choices(ALL_BYTES, k=rng.randrange(3, 256))) for _ in range(5)]
    for number, name in enumerate([*NAMES, *drawn]):
        trees.write_file(path_of(folder / "names", name), b"x" * number)
        trees.write_file(path_of(folder / "folders", name) / "inside", name)
    for name in ("", "deep/deeper", "another"):
        (folder / "empty" / name).mkdir(parents=True)


def make_symlinks(folder):
    (folder / "symlinks").mkdir()
    for name, target in TARGETS.items():
        os.symlink(target, os.fsencode(folder / "symlinks" / name))
    (folder / "symlinks" / "to-file").symlink_to("../sizes/size-1")
    (folder / "symlinks" / "to-folder").symlink_to("../names")


def make_special_files(folder, devices):
    (folder / "special").mkdir()
    os.mkfifo(folder / "special" / "fifo")
    os.mknod(folder / "special" / "socket", stat.S_IFSOCK | 0o755)
    for name in devices:
        kind, major, minor = DEVICES[name]
        os.mknod(folder / "special" / name, kind | 0o640, os.makedev(major, minor))


def make_hard_links(folder, devices):
    """Second names: beside the first, deeper, and in directories that are walked before."""
    trees.write_file(folder / "links" / "file", b"many names" * 30_000)
    trees.write_file(folder / "links" / "empty", b"")
    os.link(folder / "special" / "socket", folder / "special" / "socket again")
    names = ["links/file", "links/empty", "symlinks/longest", "symlinks/absolute"]
    for name in [*names, "special/fifo", *(f"special/{device}" for device in devices)]:
        for number, place in enumerate((os.path.dirname(name), "aaa", "aaa", "zzz/deep")):
            again = folder / place / f"{os.path.basename(name)} again {number}"
            again.parent.mkdir(parents=True, exist_ok=True)
            os.link(folder / name, again, follow_symlinks=False)


def make_modes(folder, rng):
    """Files and directories named by the modes that they shall have."""
    bits = {1 << bit for bit in range(12)}
    for mode in sorted(bits | {0, 0o7777} | set(rng.sample(range(0o10000), 12))):
        trees.write_file(folder / "modes" / f"{mode:04o}", b"x")
        trees.write_file(folder / "mode-folders" / f"{mode:04o}" / "inside", b"x")


def make_attribute_holders(folder):
    for suffix in ("", "-many", *(f"-{size}" for size in LARGE)):
        trees.write_file(folder / "attributes" / f"file{suffix}", b"x")
        (folder / "attributes" / f"folder{suffix}").mkdir()


def make_list_holders(folder):
    (folder / "lists" / "folder" / "folder").mkdir(parents=True)
    (folder / "lists" / "default").mkdir()
    os.mkfifo(folder / "lists" / "fifo")
    for name in ("file", "closed", "many", "folder/inherits"):
        trees.write_file(folder / "lists" / name, b"x")


def set_owners(folder, rng, owner):
    for path in everything_in(folder):
        user, group = (owner, owner) if owner else (rng.choice(OWNERS), rng.choice(OWNERS))
        os.chown(path, user, group, follow_symlinks=False)


def set_attribute(path, name, value):
    """Returns whether the file system took it: some hold a few KiB only, or no such names."""
    try:
        os.setxattr(path, name, value, follow_symlinks=False)
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        return False
    return True


def set_attributes(folder, rng):
    """Odd ones, large ones and many, of files and directories; others have no user.*."""
    set_attribute(folder, "user.root", b"of the whole tree")
    for kind in ("file", "folder"):
        holder = folder / "attributes" / kind
        for name, value in ATTRIBUTES.items():
            set_attribute(holder, name, value)
        for size in LARGE:
            set_attribute(f"{holder}-{size}", "user.large", rng.randbytes(size))
        for number in range(300):
            if not set_attribute(f"{holder}-many", f"user.{number}-{'n' * 180}", b"x"):
                break


def set_attributes_of_root(folder):
    """Those that root alone may set, of every kind of file."""
    special = [f"special/{name}" for name in ("fifo", "socket", *DEVICES)]
    for name in ("modes/0000", "mode-folders/0000", "symlinks/dangling", *special):
        set_attribute(folder / name, "trusted.note", os.fsencode(name))
        set_attribute(folder / name, "trusted.empty", b"")
        set_attribute(folder / name, "security.note", b"\0\xff")
    set_attribute(folder / "links" / "file", "security.capability", CAPABILITY)


def set_modes(folder, least):
    """As the names say, and that the owner may read, where he is not root."""
    for path in [*(folder / "modes").iterdir(), *(folder / "mode-folders").iterdir()]:
        os.chmod(path, int(path.name, 8) | least)


def set_lists(folder):
    for name, entries in LISTS.items():
        done = run_here("setfacl", "-m", entries, folder / "lists" / name)
        if b"not supported" in done.stderr:
            pytest.skip("no access control lists here")
        assert done.returncode == 0, done.stderr


def set_times(folder, rng):
    times = itertools.cycle(TIMES_NS)
    for path in everything_in(folder):
        time_ns = next(times) + rng.choice((0, rng.randrange(SECOND_NS)))
        os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)


def make_tree(folder, rng, owner=None):
    """Fills a folder with all that there is, or with what a plain user, the owner, can make."""
    of_root = IS_ROOT and owner is None
    devices = DEVICES if of_root else ()
    folder.mkdir()
    make_contents(folder, rng)
    make_names(folder, rng)
    make_symlinks(folder)
    make_special_files(folder, devices)
    make_hard_links(folder, devices)
    make_modes(folder, rng)
    make_attribute_holders(folder)
    make_list_holders(folder)
    if IS_ROOT:
        set_owners(folder, rng, owner)
    set_attributes(folder, rng)
    if of_root:
        set_attributes_of_root(folder)
    set_modes(folder, 0 if of_root else 0o500)
    set_lists(folder)
    set_times(folder, rng)
    return folder


# Copies and comparisons


def run_here(*command):
    return subprocess.run(command, check=False, capture_output=True, cwd="/", timeout=60)

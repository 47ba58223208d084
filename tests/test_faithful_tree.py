# SPDX-License-Identifier: MIT
"""All that a tree holds beside its bytes survives: as shares, as their copies, and back again."""

import errno
import itertools
import os
import shutil
import socket
import stat
import struct
import subprocess
import tempfile
from collections import defaultdict, namedtuple
from pathlib import Path

import pytest

import mounts as mounts_module
import oracle
import test_lifecycle as lifecycle
import trees

REQUIRED = 3
SHARES = 5
COPIED = (1, 3, 4)  # shares 0 and 2 are lost
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root")
VIEWS = pytest.mark.parametrize("view", ["encoded", "restored", "rebuilt"])


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

RSYNC = ["rsync", "-aHAX", "--numeric-ids"]
TAR = "tar --acls --xattrs --xattrs-include='*' --numeric-owner --warning=no-timestamp"
TAR_PIPE = (
    f"{TAR} -C \"$1\" -S --format=posix --exclude='./special/socket*' -cf - . |"
    f"{TAR} -C \"$2\" -p -xf -"
)
TOOLS = {
    "rsync": lambda source, target: [*RSYNC, f"{source}/", f"{target}/"],
    "rsync-sparse": lambda source, target: [*RSYNC, "-S", f"{source}/", f"{target}/"],
    "tar": lambda source, target: ["bash", "-o", "pipefail", "-c", TAR_PIPE, "", source, target],
    "cp": lambda source, target: ["cp", "-a", f"{source}/.", target],
}
OUT_TOOLS = ["rsync", "tar", "cp"]

Facts = namedtuple("Facts", "kind size others target")
Numbers = namedtuple("Numbers", "kind inode size blocks")


def run_here(*command):
    return subprocess.run(command, check=False, capture_output=True, cwd="/", timeout=60)


class Hands:
    """Who copies and compares: whoever runs the tests, or a plain user."""

    def __init__(self, run=run_here):
        self._run = run

    def do(self, *command):
        """What a command prints; it must neither fail nor complain."""
        done = self._run(*command)
        assert (done.returncode, done.stderr[-2000:]) == (0, b""), command
        return done.stdout

    def copy(self, tool, source, target):
        self.do("mkdir", "-p", target)
        self.do(*TOOLS[tool](source, target))
        return target

    def rsync_differences(self, one, other):
        """What rsync would do to make the other tree equal to the one: nothing, it is hoped."""
        words = ["-nic", "--modify-window=-1", "--delete"]
        return os.fsdecode(self.do(*RSYNC, *words, f"{one}/", f"{other}/"))

    def _find(self, folder, fact_type, fields):
        """path -> facts, their fields parted by newlines, which only the last may hold."""
        text = os.fsdecode(self.do("find", folder, "-printf", f"%P\\0{fields}\\0"))
        words = iter(text.split("\0")[:-1])
        return {
            path: fact_type(*facts.split("\n", len(fact_type._fields) - 1))
            for path, facts in zip(words, words)
        }

    def facts(self, folder):
        found = self._find(folder, Facts, "%y\n%s\n%m %U %G %n %T@\n%l")
        # The size of a directory is its file system's own affair.
        return {p: f._replace(size="") if f.kind == "d" else f for p, f in found.items()}

    def numbers(self, folder):
        return self._find(folder, Numbers, "%y\n%i\n%s\n%b")

    def _blocks(self, folder, *command):
        """What getfattr or getfacl print of each path, which they spell in their own way."""
        text = os.fsdecode(self.do("env", "-C", folder, *command, "."))
        blocks = [block.partition("\n") for block in text.split("\n\n") if block]
        return {name.removeprefix("# file: "): facts for name, _, facts in blocks}

    def attributes(self, folder):
        return self._blocks(folder, "getfattr", "-R", "-h", "-d", "-m", "-", "-e", "hex")

    def lists(self, folder):
        return self._blocks(folder, "getfacl", "-R", "-P", "-n", "-p")

    def state(self, folder):
        """All that is compared, by what it is and by path."""
        looks = {"facts": self.facts, "attributes": self.attributes, "lists": self.lists}
        return {
            (what, path): found
            for what, look in looks.items()
            for path, found in look(folder).items()
        }


HANDS = Hands()


def differing(one, other):
    return [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]


def assert_alike(found, expected):
    """The first differences only: pytest's own report of so much takes minutes."""
    lines = [
        f"{key}: {str(found.get(key))[:300]!r}, expected {str(expected.get(key))[:300]!r}"
        for key in differing(found, expected)
    ]
    assert not lines, "\n".join([f"{len(lines)} differences:", *lines[:10]])


def check_same(hands, expected, found):
    """The folder that was found is the one that was expected, to all who compare."""
    assert_alike(hands.state(found), hands.state(expected))
    assert hands.rsync_differences(expected, found) == ""


def same_files(numbers):
    """Which paths are one file: path -> all of its paths."""
    paths = defaultdict(list)
    for path, found in sorted(numbers.items()):
        paths[found.inode].append(path)
    return {path: paths[found.inode] for path, found in numbers.items()}


def check_same_files(hands, expected, found):
    """One inode number for all names of a file, and for these alone."""
    found, expected = hands.numbers(found), hands.numbers(expected)
    assert_alike(same_files(found), same_files(expected))


def check_blocks(hands, view):
    """As many as the size that is shown needs, and no more than would fill its last page."""
    for path, found in hands.numbers(view).items():
        if found.kind == "f":
            assert 0 <= int(found.blocks) * 512 - int(found.size) <= 4096, (path, found)


def check_copy(hands, expected, copy):
    check_same(hands, expected, copy)
    check_same_files(hands, expected, copy)


def check_view(hands, expected, view):
    check_copy(hands, expected, view)
    check_blocks(hands, view)


def check_shares_apart(hands, view, shares=SHARES):
    """Equal inode numbers would make `rsync -H` take one share for another."""
    seen = set()
    for index in range(shares):
        numbers = {each.inode for each in hands.numbers(view / trees.share_name(index)).values()}
        assert not seen & numbers, index
        seen |= numbers


def as_shares(state):
    """What the state of a tree becomes where its files are shares: sizes alone differ."""

    def share_of(found):
        size = oracle.checked_size(int(found.size), REQUIRED)
        return found._replace(size=str(size))

    return {
        (what, path): share_of(found) if what == "facts" and found.kind == "f" else found
        for (what, path), found in state.items()
    }


def copy_shares(hands, tool, encoded, stores):
    for index in COPIED:
        hands.copy(tool, encoded / trees.share_name(index), stores / f"store-{index}")
    return stores


def carried_by(hands, tool, source, place):
    """The tree that a tool makes of the source without any view: with tar, not all of it.

    tar has no word for a socket, nor for second names of what is neither file nor symlink.
    """
    if tool != "tar":
        return source
    copy = place / "by-tar"
    return copy if copy.exists() else hands.copy("tar", source, copy)


# The tree, its shares, and their copies

MEMORY = "/dev/shm"


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


def cut(path):
    """Makes one of several names a file of its own."""
    HANDS.do("cp", "-a", path, f"{path}.new")
    os.replace(f"{path}.new", path)


def redirect(path):
    path.unlink()
    path.symlink_to("elsewhere")


def make_another_kind(path):
    path.unlink()
    os.mkfifo(path)


def set_time(path):
    os.utime(path, ns=(1, trees.MTIME_NS + 1), follow_symlinks=False)


def change_list(*words):
    return lambda path: HANDS.do("setfacl", *words, path)


def change_owner(path):
    os.chown(path, 4, 5, follow_symlinks=False)


A_TIME = "sizes/size-512"
HARMS = {
    "modes/7777": lambda path: path.chmod(0o6777),
    "mode-folders/0001": lambda path: path.chmod(0o711),
    A_TIME: set_time,
    "symlinks/absolute": set_time,
    "empty/another": Path.rmdir,
    "aaa/empty again 1": Path.unlink,
    "symlinks/here": redirect,
    "links/file": cut,
    "special/socket": make_another_kind,
    "attributes/file": lambda path: os.setxattr(path, "user.empty", b"\0"),
    "attributes/folder": lambda path: os.removexattr(path, "user.empty"),
    "lists/file": change_list("-m", "u:1234:r"),
    "lists/default": change_list("-k"),
}
HARMS_OF_ROOT = {
    "sizes/size-511": change_owner,
    "symlinks/up": change_owner,
    "symlinks/dangling": lambda path: os.removexattr(path, "trusted.empty", follow_symlinks=False),
}


def harm(folder):
    harms = HARMS | (HARMS_OF_ROOT if IS_ROOT else {})
    for name, do in harms.items():
        do(folder / name)
    return set(harms)


def check_harms_show(source, found, harmed):
    seen = {path for _, path in differing(HANDS.state(source), HANDS.state(found))}
    assert not harmed - seen
    told = HANDS.rsync_differences(source, found)
    assert not [name for name in harmed if name not in told]


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


# As a user without root

user = lifecycle.user  # a fixture


@pytest.fixture
def home(user):
    """The user's own folder."""
    folder = user.folder / "home"
    folder.mkdir()
    return user.own(folder)


def user_mount(mounts, user, name, *words):
    path = user.folder / name
    path.mkdir()
    user.own(path)
    return mounts.start(*words, at=path, before=user.WORDS, binary=user.binary, cwd="/")


ENCODE = ["-o", f"required={REQUIRED},shares={SHARES}"]


@needs_root
@pytest.mark.parametrize("tool", OUT_TOOLS)
def test_round_trip_of_a_user(user, home, mounts, rng, tool):
    hands = Hands(user.run)
    source = make_tree(home / "source", rng, lifecycle.NOBODY)
    encoded = user_mount(mounts, user, "encoded", *ENCODE, source)
    stores = copy_shares(hands, tool, encoded, home / "stores")
    restored = user_mount(mounts, user, "restored", "-o", "restore", stores)
    expected = carried_by(hands, tool, source, home)
    check_view(hands, expected, restored.path)
    check_copy(hands, expected, hands.copy(tool, restored.path, home / "out"))


@needs_root
def test_rebuilt_of_a_user(user, home, mounts, rng):
    hands = Hands(user.run)
    source = make_tree(home / "source", rng, lifecycle.NOBODY)
    encoded = user_mount(mounts, user, "encoded", *ENCODE, source)
    stores = copy_shares(hands, "rsync", encoded, home / "stores")
    rebuilt = user_mount(mounts, user, "rebuilt", "-o", f"rebuild,shares={SHARES}", stores)
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
    mount = user_mount(mounts, user, "mnt", *view, home / "stores" / ("" if view else "store-0"))
    shown = mount.path if view == ["-o", "restore"] else mount / "00"
    assert described(user.run, shown) == described(run_here, home / "stores" / "store-0")
    assert b"Permission denied" in user.read(shown / "null")


# Access lists hold


def set_list(path, mode, entries):
    path.chmod(mode)
    HANDS.do("setfacl", "-m", entries, path)


def make_listed_files(folder):
    """A file that a list opens to nobody, the user, and one that a list closes to him."""
    trees.write_file(folder / "opened", b"data")
    trees.write_file(folder / "closed", b"data")
    set_list(folder / "opened", 0o600, f"u:{lifecycle.NOBODY}:r")
    set_list(folder / "closed", 0o644, f"u:{lifecycle.NOBODY}:-")
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
    set_list(source, 0o700, f"u:{lifecycle.NOBODY}:{'rx' if is_open else '-'},g:1:rwx")
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

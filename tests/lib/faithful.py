# SPDX-License-Identifier: MIT
"""Copies of a tree by several programs, comparisons of all that it holds, and harms that show."""

import os
from collections import defaultdict, namedtuple
from pathlib import Path

import oracle
import trees
from users import IS_ROOT
from whole_tree import REQUIRED, run_here

SHARES = 5
COPIED = (1, 3, 4)  # shares 0 and 2 are lost


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


# Access lists hold


def set_list(path, mode, entries):
    path.chmod(mode)
    HANDS.do("setfacl", "-m", entries, path)

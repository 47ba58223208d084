# SPDX-License-Identifier: MIT
"""encode, decode, check and repair, against cp and cat of the same bytes, rsync and par2."""

import shlex
import shutil

from cases import SECONDS, Case, Subject, Target, add
from commands import run_quietly, timed

REQUIRED, SHARES = 3, 6
MENDED = 1  # the exit status of repair that had something to do
PAR2_BLOCKS = 2000


def in_new_folder(lab, command):
    """A measurement: COMMAND(a new folder to write to)."""

    def measure():
        with lab.passing_folder() as folder:
            return timed(command(folder))

    return measure


def cat_all(folder):
    # By xargs and not by cat * so that any number of files will do.
    return f"find {shlex.quote(str(folder))} -type f -print0 | xargs -0 cat >/dev/null"


def all_shares(lab, tree):
    return lab.shares(tree, REQUIRED, range(SHARES))


# encode

COPY_SHARES = "cp -r of the six share trees"


def encode(tree, lab):
    source, stores = getattr(lab, tree), all_shares(lab, getattr(lab, tree))
    numbers = ["-k", str(REQUIRED), "-n", str(SHARES)]
    return [
        Subject(COPY_SHARES, in_new_folder(lab, lambda new: ["cp", "-r", stores, new])),
        Subject("rsync -a of them",
                in_new_folder(lab, lambda new: ["rsync", "-a", stores, new]), "rsync"),
        Subject("cp -r of the source", in_new_folder(lab, lambda new: ["cp", "-r", source, new])),
        Subject("encode", in_new_folder(
            lab, lambda new: [lab.binary, "encode", "-q", *numbers, source, new])),
    ]  # fmt: skip


# decode

COPY_SOURCE = "cp -r of the restored files"


def decode(tree, lab):
    source, stores = getattr(lab, tree), lab.shares(getattr(lab, tree), REQUIRED, (0, 2, 4))
    return [
        Subject(COPY_SOURCE, in_new_folder(lab, lambda new: ["cp", "-r", source, new])),
        Subject("rsync -a of them",
                in_new_folder(lab, lambda new: ["rsync", "-a", source, new]), "rsync"),
        Subject("decode",
                in_new_folder(lab, lambda new: [lab.binary, "decode", "-q", stores, new])),
    ]  # fmt: skip


# check

CAT = "cat of the shares"


def check(tree, lab):
    stores = all_shares(lab, getattr(lab, tree))
    subjects = [
        Subject(CAT, lambda: timed(cat_all(stores))),
        Subject("check", lambda: timed([lab.binary, "check", "-q", stores])),
        Subject("check --quick", lambda: timed([lab.binary, "check", "-q", "--quick", stores])),
    ]
    if tree == "large" and shutil.which("par2"):
        subjects.append(Subject("par2 verify of the source", par2_verify(lab)))
    return subjects


def par2_verify(lab):
    """With the least of redundancy, since only the checking is measured."""
    folder = lab.new_folder_of_case()
    copied = folder / "large"
    shutil.copyfile(lab.large / "large", copied)
    run_quietly(["par2", "create", "-q", "-q", f"-b{PAR2_BLOCKS}", "-c1", copied])
    return lambda: timed(["par2", "verify", "-q", "-q", folder / "large.par2"])


# repair


def repair(tree, lab):
    stores = all_shares(lab, getattr(lab, tree))
    lost = stores / "03"

    def mend():
        shutil.rmtree(lost)
        lost.mkdir()
        return timed([lab.binary, "repair", "-q", "--add", f"03={lost}", stores], (MENDED,))

    return [
        Subject("cp -r of the lost share",
                in_new_folder(lab, lambda new: ["cp", "-r", stores / "01", new])),
        Subject(CAT, lambda: timed(cat_all(stores))),
        Subject("repair of a lost store", mend),
    ]  # fmt: skip


def add_pair(name, title, subjects, reference, targets):
    """The same with a large file and with many small ones. TARGETS: of each tree."""
    for tree, what in (("large", "a large file"), ("small", "many small files")):
        add(Case(f"{name}-{tree}", f"{title}: {what}, 3 of 6", SECONDS, reference,
                 lambda lab, tree=tree: subjects(tree, lab), targets.get(tree, [])))  # fmt: skip


AS_FAST = [Target("encode", COPY_SHARES, at_most=1.0)]
HALF_OF_CAT = [Target("check", CAT, at_most=2.0)]
add_pair("encode", "encode", encode, COPY_SHARES, {"large": AS_FAST, "small": AS_FAST})
add_pair("decode", "decode", decode, COPY_SOURCE,
         {"small": [Target("decode", COPY_SOURCE, at_most=3.0)]})  # fmt: skip
add_pair("check", "check", check, CAT, {"large": HALF_OF_CAT, "small": HALF_OF_CAT})
add_pair("repair", "repair", repair, "cp -r of the lost share", {})

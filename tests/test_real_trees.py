# SPDX-License-Identifier: MIT
"""Real trees and real programs: what these find in the restored view is what the source had.

Each test goes the whole way: the encoded view of a source, rsync -aHAX of any k of its shares to
stores, and the restored view of these; the encoded view is gone by then.

ZFEC_FS_TEST_LARGE=1 takes all of /usr instead of a random part of it. That needs twice the space
in the temporary folder, and a quarter of an hour.
"""

import contextlib
import errno
import hashlib
import mmap
import multiprocessing
import os
import random
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
from collections import namedtuple
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

import mounts as mounts_module
import trees

LARGE = os.environ.get("ZFEC_FS_TEST_LARGE") == "1"
LIMIT_S = 7200 if LARGE else 120
SPARE_SHARES = 3
MIB = 1 << 20

# A source that came back: where it was, the view in which it is, and which parts were taken.
Restored = namedtuple("Restored", "source view parts")


def run(*words, **how):
    """Runs a program that has to succeed; returns what it printed."""
    if not shutil.which(words[0]):
        pytest.skip(f"{words[0]} is missing")
    how.setdefault("env", {**os.environ, "LC_ALL": "C"})
    how.setdefault("input", b"")
    done = subprocess.run(words, check=False, capture_output=True, timeout=LIMIT_S, **how)
    said = (done.stdout[-2000:] + done.stderr[-2000:]).decode(errors="replace")
    assert done.returncode == 0, f"{words[:4]}: exit {done.returncode}: {said}"
    return done.stdout


def in_child(function, *arguments):
    """For what reads through a mapping: where that fails, the process is gone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as processes:
        return processes.submit(function, *arguments).result(LIMIT_S)


# From a source to the restored view


def choose_shares(rng, required):
    """Any k, in any order, and among them one that is computed, and no plain piece."""
    while True:
        chosen = rng.sample(range(required + SPARE_SHARES), required)
        if max(chosen) >= required:
            return chosen


def rsync(source, target, parts, *more):
    """Times count to the nanosecond; without the window, rsync looks at seconds only."""
    words = ["-aHAXR", "--modify-window=-1", *more, "--", *parts, f"{target}/"]
    return run("rsync", *words, cwd=source)


def copy(source, target, parts):
    target.mkdir(parents=True)
    rsync(source, target, parts)


def round_trip(mounts, source, stores, rng, parts=(".",)):
    required = rng.randint(2, 4)
    encoded = mounts.encoded(source, required=required, shares=required + SPARE_SHARES)
    for number, index in enumerate(choose_shares(rng, required)):
        copy(encoded / trees.share_name(index), stores / f"store-{number}", parts)
    encoded.unmount()
    return mounts.restored(stores)


@pytest.fixture
def restore(mounts, tmp_path, rng):
    return lambda source: round_trip(mounts, source, tmp_path / "stores", rng).path


@pytest.fixture(scope="module")
def rngs(module_rng):
    """One for each tree that tests share, so that it does not matter which of them comes first."""
    return {name: random.Random(module_rng.random()) for name in ("system", "git", "project")}


# Comparisons of trees


def compare_by_rsync(source, view, parts):
    """Contents, modes, owners, times, hard links, extended attributes, access lists."""
    assert rsync(source, view, parts, "-nic", "--delete") == b""


def compare_by_diff(source, view, parts):
    for part in parts:
        assert run("diff", "-r", "--no-dereference", source / part, view / part) == b""


PIPE = 'tar -C "$1" "$3" -cf - -- "${@:4}" | tar -C "$2" --compare -f -'


def tar_and_compare(source, view, option, parts):
    words = ["bash", "-o", "pipefail", "-c", PIPE, "-", source, view, option, *parts]
    assert run(*words) == b""


def compare_by_tar(source, view, parts):
    """In both directions: an archive does not say what else there is."""
    tar_and_compare(source, view, "--acls", parts)
    tar_and_compare(view, source, "--acls", parts)


def compare_by_sparse_tar(source, view, parts):
    """tar --sparse believes what the view says about blocks and holes."""
    tar_and_compare(view, source, "--sparse", parts)
    tar_and_compare(source, view, "--sparse", parts)


COMPARISONS = [compare_by_rsync, compare_by_diff, compare_by_tar, compare_by_sparse_tar]


def flip(path):
    """One bit, and nothing else that a comparison could look at."""
    found = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def remove(path):
    found = path.parent.stat()
    path.unlink()
    os.utime(path.parent, ns=(found.st_atime_ns, found.st_mtime_ns))


def add_another(path):
    shutil.copy2(path, path.parent / "another")


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("spoil", [flip, remove, add_another])
def test_the_comparisons_can_fail(tmp_path, rng, compare, spoil):
    """Their silence below means something only if they speak here."""
    trees.write_sizes(tmp_path / "source" / "folder", [10, 10000], rng)
    copy(tmp_path / "source", tmp_path / "copy", ["."])
    compare(tmp_path / "source", tmp_path / "copy", ["folder"])
    spoil(tmp_path / "copy" / "folder" / "size-10000")
    with pytest.raises(AssertionError):
        compare(tmp_path / "source", tmp_path / "copy", ["folder"])


# The system's own files

SYSTEM = Path("/usr")
ENTRIES_MAX, BYTES_MAX = 3000, 80 * MIB


def measure(folder):
    """Entries and bytes of a folder; none of either where not all of it may be read."""
    entries = size = 0
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink() and not os.access(path, os.R_OK):
            return 0, 0
        found = path.lstat()
        entries += 1
        size += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return entries, size


def random_parts(rng):
    """Some folders of the system: any that fit, until there is little room left."""
    places = [SYSTEM / name for name in ("include", "lib", "share")]
    folders = [path for place in places for path in sorted(place.iterdir()) if path.is_dir()]
    rng.shuffle(folders)
    parts, entries_left, bytes_left = [], ENTRIES_MAX, BYTES_MAX
    for folder in folders:
        if entries_left < ENTRIES_MAX // 20:
            break
        entries, size = measure(folder) if not folder.is_symlink() else (0, 0)
        if 0 < entries <= entries_left and size <= bytes_left:
            parts.append(str(folder.relative_to(SYSTEM)))
            entries_left, bytes_left = entries_left - entries, bytes_left - size
    return parts


@pytest.fixture(scope="module")
def patience():
    """A mount of the large tree may live longer than others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mounts_module, "LIFE_LIMIT_S", max(LIMIT_S, mounts_module.LIFE_LIMIT_S))
        yield


@pytest.fixture(scope="module")
def system(patience, module_mounts, tmp_path_factory, rngs):
    if os.geteuid() != 0:
        pytest.skip("a copy of what others own needs root")
    parts = ["."] if LARGE else random_parts(rngs["system"])
    folder = tmp_path_factory.mktemp("system")
    view = round_trip(module_mounts, SYSTEM, folder, rngs["system"], parts)
    yield Restored(SYSTEM, view.path, parts)
    view.unmount()
    shutil.rmtree(folder)


@mounts_module.long
@pytest.mark.parametrize("compare", COMPARISONS)
def test_system_tree(system, compare):
    compare(*system)


@mounts_module.long
def test_system_tree_copied_out(system, tmp_path):
    """By a program that goes by what the view says of links, attributes and access lists."""
    run("cp", "-a", system.view, tmp_path / "copy")
    compare_by_rsync(system.source, tmp_path / "copy", system.parts)
    shutil.rmtree(tmp_path / "copy")


def grep(folder, parts):
    lines = run("grep", "-rn", "GNU\\|[Ll]icen[cs]e", "--", *parts, cwd=folder)
    return b"\n".join(sorted(lines.split(b"\n")))


@mounts_module.long
def test_grep_in_the_system_tree(system):
    found = grep(system.view, system.parts)
    assert found.count(b"\n") > 10
    trees.assert_same(found, grep(system.source, system.parts), "what grep -r prints")


# A git repository

GIT_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    **{f"GIT_{who}_NAME": "Someone" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "someone@example.org" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "LC_ALL": "C",
}
BRANCHES = ["main", "topic-1", "topic-2", "topic/3", "stable"]
PACKED_COMMITS, LOOSE_COMMITS = 300, 20


def git(folder, *words, **how):
    return run("git", "-C", folder, *words, env=GIT_ENVIRONMENT, **how)


def some_lines(rng, count):
    return b"".join(b"%d %x\n" % (rng.randrange(50), rng.getrandbits(99)) for _ in range(count))


class History:
    """Random commits on several branches, with merges and tags, in git fast-import's language."""

    def __init__(self, rng):
        self._rng = rng
        self._lines = []
        self._tips = {}
        self._contents = {}

    def _add(self, *lines, data=None):
        self._lines += [line.encode() for line in lines]
        if data is not None:
            self._lines += [b"data %d" % len(data), data]

    def _change_text(self):
        """Adds and removes lines, so that the files have versions that are alike."""
        rng = self._rng
        path = f"folder-{rng.randrange(6)}/file {rng.randrange(12)}.c"
        kept = self._contents.get(path, b"")[rng.randrange(200) :]
        self._contents[path] = kept + some_lines(rng, rng.randrange(60))
        self._add(f"M {rng.choice(['100644', '100755'])} inline {path}", data=self._contents[path])

    def _change_others(self):
        rng = self._rng
        number = rng.randrange(5)
        self._add(f"M 120000 inline links/{number}", data=b"../folder-%d" % rng.randrange(6))
        self._add(f"M 100644 inline {number}.bin", data=rng.randbytes(rng.randrange(30000)))
        self._add(f"D folder-{number}/file {number}.c")

    def commit(self, number):
        rng = self._rng
        branch = rng.choice(BRANCHES) if self._tips else "main"
        parent = self._tips.get(branch, self._tips.get("main"))
        merged = self._tips.get(rng.choice(BRANCHES)) if rng.random() < 0.1 else None
        self._add(f"commit refs/heads/{branch}", f"mark :{number}")
        self._add(
            f"committer Someone <someone@example.org> {1400000000 + number} +0100",
            data=f"Änderung {number}\n\n{rng.random()}\n".encode(),
        )
        self._add(*[f"from :{parent}"] if parent else [])
        self._add(*[f"merge :{merged}"] if merged and merged != parent else [])
        for _ in range(rng.randint(1, 4)):
            self._change_text()
        if rng.random() < 0.1:
            self._change_others()
        self._tips[branch] = number

    def tag(self, number):
        self._add(f"tag v{number}", f"from :{number}")
        tagger = f"tagger Someone <someone@example.org> {1400000000 + number} +0100"
        self._add(tagger, data=b"Version %d\n" % number)

    def stream(self):
        return b"\n".join(self._lines) + b"\n"


def import_history(repository, rng):
    """One pack, with all that git may keep beside it."""
    history = History(rng)
    for number in range(1, PACKED_COMMITS + 1):
        history.commit(number)
        if number % 50 == 0:
            history.tag(number)
    run("git", "init", "-q", "-b", "main", repository, env=GIT_ENVIRONMENT)
    git(repository, "fast-import", "--quiet", input=history.stream())
    git(repository, "repack", "-adfq", "--write-bitmap-index")
    git(repository, "commit-graph", "write", "--reachable")
    git(repository, "pack-refs", "--all")
    git(repository, "checkout", "-qf", "main")


def commit_loosely(repository, rng):
    for number in range(LOOSE_COMMITS):
        git(repository, "checkout", "-q", rng.choice(BRANCHES))
        for _ in range(3):
            path = repository / f"loose-{rng.randrange(5)}" / f"file-{rng.randrange(10)}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(some_lines(rng, rng.randrange(1, 500)))
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", f"Change {number}")


def leave_work_undone(repository, rng):
    """Something for git status to say: staged, changed, new, hidden in the stash, ignored."""
    (repository / "staged").write_bytes(rng.randbytes(100))
    git(repository, "add", "staged")
    git(repository, "stash", "-q")
    (repository / "staged").write_bytes(rng.randbytes(100))
    git(repository, "add", "staged")
    tracked = git(repository, "ls-files", "-z", "folder-*").decode().split("\0")[0]
    (repository / tracked).write_bytes(b"changed\n")
    (repository / "new").touch()
    (repository / ".git" / "info" / "exclude").write_text("*.o\n")
    (repository / "ignored.o").write_bytes(rng.randbytes(100))
    git(repository, "hash-object", "-w", "ignored.o")


@pytest.fixture(scope="module")
def repositories(module_mounts, tmp_path_factory, rngs):
    """A repository, and itself restored; it lies in the tree as any other folder."""
    folder, rng = tmp_path_factory.mktemp("git"), rngs["git"]
    repository = folder / "source" / "work" / "repository"
    repository.parent.mkdir(parents=True)
    import_history(repository, rng)
    commit_loosely(repository, rng)
    leave_work_undone(repository, rng)
    view = round_trip(module_mounts, folder / "source", folder / "stores", rng)
    return repository, view / "work" / "repository"


# Questions, and what the answers have to hold for the repository to be worth asking.
GIT_QUESTIONS = {
    "fsck --full --strict --no-progress": rb"dangling blob",
    "status --porcelain=v2 --show-stash --ignored": rb"# stash 1\n1 .M .*\n1 A. .*\n\? new\n! ",
    "log --all --format=raw --stat -p --cc": rb"(?m)^parent \w+\nparent \w+",
    "for-each-ref": rb"refs/heads/topic/3\n(?s:.*)tag\trefs/tags/v100\n",
    "diff --binary HEAD": rb"(?m)^[+]changed$",
    "archive main": rb"folder-\d/file",
    "rev-list --all --objects --use-bitmap-index": rb"(\w{40}.*\n){1000}",
    "commit-graph verify --no-progress": rb"",
}


def check_clone(repository, clone, *words):
    """All that is in a repository is in its clone, which stands on its own."""
    run("git", "clone", "-q", *words, repository, clone, env=GIT_ENVIRONMENT)
    git(clone, "fsck", "--full", "--strict")
    refs = ["for-each-ref", "--format=%(objectname) %(refname:lstrip=-1)", "refs/tags"]
    assert git(clone, *refs) == git(repository, *refs)
    assert git(clone, "rev-parse", "HEAD^{tree}") == git(repository, "rev-parse", "HEAD^{tree}")
    assert git(clone, "status", "--porcelain") == b""


@mounts_module.long
def test_git_repository(repositories, tmp_path):
    repository, restored = repositories
    assert re.search(rb"count: \d{2}(?s:.*)in-pack: \d{4}", git(repository, "count-objects", "-v"))
    for question, needed in GIT_QUESTIONS.items():
        answer = git(repository, *question.split())
        assert re.search(needed, answer), question
        trees.assert_same(git(restored, *question.split()), answer, f"git {question}")
    check_clone(restored, tmp_path / "clone")
    check_clone(restored, tmp_path / "clone-as-from-elsewhere", "--no-local")


@mounts_module.long
def test_git_repository_goes_on(repositories, tmp_path):
    """Copied out, it is one to work with."""
    copied = tmp_path / "copied"
    run("cp", "-a", repositories[1], copied)
    git(copied, "commit", "-qam", "One more")
    git(copied, "gc", "-q", "--prune=now")
    git(copied, "fsck", "--full", "--strict")
    assert git(copied, "log", "-1", "--format=%s") == b"One more\n"


# Repositories of backup programs


def fill(folder, rng):
    """What a backup has to keep: copies, holes, links, times, modes, odd names."""
    for number in range(12):
        size = rng.choice((0, rng.randrange(5000), rng.randrange(300_000), rng.randrange(2 * MIB)))
        trees.write_file(folder / f"folder-{number % 4}" / f"file {number}", rng.randbytes(size))
    shutil.copy2(folder / "folder-1" / "file 1", folder / "copy")
    os.link(folder / "folder-2" / "file 2", folder / "folder-3" / "linked")
    (folder / "link").symlink_to("folder-1/file 1")
    (folder / "new\nline").write_text(str(rng.random()))
    (folder / "new\nline").chmod(0o750)
    with open(folder / "hole", "wb") as file:
        file.truncate(3 * MIB)
        file.seek(MIB)
        file.write(rng.randbytes(1000))
    for number, path in enumerate(sorted(folder.rglob("*"), reverse=True)):
        os.utime(path, ns=(1, trees.MTIME_NS + number), follow_symlinks=False)


def change(folder, rng):
    trees.write_file(folder / "folder-0" / "file 0", rng.randbytes(100_000), trees.MTIME_NS + 99)
    trees.write_file(folder / "later", rng.randbytes(5000), trees.MTIME_NS + 99)
    shutil.rmtree(folder / "folder-1")


def check_same_tree(one, other):
    """But for the time of the root, which the programs leave alone."""
    shutil.copystat(one, other)
    compare_by_rsync(one, other, ["."])


@pytest.fixture
def data(tmp_path, rng):
    """A tree as it was first, and as it became."""
    fill(tmp_path / "data", rng)
    copy(tmp_path / "data", tmp_path / "before", ["."])
    change(tmp_path / "data", rng)
    copy(tmp_path / "data", tmp_path / "after", ["."])
    return {name: tmp_path / name for name in ("before", "after")}


def restic(repository, *words, **how):
    environment = {**os.environ, "RESTIC_PASSWORD": "secret"}
    return run("restic", "--no-cache", "-r", repository, *words, env=environment, **how)


@mounts_module.long
def test_restic_repository(restore, data, tmp_path):
    source = tmp_path / "source"
    restic(source, "init")
    for name, tree in data.items():
        restic(source, "backup", "--tag", name, ".", cwd=tree)
    view = restore(source)
    assert b"no errors were found" in restic(view, "--no-lock", "check", "--read-data")
    for name, tree in data.items():
        target = tmp_path / f"out-{name}"
        restic(view, "--no-lock", "restore", "latest", "--tag", name, "--target", target)
        check_same_tree(tree, target)


@pytest.fixture
def borg(tmp_path):
    environment = {
        **os.environ,
        "BORG_BASE_DIR": str(tmp_path / "borg"),
        "BORG_PASSPHRASE": "secret",
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
    }
    return lambda *words, **how: run("borg", *words, env=environment, **how)


@mounts_module.long
def test_borg_repository(restore, borg, data, tmp_path):
    """Extracted from the view as it is; a check needs a repository in which it may write."""
    source = tmp_path / "source"
    borg("init", "--encryption=repokey-blake2", source)
    for name, tree in data.items():
        borg("create", f"{source}::{name}", ".", cwd=tree)
    view = restore(source)
    for name, tree in data.items():
        target = tmp_path / f"out-{name}"
        target.mkdir()
        borg("--bypass-lock", "extract", f"{view}::{name}", cwd=target)
        check_same_tree(tree, target)
    run("cp", "-a", view, tmp_path / "copied")
    borg("check", "--verify-data", tmp_path / "copied")


# A database

ROWS = 8000
QUERIES = [
    "PRAGMA foreign_key_check",
    "SELECT * FROM item",
    "SELECT name FROM item ORDER BY name",
    "SELECT id FROM item WHERE name BETWEEN '4' AND '5'",
    "SELECT grade, count(*), avg(number) FROM item JOIN mark ON mark.item = item.id GROUP BY grade",
    "SELECT * FROM sqlite_master",
]
# Ways to open it where nothing may be written; the second one would not look at a log.
READ_ONLY = {"delete": ["mode=ro", "immutable=1"], "wal": ["mode=ro"]}


def make_database(path, journal, rng):
    """Some MB of tables and indexes. Returns the connection: with a log, its end writes it back."""
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA journal_mode = {journal}")
    database.executescript(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, number REAL, content BLOB);"
        "CREATE INDEX by_name ON item (name);"
        "CREATE TABLE mark (item INTEGER REFERENCES item, grade INTEGER, UNIQUE (item, grade));"
    )
    items = [(f"{rng.random()}"[2:], rng.random(), rng.randbytes(rng.randrange(600)))
             for _ in range(ROWS)]  # fmt: skip
    marks = {(rng.randint(1, ROWS), rng.randrange(6)) for _ in range(2 * ROWS)}
    database.executemany("INSERT INTO item (name, number, content) VALUES (?, ?, ?)", items)
    database.executemany("INSERT INTO mark VALUES (?, ?)", sorted(marks))
    database.commit()
    database.execute("DELETE FROM item WHERE id % 7 = 3 AND id NOT IN (SELECT item FROM mark)")
    database.commit()
    return database


def digest(rows):
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def answers(database):
    """Short ones: reports of long differences take minutes."""
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return {query: digest(database.execute(query).fetchall()) for query in QUERIES}


def answers_of(path, options, mapped_size):
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?{options}", uri=True)) as database:
        database.execute(f"PRAGMA mmap_size = {mapped_size}")
        return answers(database)


def check_answers(expected, path, *options):
    """Read as other files are, and mapped."""
    for option in options:
        for mapped_size in (0, 1 << 30):
            assert in_child(answers_of, path, option, mapped_size) == expected


@mounts_module.long
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_sqlite_database(restore, tmp_path, rng, journal):
    """With a log, too, that is still to be written back, and is to be found beside it."""
    source = tmp_path / "source"
    source.mkdir()
    with contextlib.closing(make_database(source / "data", journal, rng)) as database:
        expected = answers(database)
        view = restore(source)
    assert (view / "data").stat().st_size > 2 * MIB
    assert (view / "data-wal").exists() == (journal == "wal")
    check_answers(expected, view / "data", *READ_ONLY[journal])
    run("cp", "-a", view, tmp_path / "copied")
    check_answers(expected, tmp_path / "copied" / "data", "mode=rw")


# A project to build and to run

PART_COUNT = 12
PART = """\
#include "part_{0}.h"
unsigned part_{0}(unsigned value)
{{
    return value * FACTOR_{0} + {1}u;
}}
"""
PART_HEADER = """\
#define FACTOR_{0} {1}u
unsigned part_{0}(unsigned value);
"""
MAIN = """\
#include "parts.h"
#include <stdio.h>
int main(void)
{
    unsigned value = 1;
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        value = parts[i](value);
    printf("%u\\n", value);
    return 0;
}
"""
COMPILE = ["gcc", "-O1", "-Wall", "-Werror"]


def write_text(path, text):
    trees.write_file(path, text.encode())


def write_project(folder, rng):
    """Parts in C that each change a number; returns what the program prints in the end."""
    value = 1
    for number in range(PART_COUNT):
        factor, term = rng.getrandbits(32), rng.getrandbits(32)
        value = (value * factor + term) % (1 << 32)
        write_text(folder / f"include/part_{number}.h", PART_HEADER.format(number, factor))
        write_text(folder / f"src/part_{number}.c", PART.format(number, term))
    includes = "".join(f'#include "part_{number}.h"\n' for number in range(PART_COUNT))
    names = ", ".join(f"part_{number}" for number in range(PART_COUNT))
    table = f"static unsigned (*const parts[])(unsigned) = {{{names}}};\n"
    write_text(folder / "include/parts.h", includes + table)
    write_text(folder / "src/main.c", MAIN)
    return b"%d\n" % value


def build_project(folder):
    """A program, one that needs a library beside it, and a script that runs both."""
    parts = sorted((folder / "src").glob("part_*.c"))
    include = f"-I{folder}/include"
    (folder / "bin").mkdir()
    run(*COMPILE, include, *parts, folder / "src/main.c", "-o", folder / "bin/whole")
    run(*COMPILE, include, "-shared", "-fPIC", *parts, "-o", folder / "bin/libparts.so")
    link = [f"-L{folder}/bin", "-lparts", "-Wl,-rpath,$ORIGIN"]
    run(*COMPILE, include, folder / "src/main.c", *link, "-o", folder / "bin/linked")
    write_text(folder / "bin/script", '#!/bin/sh\n"${0%/*}/whole" && "${0%/*}/linked"\n')
    (folder / "bin/script").chmod(0o755)


# Sizes of files to read in every way there is.
SIZES = {"large": 9 * MIB + 12345, "page": 4096, "small": 777, "empty": 0}
Project = namedtuple("Project", "source view answer contents")


@pytest.fixture(scope="module")
def project(module_mounts, tmp_path_factory, rngs):
    rng = rngs["project"]
    source = tmp_path_factory.mktemp("project") / "source"
    answer = write_project(source, rng)
    build_project(source)
    contents = {name: rng.randbytes(size) for name, size in SIZES.items()}
    for name, content in contents.items():
        trees.write_file(source / name, content)
    view = round_trip(module_mounts, source, source.parent / "stores", rng)
    return Project(source, view.path, answer, contents)


@pytest.fixture(params=SIZES)
def subject(request, project):
    """A restored file, and what has to be in it."""
    return project.view / request.param, project.contents[request.param]


@pytest.fixture
def fresh(project):
    """Nothing of the view's files in memory, so that a way to read them does read them."""
    for name in SIZES:
        with open(project.view / name, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@mounts_module.long
def test_project_compiles(project, tmp_path):
    sources = sorted((project.view / "src").glob("*.c"))
    run(*COMPILE, f"-I{project.view}/include", *sources, "-o", tmp_path / "program")
    assert run(tmp_path / "program") == project.answer


@mounts_module.long
def test_objects_are_the_same(project, tmp_path):
    """What is compiled in the view is what is compiled in the source, to the last byte."""
    for name in ("source", "view"):
        words = ["-g", "-Iinclude", "-c", "src/main.c", "-o", tmp_path / name]
        words.append(f"-ffile-prefix-map={getattr(project, name)}=.")
        run(*COMPILE, *words, cwd=getattr(project, name))
    assert (tmp_path / "view").read_bytes() == (tmp_path / "source").read_bytes()


def test_programs_run_in_the_view(project):
    assert run(project.view / "bin/whole") == project.answer
    assert run(project.view / "bin/linked") == project.answer
    assert run(project.view / "bin/script") == project.answer * 2


# All ways to read a file


def check_mapping(path, expected, flags, rng):
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ) as mapped:
            for _ in range(200):
                at = rng.randrange(len(expected))
                end = at + rng.choice((1, 100, 10_000, 300_000))
                trees.assert_same(mapped[at:end], expected[at:end], f"bytes from {at}")
            trees.assert_same(mapped[:], expected, "all of it")


@pytest.mark.parametrize("flags", [mmap.MAP_SHARED, mmap.MAP_PRIVATE], ids=["shared", "private"])
@pytest.mark.parametrize("name", ["large", "small"])
def test_mapped(project, fresh, rng, name, flags):
    in_child(check_mapping, project.view / name, project.contents[name], flags, rng)


def check_private_mapping(path, expected):
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
            mapped[5000:5004] = b"mine"
            trees.assert_same(mapped[:], expected[:5000] + b"mine" + expected[5004:], "mapping")
        trees.assert_same(file.read(), expected, "file")


def test_private_mapping_is_written(project, fresh):
    """Its pages are the process's own: the file does not get to know."""
    in_child(check_private_mapping, project.view / "large", project.contents["large"])


def test_sendfile_to_file(subject, fresh, tmp_path):
    path, expected = subject
    with open(path, "rb") as file, open(tmp_path / "out", "wb") as out:
        while os.sendfile(out.fileno(), file.fileno(), None, 700_001):
            pass
    trees.assert_same((tmp_path / "out").read_bytes(), expected, path.name)


def receive(connection):
    with connection, connection.makefile("rb") as stream:
        return stream.read()


def test_sendfile_to_socket(subject, fresh):
    path, expected = subject
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as threads, open(path, "rb") as file:
        received = threads.submit(receive, theirs)
        with ours:
            at = 0
            while sent := os.sendfile(ours.fileno(), file.fileno(), at, 1 << 30):
                at += sent
        trees.assert_same(received.result(), expected, path.name)


def splice_all(source, target):
    with open(source, "rb") as file, open(target, "wb") as pipe:
        while os.splice(file.fileno(), pipe.fileno(), 1 << 20):
            pass


def test_splice(subject, fresh, tmp_path):
    """From the file to a pipe, which needs no copy."""
    path, expected = subject
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as threads:
        splicing = threads.submit(splice_all, path, tmp_path / "pipe")
        trees.assert_same((tmp_path / "pipe").read_bytes(), expected, path.name)
        splicing.result()


def test_copy_file_range(subject, fresh, tmp_path):
    """Newer kernels do not copy so from one file system to another, and say EXDEV."""
    path, expected = subject
    with open(path, "rb") as file, open(tmp_path / "out", "wb") as out:
        try:
            while os.copy_file_range(file.fileno(), out.fileno(), 1 << 30):
                pass
        except OSError as error:
            assert error.errno == errno.EXDEV
            expected = b""
    trees.assert_same((tmp_path / "out").read_bytes(), expected, path.name)


@pytest.mark.parametrize(
    "words",
    [
        ["cp", "--reflink=auto"],
        ["cp", "--reflink=never", "--sparse=always"],
        ["install", "-m", "600"],
    ],
    ids=" ".join,
)
def test_copied(subject, fresh, tmp_path, words):
    path, expected = subject
    run(*words, path, tmp_path / "out")
    trees.assert_same((tmp_path / "out").read_bytes(), expected, path.name)


@pytest.mark.parametrize("block_size", [512, 4096, 65536, 1 << 20, 999_999])
def test_direct(subject, tmp_path, block_size):
    """Past the page cache; 512 bytes at a time only some of the large file."""
    path, expected = subject
    count = 1000 if block_size == 512 else 100_000
    size = min(count * block_size, len(expected))
    words = ["iflag=direct", f"bs={block_size}", f"count={count}", "status=none"]
    trees.assert_same(run("dd", f"if={path}", *words), expected[:size], path.name)


def test_direct_from_anywhere(project, rng):
    expected = project.contents["large"]
    for _ in range(20):
        skip, count = rng.randrange(2300), rng.randrange(1, 300)
        words = ["iflag=direct", "bs=4096", f"skip={skip}", f"count={count}", "status=none"]
        read = run("dd", f"if={project.view / 'large'}", *words)
        trees.assert_same(read, expected[skip * 4096 :][: count * 4096], f"{skip} + {count}")


@pytest.mark.parametrize("count", [1, 100, 4096, 4097, 1_000_003, 10_000_000])
def test_tail_and_head(subject, fresh, count):
    path, expected = subject
    trees.assert_same(run("tail", "-c", str(count), path), expected[-count:], "the last")
    trees.assert_same(run("tail", "-c", f"+{count}", path), expected[count - 1 :], "all after")
    trees.assert_same(run("head", "-c", str(count), path), expected[:count], "the first")


def test_cmp(project, fresh):
    for name in SIZES:
        assert run("cmp", project.source / name, project.view / name) == b""
    assert run("cmp", "-i", "70001", project.source / "large", project.view / "large") == b""


def test_holes(subject):
    """A file that has none is one piece of data, with a hole behind its end."""
    path, expected = subject
    with open(path, "rb") as file:
        if expected:
            assert os.lseek(file.fileno(), 0, os.SEEK_DATA) == 0
            assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == len(expected)
        with pytest.raises(OSError, match="No such device or address"):
            os.lseek(file.fileno(), len(expected), os.SEEK_DATA)

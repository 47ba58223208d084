# SPDX-License-Identifier: MIT
"""Real trees and real programs: what these find in the restored view is what the source had.

Each test goes the whole way: the encoded view of a source, rsync -aHAX of any k of its shares to
stores, and the restored view of these; the encoded view is gone by then.

ZFEC_FS_TEST_LARGE=1 takes all of /usr instead of a random part of it. That needs twice the space
in the temporary folder, and a quarter of an hour.
"""

import contextlib
import hashlib
import os
import re
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

import mounts as mounts_module
import real_trees
import trees
from real_trees import LARGE, LIMIT_S, MIB, Restored, copy, in_child, round_trip, rsync, run

UNSANITIZED = True

restore = real_trees.restore  # a fixture
rngs = real_trees.rngs  # a fixture


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

# SPDX-License-Identifier: MIT
"""Exclude rules: random ones on random trees, compared with what git says of the same .gitignore.

ZFEC_FS_TEST_CASES says how many files of rules there are: a fortieth of it, 100 or 2500.
"""

import os
import re
import subprocess

import pytest

import mounts as mounts_module

UNSANITIZED = True
SPREAD = True
CASES = int(os.environ.get("ZFEC_FS_TEST_CASES", "4000")) // 40
CASES_OF_A_TREE = 40
PROGRAM = mounts_module.BINARY.parent / "tests" / "unit" / "match-excludes"
LIMIT_S = 60

# What names and patterns are made of: few letters, so that they meet, and all that means something.
LETTERS = [b"a", b"b", b"c", b"ab", b"A", b"0", b".", b"-", b"\xc3\xa4", b"\xff"]
SPECIAL = [b"*", b"?", b"[", b"]", b"!", b"^", b"\\", b"#", b":", b" ", b"\t", b"\r"]
CLASSES = (
    b"alnum alpha blank cntrl digit graph lower print punct space upper xdigit nothing".split()
)
MARK = b"\xef\xbb\xbf"

# In place of a slash; only the first matches it.
SLASHES = [b"\\/", b"\\/", b"?", b"*", b"[!a]", b"[/]"]

# git before 2.52 takes the stars of a**/b for directories, against its documentation, if there is
# no wildcard before them (its commit 1940a02dc1 says more).
TAKEN_FOR_DIRECTORIES = re.compile(rb"(!|(?!!))[^*?\[\\]*[^/*?\[\\]\*\*+(/|\\/|[ \r]*$)")


class Repository:
    """A tree in a git repository; paths are bytes, those of directories with a '/' at the end."""

    def __init__(self, folder):
        self.folder = os.fsencode(folder)
        self.paths = []
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        os.mkdir(self.folder)
        self._git("init", "--quiet")
        self.rules = os.path.join(self.folder, b".gitignore")

    def _git(self, *arguments, statuses=(0,), paths=b""):
        done = subprocess.run(
            ["git", *arguments],
            check=False,
            cwd=self.folder,
            env=self._environment,
            input=paths,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=LIMIT_S,
        )
        assert done.returncode in statuses and not done.stderr, done.stderr
        return {path for path in done.stdout.split(b"\0") if path}

    def add(self, path):
        full = os.path.join(self.folder, path)
        if path.endswith(b"/"):
            os.mkdir(full)
        else:
            os.close(os.open(full, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        self.paths.append(path)

    def add_link(self, path, target):
        os.symlink(target, os.path.join(self.folder, path))
        self.paths.append(path)

    def write_rules(self, text):
        with open(self.rules, "wb") as file:
            file.write(text)

    def excluded(self):
        """The paths that git ignores, each asked about by itself."""
        # "./": a ':' in front would mean something to git
        asked = {b"./" + path.rstrip(b"/"): path for path in self.paths}
        names = b"".join(path + b"\0" for path in asked)
        answer = self._git(
            "check-ignore", "--no-index", "--stdin", "-z", paths=names, statuses=(0, 1)
        )
        return {asked[path] for path in answer}

    def excluded_files(self):
        """The files that git does not see when it goes through the tree."""
        options = ("--others", "--ignored", "--exclude-per-directory=.gitignore")
        return self._git("ls-files", "-z", *options) - {b".gitignore"}


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


def ours(repository):
    done = subprocess.run(
        [PROGRAM, repository.rules],
        check=False,
        input=b"".join(path + b"\0" for path in repository.paths),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr.decode(errors="replace")
    assert len(done.stdout) == len(repository.paths)
    return {path for path, answer in zip(repository.paths, done.stdout) if answer == ord("1")}


def compare(repository, text):
    """Fails where git and we differ. Returns what is excluded."""
    repository.write_rules(text)
    expected, actual = repository.excluded(), ours(repository)
    assert actual == expected, (
        f"rules: {text!r}; git alone excludes {sorted(expected - actual)}; "
        f"we alone exclude {sorted(actual - expected)}"
    )
    return actual


# Random trees


def random_name(rng):
    while True:
        parts = [rng.choice(LETTERS if rng.random() < 0.8 else [*SPECIAL, b"\n"])]
        while rng.random() < 0.5:
            parts.append(rng.choice(LETTERS if rng.random() < 0.8 else [*SPECIAL, b"\n"]))
        name = b"".join(parts)
        if name not in (b".", b".."):
            return name


def fill(repository, rng, above=b"", depth=1):
    for name in sorted({random_name(rng) for _ in range(rng.randint(1, 7 if depth < 3 else 4))}):
        kind = rng.random()
        if kind < 0.5 and depth < 5:
            repository.add(above + name + b"/")
            fill(repository, rng, above + name + b"/", depth + 1)
        elif kind < 0.6:
            repository.add_link(above + name, ".")
        else:
            repository.add(above + name)


# Random rules


def random_set(rng, member=b"a"):
    parts = [rng.choice((b"", b"", b"!", b"^")), rng.choice((b"", b"", b"", b"]", b"-"))]
    for _ in range(rng.randint(0, 3)):
        letters = [rng.choice([*LETTERS, *SPECIAL, b"/", b"z", member]) for _ in range(2)]
        parts.append(
            rng.choice(
                (
                    letters[0],
                    member,
                    b"\\" + letters[0],
                    b"-".join(letters),
                    b"-\\".join(letters),
                    b"[:" + rng.choice(CLASSES) + b":]",
                    rng.choice((b"-", b"[:", b":]", b"[:alpha]", b"[::]")),
                )
            )
        )
    rng.shuffle(parts)
    return b"[" + b"".join(parts) + (b"]" if rng.random() < 0.95 else b"")


def similar_byte(rng, byte):
    """A piece of a pattern in place of a byte of a path."""
    way = rng.random()
    if way < 0.7:
        return byte if way < 0.65 and byte not in b"*?[\\" else b"\\" + byte
    if way < 0.85:
        return rng.choice((b"?", b"*", b"*", b"**", b""))
    return random_set(rng, byte)


def similar_name(rng, name):
    way = rng.random()
    if way < 0.3:
        return rng.choice((b"*", b"**", b"**", b"***"))
    if way < 0.6:
        return name
    stars = rng.choice((b"*", b"**")) if rng.random() < 0.1 else b""
    return b"".join(similar_byte(rng, bytes([byte])) for byte in name) + stars


def similar_pattern(rng, path):
    """A pattern that a path may match, as a whole, or the names at its end."""
    names = path.rstrip(b"/").split(b"/")
    names = names[rng.choice((0, 0, len(names) - 1, rng.randrange(len(names)))) :]
    parts = [similar_name(rng, name) for name in names]
    if len(parts) > 2 and rng.random() < 0.3:
        at = rng.randrange(len(parts) - 1)
        parts[at : rng.randint(at, len(parts) - 1)] = [b"**"]
    pattern = parts[0]
    for part in parts[1:]:
        pattern += rng.choice(SLASHES) if rng.random() < 0.15 else b"/"
        pattern += part
    return pattern


def wild_pattern(rng):
    pieces = [*LETTERS, *SPECIAL, b"/", b"/", b"/", b"*", b"**", b"/**/", b"**/", b"/**", b"?"]
    parts = (
        random_set(rng) if rng.random() < 0.15 else rng.choice(pieces)
        for _ in range(rng.randint(0, 8))
    )
    return b"".join(parts)


def random_line(rng, paths):
    while True:
        is_wild = rng.random() < 0.2
        pattern = wild_pattern(rng) if is_wild else similar_pattern(rng, rng.choice(paths))
        line = b"".join(
            (
                rng.choice((b"", b"", b"", b"", b"", b"!", b"!", b"#", MARK)),
                rng.choice((b"", b"", b"/", b"**/")),
                pattern,
                rng.choice((b"", b"", b"", b"/", b"/*", b"/**")) if rng.random() < 0.6 else b"",
                rng.choice((b"", b" ", b"  ", b"\\ ", b"\\", b"\t")) if rng.random() < 0.1 else b"",
            )
        ).replace(b"\n", b"?")
        if not TAKEN_FOR_DIRECTORIES.match(line):
            return line


def random_rules(rng, paths):
    lines = [random_line(rng, paths) for _ in range(rng.choice((1, 1, 2, 3, 5, 8)))]
    ends = [rng.choice((b"\n", b"\n", b"\n", b"\r\n", b"\n\n")) for _ in lines]
    if rng.random() < 0.3:
        ends[-1] = rng.choice((b"", b"\r", b"\r\r\n"))
    mark = MARK if rng.random() < 0.05 else b""
    return mark + b"".join(line + end for line, end in zip(lines, ends))


def random_repositories(tmp_path, rng, cases):
    """Yields a repository for each case; the tree is another one only now and then."""
    for number in range(cases):
        if number % CASES_OF_A_TREE == 0:
            repository = Repository(tmp_path / f"repository-{number}")
            while len(repository.paths) < 30:
                fill(repository, rng, b"%d-" % len(repository.paths))
        yield repository


def test_random_rules(tmp_path, rng):
    asked = excluded = 0
    for repository in random_repositories(tmp_path, rng, CASES):
        asked += len(repository.paths)
        excluded += len(compare(repository, random_rules(rng, repository.paths)))
    print(f"{asked} paths, {excluded} excluded")
    assert asked / 10 < excluded < asked * 9 / 10


def test_going_through_a_tree(tmp_path, rng):
    """What git does on its way through a tree, apart from its answers about single paths."""
    for repository in random_repositories(tmp_path, rng, CASES // 4):
        repository.write_rules(random_rules(rng, repository.paths))
        files = {path for path in ours(repository) if not path.endswith(b"/")}
        assert files == repository.excluded_files(), open(repository.rules, "rb").read()


# Every byte


@pytest.fixture
def every_byte(repository):
    """A name of one byte for each byte that can be one, and the same between two letters."""
    for byte in sorted(set(range(1, 256)) - set(b"/")):
        if byte != ord("."):
            repository.add(bytes([byte]))
        repository.add(b"x%cy" % byte)
    return repository


@pytest.mark.parametrize("name", CLASSES)
def test_classes(every_byte, name):
    word = b"[:" + name + b":]"
    for pattern in (b"[%s]", b"[!%s]", b"x[%s]y", b"[a%s-z]", b"[%s%s]", b"[]%s]", b"*[^%s-]y"):
        compare(every_byte, pattern.replace(b"%s", word))


def test_single_bytes_in_patterns(every_byte, rng):
    """All that mean something, and some others."""
    meaning = set(b"".join(SPECIAL)) | set(b"/-.")
    for byte in sorted(meaning | set(rng.sample(range(1, 256), 20)) - set(b"\n")):
        for pattern in (b"%c", b"\\%c", b"[%c]", b"[!%c]", b"[\\%c-\xff]", b"x%cy", b"*%cy"):
            compare(every_byte, pattern % byte)


def test_random_sets(every_byte, rng):
    for _ in range(CASES // 4):
        compare(every_byte, rng.choice((b"%s", b"x%sy", b"/x%sy")) % random_set(rng))


# Single things


def test_many_lines(repository, rng):
    """Rules by the thousand, and one longer than any buffer."""
    fill(repository, rng)
    lines = [random_line(rng, repository.paths) for _ in range(3000)]
    lines.insert(rng.randrange(len(lines)), b"a" * 70000)
    compare(repository, b"\n".join(lines))
    compare(repository, b"\n".join(line for line in lines if not line.startswith(b"!")))


def test_deep_tree(repository):
    """Deeper than what is looked at in one turn; less deep than what Python can remove."""
    path = b""
    for number in range(600):
        path += b"%c/" % (ord("a") + number % 3)
        repository.add(path)
    for rules in (
        b"**/a/b/c/d",
        b"a/b/**\n!a/**/c/\n!**/a/**/b/\n!a/b/c/**/a/",
        b"!*\n" + b"a/b/c/" * 250 + b"**",
        b"*\n!*/\n" + b"/*/*/*" * 180,
        b"*\n!*/\n" + b"/?" * 513 + b"\n",
        b"*\n!*/\n" + b"/?" * 512 + b"/\n",
    ):
        compare(repository, rules)


def test_nothing_but_text(repository):
    """A NUL, which git takes for the end of a line, is refused."""
    repository.write_rules(b"a\0b\n")
    done = subprocess.run(
        [PROGRAM, repository.rules], check=False, input=b"", capture_output=True, timeout=LIMIT_S
    )
    assert done.returncode == 1 and b"Invalid argument" in done.stderr

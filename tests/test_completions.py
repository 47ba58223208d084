# SPDX-License-Identifier: MIT
"""What bash, zsh and fish complete, each asked itself: the options that --help has, and paths."""

import contextlib
import json
import os
import pty
import re
import select
import shutil
import subprocess
import threading
import time

import pytest

import mounts as mounts_module

UNSANITIZED = True

FOLDER = mounts_module.REPOSITORY / "completions"
COMMANDS = ["encode", "decode", "restore", "check", "repair", "info", "sync", "status", "recover", "key", "bench"]
FORMATS = {"checked", "classic", "fec", "sealed"}
LIMIT_S = 60
# The scripts ask the program what there is.
PATH = f"{mounts_module.BINARY.parent}:{os.environ['PATH']}"

# In both, ^X* puts all matches on the line; the command then says which words it was given.
BASH = """
set +o history
PS1=
source /usr/share/bash-completion/bash_completion
source "$COMPLETIONS/zfec-fs.bash"
bind '"\\C-x*": insert-completions'
zfec-fs() { printf '%s\\n' "$@" . >"$ANSWERS"; }
"""
ZSH = """
unset HISTFILE zle_bracketed_paste
PS1=
fpath=("$COMPLETIONS" $fpath)
autoload -Uz compinit && compinit -u -D
all() { _main_complete; compstate[insert]=all compstate[list]=; }
zle -C all complete-word all
bindkey -e
bindkey '^X*' all
zfec-fs() { printf '%s\\n' "$@" . >"$ANSWERS"; }
"""


class OnTerminal:
    """A shell with a line editor, on a terminal of its own."""

    def __init__(self, command, script, folder):
        self._answers = folder / "answers"
        os.mkfifo(self._answers)
        (folder / "script").write_text(script, encoding="utf-8")
        self._terminal, theirs = pty.openpty()
        environment = {
            "PATH": PATH, "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8",
            "INPUTRC": "/dev/null", "COMPLETIONS": str(FOLDER), "ANSWERS": str(self._answers),
        }  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._shown = b""
        self._reader = threading.Thread(target=self._read_terminal, daemon=True)
        self._reader.start()
        self._send(f". {folder}/script; zfec-fs ready\n")
        assert self._answer() == ["ready"]

    def _read_terminal(self):
        with contextlib.suppress(OSError):
            while part := os.read(self._terminal, 65536):
                self._shown += part

    def _send(self, text):
        os.write(self._terminal, text.encode())

    def _answer(self):
        """The words that the command got; it ends them with a dot."""
        text = ""
        deadline = time.monotonic() + LIMIT_S
        answers = os.open(self._answers, os.O_RDONLY | os.O_NONBLOCK)
        try:
            while not f"\n{text}".endswith("\n.\n"):
                left = deadline - time.monotonic()
                if left <= 0:
                    pytest.fail(f"no answer; on the terminal: {self._shown.decode()}")
                if select.select([answers], [], [], left)[0]:
                    text += os.read(answers, 65536).decode()
                    time.sleep(0 if text else 0.01)
        finally:
            os.close(answers)
        return text.splitlines()[:-1]

    def complete(self, line, folder=None):
        """What takes the place of the line's last word, which is left where nothing does."""
        if folder:
            self._send(f"cd {folder}\n")
        self._send(f"zfec-fs {line}\x18*\n")
        words = self._answer()
        return set(words[len(line.split(" ")) - 1 :])

    def end(self):
        self._process.kill()
        self._process.wait()
        # Were it closed while it is read, its number could become another file's, and that be read.
        self._reader.join()
        os.close(self._terminal)


class Fish:
    def __init__(self, folder):
        self._home = folder

    def complete(self, line, folder=None):
        environment = {"PATH": PATH, "HOME": str(self._home), "LC_ALL": "C.UTF-8"}
        result = subprocess.run(
            ["fish", "--no-config", "-c", 'source $argv[1]; complete -C "zfec-fs $argv[2]"',
             FOLDER / "zfec-fs.fish", line],
            check=True, capture_output=True, text=True, env=environment, cwd=folder,
            timeout=LIMIT_S,
        )  # fmt: skip
        assert result.stderr == ""
        return {shown.split("\t")[0] for shown in result.stdout.splitlines()}

    def end(self):
        pass


@pytest.fixture(scope="module", params=["bash", "zsh", "fish"])
def shell(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if not shutil.which(request.param):
        pytest.skip(f"needs {request.param}")
    if request.param == "bash":
        made = OnTerminal(["bash", "--noprofile", "--norc", "-i"], BASH, folder)
    elif request.param == "zsh":
        made = OnTerminal(["zsh", "-f", "-i"], ZSH, folder)
    else:
        made = Fish(folder)
    yield made
    made.end()


@pytest.fixture
def here(tmp_path):
    for name in ("alpha", "alps", "check-list", "sp ace"):
        (tmp_path / name).mkdir()
    (tmp_path / "album").write_text("a file")
    (tmp_path / "sets.ini").write_text("[home]\n[home/a]\n\n [house]\n[mail]\n; [none]\n")
    return tmp_path


def names_in(completed):
    """Without what shells put behind a match: a slash, or a = that asks for a value."""
    return {word.rstrip("/=") for word in completed}


def values_in(completed, line):
    """What stands behind the last =. For readline each match but the first is only that."""
    before, equals, _ = line.split(" ")[-1].rpartition("=")
    return {word.removeprefix(before + equals).rstrip("/") for word in completed}


def switches(*words):
    """The switches that --help has in its left column."""
    shown = mounts_module.run(*words, "--help").stdout
    left = re.findall(r"^ {4,8}(-.*?)(?: {2,}|$)", shown, re.MULTILINE)
    return {switch for each in left for switch in re.findall(r"(?:^|, )(--?[\w-]+)", each)}


def mount_options():
    """Those of -o that --help has."""
    return set(re.findall(r"^ +-o ([a-z_]+)", mounts_module.run("--help").stdout, re.MULTILINE))


def test_help_is_read_as_it_should_be(binary):
    """Otherwise what follows would compare nothing."""
    assert switches() == {"-o", "-f", "-d", "-s", "-h", "--help", "-V", "--version"}
    assert {"-k", "--required", "--exclude", "--exclude-from", "-j"} < switches("encode")
    assert all(len(switches(command)) > 10 for command in COMMANDS)
    assert {"required", "restore", "attr_timeout"} < mount_options()


def test_they_are_where_the_shells_look(binary):
    plan = subprocess.run(
        ["meson", "introspect", "--installed", binary.parent],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    installed = {
        path.partition("/share/")[2]
        for source, path in json.loads(plan.stdout).items()
        if source.startswith(str(FOLDER))
    }
    assert installed == {
        "bash-completion/completions/zfec-fs",
        "zsh/site-functions/_zfec-fs",
        "fish/vendor_completions.d/zfec-fs.fish",
    }


def test_the_program_lists_what_there_is(binary):
    result = mounts_module.run("--completion")
    assert (result.returncode, result.stderr) == (0, "")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row for row in rows if len(row) != 4 or "" in row] == []
    assert [name for place, name, _, _ in rows if place == "commands"] == COMMANDS
    assert {place for place, _, _, _ in rows} == {"commands", "mount", "-o", *COMMANDS}


# Options


@pytest.mark.parametrize("command", COMMANDS)
def test_switches_of_a_command(binary, shell, here, command):
    expected = switches(command)
    assert names_in(shell.complete(f"{command} -", here)) == expected
    expected = {switch for switch in expected if switch.startswith("--")}
    assert names_in(shell.complete(f"{command} alpha --", here)) == expected


@pytest.mark.parametrize("words", ["", "alpha ", "-f ", "alpha encode "], ids=repr)
def test_switches_of_a_mount(binary, shell, here, words):
    completed = names_in(shell.complete(f"{words}-", here))
    assert completed | set(words.split()) - {"alpha", "encode"} == switches()


@pytest.mark.parametrize("before", ["-o ", "-o", "alpha -o ", "-o xdev,"], ids=repr)
def test_options_of_a_mount(binary, shell, here, before):
    start = before.split(" ")[-1]
    completed = {word.removeprefix(start) for word in names_in(shell.complete(before, here))}
    given = {"xdev"} & set(start.split(","))
    assert completed | given >= mount_options() | {"allow_other", "fsname"}
    begun = {f"{start}{name}" for name in ("required", "restore", "rebuild")}
    assert names_in(shell.complete(f"{before}re", here)) == begun


# Commands, values and paths

FOLDERS = {"alpha", "alps"}
ALL = FOLDERS | {"album"}
AS_THEY_ARE = {
    "che": {"check", "check-list"},
    "alpha che": {"check-list"},
    "-f che": {"check-list"},
    "encode che": {"check-list"},
    "al": FOLDERS,
    "alpha al": FOLDERS,
    "-o restore al": FOLDERS,
    "encode al": FOLDERS,
    "decode --older alpha al": FOLDERS,
    "check al": FOLDERS,
    "repair al": FOLDERS,
    "info al": ALL,
    "info alpha al": ALL,
    "sync -c al": ALL,
    "status --metrics al": ALL,
    "status -c sets.ini ho": {"home", "house"},
    "sync -c sets.ini ho": {"home", "house"},
    "sync --config sets.ini --dry-run home ": {"home", "house", "mail"},
    "encode sp": {"sp ace"},
    "info sp": {"sp ace"},
    "encode alpha alps --che": {"--checksum"},
    "check --quick -j 3 alpha --sam": {"--sample"},
    "encode --torn ": {"allow", "error"},
}
BEHIND_EQUALS = {
    "encode --format=c": {"checked", "classic"},
    "encode --block-size=1": {"16K", "128K", "1M"},
    "encode --torn=": {"allow", "error"},
    "encode alpha --to 03=al": FOLDERS,
    "encode alpha --to=03=al": FOLDERS,
    "repair --add 03=al": FOLDERS,
    "repair --store=al": FOLDERS,
    "encode --exclude-from=al": ALL,
    "check --log-file=al": ALL,
    "check --report=al": ALL,
    "info --log-file=al": ALL,
    "-o format=": FORMATS,
    "-oformat=": FORMATS,
    "-o required=3,format=c": {"checked", "classic"},
    "-o torn=": {"allow", "error"},
    "-o cache=": {"yes", "no"},
    "-o block_size=5": {"512K"},
    "-o source=al": FOLDERS,
    "-orestore,store=al": FOLDERS,
    "-o restore,store=alpha,store=al": FOLDERS,
    "-o required=3,exclude_from=al": ALL,
}


@pytest.mark.parametrize("line", AS_THEY_ARE)
def test_words(shell, here, line):
    assert names_in(shell.complete(line, here)) == AS_THEY_ARE[line]


@pytest.mark.parametrize("line", BEHIND_EQUALS)
def test_values(shell, here, line):
    assert values_in(shell.complete(line, here), line) == BEHIND_EQUALS[line]


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"sync", "status", "recover", "key"}))
def test_formats(shell, here, command):
    assert names_in(shell.complete(f"{command} --format ", here)) == FORMATS


def test_formats_are_all_that_there_are():
    """They are in the completions' own words, and in one table of the program."""
    words = [mounts_module.BINARY, "info", "--format=none", "share"]
    told = subprocess.run(words, check=False, capture_output=True, text=True).stderr
    assert set(re.findall(r"\w+", told.partition(": give ")[2])) - {"or"} == FORMATS


@pytest.mark.parametrize("command, option", [
    ("encode", "--exclude-from"), ("check", "--log-file"), ("repair", "--log-file"),
    ("check", "--report"),
])  # fmt: skip
def test_files(shell, here, command, option):
    assert names_in(shell.complete(f"{command} {option} al", here)) == ALL


@pytest.mark.parametrize("command", ["decode", "check", "repair"])
def test_folders(shell, here, command):
    assert names_in(shell.complete(f"{command} --store al", here)) == FOLDERS


def test_first_word(shell, here):
    folders = {path.name for path in here.iterdir() if path.is_dir()}
    assert names_in(shell.complete("", here)) == folders | set(COMMANDS)


@pytest.mark.parametrize("option", ["-k", "--required", "-n", "--count", "-j", "--shares"])
def test_what_cannot_be_known(shell, here, option):
    """No file names where a number is wanted."""
    assert shell.complete(f"encode {option} ", here) == set()

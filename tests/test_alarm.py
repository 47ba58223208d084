# SPDX-License-Identifier: MIT
"""on_problem: a command that is told when a set is worse off, and once when all is good again."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

import commands
import mounts as mounts_module
from commands import DAMAGED, FAILED, LOST, OK
from syncing import DAY_S, NAMES, age, large_file, local, lose, settle, slow_run, spoil, told
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")

# Keeps what it is told, and how it was run.
TOLD = """#!/bin/sh
number=$(ls "$0".* 2> /dev/null | wc -l)
cat > "$0.$number"
[ $# = 0 ] || printf '%s\\n' "$@" > "$0-words"
readlink /proc/self/fd/0 > "$0-input"
ps -o pid=,sid=,tty= $$ > "$0-session"
"""

BAD = "bert: copies are damaged, missing or old"


class Alarm:
    def __init__(self, folder):
        self.script = folder / "told"
        self.become(TOLD)
        self.seen = 0

    def become(self, text):
        self.script.write_text(text)
        self.script.chmod(0o755)

    def new(self):
        """What it was told since it was asked last."""
        paths = sorted(self.script.parent.glob("told.*"), key=lambda path: int(path.suffix[1:]))
        texts = [path.read_text() for path in paths[self.seen :]]
        assert all(text.find("\n") == len(text) - 1 for text in texts)  # a line, as status says it
        found = [json.loads(text) for text in texts]
        assert all(each["message_type"] == "status" for each in found)
        self.seen = len(paths)
        return found

    def problems(self):
        return [each["problems"] for each in self.new()]


@pytest.fixture
def alarm(sets, source, nodes):  # noqa: F811
    made = Alarm(sets.folder)
    sets.write(source, local(nodes, NAMES), more=f"retries = 0\non_problem = {made.script}")
    return made


def find(nodes, *names):  # noqa: F811
    """What lose() has put out of reach is there again."""
    for name in names:
        (nodes / name).unlink()
        (nodes / name).mkdir()


def check(sets, *words, status=OK):  # noqa: F811
    return commands.run("check", "-c", sets.file, *words, "home:", status=status, noisy=True,
                        env=sets.environment)  # fmt: skip


def test_it_is_told_once_and_once_when_all_is_good_again(sets, nodes, alarm):  # noqa: F811
    sets.run()
    sets.run()
    assert alarm.new() == []
    lose(nodes, "bert")
    sets.run(status=DAMAGED, noisy=True)
    (line,) = alarm.new()
    assert line["problems"] == ["bert: behind"]
    # What it reads is what status says.
    said = told(sets, status=DAMAGED)
    assert line["nodes"] == list(said["nodes"].values())
    for key in said.keys() - {"nodes", "time", "sentence", "message_type"}:
        assert line[key] == said[key]
    sets.run(status=DAMAGED, noisy=True)
    assert alarm.new() == []
    find(nodes, "bert")
    sets.run("--checksum")
    (line,) = alarm.new()
    assert (line["problems"], line["exit_status"], line["up_to_date"]) == ([], OK, 3)
    sets.run()
    assert alarm.new() == []


def test_each_change_for_the_worse_is_told(sets, nodes, alarm):  # noqa: F811
    sets.run()
    lose(nodes, "bert")
    sets.run(status=DAMAGED, noisy=True)
    lose(nodes, "carl")
    for _ in range(3):
        sets.run(status=LOST, noisy=True)
    few = "too few nodes are up to date"
    assert alarm.problems() == [["bert: behind"], ["bert: behind", "carl: behind", few]]
    # Better is not good yet; and then it is worse again.
    find(nodes, "carl")
    sets.run("--checksum", status=DAMAGED, noisy=True)
    assert alarm.new() == []
    lose(nodes, "carl")
    sets.run(status=LOST, noisy=True)
    assert alarm.problems() == [["bert: behind", "carl: behind", few]]


def test_one_comes_back_as_another_goes(sets, nodes, alarm):  # noqa: F811
    sets.run()
    lose(nodes, "bert")
    sets.run(status=DAMAGED, noisy=True)
    find(nodes, "bert")
    lose(nodes, "carl")
    sets.run("--checksum", status=DAMAGED, noisy=True)
    assert alarm.problems() == [["bert: behind"], ["carl: behind"]]


def test_behind_for_too_long_is_worse_than_behind(sets, nodes, alarm):  # noqa: F811
    text = sets.file.read_text()
    sets.run()
    lose(nodes, "bert")
    sets.run(status=DAMAGED, noisy=True)
    sets.file.write_text(text.replace("retries", "max_behind = 7d\nretries", 1))
    age(sets, 8 * DAY_S, "bert")
    sets.run(status=LOST, noisy=True)
    late = ["bert: behind", "bert: behind for longer than max_behind allows"]
    assert alarm.problems() == [["bert: behind"], late]
    # To be behind is no news then.
    sets.file.write_text(text)
    sets.run(status=DAMAGED, noisy=True)
    assert alarm.new() == []


def test_a_run_that_fails_as_a_whole_is_told(sets, source, alarm):  # noqa: F811
    sets.run()
    source.rename(source.parent / "elsewhere")
    for _ in range(2):
        sets.run(status=FAILED, noisy=True)
    (line,) = alarm.new()
    assert (line["problems"], line["exit_status"]) == (["the last run of sync failed"], FAILED)
    assert line["up_to_date"] == 3
    said = told(sets, status=FAILED)
    assert said["sentence"].endswith("; the last run of sync failed")
    (source.parent / "elsewhere").rename(source)
    sets.run()
    assert alarm.problems() == [[]]
    told(sets)


def test_check_of_a_set_tells_as_well(sets, source, nodes, alarm, rng):  # noqa: F811
    large_file(source, rng)
    sets.run()
    check(sets)
    assert alarm.new() == []
    settle(source)
    spoil(nodes / "bert" / "large", rng)
    for _ in range(2):
        check(sets, status=DAMAGED)
        sets.run()  # which does not see it
    assert alarm.problems() == [[BAD, "check found damage"]]
    spoil(nodes / "carl" / "large", rng)
    (nodes / "carl" / "large").unlink()
    check(sets, status=LOST)
    worse = [BAD, BAD.replace("bert", "carl"), "check found damage", "check found what is lost"]
    assert alarm.problems() == [worse]
    sets.run("--checksum")
    assert alarm.new() == []  # nobody has looked yet
    check(sets)
    assert alarm.problems() == [[]]


def test_a_node_that_check_cannot_read_is_told(sets, nodes, alarm):  # noqa: F811
    sets.run()
    (nodes / "bert").rename(nodes / "away")
    for _ in range(2):
        check(sets, status=DAMAGED)
    assert alarm.problems() == [["bert: check could not read it"]]
    (nodes / "away").rename(nodes / "bert")
    check(sets)
    assert alarm.problems() == [[]]


def test_a_check_that_cannot_be_made_is_told(sets, nodes, alarm):  # noqa: F811
    sets.run()
    lose(nodes, *NAMES)
    check(sets, status=FAILED)
    assert alarm.problems() == [["the last run of check failed"]]


def test_how_it_is_run(sets, nodes, alarm):  # noqa: F811
    """No shell: words between spaces, as they are; no terminal; nothing to read but the JSON."""
    words = ["-s", "$(touch", f"{sets.folder}/made)", "'a", "b'", "*", "~", ";", "#", "|"]
    text = sets.file.read_text().replace(str(alarm.script), f"{alarm.script}   {'  '.join(words)}")
    sets.file.write_text(text)
    (nodes / "bert").write_text("in its place")
    sets.run(status=DAMAGED, noisy=True)
    folder = sets.folder
    assert (folder / "told-words").read_text().split("\n") == [*words, ""]
    assert not (folder / "made").exists()
    assert (folder / "told-input").read_text().startswith("/memfd:")
    pid, session, terminal = (folder / "told-session").read_text().split()
    assert (pid == session, terminal) == (True, "?")


def test_it_is_found_as_programs_are(sets, nodes, alarm):  # noqa: F811
    sets.environment["PATH"] = f"{sets.folder}:{os.environ['PATH']}"
    sets.file.write_text(sets.file.read_text().replace(str(alarm.script), "told"))
    (nodes / "bert").write_text("in its place")
    sets.run(status=DAMAGED, noisy=True)
    assert alarm.problems() == [["bert: behind"]]


def missing_program(command):
    program = str(command).partition(" ")[0]
    return (f"zfec-fs: home: on_problem = {command}: no problem can be told: there is no program {program}; "
            "correct it, or install it")  # fmt: skip


def test_a_program_that_is_not_there_is_told_before_it_is_needed(sets, nodes, alarm):  # noqa: F811
    """By PATH, unless it has a slash; and it fails no run that has nothing to tell."""
    text = sets.file.read_text()
    (sets.folder / "plain").write_text(TOLD)
    sets.environment["PATH"] = f"{sets.folder}:{os.environ['PATH']}"
    commands_there = [str(alarm.script), "told", f"{alarm.script} plain"]
    for command in ["no-such-program -s", f"{sets.folder}/nothing", "plain", str(sets.folder), *commands_there]:
        sets.file.write_text(text.replace(f"= {alarm.script}", f"= {command}"))
        errors = sets.run(noisy=True).errors
        assert errors == ("" if command in commands_there else f"{missing_program(command)}\n")


FAILURES = {
    "#!/bin/sh\necho no such mailbox >&2\nexit 7": "ended with status 7: no such mailbox",
    "#!/bin/sh\nexit 7": "ended with status 7: it said nothing",
    "#!/bin/sh\nkill -SEGV $$": "ended by signal 11",
    "#!/bin/sh\ntrap 'echo ended > \"$0-end\"; exit' TERM\nwhile :; do sleep 0.1; done":
        "it did not end in time, and was ended",
    "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done": "it did not end in time, and was ended",
    None: "ended with status 127: is it installed?",
}  # fmt: skip


@pytest.mark.parametrize("kind", FAILURES, ids=range(len(FAILURES)))
def test_its_failure_is_one_line_and_fails_the_run(sets, nodes, alarm, kind):  # noqa: F811
    """It is told again by the next run; nobody waits for one that hangs."""
    sets.file.write_text(sets.file.read_text().replace("retries", "timeout = 2\nretries", 1))
    sets.run()
    lose(nodes, "bert")
    if kind:
        alarm.become(kind)
    else:
        alarm.script.unlink()
    began = time.monotonic()
    result = sets.run(status=FAILED, noisy=True)
    assert time.monotonic() - began < 30
    warning, told_of = missing_program(alarm.script), f"on_problem = {alarm.script}: {FAILURES[kind]}"
    assert [line for line in result.errors.splitlines() if "on_problem" in line] == [
        *([] if kind else [warning]), f"zfec-fs: home: {told_of}"
    ]  # fmt: skip
    assert result.summary["exit_status"] == FAILED
    if kind and "ended >" in kind:
        assert (sets.folder / "told-end").read_text() == "ended\n"
    alarm.become(TOLD)
    sets.run(status=DAMAGED, noisy=True)
    assert alarm.problems() == [["bert: behind"]]


def test_what_is_lost_comes_before_its_failure(sets, nodes, alarm):  # noqa: F811
    for name in ("bert", "carl"):
        (nodes / name).write_text("in its place")
    alarm.become("#!/bin/sh\nexit 1")
    sets.run(status=LOST, noisy=True)


def test_neither_a_dry_run_nor_a_stopped_one_tells(sets, source, nodes, alarm, rng):  # noqa: F811
    (nodes / "carl").write_text("in its place")
    sets.run("--dry-run", status=DAMAGED, noisy=True)
    more = sets.file.read_text()
    process, _ = slow_run(sets, source, nodes, rng)
    sets.file.write_text(more)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert alarm.new() == []


def test_what_is_told_is_forgotten_without_a_command(sets, nodes, alarm):  # noqa: F811
    """Who writes one down later is told of what there is then."""
    text = sets.file.read_text()
    sets.file.write_text("\n".join(line for line in text.splitlines() if "on_problem" not in line))
    (nodes / "bert").write_text("in its place")
    sets.run(status=DAMAGED, noisy=True)
    sets.file.write_text(text)
    sets.run(status=DAMAGED, noisy=True)
    assert alarm.problems() == [["bert: behind"]]


def test_what_was_told_is_lost(sets, nodes, alarm):  # noqa: F811
    """Then it is told once more."""
    sets.run()
    lose(nodes, "bert")
    sets.run(status=DAMAGED, noisy=True)
    watched = sets.state_folder / "watch" / "home.json"
    for text in ("", "[]", '{"nodes": {}, "told": 3, "sync": "x", "check": -1}'):
        watched.write_text(text)
        sets.run(status=DAMAGED, noisy=True)
        assert alarm.problems()[-1] == ["bert: behind"]


def test_two_runs_at_once_tell_once(sets, nodes, alarm):  # noqa: F811
    """A check that ends while the command of another one still runs."""
    sets.run()
    alarm.become(TOLD + "sleep 2\n")
    shutil.rmtree(nodes / "bert" / "dir")
    words = [mounts_module.BINARY, "check", "-q", "-c", sets.file, "home:"]
    runs = [subprocess.Popen(words, env=sets.environment) for _ in range(2)]
    assert [run.wait() for run in runs] == [DAMAGED, DAMAGED]
    assert alarm.problems() == [[BAD, "check found damage"]]

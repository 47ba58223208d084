# SPDX-License-Identifier: MIT
"""zfec-fs status: what is known of the nodes of a set, told without asking them; and the metrics."""

import datetime
import fcntl
import json
import os
import re
import shutil
import subprocess

import pytest

import commands
import mounts as mounts_module
from commands import DAMAGED, FAILED, LOST, OK, USAGE
import syncing
from syncing import DAY_S, NAMES, age, ends, large_file, local, lose, run_status, settle
from syncing import slow_run, spoil, told, told_as_text
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")

def write_two(sets, source, nodes, required=2, more=""):
    """Sets of three nodes each, called home and mail."""
    sets.write(source, local(nodes, NAMES), required=required, more=more)
    home = sets.file.read_text()
    (nodes / "of-mail").mkdir()
    sets.write(source, local(nodes / "of-mail", NAMES), name="mail", required=required)
    sets.file.write_text(home + sets.file.read_text())


# What is told


def test_nothing_is_known_at_first(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    line = told(sets, status=LOST)
    assert (line["up_to_date"], line["may_lose"], line["as_of"]) == (0, -1, None)
    assert {node["error"] for node in line["nodes"].values()} == {"no run of sync is known"}
    assert not sets.state_folder.parent.exists()
    assert told_as_text(sets, status=LOST) == [
        *(f"home/{name} {index:02x} BEHIND, never up to date: no run of sync is known"
          for index, name in enumerate(NAMES)),
        "home: nothing is known yet of its 3 nodes; zfec-fs status --ask home: asks them",
    ]  # fmt: skip


def test_all_is_well(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    os.link(source / "file-0", source / "linked")
    sets.run()
    then = sets.state()["nodes"]["anna"]["as_of"]
    sizes = {path.stat().st_ino: path.stat().st_size
             for path in (nodes / "bert").rglob("*") if path.is_file() and not path.is_symlink()
             and path.name != syncing.DESCRIPTION}  # fmt: skip
    line = told(sets)
    assert (line["required"], line["up_to_date"], line["may_lose"]) == (2, 3, 1)
    assert (line["as_of"], line["late"]) == (then, 0)
    for index, name in enumerate(NAMES):
        assert line["nodes"][name] == {
            "node": name, "share": f"{index:02x}", "up_to_date": True, "late": False,
            "as_of": then, "tried": then, "surplus": 0, "files": len(sizes), "bytes": sum(sizes.values()),
        }  # fmt: skip
    *shown, last = told_as_text(sets)
    for index, name in enumerate(NAMES):
        assert re.fullmatch(rf"home/{name} {index:02x} up to date as of {then} \(\d+ seconds? ago\); "
                            rf"{len(sizes)} files, \d+\.\d kB", shown[index])  # fmt: skip
    assert re.fullmatch(
        "home: 3 of 3 nodes are up to date, 2 are enough: any 1 of these 3 nodes may be lost from "
        rf"now on; the oldest is of {then} \(\d+ seconds? ago\)", last)  # fmt: skip
    assert line["sentence"].partition(" (")[0] == last.partition(" (")[0]


def test_neither_nodes_nor_source_are_looked_at(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    sets.run()
    before = told(sets)["nodes"]
    shutil.rmtree(nodes)
    shutil.rmtree(source)
    assert told(sets)["nodes"] == before


@pytest.mark.parametrize("lost", [[], ["bert"], ["bert", "carl"], NAMES], ids=len)
def test_the_exit_status_is_that_of_sync(sets, source, nodes, lost):
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    first = sets.state()["nodes"]["anna"]["as_of"]
    lose(nodes, *lost)
    settle(source)
    expected = [OK, DAMAGED, LOST, LOST][len(lost)]
    result = sets.run(status=expected, noisy=True)
    line = told(sets, status=expected)
    assert line["up_to_date"] == 3 - len(lost)
    assert line["may_lose"] == max(1 - len(lost), -1)
    last = result.json[-2]
    assert (last["up_to_date"], last["exit_status"]) == (line["up_to_date"], expected)
    for name, node in ends(result).items():
        assert node["up_to_date"] == line["nodes"][name]["up_to_date"] == (name not in lost)
        assert node["as_of"] == line["nodes"][name]["as_of"]
        assert node.get("error") == line["nodes"][name].get("error")
    # Where too few are up to date, two nodes have what is older than the first run.
    current = [node["as_of"] for node in line["nodes"].values() if node["up_to_date"]]
    assert line["as_of"] == (current[0] if expected != LOST else first)
    if expected == LOST:
        assert f"what has changed since {first} (" in line["sentence"]
        assert line["sentence"].endswith(" ago) perhaps cannot be restored")
    elif lost:
        assert "2 are enough: none of these 2 may be lost; the oldest is of" in line["sentence"]


def test_a_node_that_is_behind(sets, source, nodes):
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    lose(nodes, "bert")
    sets.run(status=DAMAGED, noisy=True)
    then = age(sets, 3 * DAY_S + 5, "bert")
    error = sets.state()["nodes"]["bert"]["error"]
    shown = told_as_text(sets, status=DAMAGED)
    assert shown[1].startswith(f"home/bert 01 BEHIND since {then} (3 days ago): {error}; ")


def test_what_differs_and_what_was_compared(sets, source, nodes, rng):
    large_file(source, rng)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    settle(source)
    spoil(nodes / "carl" / "large", rng)
    sets.run("--verify", "100%", status=DAMAGED, noisy=True)
    line = told(sets, status=DAMAGED)
    files = len([path for path in source.rglob("*") if path.is_file() or path.is_symlink()])
    for node in line["nodes"].values():
        assert (node["checked"], node["compared"]) == (node["tried"], files)
    differs = line["nodes"]["carl"]["differs_since"]
    shown = told_as_text(sets, status=DAMAGED)
    assert f"differs since {differs}" in shown[2]
    assert f"{files} files compared at {differs}" in shown[0]
    assert "differs" not in shown[0]
    # The next run compares nothing, but mends; what was compared stays known.
    sets.run()
    assert told(sets)["nodes"]["anna"]["checked"] == differs


def test_shares_of_another_encoding_do_not_count(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    sets.run()
    sets.write(source, local(nodes, NAMES), required=3)
    line = told(sets, status=LOST)
    assert (line["up_to_date"], line["as_of"]) == (0, None)
    assert all("the encoding was changed" in node["error"] for node in line["nodes"].values())


def test_sets_by_name(sets, source, nodes):
    write_two(sets, source, nodes, more="retries = 0")
    sets.run("home")
    assert run_status(sets, "home").summary == {
        "message_type": "summary", "command": "status", "sets": 1, "exit_status": OK,
    }  # fmt: skip
    assert told(sets, "home:")["up_to_date"] == 3
    assert told(sets, "mail", name="mail", status=LOST)["up_to_date"] == 0
    assert run_status(sets, status=LOST).summary["sets"] == 2
    assert run_status(sets, "mail:", "home", status=LOST).summary["sets"] == 2
    errors = run_status(sets, "hom", status=USAGE).errors
    assert errors == f"zfec-fs: hom: there is no such set in {sets.file}; it has home, mail\n"
    assert "write home" in run_status(sets, "home/anna", status=USAGE).errors
    # sync takes them as well.
    assert sets.run("mail:").summary["sets"] == 1


def test_a_run_is_under_way(sets, source, nodes, rng):
    process, _ = slow_run(sets, source, nodes, rng)
    try:
        line = told(sets, status=LOST)
        assert line["nodes"]["bert"]["tried"]
    finally:
        process.terminate()
        process.communicate()


# A state that makes no sense

WRONG = {
    "empty": b"", "begun": b'{"nodes": {', "list": b"[]", "number": b'{"nodes": 3}',
    "bytes": b"\xff\x00\xfe", "text": b"up to date", "deep": b"[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("kind", [*WRONG, "folder", "fifo"])
def test_a_state_that_cannot_be_read(sets, source, nodes, kind):
    write_two(sets, source, nodes)
    sets.run("mail")
    path = sets.state_folder / "home.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(WRONG[kind])
    result = run_status(sets, status=FAILED)
    assert re.fullmatch(rf"zfec-fs: {path}: corrupt state file, ignored: .+\n", result.errors)
    lines = {line["set"]: line for line in result.json if "set" in line}
    assert lines["home"]["error"] == "its state cannot be read"
    assert lines["mail"]["up_to_date"] == 3


NONSENSE = [
    7, [], "text", {}, {"share": 0, "target": None},
    {"up_to_date": 1, "as_of": "yesterday", "files": -3, "bytes": "many", "compared": 1.5},
    {"up_to_date": True, "as_of": None, "tried": {}, "different": {}, "error": ["x"]},
]  # fmt: skip


@pytest.mark.parametrize("entry", NONSENSE, ids=range(len(NONSENSE)))
def test_a_node_whose_state_makes_no_sense(sets, source, nodes, entry):
    sets.write(source, local(nodes, NAMES))
    sets.run()
    state = sets.state()
    if isinstance(entry, dict) and "share" not in entry and entry:
        entry = {"share": "01", "target": f"{nodes}/bert", **entry}
    state["nodes"]["bert"] = entry
    (sets.state_folder / "home.json").write_text(json.dumps(state))
    line = told(sets, "--metrics", sets.folder / "metrics.prom", status=DAMAGED)
    assert not line["nodes"]["bert"]["up_to_date"]
    assert line["nodes"]["anna"]["up_to_date"]


# Metrics

SAMPLE = re.compile(
    r'(?P<name>zfec_fs_\w+)\{set="(?P<set>[\w.-]+)"'
    r'(?:,node="(?P<node>[\w.-]+)",share="(?P<share>[0-9a-f]{2})")?\} (?P<value>-?\d+)'
)


def read_metrics(path):
    """(name, set, node) -> value. Each metric is one group of lines, its help and type before it."""
    found, done = {}, []
    text = path.read_text()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            done.append(line.split()[2])
            assert len(line.split()) > 4
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {done[-1]} gauge"
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match["name"] == done[-1]
            key = match["name"].removeprefix("zfec_fs_"), match["set"], match["node"]
            assert key not in found
            found[key] = int(match["value"])
    assert len(done) == len(set(done))
    return found


def seconds_of(text):
    then = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return int(then.replace(tzinfo=datetime.UTC).timestamp())


@pytest.mark.parametrize("command", ["status", "sync"])
def test_metrics(sets, source, nodes, command):
    write_two(sets, source, nodes, more="retries = 0")
    sets.run("home", "--verify", "100%")
    lose(nodes, "bert")
    sets.run("home", status=DAMAGED, noisy=True)
    path = sets.folder / "metrics.prom"
    path.write_text("an old one")
    old = path.stat().st_ino
    words = ["--metrics", path, "home"]
    # Of all sets, also where one is named.
    if command == "status":
        run_status(sets, *words, status=DAMAGED)
    else:
        sets.run(*words, status=DAMAGED, noisy=True)
    assert path.stat().st_ino != old
    assert path.stat().st_mode & 0o7777 == 0o644
    assert not [each for each in sets.folder.iterdir() if each.name.startswith(".zfec-fs")]
    found, line = read_metrics(path), told(sets, "home", status=DAMAGED)
    of_set = {"status": "exit_status", "required": "required", "nodes_up_to_date": "up_to_date",
              "nodes_may_lose": "may_lose"}  # fmt: skip
    for name, key in of_set.items():
        assert found[f"set_{name}", "home", None] == line[key]
    assert found["set_nodes", "home", None] == 3
    assert found["set_as_of_timestamp_seconds", "home", None] == seconds_of(line["as_of"])
    assert found["set_status", "mail", None] == LOST
    for name, node in line["nodes"].items():
        for key in ("up_to_date", "late", "files", "bytes"):
            assert found[f"node_{key}", "home", name] == node[key]
        for key in ("as_of", "tried"):
            assert found[f"node_{key}_timestamp_seconds", "home", name] == seconds_of(node[key])
        assert found["node_differs", "home", name] == 0
    assert found["node_up_to_date", "home", "bert"] == 0
    assert ("node_as_of_timestamp_seconds", "mail", "anna") not in found
    assert ("node_up_to_date", "mail", "anna") in found


def test_metrics_of_a_state_that_cannot_be_read(sets, source, nodes):
    write_two(sets, source, nodes)
    sets.run("mail")
    (sets.state_folder / "home.json").write_text("{")
    run_status(sets, "--metrics", sets.folder / "metrics", status=FAILED)
    found = read_metrics(sets.folder / "metrics")
    assert [key for key in found if key[1] == "home"] == [("set_status", "home", None)]
    assert found["set_status", "home", None] == FAILED
    assert found["set_status", "mail", None] == OK


def test_metrics_that_cannot_be_written(sets, source, nodes):
    """All else is done before; and nothing that is not a file is replaced."""
    sets.write(source, local(nodes, NAMES))
    link = sets.folder / "link"
    link.symlink_to("elsewhere")
    for path in (sets.folder / "missing" / "file", sets.folder, link):
        errors = sets.run("--metrics", path, status=FAILED).errors
        assert errors.startswith(f"zfec-fs: --metrics {path}: cannot be written: ")
        assert errors.count("\n") == 1
    assert link.is_symlink()
    assert told(sets)["up_to_date"] == 3


def test_metrics_are_never_half_there(sets, source, nodes):
    """Whoever reads meanwhile gets a whole one."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    path = sets.folder / "metrics"
    words = [mounts_module.BINARY, "status", "-q", "-c", sets.file, "--metrics", path]
    subprocess.run(words, check=True, env=sets.environment)
    whole = path.read_text()
    with subprocess.Popen(["strace", "-f", "-e", "trace=renameat", "-o", sets.folder / "trace", *words]
                          if shutil.which("strace") else words, env=sets.environment) as process:
        while process.poll() is None:
            assert path.read_text() == whole
    if shutil.which("strace"):
        assert re.search(r'renameat.*"metrics"\) = 0', (sets.folder / "trace").read_text())


# Nodes that are behind for too long


def test_a_node_is_behind_for_too_long(sets, source, nodes):
    targets = local(nodes, NAMES)
    targets["bert"] += "\nmax_behind = 7d"
    sets.write(source, targets, more="retries = 0\nmax_behind = 30d")
    sets.run()
    lose(nodes, "bert")
    sets.run(status=DAMAGED, noisy=True)
    for days, status in ((6.9, DAMAGED), (7.1, LOST)):
        age(sets, days * DAY_S, "bert")
        assert told(sets, status=status)["late"] == (status == LOST)
        errors = sets.run(status=status, noisy=True).errors
        assert ("home/bert: behind for longer than max_behind allows (7 days)" in errors) == (
            status == LOST
        )
        assert "home/anna" not in errors
    line = told(sets, status=LOST)
    assert [name for name in NAMES if line["nodes"][name]["late"]] == ["bert"]
    assert ", longer than max_behind allows (7 days): " in told_as_text(sets, status=LOST)[1]
    (nodes / "bert").unlink()
    (nodes / "bert").mkdir()
    assert sets.run("--checksum", noisy=True).summary["exit_status"] == OK
    assert told(sets)["late"] == 0


def test_no_run_has_begun_for_too_long(sets, source, nodes):
    sets.write(source, local(nodes, NAMES), more="max_behind = 2d")
    sets.run()
    age(sets, 3 * DAY_S)
    assert told(sets, status=LOST)["late"] == 3
    sets.run()
    assert told(sets)["late"] == 0


def test_a_run_by_a_wrong_clock_hides_nothing(sets, source, nodes):
    """What is to come is not known: otherwise nobody would be late for years."""
    sets.write(source, local(nodes, NAMES), more="max_behind = 2d")
    sets.run()
    age(sets, -1000 * DAY_S)
    assert told(sets, status=LOST)["late"] == 3
    line = told_as_text(sets, status=LOST)[0]
    assert ", which is to come: was the clock wrong?" in line
    sets.run()
    assert told(sets)["late"] == 0


def test_a_node_that_never_was_up_to_date_is_late_as_well(sets, source, nodes):
    sets.write(source, local(nodes, NAMES), more="max_behind = 2d\nretries = 0")
    (nodes / "bert").write_text("in its place")
    assert "longer" not in sets.run(status=DAMAGED, noisy=True).errors
    age(sets, 3 * DAY_S, "bert", key="first_tried")
    assert "home/bert: behind for longer" in sets.run(status=LOST, noisy=True).errors


def test_metrics_of_runs_that_end_at_once(sets, source, nodes):
    """Who writes last has read what both have remembered."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    path = sets.folder / "metrics"
    words = [mounts_module.BINARY, "status", "-q", "-c", sets.file, "--metrics", path]
    folder = os.open(sets.state_folder, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # as the other run does while it writes
        process = subprocess.Popen(words, env=sets.environment)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        assert not path.exists()
        then = age(sets, 3 * DAY_S)
    finally:
        os.close(folder)
    assert process.wait() == OK
    assert read_metrics(path)["node_as_of_timestamp_seconds", "home", "bert"] == seconds_of(then)


# Asking the nodes


def test_nodes_are_asked_where_that_is_wanted(sets, source, nodes):
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    (source / "gone").write_text("gone")
    sets.run()
    (source / "gone").unlink()
    (source / "new").write_text("new")
    lose(nodes, "carl")
    before = (sets.state_folder / "home.json").read_bytes()
    assert told(sets)["up_to_date"] == 3  # as far as is known
    result = run_status(sets, "--ask", status=DAMAGED, noisy=True)
    found = ends(result)
    for name in ("anna", "bert"):
        assert (found[name]["up_to_date"], found[name]["files"], found[name]["surplus"]) == (True, 1, 1)
    assert not found["carl"]["up_to_date"]
    assert found["carl"]["error"]
    assert [line for line in result.json if line["message_type"] == "file"] == []
    assert [line["up_to_date"] for line in result.json if line["message_type"] == "status"] == [3]
    assert result.summary["command"] == "status"
    assert (sets.state_folder / "home.json").read_bytes() == before
    assert not (nodes / "anna" / "new").exists()
    shown = told_as_text(sets, "--ask", status=DAMAGED)
    assert shown[0].startswith("home/anna 00 can be reached; would be: 1 file, ")
    assert shown[2].startswith("home/carl 02 cannot be reached: ")
    assert shown[4].startswith("home/anna 00 up to date as of ")
    paths = [line["path"] for line in run_status(sets, "--ask", "-v", status=DAMAGED, noisy=True).json
             if line.get("node") == "anna" and line["message_type"] == "file"]  # fmt: skip
    assert {"gone", "new"} <= {*paths}


def test_the_share_is_asked_for(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    sets.run()
    (nodes / "anna").rename(nodes / "other")
    (nodes / "bert").rename(nodes / "anna")
    (nodes / "other").rename(nodes / "bert")
    assert told(sets)["up_to_date"] == 3
    result = run_status(sets, "--ask", status=LOST, noisy=True)
    assert "it says that it holds share 01" in ends(result)["anna"]["error"]


def test_asking_takes_a_number_of_nodes_at_once(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    sets.run()
    assert run_status(sets, "--ask", "-j", "1").summary["exit_status"] == OK


def test_nobody_is_asked_while_sync_runs(sets, source, nodes, rng):
    process, _ = slow_run(sets, source, nodes, rng)
    try:
        result = run_status(sets, "--ask", status=LOST, noisy=True)
        assert "home: another run of this set is under way; wait for its end" in result.errors
        assert "status" in [line["message_type"] for line in result.json]
    finally:
        process.terminate()
        process.communicate()

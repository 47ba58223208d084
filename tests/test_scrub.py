# SPDX-License-Identifier: MIT
"""check --due SET:, a part at a time so that all is read within `check = TIME`; what is kept of it."""

import datetime
import json
import math
import os
import shutil
import signal
import subprocess
import time

import pytest

import commands
import mounts as mounts_module
import trees
from commands import DAMAGED, FAILED, LOST, OK, USAGE
from syncing import DAY_S, NAMES, local, run_status, settle, shown_time, told
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")

SLICES = 64
WEEK_S = 7 * DAY_S
A_WEEK = math.ceil(SLICES * 7 / 30)  # of the slices, where all are to be read in 30 days


@pytest.fixture
def made(sets, source, nodes):  # noqa: F811
    """Nodes that are up to date, with many files."""
    for number in range(200):
        trees.write_file(source / "many" / f"{number}", b"%d" % number * 100)
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    settle(source)
    return sets


def check(sets, *words, status=OK, address="home:"):  # noqa: F811
    return commands.run("check", "-c", sets.file, *words, address, status=status, noisy=True,
                        env=sets.environment)  # fmt: skip


def due(sets, **how):  # noqa: F811
    return check(sets, "--due", **how)


def watched(sets, name="home"):  # noqa: F811
    return json.loads((sets.state_folder / "watch" / f"{name}.json").read_text())


def seconds_of(text):
    then = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return then.replace(tzinfo=datetime.UTC).timestamp()


def slices_of(sets, node="bert"):  # noqa: F811
    return watched(sets)["nodes"][node]["read"]


def ages_of(sets, node="bert"):  # noqa: F811
    """Of the slices that were read, in days."""
    return [(time.time() - seconds_of(read)) / DAY_S for read in slices_of(sets, node) if read]


def change(sets, how, *names):  # noqa: F811
    """how: the number of a slice and what is known of it -> what is to be known."""
    state = watched(sets)
    for name in names or NAMES:
        node = state["nodes"][name]
        node["read"] = [how(number, read) for number, read in enumerate(node["read"])]
    (sets.state_folder / "watch" / "home.json").write_text(json.dumps(state))


def pass_time(sets, seconds, *names):  # noqa: F811
    change(sets, lambda _, read: read and shown_time(seconds_of(read) - seconds), *names)


def damaged_in(result, node="bert"):
    found = set()
    for line in result.json:
        for problem in line.get("problems", []) if line["message_type"] == "check" else []:
            if problem["state"] == "damaged" and problem["store"].endswith(node):
                found.add(line["path"])
    return found


def damage(path):
    """The last byte, behind the header."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def damage_all(folder):
    for path in folder.iterdir():
        damage(path)


# What is read


def test_all_is_read_in_time(made):
    """A part each week, and from the first run on; no part is ever older than was wished."""
    for week in range(10):
        due(made)
        ages = ages_of(made)
        assert len(ages) == min(SLICES, (week + 1) * A_WEEK)
        assert len([age for age in ages if age < 1]) in range(A_WEEK, 2 * A_WEEK)
        pass_time(made, WEEK_S)
        assert max(ages_of(made)) <= 30


def test_only_that_part_is_read(made, nodes):  # noqa: F811
    damage_all(nodes / "bert" / "many")
    found = damaged_in(due(made, status=DAMAGED))
    assert 0 < len(found) < 200
    read = [number for number, read in enumerate(slices_of(made)) if read is not None]
    assert len(read) == A_WEEK
    assert len(found) == pytest.approx(200 * A_WEEK / SLICES, abs=30)
    # With time, all is found.
    for _ in range(5):
        pass_time(made, WEEK_S)
        more = damaged_in(due(made, status=DAMAGED))
        assert found <= more
        found = more
    assert len(found) == 200


def test_the_oldest_comes_first(made):
    check(made)
    then = shown_time(time.time() - 20 * DAY_S)
    change(made, lambda number, read: then if number % 7 == 3 else shown_time(time.time() - WEEK_S))
    due(made)
    old = {number for number in range(SLICES) if number % 7 == 3}
    fresh = {number for number, read in enumerate(slices_of(made)) if seconds_of(read) > time.time() - 999}
    assert old < fresh
    assert len(fresh) == A_WEEK


@pytest.mark.parametrize("days", [28, 31, 90])
def test_by_the_month_all_is_read(made, days):
    check(made)
    pass_time(made, days * DAY_S)
    assert max(ages_of(made)) > days - 1
    due(made)
    assert max(ages_of(made)) < 1


@pytest.mark.parametrize("key, expected", [("check = 7d", SLICES), ("check = 64d", 7), ("check = 3650d", 1)])
def test_the_time_is_the_sets(made, key, expected):
    made.file.write_text(made.file.read_text().replace("retries", f"{key}\nretries", 1))
    due(made)
    assert len(ages_of(made)) == expected


def test_another_run_right_behind_reads_little(made):
    due(made)
    due(made)
    assert len(ages_of(made)) <= A_WEEK + 1


def test_damage_is_read_again_until_it_is_mended(made, nodes):  # noqa: F811
    damage(nodes / "bert" / "many" / "7")
    check(made, status=DAMAGED)
    (ill,) = [number for number, read in enumerate(slices_of(made)) if read is False]
    assert False not in slices_of(made, "anna")
    for _ in range(2):
        assert damaged_in(due(made, status=DAMAGED)) == {"many/7"}
        assert slices_of(made)[ill] is False
    assert told(made, status=DAMAGED)["nodes"]["bert"]["bad"] == 1
    made.run("--checksum")
    due(made)
    assert False not in slices_of(made)
    assert told(made)["nodes"]["bert"]["bad"] == 0


@pytest.mark.parametrize("text", [None, "", "{", '{"nodes": {"bert": 3}}', '{"nodes": {"bert": []}}'])
def test_what_is_lost_of_the_state_is_read_again(made, text):
    check(made)
    path = made.state_folder / "watch" / "home.json"
    path.unlink()
    if text is not None:
        path.write_text(text)
    due(made)
    assert len(ages_of(made)) == A_WEEK


@pytest.mark.parametrize("read", [7, [], [{}], ["x"] * 64, ["2999-01-01T00:00:00Z"] * 64, [True] * 64, [None] * 99])
def test_times_that_make_no_sense(made, read):
    check(made)
    state = watched(made)
    for name in NAMES:
        state["nodes"][name]["read"] = read
    (made.state_folder / "watch" / "home.json").write_text(json.dumps(state))
    due(made)
    assert len([age for age in ages_of(made) if 0 <= age < 1]) == A_WEEK


def test_what_was_read_of_another_disk_does_not_count(made, nodes):  # noqa: F811
    check(made)
    (nodes / "bert").rename(nodes / "dora")
    made.file.write_text(made.file.read_text().replace(f"{nodes}/bert", f"{nodes}/dora"))
    made.run("--checksum", noisy=True)
    pass_time(made, WEEK_S, "anna", "carl")
    due(made)
    assert len(ages_of(made)) == A_WEEK
    assert len(ages_of(made, "anna")) == SLICES


def test_a_node_that_is_away_is_read_when_it_is_back(made, nodes):  # noqa: F811
    check(made)
    pass_time(made, 29 * DAY_S)
    (nodes / "bert").rename(nodes / "away")
    result = due(made)  # sync tells of that
    assert "home/bert: " in result.errors
    check(made, status=DAMAGED)
    assert max(ages_of(made, "anna")) < 1
    assert min(ages_of(made)) > 28
    pass_time(made, WEEK_S)
    (nodes / "away").rename(nodes / "bert")
    due(made)
    assert max(ages_of(made)) < 1


def test_a_run_that_was_stopped_notes_nothing(made, nodes):  # noqa: F811
    check(made)
    before = watched(made)
    pass_time(made, 29 * DAY_S)
    (nodes / "bert" / "large").write_bytes(bytes(64))
    process = subprocess.Popen(
        [mounts_module.BINARY, "check", "--due", "-c", made.file, "home:"], env=made.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    process.communicate()
    if process.returncode != -signal.SIGINT:
        assert process.returncode in (FAILED, OK, DAMAGED)
    if process.returncode in (FAILED, -signal.SIGINT):
        assert min(ages_of(made)) > 28
    assert watched(made)["told" if "told" in before else "set"] == before.get("told", "home")


# What is kept and told of it


def test_a_whole_check_in_the_status(made, nodes):  # noqa: F811
    check(made)
    for node in told(made)["nodes"].values():
        assert (node["bad"], node["read_percent"]) == (0, 100)
        assert node["looked"] == node["read_since"]
    then = told(made)["nodes"]["anna"]["looked"]
    lines = mounts_module.run("status", "-c", made.file, env=made.environment).stdout.splitlines()
    assert f"; checked at {then}: good, 100 % read since {then}" in lines[0]


def test_damage_in_the_status(made, nodes):  # noqa: F811
    damage(nodes / "bert" / "many" / "7")
    (nodes / "bert" / "many" / "8").unlink()
    due(made, status=DAMAGED)
    check(made, status=DAMAGED)
    line = told(made, status=DAMAGED)
    assert [node["bad"] for node in line["nodes"].values()] == [0, 3, 0]  # and the time of a directory
    assert line["nodes"]["bert"]["read_percent"] == 98
    assert line["problems"] == ["bert: copies are damaged, missing or old", "check found damage"]
    assert ", but check found damage: zfec-fs check home: says how many may be lost" in line["sentence"]
    done = mounts_module.run("status", "-c", made.file, env=made.environment)
    assert ": 3 copies are damaged, missing or old, 98 % read since " in done.stdout.splitlines()[1]
    (nodes / "carl" / "many" / "7").unlink()
    check(made, status=LOST)
    assert told(made, status=LOST)["sentence"].partition(", but ")[2].startswith("check found what is lost: ")
    made.run("--checksum")
    check(made)
    assert told(made)["problems"] == []


UNREAD = "check could not read it"


@pytest.mark.parametrize("words", [[], ["--due"], ["--quick"]])
@pytest.mark.parametrize("how", ["gone", "a file", "empty"])
def test_a_node_that_could_not_be_read_is_not_good(made, nodes, words, how):  # noqa: F811
    check(made)
    (nodes / "bert").rename(nodes / "away")
    if how == "a file":
        (nodes / "bert").write_text("in its place")
    elif how == "empty":
        (nodes / "bert").mkdir()
    check(made, *words, status=OK if words == ["--due"] and how != "empty" else DAMAGED)
    line = told(made, status=DAMAGED)
    assert f"bert: {UNREAD}" in line["problems"]
    assert ("check found damage" in line["problems"]) == (how == "empty")
    assert ", but check " in line["sentence"] and "may be lost from now on" not in line["sentence"]
    then = line["nodes"]["bert"]["unread"]
    assert then >= line["nodes"]["bert"]["looked"] and "unread" not in line["nodes"]["anna"]
    shown = mounts_module.run("status", "-c", made.file, env=made.environment).stdout.splitlines()
    assert f"; could not be read at {then}; checked at " in shown[1] and "good" not in shown[1]
    assert ": good, 100 % read since " in shown[0] and "could not" not in shown[0]
    # Until a check reads it.
    if how != "gone":
        shutil.rmtree(nodes / "bert") if how == "empty" else (nodes / "bert").unlink()
    (nodes / "away").rename(nodes / "bert")
    told(made, status=DAMAGED)
    check(made, address="home:many")
    told(made, status=DAMAGED)
    check(made)
    assert told(made)["problems"] == []


def test_a_node_that_sync_has_brought_up_to_date_since(made, nodes):  # noqa: F811
    (nodes / "bert").rename(nodes / "away")
    check(made, status=DAMAGED)
    assert told(made, status=DAMAGED)["problems"] == [f"bert: {UNREAD}"]
    (nodes / "away").rename(nodes / "bert")
    settle(nodes)
    made.run()
    line = told(made)
    assert line["problems"] == [] and "unread" not in line["nodes"]["bert"]


def test_a_new_place_was_not_unread(made, nodes):
    shutil.rmtree(nodes / "bert")
    check(made, status=DAMAGED)
    commands.run("repair", "-c", made.file, "--replace", "bert", "home:", status=DAMAGED, env=made.environment)
    told(made)


def test_a_repair_ends_what_check_has_found(made, nodes):
    check(made)
    damage(nodes / "bert" / "many" / "7")
    check(made, status=DAMAGED)
    commands.run("repair", "-c", made.file, "home:", status=DAMAGED, env=made.environment)
    line = told(made)
    assert (line["problems"], [node["bad"] for node in line["nodes"].values()]) == ([], [0, 0, 0])
    assert line["nodes"]["bert"]["read_percent"] == 98  # it is read again first
    check(made)
    assert told(made)["nodes"]["bert"]["read_percent"] == 100


def test_what_was_read_of_a_place_is_not_of_the_next(made, nodes):
    check(made)
    shutil.rmtree(nodes / "bert")
    commands.run("repair", "-c", made.file, "--replace", "bert", "home:", status=DAMAGED, env=made.environment)
    looked = {name: node.get("looked") for name, node in told(made)["nodes"].items()}
    assert looked["bert"] is None and looked["anna"] and looked["carl"]


def test_what_was_not_due_is_not_vouched_for(made, nodes):
    check(made)
    done = due(made)
    assert done.summary["sentence"].endswith(" as far as was checked.")


@pytest.mark.parametrize("word", ["--quick", "--sample=1%"])
def test_what_looks_at_less_makes_nothing_good(made, nodes, word):  # noqa: F811
    check(made, word)
    assert set(slices_of(made)) == {None}
    assert told(made)["nodes"]["bert"]["read_percent"] == 0
    damage(nodes / "bert" / "many" / "7")
    check(made, status=DAMAGED)
    check(made, "--quick")
    assert told(made, status=DAMAGED)["nodes"]["bert"]["bad"] == 1
    # What it finds is known, though, and read by the next run.
    damage_all(nodes / "carl" / "many")
    made.run("--checksum")
    check(made)
    (nodes / "carl" / "many" / "3").write_bytes(b"")
    check(made, "--quick", status=DAMAGED)
    assert [node["bad"] for node in told(made, status=DAMAGED)["nodes"].values()] == [0, 0, 1]
    assert False in slices_of(made, "carl")


def test_a_part_of_the_tree_is_not_the_set(made, nodes):  # noqa: F811
    check(made, address="home:many")
    assert not (made.state_folder / "watch" / "home.json").exists() or not watched(made)["nodes"]["bert"]["bad"]
    assert "looked" not in told(made)["nodes"]["bert"]


def test_metrics_of_check(made, nodes):  # noqa: F811
    path = made.folder / "metrics"
    damage(nodes / "bert" / "many" / "7")
    check(made, "--metrics", path, status=DAMAGED)
    found = dict(line.rsplit(" ", 1) for line in path.read_text().splitlines() if line[0] != "#")
    looked = seconds_of(told(made, status=DAMAGED)["nodes"]["bert"]["looked"])
    for name, share, bad, percent in (("anna", "00", 0, 100), ("bert", "01", 1, 98)):
        labels = f'{{set="home",node="{name}",share="{share}"}}'
        assert found[f"zfec_fs_node_bad_copies{labels}"] == str(bad)
        assert found[f"zfec_fs_node_read_percent{labels}"] == str(percent)
        assert found[f"zfec_fs_node_read_since_timestamp_seconds{labels}"] == f"{looked:.0f}"
        assert found[f"zfec_fs_node_looked_timestamp_seconds{labels}"] == f"{looked:.0f}"
    assert found['zfec_fs_set_status{set="home"}'] == "1"
    # status writes the same.
    other = made.folder / "other"
    run_status(made, "--metrics", other, status=DAMAGED)
    assert other.read_text() == path.read_text()


@pytest.mark.parametrize("words, error", [
    (["--due", "{nodes}"], "--due: is of a whole set; write SET: in place of STORES"),
    (["--due", "home:many"], "--due: is of a whole set; write SET: in place of STORES"),
    (["--metrics", "/tmp/x", "{nodes}"], "--metrics: is of a whole set; write SET: in place of STORES"),
    (["--due", "--sample", "5%", "home:"], "--due: chooses what is read; leave --sample and --quick out"),
    (["--due", "--quick", "home:"], "--due: chooses what is read; leave --sample and --quick out"),
])  # fmt: skip
def test_what_goes_together(made, nodes, words, error):  # noqa: F811
    words = [word.format(nodes=nodes) for word in words]
    done = commands.run("check", "-c", made.file, *words, status=USAGE, env=made.environment)
    assert done.errors == f"zfec-fs: {error}\n"


@pytest.mark.parametrize("value", ["0", "x", "30", "4000d", "-1d"])
def test_the_key(made, value):
    made.file.write_text(made.file.read_text().replace("retries", f"check = {value}\nretries", 1))
    status = OK if value == "30" else USAGE
    due(made, status=status)

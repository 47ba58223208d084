# SPDX-License-Identifier: MIT
"""Nothing is written among the shares of a set: no restored file, no log, no page, no metrics."""

import os
import shutil

import pytest

import commands
import syncing
import trees
from commands import DAMAGED, USAGE
from set_places import contents, run
from syncing import NAMES, local
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")


@pytest.fixture
def made(sets, source, nodes):  # noqa: F811
    """Nodes that are up to date; a tree has names like their directories."""
    for name in NAMES:
        trees.write_file(source / name / "file-0", b"of the tree, at %s" % name.encode())
    sets.write(source, local(nodes, NAMES))
    sets.run()
    return sets


def refused(sets, folder, command, *words):  # noqa: F811
    """Before anything is done, by one line."""
    before = commands.snapshot(folder)
    done = run(sets, command, *words, status=USAGE)
    assert commands.snapshot(folder) == before
    assert done.errors.count("\n") == 1 and done.json == [], done.errors
    return done.errors


@pytest.mark.parametrize("address", ["home:", "home:dir", "home:dir/inner"])
@pytest.mark.parametrize(
    "place, words",
    [
        (".", "the node home/anna lies in it"),
        ("..", "the node home/anna lies in it"),
        ("bert", "lies in the node home/bert"),
        ("carl", "lies in the node home/carl"),
        ("carl/dir", "lies in the node home/carl"),
        ("carl/new/place", "lies in the node home/carl"),
        ("bert/dir/new", "lies in the node home/bert"),
    ],
)
def test_nothing_is_restored_in_or_around_a_node(made, nodes, address, place, words):
    """A node that is read, and one that is not needed for that."""
    for more in ([], ["--dry-run"]):
        assert words in refused(made, nodes, "decode", *more, address, nodes / place)


def test_nor_where_a_node_is_left_out(made, nodes):
    shutil.rmtree(nodes / "bert")
    for place, words in ((nodes / "bert", "lies in the node home/bert"), (nodes, "lies in it")):
        before = commands.snapshot(nodes)
        done = run(made, "decode", "home:", place, status=USAGE)
        assert words in done.errors and commands.snapshot(nodes) == before


def test_nor_in_a_place_that_leads_there(made, nodes, tmp_path):
    (tmp_path / "link").symlink_to(nodes)
    (tmp_path / "new").mkdir()
    assert "lies in it" in refused(made, nodes, "decode", "home:", tmp_path / "link")
    os.rename(nodes / "anna", tmp_path / "real")
    (nodes / "anna").symlink_to(tmp_path / "real")
    assert "lies in the node home/anna" in refused(made, tmp_path, "decode", "home:dir", tmp_path / "real" / "new")


def test_a_place_beside_the_nodes(made, nodes, source):
    run(made, "decode", "home:", nodes / "dora")
    assert contents(nodes / "dora") == contents(source)


BESIDE = [
    ["check", "--report", "{}", "home:"],
    ["check", "--report", "{}", "home:dir"],
    ["check", "--log-file", "{}", "home:"],
    ["check", "--metrics", "{}", "home:"],
    ["check", "--due", "--report", "{}", "home:"],
    ["decode", "--log-file", "{}", "home:", "back"],
    ["repair", "--log-file", "{}", "home:"],
    ["status", "--metrics", "{}"],
    ["status", "--log-file", "{}", "home"],
    ["status", "--ask", "--metrics", "{}"],
    ["sync", "--metrics", "{}"],
    ["sync", "--log-file", "{}", "home"],
]


@pytest.mark.parametrize("words", BESIDE, ids=" ".join)
def test_no_file_is_written_into_a_node(made, nodes, tmp_path, words):
    for name in ("bert/file-1", "carl/new", "anna/dir/log", "link"):
        if name == "link":
            (nodes / "link").symlink_to(nodes / "anna" / "file-0")
        path = str(nodes / name)
        error = refused(made, nodes, *[word.format(path) for word in words])
        assert f"{path}: lies in the node {nodes}/" in error


@pytest.mark.parametrize("option", ["--metrics", "--log-file"])
def test_nor_by_sync_into_the_source(made, source, option):
    assert "lies in the source" in refused(made, source, "sync", option, source / "file-0")


def test_files_beside_the_nodes(made, nodes):
    for name in ("log", "page", "metrics"):
        option = {"log": "--log-file", "page": "--report", "metrics": "--metrics"}[name]
        run(made, "check", option, nodes / name, "home:")
        assert (nodes / name).is_file()
    (nodes / "bert" / "file-1").unlink()
    run(made, "check", "--log-file", nodes / "log", "home:", status=DAMAGED)


@pytest.mark.parametrize("words", [["--config", "{}"], ["--config", "elsewhere", "--log-file", "{}"]])
@pytest.mark.parametrize("name", ["new.ini", syncing.DESCRIPTION])
def test_nothing_is_recovered_into_the_node_that_tells(made, nodes, tmp_path, words, name):
    path = nodes / "anna" / name
    before = commands.snapshot(nodes)
    done = commands.run("recover", *[word.format(path) for word in words], nodes / "anna", status=USAGE,
                        env=made.environment, cwd=tmp_path)  # fmt: skip
    assert f"{path}: lies in {nodes}/anna, which the command reads or writes" in done.errors
    assert commands.snapshot(nodes) == before and not (tmp_path / "elsewhere").exists()

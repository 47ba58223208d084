# SPDX-License-Identifier: MIT
"""What the source has no more, and nodes keep (delete = no): counted now and then, and told."""

import shutil

import pytest

import mounts as mounts_module
from commands import DAMAGED
from syncing import DAY_S, NAMES, age, ends, local, lose, needs_rclone, told, told_as_text
from syncing import nodes, sets, source  # noqa: F401

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")


def surplus(result):
    return [line.get("surplus") for line in ends(result).values()]


def remove_some(source):  # noqa: F811
    """Three names: two files, and a directory."""
    (source / "gone").mkdir()
    for name in ("gone/one", "two"):
        (source / name).write_text(name)
    return lambda: (shutil.rmtree(source / "gone"), (source / "two").unlink())


def test_what_is_kept_is_counted_once_a_week(sets, source, nodes):  # noqa: F811
    remove = remove_some(source)
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    assert surplus(sets.run()) == [0, 0, 0]
    remove()
    assert surplus(sets.run()) == [0, 0, 0]  # not counted again yet
    age(sets, 8 * DAY_S, "bert", key="counted")
    assert surplus(sets.run()) == [0, 3, 0]
    assert surplus(sets.run("--verify", "1%")) == [3, 3, 3]
    then = told(sets)["nodes"]["bert"]["tried"]
    words = f"; 3 names that the source has no more (as of {then})"
    assert words in told_as_text(sets)[1]
    assert words in mounts_module.run("sync", "-c", sets.file, env=sets.environment).stdout
    assert told(sets)["nodes"]["bert"]["surplus"] == 3
    assert (nodes / "bert" / "gone" / "one").exists()
    # What is deleted is kept no more.
    text = sets.file.read_text()
    sets.file.write_text(text.replace("retries", "delete = yes\nretries", 1))
    sets.run()
    assert not (nodes / "bert" / "gone").exists()
    assert surplus(sets.run()) == [0, 0, 0]


def test_a_dry_run_names_what_is_kept(sets, source, nodes):  # noqa: F811
    remove = remove_some(source)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    remove()
    result = sets.run("--dry-run")
    assert surplus(result) == [3, 3, 3]
    kept = [(line["node"], line["path"]) for line in result.json if line.get("action") == "kept"]
    assert sorted(kept) == sorted((name, path) for name in NAMES for path in ("gone/", "gone/one", "two"))
    lines = told_as_text(sets, "--dry-run", command="sync")
    assert "home/bert: would be kept: gone/one" in lines
    assert told(sets)["nodes"]["bert"]["surplus"] == 0  # a dry run remembers nothing


def test_most_of_a_node_may_be_kept(sets, source, nodes):  # noqa: F811
    """Nothing is deleted: so nothing is refused."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    for path in source.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (source / "new").write_text("new")
    (count, *_) = surplus(sets.run("--verify", "1%"))
    assert count > 5
    assert (nodes / "anna" / "new").exists()
    assert told(sets)["up_to_date"] == 3


def test_what_cannot_be_counted_stays_as_it_was(sets, source, nodes):  # noqa: F811
    remove = remove_some(source)
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    remove()
    sets.run("--verify", "1%")
    lose(nodes, "bert")
    age(sets, 8 * DAY_S, key="counted")
    sets.run(status=DAMAGED, noisy=True)
    assert [node["surplus"] for node in told(sets, status=DAMAGED)["nodes"].values()] == [3, 3, 3]


def test_in_the_metrics(sets, source, nodes):  # noqa: F811
    remove = remove_some(source)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    remove()
    sets.run("--verify", "1%", "--metrics", sets.folder / "metrics")
    line = 'zfec_fs_node_surplus_names{set="home",node="bert",share="01"} 3\n'
    assert line in (sets.folder / "metrics").read_text()


@needs_rclone
def test_of_rclone(sets, source, nodes):  # noqa: F811
    """Which tells of files alone."""
    remove = remove_some(source)
    (source / "fifo").unlink()
    (sets.folder / "rclone.conf").write_text(f"[cloud]\ntype = alias\nremote = {nodes}\n")
    sets.write(source, {name: f"rclone = cloud:{name}" for name in NAMES})
    sets.run()
    remove()
    assert surplus(sets.run("--verify", "1%")) == [2, 2, 2]

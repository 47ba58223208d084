# SPDX-License-Identifier: MIT
"""sync remembers of each node what it holds, compares what is there with what was sent, and mends it."""

import json
import shutil
import subprocess
import threading
from datetime import datetime, timezone

import pytest

import trees
from commands import DAMAGED, LOST
import syncing
from syncing import (
    NAMES, compare_with_encode, ends, health, local, needs_rclone, places, settle, spoil,
)  # fmt: skip
from syncing import nodes, sets, source  # noqa: F401

UNSANITIZED = True

pytestmark = pytest.mark.skipif(not shutil.which("rsync"), reason="rsync is missing")


# What is remembered


def when(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def test_state(sets, source, nodes):
    """The time as of which a node holds all is that of its last good run."""
    before = datetime.now(timezone.utc).replace(microsecond=0)
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    state = sets.state()
    assert (state["version"], state["set"], state["required"]) == (1, "home", 2)
    assert list(state["nodes"]) == NAMES
    for index, name in enumerate(NAMES):
        node = state["nodes"][name]
        held = {path.lstat().st_ino: path.lstat().st_size
                for path in (nodes / name).rglob("*") if path.is_file() and not path.is_symlink()
                and path.name != syncing.DESCRIPTION}  # fmt: skip
        assert before <= when(node["as_of"]) <= datetime.now(timezone.utc)
        assert node == {
            "share": f"{index:02x}", "target": f"{nodes}/{name}", "up_to_date": True,
            "mount": str(next(path for path in nodes.parents if path.is_mount())),
            "tried": node["as_of"], "as_of": node["as_of"], "encoding": "checked, 2, 65536",
            "files": len(held), "bytes": sum(held.values()), "counted": node["as_of"], "surplus": 0,
        }  # fmt: skip
    good = state["nodes"]["carl"]["as_of"]
    while datetime.now(timezone.utc).replace(microsecond=0) <= when(good):
        threading.Event().wait(0.05)
    shutil.rmtree(nodes / "carl")
    result = sets.run(status=DAMAGED)
    assert ends(result)["carl"]["as_of"] == good
    node = sets.state()["nodes"]["carl"]
    assert (node["up_to_date"], node["as_of"]) == (False, good)
    assert when(node["tried"]) > when(good)
    assert node["error"] == ends(result)["carl"]["error"]
    assert when(sets.state()["nodes"]["anna"]["as_of"]) > when(good)
    shown = subprocess.run(
        sets.command(), check=False, capture_output=True, text=True, env=sets.environment
    )
    assert f"home/carl 02 BEHIND since {good}: " in shown.stdout
    assert "home: 2 of 3 nodes are up to date, 2 are enough" in shown.stdout


def test_names_that_look_like_comments_are_compared(sets, source, nodes, rng):
    """In rsync's lists of files."""
    sets.write(source, local(nodes, NAMES))
    sets.run()
    paths = ["#recycle/file", ";old", "#auto#"]
    for path in paths:
        trees.write_file(source / path, rng.randbytes(300_000))  # too large for the look at a few
    sets.run()
    settle(source)
    for path in paths:
        spoil(nodes / "bert" / path, rng)
    assert ends(sets.run("--verify", "100%", status=DAMAGED))["bert"]["different"] == len(paths)
    assert ends(sets.run("--verify", "100%"))["bert"]["different"] == 0


def test_another_place_was_never_up_to_date(sets, source, nodes):
    sets.write(source, local(nodes, NAMES), more="retries = 0")
    sets.run()
    (nodes / "file").write_text("")
    targets = local(nodes, NAMES[:2]) | {"carl": f"rsync = {nodes}/file"}
    sets.write(source, targets, more="retries = 0")
    result = sets.run(status=DAMAGED)
    assert ends(result)["carl"]["as_of"] is None
    assert sets.state()["nodes"]["carl"]["as_of"] is None


def test_a_state_that_makes_no_sense_is_told_and_forgotten(sets, source, nodes):
    sets.write(source, local(nodes, NAMES))
    sets.run()
    (sets.state_folder / "home.json").write_text('{"nodes": [')
    result = sets.run(noisy=True)
    assert "home.json: corrupt" in result.errors
    assert sets.state()["nodes"]["anna"]["up_to_date"] is True


# Verifying

LARGE = 300_000  # each run looks at a few files, which are smaller


@pytest.mark.parametrize("kind", ["rsync", pytest.param("rclone", marks=needs_rclone)])
def test_a_spoiled_byte_is_found_and_mended(sets, source, nodes, tmp_path, rng, kind):
    targets = local(nodes, NAMES)
    if kind == "rclone":
        remote = f"[remote]\ntype = alias\nremote = {nodes}\n"
        (sets.folder / "rclone.conf").write_text(remote)
        targets["bert"] = "rclone = remote:bert"
    trees.write_file(source / "file-3", rng.randbytes(LARGE))
    sets.write(source, targets)
    sets.run()
    spoil(nodes / "bert" / "file-3", rng)
    settle(source)
    assert health(sets.run()) == dict.fromkeys(NAMES, True)
    result = sets.run("--verify", "1", status=DAMAGED)
    assert health(result) == {"anna": True, "bert": False, "carl": True}
    assert ends(result)["bert"]["different"] == 1
    assert result.actions() == {("different", "file-3"): {None}}
    assert sets.state()["nodes"]["bert"]["up_to_date"] is False
    result = sets.run("--checksum", "--verify", "1")
    assert ends(result)["bert"]["files"] == 1
    assert ends(result)["bert"]["different"] == 0
    if kind == "rsync":
        compare_with_encode(source, places(nodes), tmp_path)


def test_a_file_whose_time_is_in_the_future_is_compared(sets, source, nodes, rng):
    """A camera's clock was wrong; what was sent last is looked at in each run all the same."""
    for path in (source / f"ahead-{number:02}" for number in range(40)):
        trees.write_file(path, rng.randbytes(10), mtime_ns=2**31 * 10**9)
    spoilt = trees.write_file(source / "large", rng.randbytes(LARGE), mtime_ns=2**31 * 10**9)
    sets.write(source, local(nodes, NAMES))
    sets.run()
    spoil(nodes / "bert" / spoilt.name, rng)
    settle(source)
    assert ends(sets.run("--verify", "1", status=DAMAGED))["bert"]["different"] == 1
    sets.run()
    trees.write_file(source / "new", rng.randbytes(10))
    sets.run()
    spoil(nodes / "bert" / "new", rng)
    assert "home/bert: holds" in sets.run(noisy=True).errors


def found_different(sets, source, nodes, rng, line):
    """A node called bert, of which verification has found a file that differs; since when."""
    trees.write_file(source / "dir" / "f\u00fcr", rng.randbytes(LARGE))
    trees.write_file(source / "file-3", rng.randbytes(LARGE))
    sets.write(source, local(nodes, NAMES) | {"bert": line}, more="retries = 0")
    sets.run()
    spoil(nodes / "bert" / "dir" / "f\u00fcr", rng)
    settle(source)
    node = ends(sets.run("--verify", "1", status=DAMAGED))["bert"]
    assert node["differs_since"] == sets.state()["nodes"]["bert"]["tried"]
    return node["differs_since"]


@pytest.mark.parametrize("kind", ["rsync", pytest.param("rclone", marks=needs_rclone)])
def test_what_verification_found_is_remembered_until_it_is_mended(
    sets, source, nodes, rng, kind
):
    (sets.folder / "rclone.conf").write_text(f"[remote]\ntype = alias\nremote = {nodes}\n")
    line = {"rsync": f"rsync = {nodes}/bert", "rclone": "rclone = remote:bert"}[kind]
    since = found_different(sets, source, nodes, rng, line)
    remembered = {"differs_since": since, "different": ["dir/f\u00fcr"], "up_to_date": False}
    assert sets.state()["nodes"]["bert"].items() >= remembered.items()
    # It does not answer for a while; and looking changes nothing.
    away = nodes / "bert"
    away.rename(nodes / "away")
    away.write_text("")
    failed = ends(sets.run(status=DAMAGED))["bert"]
    assert (failed["up_to_date"], failed["differs_since"]) == (False, since)
    assert "mended_since" not in failed
    away.unlink()
    (nodes / "away").rename(away)
    assert ends(sets.run("--dry-run", noisy=True))["bert"]["differs_since"] == since
    assert sets.state()["nodes"]["bert"].items() >= remembered.items()
    # A plain run compares all of this node, and nothing of the others.
    spoil(nodes / "bert" / "file-3", rng)
    spoil(nodes / "carl" / "file-3", rng)
    result = ends(sets.run())
    assert {name: node["files"] for name, node in result.items()} == dict(anna=0, bert=2, carl=0)
    assert result["bert"]["up_to_date"] is True
    assert result["bert"]["mended_since"] == since
    assert "differs_since" not in result["bert"]
    state = sets.state()["nodes"]["bert"]
    assert (state["up_to_date"], state["as_of"]) == (True, state["tried"])
    assert not {"differs_since", "different"} & {*state}
    node = ends(sets.run("--verify", "1", status=DAMAGED))
    assert (node["bert"]["different"], node["carl"]["different"]) == (0, 1)
    assert "mended_since" not in node["bert"]


def test_since_when_a_node_differs_is_shown(sets, source, nodes, rng):
    def shown(*words):
        done = subprocess.run(
            sets.command(*words), check=False, capture_output=True, text=True, env=sets.environment
        )
        return next(line for line in done.stdout.splitlines() if line.startswith("home/bert 01"))

    since = found_different(sets, source, nodes, rng, f"rsync = {nodes}/bert")
    assert f"; differs since {since}" in shown("--dry-run")
    assert f"up to date; 1 file, " in (line := shown())
    assert line.endswith(f"; mended, it differed since {since}")
    assert "differ" not in shown()
    spoil(nodes / "bert" / "file-3", rng)
    line = shown("--verify", "1")
    since = sets.state()["nodes"]["bert"]["differs_since"]
    assert f"DIFFERS since {since}: it holds other bytes than were sent; " in line


@needs_rclone
@pytest.mark.parametrize("known", [True, False], ids=["by name", "by number"])
def test_a_cloud_whose_checksums_are_not_of_its_bytes(sets, source, nodes, rng, known):
    """A plain run sends again what was found to differ, or everything; checksums show nothing."""
    (sets.folder / "rclone.conf").write_text(
        f"[remote]\ntype = chunker\nremote = {nodes}\nhash_type = md5all\n"
    )
    sets.write(source, {"bert": "rclone = remote:bert\nsymlinks = no"}, required=1)
    sets.run()
    spoil(nodes / "bert" / "file-3.rclone_chunk.001", rng)
    settle(source)
    assert ends(sets.run("--checksum"))["bert"]["files"] == 0
    assert ends(sets.run("--verify", "1", status=LOST))["bert"]["different"] == 1
    if not known:
        state = sets.state()
        del state["nodes"]["bert"]["different"]
        (sets.state_folder / "home.json").write_text(json.dumps(state))
    sent = ends(sets.run())["bert"]["files"]
    assert sent == 1 if known else sent > 1
    assert ends(sets.run("--verify", "1"))["bert"]["different"] == 0


@needs_rclone
def test_a_difference_is_not_looked_for_twice(sets, source, nodes, rng):
    """rclone ends with an error where it finds one, which is no reason to try again."""
    (sets.folder / "rclone.conf").write_text(f"[remote]\ntype = alias\nremote = {nodes}\n")
    trees.write_file(source / "file-3", rng.randbytes(LARGE))
    sets.write(source, {"bert": "rclone = remote:bert\nretries = 2"}, required=1)
    sets.run()
    spoil(nodes / "bert" / "file-3", rng)
    settle(source)
    result = sets.run("--verify", "1", status=LOST)
    assert [line["path"] for line in result.json if line["message_type"] == "file"] == ["file-3"]


def test_a_part_is_a_part(sets, tmp_path, nodes, rng):
    for number in range(200):
        trees.write_file(tmp_path / "source" / f"{number}", rng.randbytes(10))
    sets.write(tmp_path / "source", local(nodes, NAMES))
    settle(tmp_path / "source")
    result = sets.run("--verify", "20%")
    compared = [node["compared"] for node in ends(result).values()]
    assert all(5 <= count <= 100 for count in compared), compared
    # Of few files, one at least.
    result = sets.run("--verify", "0.0000001")
    assert [node["compared"] for node in ends(result).values()] == [1, 1, 1]

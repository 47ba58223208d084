# SPDX-License-Identifier: MIT
"""The command bench, and that the benchmark of bench/ works: never how fast anything is."""

import json
import re
import shutil
import subprocess

import pytest

import mounts as mounts_module
from commands import OK, USAGE

UNSANITIZED = True

LIMIT_S = 300
KINDS = ["code", "hash", "encode", "decode"]
RUN = mounts_module.REPOSITORY / "bench" / "run"


def bench(*words):
    return mounts_module.run("bench", *words, limit_s=LIMIT_S)


def speeds(*words):
    result = bench("--json", *words)
    assert (result.returncode, result.stderr) == (OK, "")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {line["message_type"] for line in lines} == {"speed"}
    return lines


# zfec-fs bench


def test_says_what_the_machine_reaches(binary):
    result = bench("-k", "3", "-n", "6", "-j", "2")
    assert (result.returncode, result.stderr) == (OK, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("3 of 6 shares, checked format, blocks of 65536 bytes")
    assert [re.match(r"\w+", line)[0] for line in lines[2:6]] == KINDS
    assert all(re.search(r"\d [kMGT]B/s +[\d.]+ [kMGT]B/s$", line) for line in lines[2:6])
    links = re.search(r"encodes for ([\d.]+) such links, restores for ([\d.]+)\.$", lines[6])
    assert all(float(number) > 0 for number in links.groups())
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize("share_format", ["checked", "classic", "fec"])
def test_json(binary, share_format):
    lines = speeds("-k", "5", "-n", "8", "-j", "3", "--format", share_format)
    assert [(line["what"], line["threads"]) for line in lines] == [
        (kind, threads) for threads in (1, 3) for kind in KINDS
    ]
    for line in lines:
        assert (line["required"], line["count"], line["format"]) == (5, 8, share_format)
        assert line["bytes_per_second"] > 0
        assert 0 < line["piece_size"] <= 65536


@pytest.mark.parametrize("words, kinds", [
    (["-k", "1", "-n", "1"], KINDS[1:]),  # all shares are pieces: there is no code
    (["-k", "1", "-n", "256"], KINDS),
    (["-k", "255", "-n", "256", "--block-size", "4K"], KINDS),
])  # fmt: skip
def test_limits(binary, words, kinds):
    lines = speeds("-j", "1", *words)
    assert [line["what"] for line in lines] == kinds
    assert all(line["bytes_per_second"] > 0 and line["piece_size"] > 0 for line in lines)


@pytest.mark.parametrize("words", [["-k", "4", "-n", "3"], ["-k", "0"], ["folder"], ["--older"]])
def test_wrong_arguments(binary, words):
    result = bench(*words)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert len(result.stderr.splitlines()) == 1


# bench/run


def run(*words):
    return subprocess.run(
        [RUN, *words], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LIMIT_S,
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What a run of some cases with little data printed, and where its report is."""
    if not shutil.which("fusermount3"):
        pytest.skip("needs fusermount3")
    output, scratch = (tmp_path_factory.mktemp(name) for name in ("report", "scratch"))
    cases = ["two-readers", "find", "check-small"]
    result = run("--quick", "--scratch", scratch, "--output", output, *cases)
    assert result.returncode == 0, result.stderr
    assert list(scratch.iterdir()) == []
    assert mounts_module.mounted_beneath(scratch) == []
    return result, output


@mounts_module.long
def test_measures(measured):
    report = json.loads((measured[1] / "results.json").read_text())
    cases = {case["name"]: case for case in report["cases"]}
    assert {"two-readers", "find", "check-small"} <= cases.keys()
    for case in cases.values():
        assert len(case["subjects"]) > 1
        for subject in case["subjects"]:
            assert 0 < subject["least"] <= subject["median"] <= subject["most"]
            assert subject["ratio"]["median"] > 0
    assert all("is_met" in target for target in cases["two-readers"]["targets"])
    assert len(cases["two-readers"]["targets"]) == 3


@mounts_module.long
def test_reports(measured):
    result, output = measured
    page = (output / "results.md").read_text()
    for text in (result.stdout, page):
        assert "shares 00 and 01: at least 1.6 x share 00" in text
    assert "(`check-small`, " in page
    assert (output / "results.svg").read_text().startswith("<svg ")


def test_lists_its_cases():
    result = run("--list")
    assert (result.returncode, result.stderr) == (0, "")
    assert "encoded-k3 " in result.stdout
    assert "share 00: at least 1 x floor, pread" in result.stdout


def test_an_unknown_case_is_refused():
    result = run("--quick", "no-such-case")
    assert result.returncode != 0
    assert "no-such-case" in result.stderr

# SPDX-License-Identifier: MIT
"""check --report writes a page that says what check says, whole or not at all."""

import os
import re
import resource
import shutil
import signal
import stat

import pytest

import checking
import commands
import mounts as mounts_module
import page
import trees
from checking import GOLDEN, Stores
from commands import DAMAGED, FAILED, LOST, OK, USAGE

WORST = 100
SMALL_PIPE = 4096

stores = checking.stores  # a fixture


@pytest.fixture
def report(tmp_path):
    (tmp_path / "place").mkdir()
    return tmp_path / "place" / "report.html"


def run(stores, report, *words, status, **how):
    """What check said, and the page of it."""
    stores.settle_times()
    result = commands.run(
        "check", "--report", report, *words, stores.folder, status=status, noisy=True, **how
    )
    assert os.listdir(report.parent) == [report.name]
    return result, page.read(report)


def number(text):
    return int(text.replace(",", ""))


# A page that stands alone


def trouble(stores):
    """Something of each kind."""
    for name in ("lost", "weak", "weaker", "fine"):
        stores.put(name)
    for store in "abc":
        stores.spoil(store, 3, name="lost")
    stores.path("b", "weak").unlink()
    for store, block in (("a", 1), ("c", 1)):
        stores.spoil(store, block, name="weaker")
    stores.put("old")
    stores.put("old", mtime_ns=trees.MTIME_NS - checking.HOUR_NS, at={"d": 3})
    stores.path("d", "fine").chmod(0o600)
    stores.put("misplaced", at={"a": 0, "b": 1, "c": 3, "d": 3})
    stores.path("c", "other-1").unlink()
    stores.path("c", "other-1").mkdir()


KINDS = {
    "intact": (checking.intact, OK),
    "missing": (checking.missing, DAMAGED),
    "lost": (checking.lost, LOST),
    "trouble": (trouble, LOST),
}


@pytest.fixture(params=KINDS)
def case(request, stores):
    make, status = KINDS[request.param]
    stores.put()
    make(stores)
    return stores, status


def check_alone(path, root):
    """Nothing in it is fetched from elsewhere, or run."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?:|url\(|@import|javascript:|expression\(", text)
    for element in root.all():
        assert element.tag not in ("script", "link", "img", "iframe", "object", "base", "form", "a")
        wanted = {"class", "style", "aria-hidden"} if element.tag not in ("html", "meta") else None
        assert wanted is None or set(element.attributes) <= wanted, element.attributes
        assert re.fullmatch(r"flex-grow:\d+", element.attributes.get("style", "flex-grow:0"))
    policies = [
        meta.attributes["content"]
        for meta in root.all("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_page_stands_alone(case, report):
    stores, status = case
    _, root = run(stores, report, status=status)
    check_alone(report, root)
    html = root.one("html")
    assert [child.tag for child in html.children if not isinstance(child, str)] == ["head", "body"]
    assert html.attributes == {"lang": "en"}


# What it says


def store_rows(root):
    """store -> (share, number of good names, what is wrong -> how often)."""
    found = {}
    for row in root.one("table", "stores").one("tbody").all("tr"):
        marks = [re.match(r"([\d,]+) (.*)", mark.text).groups() for mark in row.all("li")]
        found[row.one("td", "store").text] = (
            row.one("td", "share").text,
            number(row.one("td", "number").text),
            {re.sub(r" \([\d,]+ bad blocks?\)", "", words): number(n) for n, words in marks},
        )
    return found


STATES = {
    "missing": "missing",
    "stale": "of another version",
    "damaged": "damaged",
    "misplaced": "of another share",
    "other_kind": "of another kind",
    "unreadable": "unreadable",
    "other_metadata": "with other metadata",
}


def expected_row(store):
    wrong = {words: store[state] for state, words in STATES.items() if store[state]}
    return store["share"] or "--", store["good"], wrong


def levels(root):
    """How many more stores may be lost (-1: it is lost) -> number of files."""
    found = {}
    for item in root.one("ul", "key").all("li"):
        words = item.text.partition(":")[0]
        level = -1 if words == "lost" else int(re.match(r"(\d+) more stores?$", words)[1])
        found[level] = number(item.one("b").text)
    return found


def test_page_says_what_json_says(case, report):
    stores, status = case
    result, root = run(stores, report, "--verbose", status=status)
    summary = result.summary
    assert root.one("h1").text == root.one("title").text == summary["sentence"]
    assert store_rows(root) == {
        store["store"].rpartition("/")[2]: expected_row(store) for store in summary["stores"]
    }
    spares = [line["may_lose"] for line in result.json[:-1] if line["kind"] != "directory"]
    assert levels(root) == {-1: 0} | {spare: spares.count(spare) for spare in spares}
    names = root.one("dl").text
    for field in ("intact", "degraded", "lost"):
        assert f"{summary[field]} {field}" in names
    assert f"{summary['files']} files (" in names and f"{summary['others']} other name" in names


def test_strip_is_in_proportion(case, report):
    stores, status = case
    _, root = run(stores, report, status=status)
    parts = [
        (part.text, int(part.attributes["style"].partition(":")[2]))
        for part in root.one("div", "strip").all("span")
    ]
    shown = {"lost" if level < 0 else str(level): count for level, count in levels(root).items()}
    assert parts == [(text, count) for text, count in shown.items() if count > 0]


def test_bars_of_stores_are_in_proportion(stores, report):
    stores.put()
    trouble(stores)
    result, root = run(stores, report, status=LOST)
    rows = root.one("table", "stores").one("tbody").all("tr")
    for row, store in zip(rows, result.summary["stores"], strict=True):
        parts = [int(part.attributes["style"].partition(":")[2])
                 for part in row.one("div", "bar").all("span")]  # fmt: skip
        counts = [store[state] for state in ("good", *STATES) if state != "other_metadata"]
        assert sorted(parts) == sorted(count for count in counts if count > 0)


def test_verdict(case, report):
    stores, status = case
    result, root = run(stores, report, status=status)
    (verdict,) = root.all("header", "verdict")
    colour = {OK: "good", DAMAGED: "warning", LOST: "bad"}[status]
    assert verdict.attributes["class"] == f"verdict {colour}"
    degraded = result.summary["degraded"]
    assert (f"{degraded} " in verdict.text and "zfec-fs repair" in verdict.text) == (degraded > 0)
    assert ("cannot be restored" in verdict.text) == (status == LOST)


def test_intact_with_nothing_to_spare_is_a_warning(tmp_path, rng, report):
    stores = Stores(tmp_path / "stores", rng, "ab", 2)
    stores.put()
    _, root = run(stores, report, status=OK)
    assert root.one("header").attributes["class"] == "verdict warning"


def test_no_files(tmp_path, rng, report):
    stores = Stores(tmp_path / "stores", rng)
    result = commands.run("check", "--report", report, stores.folder, status=LOST, noisy=True)
    assert "0 stores found, 1 needed" in result.errors and not report.exists()


@pytest.mark.parametrize("words, said", [
    ([], "every block of every share"),
    (["--sample", "12.5%"], "a random 12.5 % of the blocks"),
    (["--quick"], "presence, sizes and headers only"),
])  # fmt: skip
def test_how_it_was_looked(stores, report, words, said):
    _, root = run(stores, report, *words, status=OK)
    assert said in [fact.text for fact in root.all("dd")]


def test_when_and_where(stores, report):
    stores.put()
    stores.settle_times()
    elsewhere = stores.folder.parent / "elsewhere"
    (stores.folder / "d").rename(elsewhere)
    _, root = run(stores, report, "--store", elsewhere, status=OK, env={"TZ": "XYZ-3"})
    facts = [fact.text for fact in root.one("dl").all() if fact.tag in ("dt", "dd")]
    assert facts[:3] == ["4 stores in", f"{stores.folder}, {elsewhere}", "Checked"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d XYZ", facts[3])
    assert re.fullmatch(r"in \d+\.\d s", facts[4])


def test_every_state_has_its_colour(stores, report):
    stores.put()
    trouble(stores)
    for name in ("removed", ".~tmp~"):
        (stores.folder / "d" / name).write_bytes(stores.path("d", "fine").read_bytes())
    _, root = run(stores, report, status=LOST)
    style = root.one("style").text
    used = {name for mark in root.one("table", "stores").all("i")
            for name in mark.attributes["class"].split()}  # fmt: skip
    used |= {span.attributes["class"] for bar in root.all("div", "bar") for span in bar.all("span")}
    assert "c-foreign" in used
    assert [name for name in used if f".{name} {{ background: " not in style] == []


# The worst names


def worst_names(root):
    """(what it can lose, name, lines of what is wrong) in their order."""
    return [
        (row.one("span", "level").text, row.one("div", "path").text,
         [item.text for item in row.all("li")])
        for row in root.one("table", "worst").one("tbody").all("tr")
    ]  # fmt: skip


def test_worst_come_first(stores, report):
    stores.put()
    trouble(stores)
    (stores.folder / "d" / "removed").write_bytes(stores.path("d", "fine").read_bytes())
    _, root = run(stores, report, status=LOST)
    assert worst_names(root) == [
        ("lost", "lost", ["lost: stripes 3 of 5", "a, b, c: block 3 damaged"]),
        ("0 more", "weaker", ["a, c: block 1 damaged"]),
        ("1 more", "misplaced", ["c: has share 03 here"]),
        ("1 more", "old", ["d: another version"]),
        ("1 more", "other-1", ["c: something else has this name"]),
        ("1 more", "weak", ["b: missing"]),
        ("2 more", "fine", ["d: differs in mode"]),
        ("not confirmed", "removed", ["d: not confirmed"]),
    ]  # fmt: skip
    assert root.one("table", "worst").parent.one("h2").text == "What is wrong, the worst first"


def test_only_so_many_of_the_worst(tmp_path, rng, report):
    """They are the same whatever the order in which many threads find them."""
    stores = Stores(tmp_path / "stores", rng, "abcd", 1)
    may_lose = {}
    for i in range(3 * WORST):
        name = f"{rng.choice('abc')}/{i}"
        stores.put(name, 10)
        for store in rng.sample("abcd", gone := rng.randrange(0, 4)):
            stores.path(store, name).unlink()
        may_lose[name] = 3 - gone
    result, root = run(stores, report, "-j", "8", status=DAMAGED)
    wrong = [name for name, count in may_lose.items() if count < 3]
    expected = sorted((may_lose[name], name) for name in wrong)
    assert len(wrong) > WORST
    found = [(int(can_lose.partition(" ")[0]), name) for can_lose, name, _ in worst_names(root)]
    assert found == expected[:WORST]
    section = root.one("table", "worst").parent
    assert section.one("h2").text.startswith(f"The worst {WORST} of {len(result.json) - 1} names")
    assert "zfec-fs check" in section.one("p").text


def test_removed_names_do_not_crowd_out_what_is_lost(tmp_path, rng, report):
    stores = Stores(tmp_path / "stores", rng, "abcde", 2)
    for i in range(WORST + 5):
        stores.put(f"foreign-{i}", 10, at={"b": 1})
        stores.put(f"removed-{i}", 10, at={"b": 1})
        stores.put(f"removed-{i}", 10, mtime_ns=0, at={"d": 3})
    stores.put("truly-lost")
    for store in "abcde":
        stores.spoil(store, 0, name="truly-lost")
    _, root = run(stores, report, status=LOST)
    found = worst_names(root)
    assert len(found) == WORST and found[0][1] == "truly-lost"
    assert {name.partition("-")[0] for _, name, _ in found[1:]} == {"removed"}


def test_nothing_wrong_has_no_list(stores, report):
    _, root = run(stores, report, status=OK)
    assert not list(root.all("table", "worst"))


# Names that are made to mislead


HOSTILE_NAMES = [
    *(name for name in checking.HOSTILE_NAMES if b"/" not in name),
    b"<script>alert(1)<script>",
    b"<!-- <h1>&lt;&amp;&#60;",
    b"]]><style>*{display:none}",
    b"\xe2\x80\xae gnp.exe",
    b"\xf4\x90\x80\x80\xc0\xaf",
    b"' onclick='x' \" style=\"",
]


def shown(name):
    """As the log and the page show the bytes of a name."""
    text = name.decode(errors="backslashreplace")
    return re.sub(r"[\0-\x1f\x7f-\x9f]", lambda match: "".join(
        f"\\x{byte:02x}" for byte in match[0].encode()), text)  # fmt: skip


def test_names_are_only_text(tmp_path, rng, report):
    names = [b"a", b"<b>s\ntore\"'", b"\xffstore&lt;"]
    stores = Stores(tmp_path / "stores", rng, [os.fsdecode(name) for name in names], 1)
    for name in HOSTILE_NAMES:
        stores.put(os.fsdecode(name), 100)
        stores.path(stores.names[1], os.fsdecode(name)).unlink()
    _, root = run(stores, report, status=DAMAGED)
    check_alone(report, root)
    assert set(store_rows(root)) == {shown(name) for name in names}
    found = worst_names(root)
    assert {name for _, name, _ in found} == {shown(name) for name in HOSTILE_NAMES}
    assert {line for *_, lines in found for line in lines} == {f"{shown(names[1])}: missing"}
    text = report.read_text(encoding="utf-8")
    assert "onclick='" not in text and "style=\"" not in text.partition("</header>")[2].replace(
        ' style="flex-grow:', "")  # fmt: skip
    assert not re.search(r"[\0-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert all(name.parent.tag == "bdi" or name.tag == "bdi" for name in root.all(classes="name"))


def test_names_of_places_are_only_text(tmp_path, rng, report):
    folder = tmp_path / os.fsdecode(b"<i>st\xffores & \"more\"")
    stores = Stores(folder, rng)
    stores.put()
    _, root = run(stores, report, status=OK)
    assert shown(os.fsencode(folder)) in root.one("dl").text


# The file


OLD = "<p>the old page"


def test_old_page_is_replaced(stores, report):
    report.write_text(OLD)
    report.chmod(0o600)
    run(stores, report, status=OK, umask=0o027)
    assert report.stat().st_mode & 0o777 == 0o640


def test_page_of_a_damaged_run_is_written_quietly(stores, tmp_path, monkeypatch):
    """Beside what is printed, or not; and where the name has no directory."""
    stores.put()
    stores.spoil("b", 1)
    stores.settle_times()
    monkeypatch.chdir(tmp_path)
    status, text = checking.run_text("check", "-q", "--report=page.html", stores.folder)
    assert (status, text) == (DAMAGED, "")
    assert page.read(tmp_path / "page.html").one("h1").text.startswith("Every file survives")


def no_directory(folder):
    return folder / "nowhere" / "report.html"


def a_directory(folder):
    (folder / "report.html").mkdir()
    return folder / "report.html"


def no_name(folder):
    return f"{folder}/"


def in_a_file(folder):
    (folder / "file").write_bytes(b"")
    return folder / "file" / "report.html"


def a_symlink(folder):
    (folder / "file").write_bytes(b"")
    (folder / "report.html").symlink_to("file")
    return folder / "report.html"


def a_device(folder):
    """Never one of the machine's own: a program that is broken would replace it."""
    try:
        os.mknod(folder / "report.html", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("needs root to make a device")
    return folder / "report.html"


def a_fifo(folder):
    os.mkfifo(folder / "report.html")
    return folder / "report.html"


UNWRITABLE = [no_directory, a_directory, no_name, in_a_file, a_symlink, a_device,
              a_fifo]  # fmt: skip


@pytest.mark.parametrize("make", UNWRITABLE, ids=[make.__name__ for make in UNWRITABLE])
def test_page_that_cannot_be_written(stores, tmp_path, make):
    """It is said before anything is looked at, even the directory of the stores."""
    place = tmp_path / "place"
    place.mkdir()
    report = make(place)
    before = commands.snapshot(place)
    for folder in (stores.folder, tmp_path / "no-stores"):
        result = commands.run("check", "--report", report, folder, status=FAILED, noisy=True)
        assert result.json == [] and result.errors.count("\n") == 1
        assert result.errors.startswith(f"zfec-fs: --report {report}: cannot be written: ")
    after = commands.snapshot(place)
    assert [facts for _, facts in after.values()][1:] == [facts for _, facts in before.values()][1:]
    assert set(after) == set(before)


def test_only_check_makes_it(stores):
    for command in ("repair", "decode"):
        result = commands.run(command, "--report", "x", stores.folder, status=USAGE, noisy=True)
        assert f"--report: not an option of {command}" in result.errors


def limit_files():
    """Of what it makes, only that much is written."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def failing_call(name):
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    return {"before": ["strace", "-f", "-o", "/dev/null", "-e", f"trace={name}",
                       "-e", f"inject={name}:error=ENOSPC"]}  # fmt: skip


FAILURES = {
    "write": lambda: {"preexec_fn": limit_files},
    "fchmod": lambda: failing_call("fchmod"),
    "fsync": lambda: failing_call("fsync"),
    "renameat": lambda: failing_call("renameat"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("spoiled, status", [("", FAILED), ("abc", LOST)], ids=["intact", "lost"])
def test_page_that_fails_at_the_end(stores, report, failure, spoiled, status):
    """All was looked at, and that stays said; the old page stays, and nothing else."""
    stores.put()
    for store in spoiled:
        stores.spoil(store, 3)
    stores.settle_times()
    report.write_text(OLD)
    result = commands.run("check", "--report", report, stores.folder, status=status, noisy=True,
                          **FAILURES[failure]())  # fmt: skip
    reason = "File too large" if failure == "write" else "No space left on device"
    assert f"zfec-fs: --report {report}: cannot be written: {reason}\n" in result.errors
    assert result.summary["exit_status"] == status
    assert report.read_text() == OLD
    assert os.listdir(report.parent) == [report.name]


def start_held(stores, report):
    """A check that cannot go on until what it prints is read, of which that is the first line."""
    stores.put("file", 100)
    for store in stores.names:
        for i in range(300):
            os.link(stores.path(store), stores.path(store, f"link-{i}"))
    stores.settle_times()
    process = commands.start("check", "--report", report, stores.folder, pipesize=SMALL_PIPE)
    return process, process.stdout.readline()


def test_old_page_stays_when_stopped(stores, report):
    report.write_text(OLD)
    process, first = start_held(stores, report)
    assert os.listdir(report.parent) == [report.name], "nothing is left behind by who is killed"
    process.send_signal(signal.SIGINT)
    assert commands.finish(process, first).status == FAILED
    assert report.read_text() == OLD
    assert os.listdir(report.parent) == [report.name]


def test_directory_that_goes_meanwhile(stores, report):
    process, first = start_held(stores, report)
    report.parent.rmdir()
    result = commands.finish(process, first)
    assert result.status == FAILED and result.summary["exit_status"] == FAILED
    assert f"--report {report}: cannot be written: No such file" in result.errors


def test_what_takes_the_name_meanwhile_stays(stores, report):
    process, first = start_held(stores, report)
    os.mkfifo(report)
    result = commands.finish(process, first)
    assert result.status == FAILED and "cannot be written: File exists" in result.errors
    assert report.is_fifo() and os.listdir(report.parent) == [report.name]


# The whole page


def shown_page(report, folder):
    text = report.read_text(encoding="utf-8")
    text = re.sub(r"<style>.*?</style>", "<style>...</style>", text, flags=re.DOTALL)
    text = re.sub(r"<dd>\d{4}-\d\d-\d\d [\d:]+ \w+</dd>", "<dd>DATE</dd>", text)
    text = re.sub(r"<dd>in [\d.]+ s</dd>", "<dd>in T s</dd>", text)
    text = re.sub(r"zfec-fs \d+\.\d+\.\d+", "zfec-fs VERSION", text)
    return text.replace(str(folder), "STORES")


def test_golden_page(stores, report):
    stores.put()
    trouble(stores)
    run(stores, report, status=LOST)
    path = GOLDEN.parent / "report" / "trouble.html"
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    actual = shown_page(report, stores.folder)
    assert actual == expected, f"{path} should be, if this is right:\n{actual}"

# SPDX-License-Identifier: MIT
"""The manual pages and --help: they know the same, and both can be read on 80 columns."""

import json
import os
import re
import subprocess

import pytest

import mounts as mounts_module

UNSANITIZED = True

DOCS = mounts_module.REPOSITORY / "docs"
PAGES = ["zfec-fs.1", "zfec-fs-format.5", "zfec-fs-sets.5"]
COMMANDS = ["encode", "decode", "check", "repair", "info", "sync", "status", "recover", "key", "bench"]
# In the page alone: another name of xdev.
SYNONYMS = {("-o one_file_system", False)}
# The words by which the page explains an exit status.
MEANINGS = {
    "OK": "All went well",
    "DAMAGED": "Something is damaged, and everything can be restored",
    "LOST": "Something is lost",
    "USAGE": "Wrong arguments",
    "FAILED": "It could not be done",
}


def build(name, folder):
    """Makes a page as meson does."""
    source = (DOCS / f"{name}.scd").read_bytes()
    page = folder / name
    result = subprocess.run(["scdoc"], check=False, input=source, capture_output=True)
    assert (result.returncode, result.stderr) == (0, b""), result.stderr.decode()
    page.write_bytes(result.stdout)
    return page


def show(page):
    """What man(1) shows, and its warnings."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANOPT": ""}
    command = ["man", "--warnings=w", "--no-hyphenation", "-l", page]
    result = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, timeout=60
    )
    return result.stdout, result.stderr


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {name: show(build(name, folder))[0] for name in PAGES}


def sections(text):
    """The text beneath each heading."""
    parts = re.split(r"^([A-Z].*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def joined(text):
    return " ".join(text.split())


# The pages


@pytest.mark.parametrize("name", PAGES)
def test_page_is_built_without_warnings(tmp_path, name):
    text, warnings = show(build(name, tmp_path))
    assert warnings == ""
    assert "NAME" in sections(text)


def test_warnings_would_be_seen(tmp_path):
    page = tmp_path / "wrong.1"
    page.write_text(".TH wrong 1\n.SH NAME\n.no_such_macro\nwrong \\- \\[no_such_character]\n")
    warnings = show(page)[1]
    assert "no_such_macro" in warnings
    assert "no_such_character" in warnings


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_80_columns(shown, name):
    assert [line for line in shown[name].splitlines() if len(line) > 80] == []


def test_pages_are_built_and_installed(binary):
    plan = subprocess.run(
        ["meson", "introspect", "--installed", binary.parent],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    paths = [path.partition("/share/")[2] for path in json.loads(plan.stdout).values()]
    pages = {path for path in paths if path.startswith("man/")}
    assert pages == {f"man/man{name[-1]}/{name}" for name in PAGES}
    for name in PAGES:
        assert (binary.parent / "docs" / name).read_text().startswith(".\\\"")


def test_pages_name_each_other(shown):
    assert "zfec-fs-format(5)" in sections(shown["zfec-fs.1"])["SEE ALSO"]
    assert "zfec-fs-sets(5)" in sections(shown["zfec-fs.1"])["SEE ALSO"]
    for name in PAGES[1:]:
        assert "zfec-fs(1)" in sections(shown[name])["SEE ALSO"]


# --help and the page


def help_of(*words):
    result = mounts_module.run(*words, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize("words", [[], *([command] for command in COMMANDS)], ids=str)
def test_help_fits_80_columns(binary, words):
    assert [line for line in help_of(*words).splitlines() if len(line) > 80] == []


def options_in(text, indent):
    """(option, whether it takes a value) for each that a list of options has in its left column."""
    heads = re.findall(rf"^ {{{indent}}}(-.*?)(?: {{2,}}|$)", text, re.MULTILINE)
    options = [option for head in heads for option in re.split(r", (?=-)", head)]
    matches = [re.fullmatch(r"(-o [a-z_]+|-o|--?[\w-]+)([ =].+)?", option) for option in options]
    assert all(matches), options
    return {(match[1], match[2] is not None) for match in matches}


def options_of_page(shown, *names):
    found = [options_in(sections(shown["zfec-fs.1"])[name], "7") for name in names]
    return set().union(*found)


def test_page_has_the_options_of_the_mounts(binary, shown):
    in_help = options_in(help_of(), "4")
    assert {("-o required", True), ("-o restore", False), ("--help", False)} < in_help
    assert len(in_help) > 20
    assert options_of_page(shown, "MOUNTS") == in_help | SYNONYMS


@pytest.mark.parametrize("command", COMMANDS)
def test_page_has_the_options_of_a_command(binary, shown, command):
    """What a short option takes stands with the long one behind it."""
    in_help = options_in(help_of(command), "4,8")
    assert {("-j", False), ("--jobs", True), ("--json", False)} < in_help
    assert options_of_page(shown, command.upper(), "OPTIONS OF ALL COMMANDS") == in_help


def test_page_knows_all_commands(binary, shown):
    listed = help_of().partition("\nCommands")[2].partition("\n\n")[0]
    assert re.findall(r"^    (\w+) ", listed, re.M) == COMMANDS
    synopsis = re.findall(r"^ +zfec-fs (\w+)", sections(shown["zfec-fs.1"])["SYNOPSIS"], re.M)
    assert list(dict.fromkeys(synopsis)) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_sections_name_the_forms_of_help(binary, shown, command):
    forms = re.findall(rf"zfec-fs {command} \[options\].*", help_of(command))
    assert forms
    text = sections(shown["zfec-fs.1"])[command.upper()]
    assert re.findall(rf"zfec-fs {command} \[options\].*", text) == forms


def test_comma_is_explained(shown):
    assert r"A comma in a value is written as \,, a backslash as \\." in shown["zfec-fs.1"]


# Exit statuses


def test_exit_statuses(shown):
    header = (mounts_module.REPOSITORY / "src" / "cli" / "options.h").read_text()
    in_header = dict(re.findall(r"EXIT_STATUS_(\w+) = (\d+)", header))
    text = sections(shown["zfec-fs.1"])["EXIT STATUS"]
    in_page = dict(re.findall(r"^ {7}(\d+)\n +(.*\n?.*)", text, re.MULTILINE))
    assert in_header.keys() == MEANINGS.keys()
    assert sorted(in_page) == sorted(in_header.values())
    for name, number in in_header.items():
        assert joined(in_page[number]).startswith(MEANINGS[name])


# JSON


def fields_in(text):
    """Those that a list of the page has, by its left column."""
    heads = re.findall(r"^ {7}([a-z_0-9]+(?:, [a-z_0-9]+)*)$", text, re.MULTILINE)
    return {field for head in heads for field in head.split(", ")}


def messages(*words):
    result = mounts_module.run(*words, "--json", "--verbose")
    assert result.returncode == 0
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_page_has_the_fields_of_json(binary, shown, tmp_path):
    """What encode and decode write has these fields and no others."""
    text = sections(shown["zfec-fs.1"])["JSON"].partition("encode and decode")[2]
    of_file, of_summary = map(fields_in, re.split(r"The last line is", text, maxsplit=1))
    assert {"action", "path", "path_base64"} < of_file
    source, shares = tmp_path / "source", tmp_path / "shares"
    source.mkdir()
    (source / "file").write_bytes(b"0123456789")
    (source / os.fsdecode(b"\xff")).write_bytes(b"")
    encoded = messages("encode", "-k", "2", "-n", "3", source, shares)
    targets = {message.get("target") for message in encoded} - {None}
    assert targets == {f"{shares}/{index:02x}" for index in range(3)}
    written = encoded + messages("decode", shares, tmp_path / "restored")
    kinds = {message["message_type"] for message in written}
    assert kinds == {"file", "summary"}
    seen = {kind: set() for kind in kinds}
    for message in written:
        seen[message["message_type"]] |= message.keys() - {"message_type"}
    assert seen["summary"] == of_summary
    assert seen["file"] == of_file - {"error", "lack"}


def test_page_has_the_fields_of_what_check_writes(shown):
    text = sections(shown["zfec-fs.1"])["JSON"].partition("check and repair")[2]
    written = (DOCS.parent / "src" / "cli" / "findings.c").read_text(encoding="utf-8")
    packed = " ".join(re.findall(r"json_pack\([^;]*;", written))
    fields = set(re.findall(r'"(\w+)",', packed))
    fields |= set(re.findall(r'output_json_path\(\w+, "(\w+)"', written))
    assert {"problems", "would_need", "header_damaged", "conflicts", "conflict"} < fields
    assert [field for field in fields if field not in text] == []


# The formats


def facts(text):
    """Every word that has a digit in it, without what sets it off, and without references."""
    text = re.sub(r"[`*•\\]|\w\(\d\)", "", text)
    words = [word.strip(".") for word in re.findall(r"[^\s()\[\],;:\"]+", text)]
    return [word for word in words if re.search(r"\d", word)]


def test_format_page_has_the_numbers_of_the_specification(shown):
    specification = (DOCS / "format.md").read_text(encoding="utf-8").partition("## The code")[2]
    expected = facts(specification)
    assert len(expected) > 100
    page = shown["zfec-fs-format.5"].partition("THE CODE")[2].rpartition("\n\n")[0]
    assert facts(page) == expected


def test_format_page_has_every_formula_of_the_specification(shown):
    specification = (DOCS / "format.md").read_text(encoding="utf-8")
    formulas = re.findall(r"(?:^ {4}.*\n)+", specification, re.MULTILINE)
    assert len(formulas) == 12
    page = joined(shown["zfec-fs-format.5"])
    assert [formula for formula in formulas if joined(formula) not in page] == []

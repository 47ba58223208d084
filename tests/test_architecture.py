# SPDX-License-Identifier: MIT
"""The floors of docs/design.md: who includes whom under src/, and where third parties stand."""

import re
from pathlib import PurePosixPath

import pytest

import mounts as mounts_module

SOURCE = mounts_module.REPOSITORY / "src"

FLOORS = {
    "base": 0,
    "share": 1,
    "seal": 2,
    "trust": 2,
    "tree": 3,
    "store": 4,
    "restore": 5,
    "view": 6,
    "mount": 7,
    "engine": 7,
    "sync": 7,
    "cli": 8,
    "main.c": 8,
}

# Third-party headers, and the folders that include them: one, but for JSON, which has no types
# of its own that could spread.
THIRD_PARTIES = {
    re.compile(r"(.*/)?fuse[^/]*\.h"): {"mount"},
    re.compile(r"(.*/)?(xxhash|xxh_\w+|xxh3)\.h"): {"share"},
    re.compile(r"gcrypt\.h"): {"seal"},
    re.compile(r"cbor(/.*)?\.h"): {"seal"},
    re.compile(r"jansson.*\.h"): {"cli", "sync"},
    re.compile(r"isa-l([/_].*)?\.h|isa-l/.*|(erasure_code|gf_vect_mul|raid|crc)\.h"): {"share"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?P<open>[<"])(?P<name>[^>"]+)[>"]', re.MULTILINE)
SPDX = "SPDX-License-Identifier: MIT"


def sources():
    return sorted(path for path in SOURCE.rglob("*") if path.suffix in (".c", ".h"))


def part_of(name):
    """The folder, or main.c, of a path that is relative to src/."""
    return PurePosixPath(name).parts[0]


def violation(part, opened, name):
    """What is wrong with an include of `name` in a file of the folder `part`, or None."""
    for pattern, homes in THIRD_PARTIES.items():
        if pattern.fullmatch(name):
            return None if part in homes else f"stands in {sorted(homes)} alone"
    if opened == "<":
        return "is the project's own: write it in quotes" if (SOURCE / name).exists() else None
    included = part_of(name)
    if included not in FLOORS or "/" not in name:
        return "is not written relative to src/"
    if included == part or FLOORS[included] < FLOORS[part]:
        return None
    if included == "cli" and part == "main.c":
        return None
    return f"is of floor {FLOORS[included]}, and this is floor {FLOORS[part]}"


def violations(path, text):
    name = path.relative_to(SOURCE)
    part = part_of(name)
    for found in INCLUDE.finditer(text):
        reason = violation(part, found["open"], found["name"])
        if reason:
            yield f"src/{name}: {found['name']} {reason}"


def test_there_are_sources():
    assert len(sources()) > 10
    assert SOURCE / "main.c" in sources()


def test_folders_are_known():
    assert {part_of(path.relative_to(SOURCE)) for path in sources()} <= FLOORS.keys()


def test_includes():
    found = [each for path in sources() for each in violations(path, path.read_text())]
    assert not found, "\n".join(found)


def test_included_files_exist():
    missing = [
        f"{path.relative_to(SOURCE)}: {found['name']}"
        for path in sources()
        for found in INCLUDE.finditer(path.read_text())
        if found["open"] == '"' and not (SOURCE / found["name"]).is_file()
    ]
    assert not missing


def reached(units, start):
    """What a unit includes, by others as well. units: of each, what it includes itself."""
    found, left = set(), list(units[start])
    while left:
        unit = left.pop()
        if unit not in found:
            found.add(unit)
            left += units.get(unit, ())
    return found


def test_no_unit_includes_itself_by_others():
    """A unit is a .c file with its header."""
    units = {}
    for path in sources():
        own = str(path.relative_to(SOURCE).with_suffix(""))
        names = {found["name"].removesuffix(".h") for found in INCLUDE.finditer(path.read_text()) if found["open"] == '"'}
        units.setdefault(own, set()).update(names - {own})
    assert not [unit for unit in units if unit in reached(units, unit)]


def test_third_parties_are_where_they_belong():
    """A rule whose pattern matches nothing would hold for ever."""
    seen = set()
    for path in sources():
        for found in INCLUDE.finditer(path.read_text()):
            part = part_of(path.relative_to(SOURCE))
            seen |= {(regex, part) for regex in THIRD_PARTIES if regex.fullmatch(found["name"])}
    assert seen == {(regex, home) for regex, homes in THIRD_PARTIES.items() for home in homes}


WRONG = [
    ("view/encoded.c", '#include "mount/session.h"'),
    ("share/format.c", '#include "trust/solve.h"'),
    ("share/format.c", '#include "format.h"'),
    ("share/format.c", '#include "../base/bytes.h"'),
    ("view/encoded.c", "#include <fuse_lowlevel.h>"),
    ("cli/options.c", "#include <fuse3/fuse_opt.h>"),
    ("store/store.c", "#  include <xxhash.h>"),
    ("base/log.c", '#include "xxh_x86dispatch.h"'),
    ("trust/solve.c", "#include <isa-l/erasure_code.h>"),
    ("trust/solve.c", "#include <isa-l.h>"),
    ("trust/name.c", '#include "store/store.h"'),
    ("mount/session.c", '#include "engine/copy.h"'),
    ("base/log.c", '#include "cli/options.h"'),
    ("cli/options.c", '#include "main.c"'),
    ("engine/copy.c", "#include <jansson.h>"),
    ("sync/run.c", '#include "mount/mount.h"'),
]


@pytest.mark.parametrize("name, line", WRONG)
def test_the_rules_can_be_broken(name, line):
    assert list(violations(SOURCE / name, f"// first\n{line}\n"))


RULE = re.compile(r"^(?P<number>\d)\. \*\*[^*]+\*\* \((?P<where>[^)]*)\)", re.MULTILINE)


def test_each_rule_of_trust_is_found_by_its_number():
    """In the files that docs/design.md names for it."""
    rules = list(RULE.finditer((SOURCE.parent / "docs" / "design.md").read_text()))
    assert [rule["number"] for rule in rules] == list("123456789")
    missing = [
        (rule["number"], name)
        for rule in rules
        for name in re.findall(r"`([^`]+)`", rule["where"])
        if not re.search(rf"\brules? (\d(, | and ))*{rule['number']}\b", (SOURCE / name).read_text().replace("\n * ", " "), re.I)
    ]
    assert not missing


def test_licence_lines():
    files = [*sources(), *mounts_module.REPOSITORY.glob("tests/**/*.py")]
    files += mounts_module.REPOSITORY.glob("tests/**/*.[ch]")
    files += [path for path in mounts_module.REPOSITORY.glob("bench/*") if path.is_file()]
    missing = [path for path in files if SPDX not in "".join(head(path))]
    assert not missing


def head(path):
    return path.read_text().splitlines()[:3]


# The tests

TEST_IMPORT = re.compile(r"^(import|from) test_\w+", re.MULTILINE)
TEST_LINES = 600


def files_of_tests():
    return sorted(mounts_module.REPOSITORY.glob("tests/**/*.py"))


def test_what_tests_share_is_in_lib():
    """No file of tests imports another one: each can be split and moved by itself."""
    found = [path.name for path in files_of_tests() if TEST_IMPORT.search(path.read_text())]
    assert not found


def test_files_of_tests_are_short():
    tests = mounts_module.REPOSITORY / "tests"
    files = [*tests.glob("test_*.py"), *tests.glob("unit/*.c")]
    assert not [path.name for path in files if len(path.read_text().splitlines()) > TEST_LINES]

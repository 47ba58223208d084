# SPDX-License-Identifier: MIT
"""The results as Markdown: on one page what users ask for, or the targets and a table for each case."""

from cases import GBPS
from results import ratios, spread, verdicts

MARKS = {True: "met", False: "**missed**"}

# What is on the first page: at most 25 rows of targets.
HEADLINES = (
    "encoded-k3", "restored-k3", "random-4k-again", "find", "find-by-size", "rsync-dry-run", "tar",
    "encode-large", "encode-small", "decode-small", "check-large", "check-small",
)  # fmt: skip

HOW_TO_READ = "A ratio is the median of the rounds' ratios, with the least and the most of them."


def number(value):
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def with_range(found, unit=""):
    least, most = number(found.least), number(found.most)
    return f"{number(found.median)}{unit} ({least} to {most})"


def _target_row(verdict):
    mark = "not yet" if verdict.is_aim and not verdict.is_met else MARKS[verdict.is_met]
    return [verdict.case, verdict.target, with_range(verdict.ratio), mark]


def targets_table(results):
    lines = ["| case | target | ratio | | processor time |", "|---|---|---|---|---|"]
    for result in results:
        for verdict in verdicts(result):
            used = f"x {number(verdict.processor.median)}" if verdict.processor else ""
            lines.append(f"| {' | '.join([*_target_row(verdict), used])} |")
    return "\n".join(lines)


def summary(machine, results):
    """Of each headline the targets; of the encoded view what has to be met alone."""
    lines = ["| case | target | ratio | |", "|---|---|---|---|"]
    for result in results:
        for verdict in verdicts(result) if result["name"] in HEADLINES else []:
            if not (verdict.is_aim and verdict.case == "encoded-k3"):
                lines.append(f"| {' | '.join(_target_row(verdict))} |")
    return "\n\n".join([machine, HOW_TO_READ, "\n".join(lines)]) + "\n"


def _row(result, subject):
    ratio = ratios(result, subject["name"], result["reference"])
    cells = [
        subject["name"],
        with_range(ratio) if ratio else "",
        with_range(spread(subject["values"]), f" {result['unit']}"),
        f"{number(spread(subject['processor_s']).median)} s",
        f"{number(max(subject['memory_mb']))} MB" if subject["memory_mb"] else "",
    ]
    return f"| {' | '.join(cells)} |"


def case_table(result):
    better = "more" if result["unit"] == GBPS else "less"
    quick = ", a tenth of the data" if result["quick"] else ""
    load = " to ".join(f"{each:.0f}" for each in result["load"])
    return "\n".join([
        f"**{result['title']}** (`{result['name']}`, {result['time']}, load {load}{quick})",
        "",
        f"| | x {result['reference']} ({better} is better) | measured | processor | memory |",
        "|---|---|---|---|---|",
        *(_row(result, subject) for subject in result["subjects"]),
    ])  # fmt: skip


def markdown(machine, results):
    parts = [
        machine,
        f"{HOW_TO_READ} The processor time is that of all that a measurement starts, readers, servers "
        "and mounting.",
        "## Targets",
        targets_table(results),
        "## All cases",
        *(case_table(result) for result in results),
    ]
    return "\n\n".join(parts) + "\n"

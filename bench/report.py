# SPDX-License-Identifier: MIT
"""The results as Markdown: the targets first, then a table for each case."""

from cases import GBPS
from results import ratios, spread, verdicts

MARKS = {True: "met", False: "**missed**"}


def number(value):
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def with_range(found, unit=""):
    least, most = number(found.least), number(found.most)
    return f"{number(found.median)}{unit} ({least} to {most})"


def targets_table(results):
    lines = ["| case | target | ratio | | processor time |", "|---|---|---|---|---|"]
    for result in results:
        for verdict in verdicts(result):
            mark = MARKS[verdict.is_met]
            if verdict.is_aim and not verdict.is_met:
                mark = "not yet"
            ratio = with_range(verdict.ratio)
            used = f"x {number(verdict.processor.median)}" if verdict.processor else ""
            lines.append(f"| {verdict.case} | {verdict.target} | {ratio} | {mark} | {used} |")
    return "\n".join(lines)


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
        "A ratio is the median of the rounds' ratios, with the least and the most of them. The "
        "processor time is that of all that a measurement starts, readers, servers and mounting.",
        "### Targets",
        targets_table(results),
        "### All cases",
        *(case_table(result) for result in results),
    ]
    return "\n\n".join(parts) + "\n"

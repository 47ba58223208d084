# SPDX-License-Identifier: MIT
"""The targets as a picture: how near to its target each ratio is, and on which side of it."""

import math
from xml.sax.saxutils import escape

from results import verdicts

ROW, TEXT_WIDTH, PLOT_WIDTH, MARGIN, HEAD = 20, 560, 360, 20, 40
TICKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16)
GOOD, BAD, GREY = "#2a7f3f", "#c0392b", "#888888"


def _goodness(verdict, ratio):
    """1 is the target; twice as good is 2."""
    return verdict.bound / ratio if verdict.is_upper else ratio / verdict.bound


def _x(goodness):
    span = math.log2(TICKS[-1] / TICKS[0])
    at = math.log2(min(max(goodness, TICKS[0]), TICKS[-1]) / TICKS[0]) / span
    return MARGIN + TEXT_WIDTH + at * PLOT_WIDTH


def _row(number, verdict):
    y = HEAD + number * ROW + ROW / 2
    colour = GOOD if verdict.is_met else GREY if verdict.is_aim else BAD
    middle, one, other = (_x(_goodness(verdict, ratio)) for ratio in verdict.ratio)
    left, right = sorted((one, other))
    origin = min(middle, _x(1))
    return (
        f'<text x="{MARGIN}" y="{y + 4}">{escape(f"{verdict.case}: {verdict.target}")}</text>'
        f'<rect x="{origin:.1f}" y="{y - 5}" width="{abs(middle - _x(1)):.1f}" height="10"'
        f' fill="{colour}"/>'
        f'<path d="M{left:.1f} {y}H{right:.1f}M{left:.1f} {y - 4}v8M{right:.1f} {y - 4}v8"'
        f' stroke="black" fill="none"/>'
    )


def _tick(value, height):
    name = f"{value:g}" if value >= 1 else f"1/{1 / value:g}"
    width = 1.5 if value == 1 else 0.4
    return (
        f'<path d="M{_x(value):.1f} {HEAD}V{height - 10}" stroke="{GREY}" stroke-width="{width}"/>'
        f'<text x="{_x(value):.1f}" y="{HEAD - 6}" text-anchor="middle">{name}</text>'
    )


def svg(results):
    rows = [verdict for result in results for verdict in verdicts(result)]
    height = HEAD + len(rows) * ROW + 20
    width = MARGIN * 2 + TEXT_WIDTH + PLOT_WIDTH
    body = [_tick(value, height) for value in TICKS]
    body += [_row(number, verdict) for number, verdict in enumerate(rows)]
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        ' font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{MARGIN}" y="16" font-size="13">Times as good as the target asks:'
        " right of 1 is met; the lines are the best and the worst round</text>",
        *body,
        "</svg>",
        "",
    ])  # fmt: skip

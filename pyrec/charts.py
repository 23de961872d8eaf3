"""Two charts as inline SVG, drawn by hand: bars with whiskers, and differences around zero.

`report.py` puts them in its page, whose style sheet gives them color by class. Each row has a line
of text, the name and the number, above its bar, so that long names have room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from pyrec.bootstrap import Interval

_WIDTH = 320.0
_ROW = 40.0
_LONGEST_NAME = 34  # characters; more would run into the number

Row = tuple[str, Interval]


def bars(title: str, rows: Sequence[Row]) -> str:
    """Draw means as bars from zero with their intervals as whiskers; the first stands out.

    Args:
        title: what is measured, for who cannot see the chart.
        rows: names with what was found, not negative; NaN draws no bar.
    """
    top = max((row.high for _, row in rows if not math.isnan(row.high)), default=0.0) or 1.0
    parts = []
    for n, (name, found) in enumerate(rows):
        y = n * _ROW
        parts.append(_heading(y, name, number(found.mean), "first" if n == 0 else ""))
        parts.append(f'<rect class="track" y="{y + 20:g}" width="{_WIDTH:g}" height="10" rx="3"/>')
        if math.isnan(found.mean):
            continue
        mean, low, high = (_WIDTH * max(value, 0.0) / top for value in found)
        kind = "bar first" if n == 0 else "bar"
        parts.append(f'<rect class="{kind}" y="{y + 20:g}" width="{mean:.1f}" height="10" rx="3"/>')
        parts.append(_whisker(low, high, y + 25))
    return _svg(title, len(rows) * _ROW, parts)


def differences(title: str, rows: Sequence[Row]) -> str:
    """Draw differences as dots with their intervals, left and right of zero.

    What lies above zero with its whole interval is marked `above`, what lies below `below`.

    Args:
        title: what is compared, for who cannot see the chart.
        rows: names with what was found; NaN draws no dot.
    """
    known = [row for _, row in rows if not math.isnan(row.mean)]
    left = min([0.0, *(row.low for row in known)])
    right = max([0.0, *(row.high for row in known)])
    room = (right - left) or 1.0
    margin = 6.0

    def x(value: float) -> float:
        return margin + (_WIDTH - 2 * margin) * (value - left) / room

    parts = []
    for n, (name, found) in enumerate(rows):
        y = n * _ROW
        kind = "above" if found.low > 0 else "below" if found.high < 0 else ""
        parts.append(_heading(y, name, signed(found.mean), kind))
        parts.append(_line("zero", x(0), y + 18, x(0), y + 34))
        if math.isnan(found.mean):
            continue
        parts.append(_line(f"span {kind}", x(found.low), y + 26, x(found.high), y + 26))
        parts.append(f'<circle class="dot {kind}" cx="{x(found.mean):.1f}" cy="{y + 26:g}" r="4"/>')
    return _svg(title, len(rows) * _ROW, parts)


def number(value: float) -> str:
    """Write a number for reading; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.4f}"


def signed(value: float) -> str:
    """Write a difference for reading, with its sign."""
    if math.isnan(value):
        return "–"
    return f"{'−' if value < 0 else '+'}{number(abs(value))}"


def _heading(y: float, name: str, text: str, kind: str) -> str:
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return (
        f'<text class="name" y="{y + 13:g}">{escape(short)}<title>{escape(name)}</title></text>'
        f'<text class="number {kind}" x="{_WIDTH:g}" y="{y + 13:g}">{escape(text)}</text>'
    )


def _whisker(low: float, high: float, y: float) -> str:
    return (
        _line("whisker", low, y, high, y)
        + _line("whisker", low, y - 3, low, y + 3)
        + _line("whisker", high, y - 3, high, y + 3)
    )


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:g}" x2="{x2:.1f}" y2="{y2:g}"/>'


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    label = escape(title, quote=True)
    # Whiskers end at the edge: a margin keeps their ends whole.
    box = f"-2 0 {_WIDTH + 4:g} {height:g}"
    return f'<svg role="img" aria-label="{label}" viewBox="{box}">{"".join(parts)}</svg>'

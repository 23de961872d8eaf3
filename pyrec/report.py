"""An evaluation as one HTML page that needs nothing else: no script, no font, no other file.

`pyrec evaluate` writes it. It follows the reader's light or dark setting, and holds the table, the
charts (`charts.py`), what each signal is worth, and how all of it was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from pyrec.bootstrap import Interval
from pyrec.charts import bars, differences, number
from pyrec.evaluation import Evaluation, Setting, System

_TOLD = {
    "precision": ("Precision", "share of the k places that hold an item the user took"),
    "recall": ("Recall", "share of the items the user took that stand in the list"),
    "f1": ("F1", "harmonic mean of precision and recall, user by user"),
    "hit_rate": ("Hit rate", "share of users with at least one right item in the list"),
    "ndcg": ("nDCG", "right items counted by place, 1 for the best possible order"),
    "reciprocal_rank": ("MRR", "one over the place of the first right item"),
    "average_precision": ("MAP", "precision at each right item’s place, over all right items"),
    "coverage": ("Coverage", "share of the catalog that stands in any list"),
    "novelty": ("Novelty", "how unexpected the items are, in bits: 1 for what half the users took"),
    "intra_list_diversity": ("Diversity", "mean 1 − similarity of the pairs in a list"),
}


def html(evaluation: Evaluation) -> str:
    """Return the whole page as text, to be written as UTF-8."""
    first = evaluation.systems[0].name
    parts = [
        "<header><h1>How good are the recommendations?</h1>",
        _settings(evaluation),
        "</header>",
        _section("Results", _results_note(evaluation), _table(evaluation)),
        _section("Side by side", "", _panels(evaluation, evaluation.systems, gains=False)),
    ]
    if len(evaluation.systems) > 1:
        note = (
            f"Each line is {first} less the system named: right of zero, {first} has more."
            " Grey where chance alone could explain it."
        )
        panels = _panels(evaluation, evaluation.systems[1:], gains=True)
        parts.append(_section(f"How far ahead is {first}?", note, panels))
    if evaluation.left_out:
        note = (
            f"Each line is {first} with all signals less the same without the one named: right of"
            " zero, the signal adds. Grey where chance alone could explain it."
        )
        panels = _panels(evaluation, evaluation.left_out, gains=True)
        parts.append(_section("What each signal is worth", note, panels))
    parts.append(_meanings(evaluation))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Evaluation of {escape(first)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        "<body>\n<main>\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n"
    )


def _settings(evaluation: Evaluation) -> str:
    shown = {"users": f"{evaluation.n_users:,}", **evaluation.settings}
    pairs = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(_setting(value))}</dd></div>"
        for name, value in shown.items()
    )
    return f"<dl>{''.join(pairs)}</dl>"


def _setting(value: Setting) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value)


def _results_note(evaluation: Evaluation) -> str:
    return (
        f"The mean over users, and where it lies with {evaluation.level:.0%} confidence"
        " (percentile bootstrap over users). The highest of each row is bold."
    )


def _table(evaluation: Evaluation) -> str:
    """Return a row a measure and a column a system: there are more measures than systems."""
    rows: list[tuple[str, Sequence[Interval | float]]] = [
        *((m, [s.measured[m].mean for s in evaluation.systems]) for m in evaluation.metrics),
        *(
            (name, [s.list_metrics.get(name, math.nan) for s in evaluation.systems])
            for name in evaluation.list_metrics
        ),
    ]
    head = "".join(f'<th scope="col">{escape(s.name)}</th>' for s in evaluation.systems)
    body = "".join(
        f'<tr><th scope="row">{escape(_label(name))}</th>'
        + "".join(_cell(value, max(map(_mean, values))) for value in values)
        + "</tr>"
        for name, values in rows
    )
    return (
        f'<div class="wide"><table><thead><tr><th scope="col">Measure</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(value: Interval | float, best: float) -> str:
    mean = _mean(value)
    text = number(math.nan if math.isinf(mean) else mean)
    if mean == best and not math.isinf(mean):
        text = f"<b>{text}</b>"
    if isinstance(value, Interval) and not math.isnan(value.low):
        text += f"<small>{number(value.low)} to {number(value.high)}</small>"
    return f"<td>{text}</td>"


def _mean(value: Interval | float) -> float:
    """Return the number of a cell; what is not known is less than all."""
    mean = value.mean if isinstance(value, Interval) else value
    return -math.inf if math.isnan(mean) else mean


def _panels(evaluation: Evaluation, systems: Sequence[System], *, gains: bool) -> str:
    """Return one chart a measure: the means of the systems, or the first one's gain over each."""
    panels = []
    for metric in evaluation.metrics:
        label = _label(metric)
        if gains:
            rows = [(s.name, s.measured[metric].gain) for s in systems]
            found = [(name, gain) for name, gain in rows if gain is not None]
            chart = differences(f"{label}: differences", found)
        else:
            chart = bars(label, [(s.name, s.measured[metric].mean) for s in systems])
        panels.append(f"<figure><figcaption>{escape(label)}</figcaption>{chart}</figure>")
    return f'<div class="panels">{"".join(panels)}</div>'


def _meanings(evaluation: Evaluation) -> str:
    known = [n for n in (*evaluation.metrics, *evaluation.list_metrics) if n in _TOLD]
    return _section("What the numbers mean", "", _definitions(known)) if known else ""


def _definitions(names: Iterable[str]) -> str:
    pairs = (f"<dt>{escape(_TOLD[n][0])}</dt><dd>{escape(_TOLD[n][1])}</dd>" for n in names)
    return f'<dl class="meanings">{"".join(pairs)}</dl>'


def _section(title: str, note: str, content: str) -> str:
    told = f"<p>{escape(note)}</p>" if note else ""
    return f"<section><h2>{escape(title)}</h2>{told}{content}</section>"


def _label(name: str) -> str:
    return _TOLD[name][0] if name in _TOLD else name


_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1b1f27; --soft: #667085;
  --line: #e3e6ec; --track: #eef0f4; --bar: #b3bccb; --first: #2f6fed; --worse: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1216; --card: #181c22; --ink: #e8ebf0;
  --soft: #98a2b3; --line: #2b313b; --track: #232933; --bar: #566072; --first: #6ea0ff;
  --worse: #f59057; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 64px; }
h1 { font-size: 28px; line-height: 1.2; letter-spacing: -.01em; margin: 0 0 16px; }
h2 { font-size: 19px; margin: 0 0 4px; }
section { margin-top: 40px; }
p { margin: 0; color: var(--soft); max-width: 72ch; }
header dl { display: flex; flex-wrap: wrap; gap: 8px 28px; margin: 0; }
header dt { color: var(--soft); font-size: 12px; }
dd { margin: 0; }
header dd { font-weight: 600; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin-top: 14px; background: var(--card); border-radius: 10px;
  border: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 9px 14px; text-align: right; white-space: nowrap; vertical-align: top; }
th:first-child { text-align: left; }
thead th { color: var(--soft); font-size: 12px; font-weight: 600; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; }
thead th:nth-child(2) { color: var(--first); }
td small { display: block; color: var(--soft); font-size: 11px; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); gap: 14px;
  margin-top: 14px; }
figure { margin: 0; padding: 14px 16px 8px; background: var(--card); border-radius: 10px;
  border: 1px solid var(--line); }
figcaption { font-weight: 600; margin-bottom: 6px; }
svg { display: block; width: 100%; height: auto; font-size: 12px; }
.name { fill: var(--soft); }
.number { fill: var(--ink); text-anchor: end; font-variant-numeric: tabular-nums; }
.number.first, .number.above { fill: var(--first); font-weight: 600; }
.number.below { fill: var(--worse); font-weight: 600; }
.track { fill: var(--track); }
.bar { fill: var(--bar); }
.bar.first { fill: var(--first); }
.whisker { stroke: var(--ink); stroke-width: 1.2; }
.zero { stroke: var(--soft); stroke-width: 1; }
.span { stroke: var(--bar); stroke-width: 3; stroke-linecap: round; }
.dot { fill: var(--bar); }
.span.above { stroke: var(--first); }
.dot.above { fill: var(--first); }
.span.below { stroke: var(--worse); }
.dot.below { fill: var(--worse); }
.meanings { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px;
  margin: 12px 0 0; }
.meanings dt { font-weight: 600; }
.meanings dd { color: var(--soft); }
@media print { figure, tr { break-inside: avoid; } }
"""

"""What an offline evaluation found: measures per system, their intervals and differences.

The evaluation asks the systems and hands over one value a user, measure and system; this holds the
values, says how far chance could move their means, and writes them as rows or JSON. `report.py`
draws it. The first system is the one that is judged: every difference is the first less another,
over the same users, so above zero means that the first does better, or that a signal left out of
it was worth having.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrec.bootstrap import Interval, intervals

F64 = npt.NDArray[np.float64]
Values = Mapping[str, Mapping[str, npt.ArrayLike]]
Setting = str | int | float | bool | None


@dataclass(frozen=True, eq=False)
class Measured:
    """One measure of one system.

    values (n_users,) float64, NaN where the measure is not defined for a user; `mean`, with its
    interval, leaves these out. `gain` is the mean of the first system's values less these, with
    its interval, over the users where both are defined; None for the first system itself.
    """

    values: F64 = field(repr=False)
    mean: Interval
    gain: Interval | None


@dataclass(frozen=True, eq=False)
class System:
    """One system: its measures by name, and by name what is one number for all its lists."""

    name: str
    measured: Mapping[str, Measured]
    list_metrics: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found, for every system on the same users.

    Attributes:
        systems: the judged one first.
        left_out: the first system with one signal left out, named by that signal.
        metrics: the measures that all of them have, in order.
        list_metrics: the numbers for all lists that any of `systems` has, in order.
        n_users: how many users were asked for.
        settings: how it was done (k, split, what became of seen items, date), in order.
        level: the share of draws inside the intervals.
    """

    systems: tuple[System, ...]
    left_out: tuple[System, ...]
    metrics: tuple[str, ...]
    list_metrics: tuple[str, ...]
    n_users: int
    settings: Mapping[str, Setting]
    level: float

    @classmethod
    def from_values(
        cls,
        values: Values,
        *,
        rng: np.random.Generator,
        list_metrics: Mapping[str, Mapping[str, float]] | None = None,
        left_out: Values | None = None,
        settings: Mapping[str, Setting] | None = None,
        level: float = 0.95,
    ) -> Evaluation:
        """Work out means, intervals and differences, all from the same draws of users.

        Args:
            values: by system, the judged one first, and by measure: (n_users,) one value a user,
                the same users in the same order everywhere; NaN where it is not defined.
            rng: the source of randomness of the intervals.
            list_metrics: by system and name, one number for all its lists together.
            left_out: by signal and measure, what the first system reached without that signal.
            settings: how it was done.
            level: the share of draws inside the intervals, between 0 and 1.

        Raises:
            ValueError: there is no system, measure or user, systems differ in measures or users,
                or list_metrics names a system that has no values.
        """
        numbers = list_metrics or {}
        unknown = sorted(set(numbers) - set(values))
        if unknown:
            raise ValueError(f"list_metrics names {unknown}, which have no values; give both")
        every = [*values.items(), *(left_out or {}).items()]
        cube, metrics = _cube(every)
        n_systems, n_metrics, n_users = cube.shape
        # A gain is a column of its own, so that users where either value is NaN are left out.
        columns = np.concatenate([cube, cube[:1] - cube]).reshape(-1, n_users).T
        found = intervals(columns, rng, level=level)
        systems = []
        for n, (name, _) in enumerate(every):
            means = found[n * n_metrics :]
            gains = found[(n_systems + n) * n_metrics :]
            measured = {
                metric: Measured(cube[n, m], means[m], gains[m] if n else None)
                for m, metric in enumerate(metrics)
            }
            systems.append(System(name, measured, numbers.get(name, {}) if n < len(values) else {}))
        return cls(
            systems=tuple(systems[: len(values)]),
            left_out=tuple(systems[len(values) :]),
            metrics=metrics,
            list_metrics=tuple(dict.fromkeys(name for of in numbers.values() for name in of)),
            n_users=n_users,
            settings=dict(settings or {}),
            level=level,
        )

    def as_rows(self) -> list[dict[str, str | float | None]]:
        """Return one row a system for a table: `system`, then means and list metrics by name.

        None where nothing is defined; a system with a signal left out is named
        `without <signal>`. The intervals are in `to_json`.
        """
        named = [(system.name, system) for system in self.systems]
        named += [(f"without {system.name}", system) for system in self.left_out]
        return [
            {
                "system": name,
                **{m: _finite(system.measured[m].mean.mean) for m in self.metrics},
                **{m: _finite(system.list_metrics.get(m)) for m in self.list_metrics},
            }
            for name, system in named
        ]

    def to_json(self) -> str:
        """Return all but the single users' values as JSON; null where nothing is defined.

        A measure has `mean`, `low`, `high`, `n_users` (for how many it is defined) and `gain`, the
        first system less this one, with the same three numbers.
        """
        found = {
            "settings": self.settings,
            "n_users": self.n_users,
            "level": self.level,
            "systems": [_told(system) for system in self.systems],
            "left_out": [_told(system) for system in self.left_out],
        }
        return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _cube(
    systems: Sequence[tuple[str, Mapping[str, npt.ArrayLike]]],
) -> tuple[F64, tuple[str, ...]]:
    """Return (n_systems, n_metrics, n_users) values and the names of the metrics."""
    metrics = tuple(systems[0][1]) if systems else ()
    if not metrics:
        raise ValueError("there is nothing to evaluate; give a system with at least one measure")
    rows: list[list[F64]] = []
    for name, measured in systems:
        if set(measured) != set(metrics):
            raise ValueError(
                f"{name!r} has the measures {sorted(measured)}, {systems[0][0]!r} has"
                f" {sorted(metrics)}; measure all alike"
            )
        rows.append([np.asarray(measured[metric], dtype=np.float64) for metric in metrics])
        for metric, column in zip(metrics, rows[-1], strict=True):
            if column.shape != rows[0][0].shape or column.ndim != 1 or not len(column):
                raise ValueError(
                    f"{metric} of {name!r} {column.shape} must be (n_users,), not empty and the"
                    f" same users as the first measure {rows[0][0].shape}"
                )
    return np.array(rows), metrics


def _told(system: System) -> dict[str, Any]:
    measured = {
        metric: {
            **_bounds(m.mean),
            "n_users": int(np.count_nonzero(~np.isnan(m.values))),
            "gain": None if m.gain is None else _bounds(m.gain),
        }
        for metric, m in system.measured.items()
    }
    numbers = {name: _finite(value) for name, value in system.list_metrics.items()}
    return {"name": system.name, "metrics": measured, "list_metrics": numbers}


def _bounds(interval: Interval) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in interval._asdict().items()}


def _finite(value: float | None) -> float | None:
    """Return a number that JSON can hold, None where there is none."""
    return None if value is None or not math.isfinite(value) else float(value)

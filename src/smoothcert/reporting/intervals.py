"""How sure the numbers of a comparison are: over other inputs, and about these inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from smoothcert.certificate import Certificates
from smoothcert.evaluation import (
    BASE,
    Comparison,
    average_certified_radius,
    average_certified_radius_interval,
    average_certified_radius_lower,
    certified_accuracy,
    certified_accuracy_interval,
    false_certificates,
)
from smoothcert.reporting.radii import at_fewer_radii
from smoothcert.reporting.rounding import to_decimals
from smoothcert.reporting.tables import Cell, Column, Table

__all__ = ["COVERAGE", "INTERVALS", "interval_table", "terminal_intervals"]

COVERAGE = 0.95
"""Of the intervals over the draw of the inputs."""

INTERVALS = (
    "intervals: where the number would be on other inputs from the same source, for any number of inputs "
    "(Clopper-Pearson for certified accuracy, betting for ACR)"
)

_ACR = "ACR"


@dataclass(frozen=True)
class _Metric:
    """One number of one classifier, and its interval over the draw of the inputs."""

    classifier: str
    certificates: Certificates
    radius: float | None
    value: float
    low: float
    high: float

    @property
    def name(self) -> str:
        return _ACR if self.radius is None else f"CA@{self.radius:g}"


def interval_table(comparison: Comparison, confidence: float) -> Table:
    """Return an interval and lower bounds for every certified accuracy and ACR; `comparison_json` says of what."""
    shared = 1 - (1 - confidence) / max(1, len(comparison.candidates))
    rows = tuple(
        (x.classifier, x.name, x.value, x.low, x.high, *(_truly(comparison, x, c) for c in (confidence, shared)))
        for x in _metrics(comparison)
    )
    columns = (
        Column("classifier"),
        Column("metric"),
        Column("value", 4, "lower"),
        Column("low", 4, "lower"),
        Column("high", 4, "upper"),
        Column("alone", 4, "lower"),
        Column("together", 4, "lower"),
    )
    title = f"intervals over the draw of the inputs at {COVERAGE:g}; bounds on these inputs at {confidence:g}"
    return Table(title=title, columns=columns, rows=rows)


def terminal_intervals(comparison: Comparison, width: int) -> Table:
    """Return the intervals over the draw of the inputs, one row for each classifier."""
    return at_fewer_radii(comparison, width, _intervals)


def _intervals(comparison: Comparison) -> Table:
    rows: dict[str, dict[str, Cell]] = {}
    for x in _metrics(comparison):
        interval = f"{to_decimals(x.low, 3, 'lower')}-{to_decimals(x.high, 3, 'upper')}"
        rows.setdefault(x.classifier, {"classifier": x.classifier})[x.name.replace("@", " ")] = interval
    columns = tuple(Column(name) for name in rows[BASE])
    title = f"{COVERAGE * 100:g} % intervals over the draw of the inputs"
    return Table(title=title, columns=columns, rows=tuple(list(row.values()) for row in rows.values()))


def _metrics(comparison: Comparison) -> Iterator[_Metric]:
    largest, y = comparison.largest, comparison.y
    for name, c in {BASE: comparison.base, **comparison.recertified}.items():
        for radius in comparison.radii.tolist():
            accuracy = float(certified_accuracy(c, y, radius))
            low, high = certified_accuracy_interval(c, y, radius, confidence=COVERAGE)
            yield _Metric(name, c, radius, accuracy, low, high)
        if len(c) > 1:
            low, high = average_certified_radius_interval(c, y, confidence=COVERAGE, largest=largest[name])
            yield _Metric(name, c, None, average_certified_radius(c, y), low, high)


def _truly(comparison: Comparison, metric: _Metric, confidence: float) -> float | None:
    """Bound what the number is where certificates are true; None where nothing bounds how many are false."""
    c, y = metric.certificates, comparison.y
    if c.guarantee != "certified":
        return None
    if metric.radius is None:
        return average_certified_radius_lower(c, y, alpha=c.alpha, confidence=confidence)
    # Not `certified_accuracy_lower`: with one bound on the number of false certificates all radii hold at once.
    false = false_certificates(len(c), c.alpha, confidence=confidence)
    return max(0, round(metric.value * len(c)) - false) / len(c)

"""A plan as a table, lines and JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from smoothcert.procedures import Plan
from smoothcert.reporting.tables import Column, Table

__all__ = ["plan_json", "plan_lines", "plan_table"]


def plan_table(found: Plan) -> Table:
    """Return one row for each method: samples, forward passes, time and disk."""
    decision = found.target == "radius"
    reaches = "certified" if decision else "of reference"
    columns = (
        Column("method"),
        Column("samples", 0),
        Column("of the base first", 0),
        Column("passes in all", 0),
        Column("seconds", 0),
        Column("MB", 1),
        Column(reaches, 3),
    )
    rows = tuple(
        (
            method.method,
            method.samples,
            method.base_samples or None,
            None if method.passes is None else float(method.passes),
            method.seconds,
            None if method.bytes is None else method.bytes / 1e6,
            method.reaches,
        )
        for method in found.methods
    )
    asked = {
        "radius": f"a decision at radius {found.value:g}",
        "mean radius": f"mean radius {found.value:.4f}",
        "samples": f"{found.value:,.0f} samples of an input",
    }[found.target]
    several = "candidate" if found.candidates == 1 else "candidates"
    title = f"{asked} for {found.inputs} inputs and {found.candidates} {several}, sigma = {found.sigma:g}"
    return Table(title=title, columns=columns, rows=rows)


def plan_lines(found: Plan) -> list[str]:
    """Return what to say below the table."""
    lines = [
        "samples: per input and candidate, selection included; estimated, for candidates that are as good as the "
        f"base and disagree with it by c = {found.disagreement:g} (--disagreement); alpha = {found.alpha:g} each"
    ]
    if found.target != "radius":
        lines.append(
            f"reference: mean radius {found.reference:.4f}; without labels, as if all classes were right; '-' in "
            "samples: out of reach with the cache's votes, at best what the last column says"
        )
    return lines


def plan_json(found: Plan) -> dict[str, Any]:
    """Return the plan as a dictionary that JSON can hold."""
    return dataclasses.asdict(found)

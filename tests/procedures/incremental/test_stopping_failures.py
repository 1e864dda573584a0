"""Procedures that stop early fail no more often than they say; `experiments/guarantees.py` counts many more."""

from __future__ import annotations

import stopping_failures


def test_no_more_false_certificates_than_alpha() -> None:
    found = stopping_failures.count_all(120, lambda count: None)
    assert {c.kind.split(",")[0] for c in found} == {
        "decision at a radius",
        "sequential test from scratch",
        "adaptive sampling",
    }
    for count in found:
        assert count.p_value > 1e-4, f"{count.world}, {count.kind}: {count.failures} of {count.inputs}"

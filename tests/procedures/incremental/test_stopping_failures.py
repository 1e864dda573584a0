"""Procedures that stop early fail no more often than they say; `experiments/guarantees.py` counts many more."""

from __future__ import annotations

import pytest
import stopping_failures


def test_no_more_false_certificates_than_alpha(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions in two worlds: test_stopping.py counts them in all, with more inputs."""
    monkeypatch.setattr(stopping_failures, "PAIRED_WORLDS", stopping_failures.PAIRED_WORLDS[1:3])
    found = stopping_failures.count_all(120, lambda count: None)
    assert {c.kind.split(",")[0] for c in found} == {
        "decision at a radius",
        "sequential test from scratch",
        "adaptive sampling",
    }
    for count in found:
        assert count.p_value > 1e-4, f"{count.world}, {count.kind}: {count.failures} of {count.inputs}"

"""Certificates of linear classifiers fail no more often than they say."""

from __future__ import annotations

import failure_counts
import pytest


@pytest.mark.parametrize("world", failure_counts.WORLDS, ids=lambda w: w.name)
def test_no_more_false_certificates_than_alpha(world: failure_counts.World) -> None:
    for count in failure_counts.count_failures(world, 1500, seed=10):
        assert count.p_value > 1e-4, f"{count.kind}: {count.failures} of {count.inputs} at alpha = {count.alpha}"


def test_certify_uses_its_alpha() -> None:
    """The count can fail: close to alpha of CERTIFY's claims are false, as an exact bound's are."""
    counts = failure_counts.count_failures(failure_counts.WORLDS[0], 4000, seed=11)
    certify = next(c for c in counts if c.kind == "CERTIFY")
    assert 0.03 * certify.inputs < certify.failures < 0.065 * certify.inputs


def test_every_branch_is_taken() -> None:
    gate = failure_counts.count_failures(failure_counts.WORLDS[5], 1000, seed=12)
    in_branch = {c.kind: c.certificates for c in gate}
    assert min(in_branch["IRS, zeta branch"], in_branch["IRS, direct branch"]) > 200

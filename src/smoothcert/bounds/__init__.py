"""Bounds, radii and sample sizes: arrays in, arrays out, every claim rounded to the safe side."""

from smoothcert.bounds._arguments import MAX_COUNT
from smoothcert.bounds._disagreement import DEFAULT_DISAGREEMENT, expected_disagreement
from smoothcert.bounds.binomial import lower_confidence_bound, upper_confidence_bound
from smoothcert.bounds.gating import prefers_direct
from smoothcert.bounds.incremental import IrsBound, irs_bound
from smoothcert.bounds.joint import joint_lower_bound
from smoothcert.bounds.one_sided import one_sided_bound
from smoothcert.bounds.planning import IntervalMethod, binomial_interval, samples_for_error
from smoothcert.bounds.radius import (
    certified_radius,
    certified_radius_two_sided,
    largest_radius,
    smallest_n,
)
from smoothcert.bounds.two_sample import excess_p_values, pooled_excess_p_value

__all__ = [
    "DEFAULT_DISAGREEMENT",
    "MAX_COUNT",
    "IntervalMethod",
    "IrsBound",
    "binomial_interval",
    "certified_radius",
    "certified_radius_two_sided",
    "excess_p_values",
    "expected_disagreement",
    "irs_bound",
    "joint_lower_bound",
    "largest_radius",
    "lower_confidence_bound",
    "one_sided_bound",
    "pooled_excess_p_value",
    "prefers_direct",
    "samples_for_error",
    "smallest_n",
    "upper_confidence_bound",
]

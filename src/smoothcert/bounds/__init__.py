"""Bounds and radii: arrays in, arrays out, every claim rounded to the safe side."""

from smoothcert.bounds._arguments import MAX_COUNT
from smoothcert.bounds._disagreement import DEFAULT_DISAGREEMENT, expected_disagreement
from smoothcert.bounds.allocation import Predicted, allocate_samples, predicted_from_votes
from smoothcert.bounds.at_radius import CERTIFIED, FIRST_SIZE, GIVEN_UP, UNDECIDED, RadiusTest
from smoothcert.bounds.binomial import lower_confidence_bound, upper_confidence_bound
from smoothcert.bounds.conformal import conformal_rank, smallest_calibration_set
from smoothcert.bounds.expected import (
    PAIRED_METHODS,
    PairedMethod,
    expected_bounds_from_scratch,
    expected_bounds_paired,
)
from smoothcert.bounds.gating import prefers_direct
from smoothcert.bounds.incremental import IrsBound, irs_bound
from smoothcert.bounds.joint import joint_lower_bound
from smoothcert.bounds.lost_votes import LossTest
from smoothcert.bounds.paired_allocation import allocate_paired, smallest_mean
from smoothcert.bounds.radius import (
    certified_radius,
    certified_radius_two_sided,
    largest_radius,
    smallest_n,
)
from smoothcert.bounds.sequential import log_evidence_below
from smoothcert.bounds.two_sample import excess_p_values, pooled_excess_p_value

__all__ = [
    "CERTIFIED",
    "DEFAULT_DISAGREEMENT",
    "FIRST_SIZE",
    "GIVEN_UP",
    "MAX_COUNT",
    "PAIRED_METHODS",
    "UNDECIDED",
    "IrsBound",
    "LossTest",
    "PairedMethod",
    "Predicted",
    "RadiusTest",
    "allocate_paired",
    "allocate_samples",
    "certified_radius",
    "certified_radius_two_sided",
    "conformal_rank",
    "excess_p_values",
    "expected_bounds_from_scratch",
    "expected_bounds_paired",
    "expected_disagreement",
    "irs_bound",
    "joint_lower_bound",
    "largest_radius",
    "log_evidence_below",
    "lower_confidence_bound",
    "pooled_excess_p_value",
    "predicted_from_votes",
    "prefers_direct",
    "smallest_calibration_set",
    "smallest_mean",
    "smallest_n",
    "upper_confidence_bound",
]

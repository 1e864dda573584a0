"""Incremental certification: a changed classifier from the cached votes of the one it came from."""

from smoothcert.procedures.incremental.at_radius import DEFAULT_SAMPLES, RadiusDecisions, recertify_at_radius
from smoothcert.procedures.incremental.bounds import Bound, Method, method_of, recertificates, require_method
from smoothcert.procedures.incremental.gamma import GAMMA_GRID, select_gamma
from smoothcert.procedures.incremental.holdout import require_samples, reserve_holdout
from smoothcert.procedures.incremental.lost_votes import decide_all
from smoothcert.procedures.incremental.recertification import Recertification, recertify
from smoothcert.procedures.incremental.stopping import StoppingRule

__all__ = [
    "DEFAULT_SAMPLES",
    "GAMMA_GRID",
    "Bound",
    "Method",
    "RadiusDecisions",
    "Recertification",
    "StoppingRule",
    "decide_all",
    "method_of",
    "recertificates",
    "recertify",
    "recertify_at_radius",
    "require_method",
    "require_samples",
    "reserve_holdout",
    "select_gamma",
]

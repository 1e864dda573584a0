"""Incremental certification: a changed classifier from the cached votes of the one it came from."""

from smoothcert.procedures.incremental.at_radius import DEFAULT_SAMPLES, RadiusDecisions, recertify_at_radius
from smoothcert.procedures.incremental.bounds import recertificates
from smoothcert.procedures.incremental.gamma import GAMMA_GRID, select_gamma
from smoothcert.procedures.incremental.holdout import default_n_p, require_samples, reserve_holdout
from smoothcert.procedures.incremental.lost_votes import decide_all
from smoothcert.procedures.incremental.methods import Bound, BoundName, Irs, Joint, Terms, named_bound, terms_of
from smoothcert.procedures.incremental.recertification import Recertification, recertify
from smoothcert.procedures.incremental.spread import Spread, spread_of
from smoothcert.procedures.incremental.stopping import StoppingRule

__all__ = [
    "DEFAULT_SAMPLES",
    "GAMMA_GRID",
    "Bound",
    "BoundName",
    "Irs",
    "Joint",
    "RadiusDecisions",
    "Recertification",
    "Spread",
    "StoppingRule",
    "Terms",
    "decide_all",
    "default_n_p",
    "named_bound",
    "recertificates",
    "recertify",
    "recertify_at_radius",
    "require_samples",
    "reserve_holdout",
    "select_gamma",
    "spread_of",
    "terms_of",
]

"""The procedures: CERTIFY and PREDICT, incremental certification, and what they cost."""

from smoothcert.procedures.adaptive import certify_with_budget
from smoothcert.procedures.audit import Audit, audit
from smoothcert.procedures.claims import cohen_certificates
from smoothcert.procedures.cohen import certify
from smoothcert.procedures.decision import RadiusDecisions, recertify_at_radius
from smoothcert.procedures.gamma import GAMMA_GRID, select_gamma
from smoothcert.procedures.holdout import require_samples, reserve_holdout
from smoothcert.procedures.incremental import Recertification, recertify
from smoothcert.procedures.pairing import PairedCounts, pair, stack_pairs
from smoothcert.procedures.plan import Plan, PlannedMethod, plan
from smoothcert.procedures.planning import estimate_cost, seconds_per_sample
from smoothcert.procedures.predict import predict
from smoothcert.procedures.recertificates import Bound, Method, method_of, recertificates, require_method
from smoothcert.procedures.rounds import RoundSampler, sampling_rounds
from smoothcert.procedures.run import CertificationRun
from smoothcert.procedures.sequential import certify_at_radius
from smoothcert.procedures.voting import Progress

__all__ = [
    "GAMMA_GRID",
    "Audit",
    "Bound",
    "CertificationRun",
    "Method",
    "PairedCounts",
    "Plan",
    "PlannedMethod",
    "Progress",
    "RadiusDecisions",
    "Recertification",
    "RoundSampler",
    "audit",
    "certify",
    "certify_at_radius",
    "certify_with_budget",
    "cohen_certificates",
    "estimate_cost",
    "method_of",
    "pair",
    "plan",
    "predict",
    "recertificates",
    "recertify",
    "recertify_at_radius",
    "require_method",
    "require_samples",
    "reserve_holdout",
    "sampling_rounds",
    "seconds_per_sample",
    "select_gamma",
    "stack_pairs",
]

"""The procedures: CERTIFY and PREDICT, incremental certification, and what they cost."""

from smoothcert.procedures.cohen import CertificationRun, certify, cohen_certificates
from smoothcert.procedures.gamma import GAMMA_GRID, select_gamma
from smoothcert.procedures.holdout import require_holdout, reserve_holdout
from smoothcert.procedures.incremental import Recertification, recertify
from smoothcert.procedures.pairing import PairedCounts, pair, stack_pairs
from smoothcert.procedures.planning import estimate_cost
from smoothcert.procedures.predict import predict
from smoothcert.procedures.recertificates import Bound, Method, method_of, recertificates, require_method
from smoothcert.procedures.voting import Progress

__all__ = [
    "GAMMA_GRID",
    "Bound",
    "CertificationRun",
    "Method",
    "PairedCounts",
    "Progress",
    "Recertification",
    "certify",
    "cohen_certificates",
    "estimate_cost",
    "method_of",
    "pair",
    "predict",
    "recertificates",
    "recertify",
    "require_holdout",
    "require_method",
    "reserve_holdout",
    "select_gamma",
    "stack_pairs",
]

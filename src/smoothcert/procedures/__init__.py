"""The procedures: CERTIFY and PREDICT, incremental certification, and what they cost."""

from smoothcert.procedures.cohen import CertificationRun, certify, cohen_certificates
from smoothcert.procedures.gamma import GAMMA_GRID, select_gamma
from smoothcert.procedures.incremental import Recertification, recertify
from smoothcert.procedures.pairing import PairedCounts, irs_certificates, pair, stack_pairs
from smoothcert.procedures.planning import estimate_cost
from smoothcert.procedures.predict import predict
from smoothcert.procedures.voting import Progress

__all__ = [
    "GAMMA_GRID",
    "CertificationRun",
    "PairedCounts",
    "Progress",
    "Recertification",
    "certify",
    "cohen_certificates",
    "estimate_cost",
    "irs_certificates",
    "pair",
    "predict",
    "recertify",
    "select_gamma",
    "stack_pairs",
]

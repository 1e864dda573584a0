"""The procedures: CERTIFY and PREDICT, incremental certification, audits, and what they cost."""

from smoothcert.procedures.at_radius import certify_at_radius
from smoothcert.procedures.audit import Audit, audit
from smoothcert.procedures.budget import certify_with_budget
from smoothcert.procedures.cache_guide import CacheGuide, predicted_from_cache
from smoothcert.procedures.cautions import far_from_training, near_chance, odd_sigma
from smoothcert.procedures.certificates import BELOW_HALF, cohen_certificates, under_exact_noise
from smoothcert.procedures.cohen import certify
from smoothcert.procedures.guide import Guidance, Guide, divide_samples
from smoothcert.procedures.incremental import (
    DEFAULT_SAMPLES,
    GAMMA_GRID,
    Bound,
    BoundName,
    Irs,
    Joint,
    RadiusDecisions,
    Recertification,
    Spread,
    Terms,
    default_n_p,
    named_bound,
    recertificates,
    recertify,
    recertify_at_radius,
    require_samples,
    reserve_holdout,
    select_gamma,
    spread_of,
    terms_of,
)
from smoothcert.procedures.plan import (
    BYTES_PER_VOTE,
    Plan,
    PlanBasis,
    PlannedMethod,
    assumed_base,
    plan,
    seconds_per_sample,
)
from smoothcert.procedures.predict import decide_class, predict
from smoothcert.procedures.run import CertificationRun

__all__ = [
    "BELOW_HALF",
    "BYTES_PER_VOTE",
    "DEFAULT_SAMPLES",
    "GAMMA_GRID",
    "Audit",
    "Bound",
    "BoundName",
    "CacheGuide",
    "CertificationRun",
    "Guidance",
    "Guide",
    "Irs",
    "Joint",
    "Plan",
    "PlanBasis",
    "PlannedMethod",
    "RadiusDecisions",
    "Recertification",
    "Spread",
    "Terms",
    "assumed_base",
    "audit",
    "certify",
    "certify_at_radius",
    "certify_with_budget",
    "cohen_certificates",
    "decide_class",
    "default_n_p",
    "divide_samples",
    "far_from_training",
    "named_bound",
    "near_chance",
    "odd_sigma",
    "plan",
    "predict",
    "predicted_from_cache",
    "recertificates",
    "recertify",
    "recertify_at_radius",
    "require_samples",
    "reserve_holdout",
    "seconds_per_sample",
    "select_gamma",
    "spread_of",
    "terms_of",
    "under_exact_noise",
]

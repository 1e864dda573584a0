"""What certificates are worth against the labels: accuracies, radii, speedups, distributions.

Labels enter smoothcert here and nowhere earlier, and every denominator is all inputs.
"""

from __future__ import annotations

from smoothcert.evaluation.betting import bounded_mean_interval
from smoothcert.evaluation.comparison import BASE, CandidateResult, Comparison, Cost, compare_candidates
from smoothcert.evaluation.confidence import (
    average_certified_radius_lower,
    certified_accuracy_lower,
    false_certificates,
    truly_certified,
)
from smoothcert.evaluation.distributions import (
    Distribution,
    distribution,
    mean_zeta,
    share_above,
)
from smoothcert.evaluation.gates import Gate, Verdict, any_false, judge
from smoothcert.evaluation.intervals import average_certified_radius_interval, certified_accuracy_interval
from smoothcert.evaluation.metrics import (
    Claims,
    average_certified_radius,
    certified_accuracy,
    correct,
    credited_radius,
)
from smoothcert.evaluation.speedup import (
    Curve,
    Reach,
    area_speedup,
    common_range,
    cost_at,
    pointwise_speedup,
    reach,
)
from smoothcert.evaluation.surrogate_evaluation import SurrogateEvaluation, evaluate_surrogate

__all__ = [
    "BASE",
    "CandidateResult",
    "Claims",
    "Comparison",
    "Cost",
    "Curve",
    "Distribution",
    "Gate",
    "Reach",
    "SurrogateEvaluation",
    "Verdict",
    "any_false",
    "area_speedup",
    "average_certified_radius",
    "average_certified_radius_interval",
    "average_certified_radius_lower",
    "bounded_mean_interval",
    "certified_accuracy",
    "certified_accuracy_interval",
    "certified_accuracy_lower",
    "common_range",
    "compare_candidates",
    "correct",
    "cost_at",
    "credited_radius",
    "distribution",
    "evaluate_surrogate",
    "false_certificates",
    "judge",
    "mean_zeta",
    "pointwise_speedup",
    "reach",
    "share_above",
    "truly_certified",
]

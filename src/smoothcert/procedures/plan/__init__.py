"""Plans: what each method will need for a target, from a cache or an assumption."""

from smoothcert.procedures.plan.basis import PlanBasis, assumed_base
from smoothcert.procedures.plan.cost import BYTES_PER_VOTE, seconds_per_sample
from smoothcert.procedures.plan.result import Plan, PlannedMethod
from smoothcert.procedures.plan.targets import plan

__all__ = [
    "BYTES_PER_VOTE",
    "Plan",
    "PlanBasis",
    "PlannedMethod",
    "assumed_base",
    "plan",
    "seconds_per_sample",
]

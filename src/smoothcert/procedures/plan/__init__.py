"""What each method will need for a target, before anything is run."""

from smoothcert.procedures.plan.cost import estimate_cost, seconds_per_sample
from smoothcert.procedures.plan.targets import Plan, PlannedMethod, plan

__all__ = ["Plan", "PlannedMethod", "estimate_cost", "plan", "seconds_per_sample"]

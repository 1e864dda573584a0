"""Certify classifiers by randomized smoothing, and recertify changed ones from cached votes.

Names are imported on first use, so that ``import smoothcert`` and ``smoothcert --help`` load neither torch nor
SciPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smoothcert.bounds import certified_radius, lower_confidence_bound, upper_confidence_bound
    from smoothcert.certificate import ABSTAIN, Certificates
    from smoothcert.classifiers import Classifier, FunctionClassifier, OnnxClassifier, TorchClassifier
    from smoothcert.errors import InvalidArgumentError, SmoothcertError
    from smoothcert.evaluation import average_certified_radius, certified_accuracy
    from smoothcert.procedures import (
        Audit,
        CertificationRun,
        Plan,
        Recertification,
        audit,
        certify,
        certify_at_radius,
        certify_with_budget,
        plan,
        predict,
        recertify,
        recertify_at_radius,
    )
    from smoothcert.surrogate import (
        Surrogate,
        SurrogateGuide,
        SurrogateRecipe,
        calibrate_surrogate,
        certify_with_surrogate,
        collect_votes,
        fit_surrogate,
        load_surrogate,
    )
    from smoothcert.votes.store import CertificationCache

_HOME = {
    "ABSTAIN": "certificate",
    "Audit": "procedures",
    "Certificates": "certificate",
    "CertificationCache": "votes.store",
    "CertificationRun": "procedures",
    "Classifier": "classifiers",
    "FunctionClassifier": "classifiers",
    "InvalidArgumentError": "errors",
    "OnnxClassifier": "classifiers",
    "Plan": "procedures",
    "Recertification": "procedures",
    "SmoothcertError": "errors",
    "Surrogate": "surrogate",
    "SurrogateRecipe": "surrogate",
    "TorchClassifier": "classifiers",
    "audit": "procedures",
    "average_certified_radius": "evaluation",
    "calibrate_surrogate": "surrogate",
    "certified_accuracy": "evaluation",
    "certified_radius": "bounds",
    "certify": "procedures",
    "certify_at_radius": "procedures",
    "SurrogateGuide": "surrogate",
    "certify_with_budget": "procedures",
    "certify_with_surrogate": "surrogate",
    "collect_votes": "surrogate",
    "fit_surrogate": "surrogate",
    "load_surrogate": "surrogate",
    "lower_confidence_bound": "bounds",
    "plan": "procedures",
    "predict": "procedures",
    "recertify": "procedures",
    "recertify_at_radius": "procedures",
    "upper_confidence_bound": "bounds",
}

__all__ = [
    "ABSTAIN",
    "Audit",
    "Certificates",
    "CertificationCache",
    "CertificationRun",
    "Classifier",
    "FunctionClassifier",
    "InvalidArgumentError",
    "OnnxClassifier",
    "Plan",
    "Recertification",
    "SmoothcertError",
    "Surrogate",
    "SurrogateGuide",
    "SurrogateRecipe",
    "TorchClassifier",
    "audit",
    "average_certified_radius",
    "calibrate_surrogate",
    "certified_accuracy",
    "certified_radius",
    "certify",
    "certify_at_radius",
    "certify_with_budget",
    "certify_with_surrogate",
    "collect_votes",
    "fit_surrogate",
    "load_surrogate",
    "lower_confidence_bound",
    "plan",
    "predict",
    "recertify",
    "recertify_at_radius",
    "upper_confidence_bound",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"smoothcert.{_HOME[name]}"), name)
    globals()[name] = value
    return value

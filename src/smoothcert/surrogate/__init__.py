"""A surrogate for the votes: fitted to some, calibrated on others, used to certify with few samples or none.

Torch is imported when a surrogate is fitted or loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from smoothcert.surrogate.prediction import Prediction
from smoothcert.surrogate.recipe import RECIPES, SurrogateRecipe, surrogate_recipe
from smoothcert.surrogate.votes import VoteData, collect_votes, read_votes

if TYPE_CHECKING:
    from smoothcert.surrogate.calibration import Calibration, calibrate_surrogate, load_calibration
    from smoothcert.surrogate.certify import SurrogateRun, certify_with_surrogate, surrogate_certificates
    from smoothcert.surrogate.fit import FitResult, fit_surrogate
    from smoothcert.surrogate.guided import certify_guided
    from smoothcert.surrogate.model import Surrogate, load_surrogate, save_surrogate
    from smoothcert.surrogate.objective import FitRecord

_MODULE_OF = {
    "Calibration": "calibration",
    "FitRecord": "objective",
    "FitResult": "fit",
    "Surrogate": "model",
    "SurrogateRun": "certify",
    "calibrate_surrogate": "calibration",
    "certify_guided": "guided",
    "certify_with_surrogate": "certify",
    "fit_surrogate": "fit",
    "load_calibration": "calibration",
    "load_surrogate": "model",
    "save_surrogate": "model",
    "surrogate_certificates": "certify",
}

__all__ = [
    "RECIPES",
    "Calibration",
    "FitRecord",
    "FitResult",
    "Prediction",
    "Surrogate",
    "SurrogateRecipe",
    "SurrogateRun",
    "VoteData",
    "calibrate_surrogate",
    "certify_guided",
    "certify_with_surrogate",
    "collect_votes",
    "fit_surrogate",
    "load_calibration",
    "load_surrogate",
    "read_votes",
    "save_surrogate",
    "surrogate_certificates",
    "surrogate_recipe",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"smoothcert.surrogate.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

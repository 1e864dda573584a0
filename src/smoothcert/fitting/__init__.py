"""One loop for all that is learned by gradient steps: training a classifier, fitting a surrogate."""

from smoothcert.fitting.augment import random_crop_and_flip
from smoothcert.fitting.loop import optimize
from smoothcert.fitting.optimization import EpochProgress, Optimization
from smoothcert.fitting.start import check_start, fresh_model

__all__ = [
    "EpochProgress",
    "Optimization",
    "check_start",
    "fresh_model",
    "optimize",
    "random_crop_and_flip",
]

"""How a surrogate is fitted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from smoothcert.errors import InvalidArgumentError

__all__ = ["RECIPES", "LossName", "SurrogateRecipe", "fitting_rate", "surrogate_recipe"]

_STEP_EPOCHS, _STEP_FACTOR = 20, 0.5
_WARMUP = 0.1

LossName = Literal["jensen-shannon", "cross-entropy"]
_Schedule = Literal["step", "cosine"]


@dataclass(frozen=True, kw_only=True)
class SurrogateRecipe:
    """Adam with decoupled weight decay, on the votes of the inputs as they are.

    Attributes
    ----------
    loss : {"jensen-shannon", "cross-entropy"}
        What is minimised.
    epochs : int
        Passes over the data, at least 1.
    batch_size : int
        Inputs per step, at least 1.
    learning_rate : float
        The largest learning rate, positive.
    betas : (float, float)
        Decay rates of Adam's two moments, in [0, 1).
    weight_decay : float
        At least 0.
    schedule : {"step", "cosine"}
        Halve the learning rate every 20 epochs, or warm up over a tenth of the steps and fall to zero on a cosine.
    flip : bool
        Mirror each image with probability 1/2, and take its votes for the mirror image's: nearly right for
        photographs and a classifier trained with flips, wrong for digits.
    held_out : float
        Share of the inputs, in (0, 1), that no gradient sees: how far the prediction is off is learned from them.

    Raises
    ------
    InvalidArgumentError
        When a value is not as described.

    Examples
    --------
    >>> surrogate_recipe("paper").epochs, surrogate_recipe("fast").epochs
    (200, 40)
    """

    loss: LossName = "jensen-shannon"
    epochs: int
    batch_size: int = 128
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: _Schedule
    flip: bool = False
    held_out: float = 0.1

    def __post_init__(self) -> None:
        legal = {
            "loss": (self.loss in get_args(LossName), f"give one of {', '.join(get_args(LossName))}"),
            "epochs": (self.epochs >= 1, "give at least 1"),
            "batch_size": (self.batch_size >= 1, "give at least 1"),
            "learning_rate": (0 < self.learning_rate < math.inf, "give a positive number"),
            "betas": (len(self.betas) == 2 and all(0 <= b < 1 for b in self.betas), "give two numbers in [0, 1)"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "give a number of at least 0"),
            "schedule": (self.schedule in get_args(_Schedule), f"give one of {', '.join(get_args(_Schedule))}"),
            "held_out": (0 < self.held_out < 1, "give a share of the inputs between 0 and 1"),
        }
        for name, (is_legal, remedy) in legal.items():
            if not is_legal:
                raise InvalidArgumentError(f"{name} is {getattr(self, name)!r}: {remedy}")


RECIPES = {
    "paper": SurrogateRecipe(epochs=200, learning_rate=1e-3, betas=(0.5, 0.999), schedule="step"),
    "fast": SurrogateRecipe(epochs=40, learning_rate=5e-3, weight_decay=0.05, schedule="cosine"),
}
"""The paper's recipe (section V-A), and one that needs a fifth of its epochs."""


def surrogate_recipe(name: str) -> SurrogateRecipe:
    """Return a recipe by name; change it with ``dataclasses.replace``.

    Parameters
    ----------
    name : {"paper", "fast"}
        Which one.

    Returns
    -------
    SurrogateRecipe

    Raises
    ------
    InvalidArgumentError
        When there is none of this name.

    References
    ----------
    Bhardwaj, Kaushik, Gupta, "Accelerated Smoothing", 2024, section V-A.

    Examples
    --------
    >>> surrogate_recipe("paper").betas
    (0.5, 0.999)
    """
    if name not in RECIPES:
        raise InvalidArgumentError(f"recipe is {name!r}: give one of {', '.join(RECIPES)}, or a SurrogateRecipe")
    return RECIPES[name]


def fitting_rate(recipe: SurrogateRecipe, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step, counted from 0 over all epochs."""
    if recipe.schedule == "step":
        return recipe.learning_rate * _STEP_FACTOR ** (step // steps_per_epoch // _STEP_EPOCHS)
    steps = recipe.epochs * steps_per_epoch
    warmup = _WARMUP * steps
    if step < warmup:
        return recipe.learning_rate * min(1.0, (step + 1) / warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2

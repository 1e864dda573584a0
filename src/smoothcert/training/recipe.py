"""How a network is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from smoothcert.errors import InvalidArgumentError

__all__ = ["TrainingRecipe", "default_recipe", "learning_rate", "require_sigma"]


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Stochastic gradient descent with Nesterov momentum, linear warm-up and a cosine to zero.

    Attributes
    ----------
    arch : str
        Name of the architecture.
    epochs : int
        Passes over the data, at least 1.
    batch_size : int
        Inputs per step, at least 1.
    learning_rate : float
        The largest learning rate, positive.
    momentum : float
        In [0, 1).
    weight_decay : float
        Factor of the weights in the gradient, at least 0.
    warmup : float
        Share of the steps over which the learning rate rises from zero, in [0, 1).
    augment : bool
        Whether to shift images at random by up to 4 pixels and to flip every other one.

    Raises
    ------
    InvalidArgumentError
        When a value is not as described.

    Examples
    --------
    >>> default_recipe("cifar_resnet110").epochs
    90
    """

    arch: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup: float = 0.05
    augment: bool = False

    def __post_init__(self) -> None:
        legal = {
            "epochs": (self.epochs >= 1, "give at least 1"),
            "batch_size": (self.batch_size >= 1, "give at least 1"),
            "learning_rate": (0 < self.learning_rate < math.inf, "give a positive number"),
            "momentum": (0 <= self.momentum < 1, "give a number in [0, 1)"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "give a number of at least 0"),
            "warmup": (0 <= self.warmup < 1, "give a number in [0, 1)"),
        }
        for name, (is_legal, remedy) in legal.items():
            if not is_legal:
                raise InvalidArgumentError(f"{name} is {getattr(self, name)}: {remedy}")


_CIFAR = {"epochs": 90, "batch_size": 256, "learning_rate": 0.1, "augment": True}
_RECIPES: dict[str, dict[str, float | bool]] = {
    "cifar_resnet20": _CIFAR,
    "cifar_resnet56": _CIFAR,
    "cifar_resnet110": _CIFAR,
    "resnet50": {"epochs": 90, "batch_size": 256, "learning_rate": 0.1, "augment": True},
    "digits_conv": {"epochs": 60, "batch_size": 64, "learning_rate": 0.05},
}


def default_recipe(arch: str) -> TrainingRecipe:
    """Return the recipe for an architecture.

    Those for CIFAR-10 and ImageNet take epochs, batch size, learning rate, momentum and weight decay from Cohen et
    al.'s published training, with warm-up and a cosine in place of its steps.

    Parameters
    ----------
    arch : str
        Name of the architecture.

    Returns
    -------
    TrainingRecipe
        Change it with ``dataclasses.replace``.

    Raises
    ------
    InvalidArgumentError
        When there is no architecture of this name.

    References
    ----------
    Cohen, Rosenfeld, Kolter: Certified Adversarial Robustness via Randomized Smoothing, ICML 2019, appendix C.

    Examples
    --------
    >>> default_recipe("digits_conv").augment
    False
    """
    if arch not in _RECIPES:
        raise InvalidArgumentError(f"arch is {arch!r}: give one of {', '.join(_RECIPES)}")
    return TrainingRecipe(arch=arch, **_RECIPES[arch])  # type: ignore[arg-type]


def learning_rate(recipe: TrainingRecipe, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step, counted from 0 over all epochs."""
    steps = recipe.epochs * steps_per_epoch
    warmup = recipe.warmup * steps
    if step < warmup:
        return recipe.learning_rate * min(1.0, (step + 1) / warmup)
    done = (step - warmup) / (steps - warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


def require_sigma(sigma: float) -> None:
    """Refuse what is no standard deviation of training noise; 0 is one."""
    if not math.isfinite(sigma) or sigma < 0:
        raise InvalidArgumentError(f"sigma is {sigma}: give a finite standard deviation of at least 0")

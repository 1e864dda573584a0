"""What every procedure does before it samples: check the inputs, choose their noise, try the classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smoothcert.classifiers import Classifier
from smoothcert.noise import NoiseName, NoiseStream, choose_noise, input_keys
from smoothcert.sampling import Inputs, check_classifier_once, check_inputs

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """Inputs that were checked, their keys, and their noise."""

    inputs: Inputs
    keys: list[bytes]
    noise: NoiseStream


def prepare(
    classifier: Classifier, x: Any, *, sigma: float, seed: int, noise: NoiseName | NoiseStream
) -> Prepared:
    """Check everything that can be checked before long work; InvalidArgumentError names what is wrong."""
    inputs = check_inputs(x)
    stream = choose_noise(noise, sigma, seed, lambda: inputs)
    keys = list(input_keys(inputs))
    check_classifier_once(classifier, inputs, keys[0], stream)
    return Prepared(inputs, keys, stream)

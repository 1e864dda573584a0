"""A classifier under noise around its inputs: what every procedure samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier
from smoothcert.noise import NoiseName, NoiseStream, choose_noise, input_keys
from smoothcert.sampling import (
    Identity,
    Inputs,
    SampleRequest,
    Votes,
    as_inputs,
    check_classifier_once,
    default_batch_size,
    device_of,
    identify,
    require_labels,
    sample_votes,
)
from smoothcert.votes.arguments import require_batch_size, require_classifier

__all__ = ["Smoothed"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Smoothed:
    """The smoothed classifier g around each of m inputs.

    Attributes
    ----------
    classifier : Classifier
        The base classifier f.
    inputs : Inputs, shape (m, *shape)
        The clean inputs.
    keys : list of bytes
        Their keys in the noise stream.
    noise : NoiseStream
        The noise.
    batch_size : int or None
        Forward passes at once; None for one that follows from the inputs.
    labels : ndarray of int64, shape (m,), or None
        Labels that came with the inputs; no procedure looks at them.
    """

    classifier: Classifier
    inputs: Inputs
    keys: list[bytes]
    noise: NoiseStream
    batch_size: int | None = None
    labels: NDArray[np.int64] | None = None

    @classmethod
    def open(
        cls,
        classifier: Classifier,
        x: Any,
        *,
        sigma: float,
        seed: int,
        noise: NoiseName | NoiseStream,
        batch_size: int | None = None,
    ) -> Smoothed:
        """Check everything that can be checked before long work, and choose the noise; arguments as `certify`.

        Raises
        ------
        InvalidArgumentError
            Names the argument, the value and the remedy.
        """
        classifier, batch_size = require_classifier("classifier", classifier), require_batch_size(batch_size)
        given = as_inputs(x)
        inputs = given.inputs
        require_labels(given.labels, classifier)
        stream = choose_noise(noise, sigma, seed, lambda: inputs)
        keys = list(input_keys(inputs))
        check_classifier_once(classifier, inputs, keys[0], stream)
        return cls(
            classifier=classifier,
            inputs=inputs,
            keys=keys,
            noise=stream,
            batch_size=batch_size,
            labels=given.labels,
        )

    def __len__(self) -> int:
        """Return the number of inputs m."""
        return len(self.keys)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.inputs.shape[1:])

    @property
    def size(self) -> int:
        """Coordinates of one input."""
        return math.prod(self.shape)

    @property
    def forward_passes_at_once(self) -> int:
        """The batch size that is used."""
        return self.batch_size or default_batch_size(self.size, device_of(self.classifier))

    @cached_property
    def identity(self) -> Identity:
        """What the classifier computes."""
        return identify(self.classifier, self.shape, self.noise)

    def sample(
        self, requests: Sequence[SampleRequest], on_batch: Callable[[int], None] | None = None
    ) -> list[Votes]:
        """Return the votes of each request, in order; `on_batch` gets the number of votes of each batch."""
        return sample_votes(
            self.classifier, self.inputs, self.noise, requests, batch_size=self.batch_size, on_batch=on_batch
        )

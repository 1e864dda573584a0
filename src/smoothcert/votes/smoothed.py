"""A classifier under noise around its inputs: what every procedure samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
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
    calibration_batch,
    check_classifier_once,
    default_batch_size,
    device_of,
    identify,
    require_labels,
    sample_votes,
)
from smoothcert.votes.arguments import require_batch_size, require_classifier
from smoothcert.votes.running import run_as, run_as_made, run_like
from smoothcert.votes.store import Manifest, manifest_in, recorded_batch_size

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
        folder: str | Path | None = None,
    ) -> Smoothed:
        """Check everything that can be checked before long work, and choose noise and runtime.

        Arguments are as in `certify`; `folder` is where votes may lie that are continued, in the runtime that they
        were begun with.

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
        g = cls(
            classifier=classifier,
            inputs=inputs,
            keys=keys,
            noise=stream,
            batch_size=batch_size,
            labels=given.labels,
        )
        g = g.run_as_made(folder) or g.run_as_named()
        check_classifier_once(g.classifier, inputs, keys[0], stream)
        return g

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

    def noisy_inputs(self, count: int) -> NDArray[np.float32]:
        """Return noisy inputs, float32 (count, *shape), from noise that no vote uses."""
        return calibration_batch(self.inputs, self.keys, self.noise, count)

    def run_as_made(self, folder: str | Path | None) -> Smoothed | None:
        """Run the classifier as its votes in a folder were begun; None where there are none."""
        manifest = None if folder is None else manifest_in(Path(folder))
        if manifest is None or getattr(self.classifier, "runtime", "auto") != "auto":
            return None
        size = self.batch_size or recorded_batch_size(manifest)
        made = run_as_made(self.classifier, manifest.fingerprint, self.shape, size)
        return None if made is None else replace(self, classifier=made)

    def run_as_named(self) -> Smoothed:
        """Run the classifier by the runtime that it names."""
        size = self.forward_passes_at_once
        return replace(self, classifier=run_as(self.classifier, self.shape, self.noisy_inputs, size))

    def run_like(self, manifest: Manifest) -> Smoothed:
        """Run the classifier by the runtime of a cache, where that can."""
        made = run_like(self.classifier, manifest, self.noisy_inputs, self.forward_passes_at_once)
        return replace(self, classifier=made)

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

"""Which runtime a command runs a model with: the fastest, or the one that made the cache."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smoothcert.classifiers import (
    Classifier,
    CompiledClassifier,
    OnnxClassifier,
    TorchClassifier,
    fastest_runtime,
    runtime_at,
    with_runtime,
)
from smoothcert.cli import options
from smoothcert.errors import InvalidArgumentError, MissingExtraError
from smoothcert.noise import GaussianNoise, input_keys
from smoothcert.sampling import calibration_batch, default_batch_size
from smoothcert.votes import recorded_batch_size
from smoothcert.votes.store import votes_manifest

if TYPE_CHECKING:
    from smoothcert.data import Dataset

__all__ = ["Running", "like_base", "run_as", "run_by", "run_like_cache"]


@dataclass(frozen=True)
class Running:
    """A classifier in the runtime that was chosen, and how many samples to give it at once."""

    classifier: Classifier
    batch_size: int


def run_by(classifier: TorchClassifier, runtime: options.RuntimeName, dataset: Dataset, sigma: float) -> Running:
    """Choose a runtime by name, or by a probe that is remembered."""
    size = _usual_size(classifier, dataset)
    if runtime == "eager":
        return Running(classifier, size)
    few = dataset.take(8).inputs
    keys = list(input_keys(few))
    batch = calibration_batch(few, keys, GaussianNoise(sigma, 0), size if runtime == "compile" else 64)
    if runtime != "auto":
        return Running(with_runtime(classifier, runtime, batch), size)
    choice = fastest_runtime(classifier, batch)
    return Running(choice.classifier, choice.batch_size)


def run_like_cache(classifier: TorchClassifier, cache: Path, dataset: Dataset) -> Running | None:
    """Return the runtime that made a cache; None when none gives its fingerprint: it is another model."""
    manifest = votes_manifest(cache)
    return run_as(manifest.fingerprint, classifier, dataset, recorded_batch_size(manifest))


def run_as(
    fingerprint: str, classifier: TorchClassifier, dataset: Dataset, batch_size: int | None = None
) -> Running | None:
    """Return the runtime that has a fingerprint; None when none has."""
    size = batch_size or _usual_size(classifier, dataset)
    for runtime in ("eager", "compile", "onnx"):  # only the last takes long to tell
        try:
            run = runtime_at(runtime, classifier, dataset.inputs.shape[1:])(size)
        except (InvalidArgumentError, MissingExtraError):
            continue
        if run.fingerprint == fingerprint:
            return Running(run, size)
    return None


def like_base(candidate: Classifier, base: Running, dataset: Dataset, sigma: float) -> Running:
    """Run a candidate as its base runs, where that runtime can."""
    if isinstance(candidate, TorchClassifier):
        if isinstance(base.classifier, CompiledClassifier):
            return run_by(candidate, "compile", dataset, sigma)
        if isinstance(base.classifier, OnnxClassifier):
            with contextlib.suppress(InvalidArgumentError):  # half precision, say
                return run_by(candidate, "onnx", dataset, sigma)
    return Running(candidate, base.batch_size)


def _usual_size(classifier: TorchClassifier, dataset: Dataset) -> int:
    return default_batch_size(math.prod(dataset.inputs.shape[1:]), classifier.device.type)

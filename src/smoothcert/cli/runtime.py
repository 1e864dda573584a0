"""What a command runs a model with: the runtime that it was told, or the one that made the cache."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smoothcert.classifiers import (
    Classifier,
    CompiledClassifier,
    ExportedClassifier,
    ExportedToOpenVino,
    OnnxClassifier,
    OpenVinoClassifier,
    TorchClassifier,
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

__all__ = ["Running", "runtime_by_fingerprint", "runtime_by_name", "runtime_of_cache", "same_runtime"]


@dataclass(frozen=True)
class Running:
    """A classifier in a runtime, and how many samples to give it at once."""

    classifier: Classifier
    batch_size: int


def runtime_by_name(
    classifier: TorchClassifier, runtime: options.RuntimeName, dataset: Dataset, sigma: float
) -> Running:
    """Run a model by the runtime named, see `with_runtime`."""
    size = _usual_size(classifier, dataset)
    few = dataset.take(8).inputs
    keys = list(input_keys(few))
    batch = calibration_batch(few, keys, GaussianNoise(sigma, 0), size if runtime == "compile" else 64)
    return Running(with_runtime(classifier, runtime, batch), size)


def runtime_of_cache(classifier: TorchClassifier, cache: Path, dataset: Dataset) -> Running | None:
    """Run a model as a cache was made; None when no runtime gives its fingerprint: it is another model."""
    manifest = votes_manifest(cache)
    return runtime_by_fingerprint(manifest.fingerprint, classifier, dataset, recorded_batch_size(manifest))


def runtime_by_fingerprint(
    fingerprint: str, classifier: TorchClassifier, dataset: Dataset, batch_size: int | None = None
) -> Running | None:
    """Run a model by the runtime that has a fingerprint; None when none has."""
    size = batch_size or _usual_size(classifier, dataset)
    for run in (classifier, CompiledClassifier(classifier, size)):  # which is not compiled before its first batch
        if run.fingerprint == fingerprint:
            return Running(run, size)
    shape = dataset.inputs.shape[1:]
    with contextlib.suppress(InvalidArgumentError, MissingExtraError):
        exported = ExportedClassifier(classifier, shape)
        if exported.fingerprint == fingerprint:
            return Running(exported, size)
        again = ExportedToOpenVino(classifier, shape, exported.model_bytes)
        if again.fingerprint == fingerprint:
            return Running(again, size)
    return None


def same_runtime(candidate: Classifier, base: Running, dataset: Dataset, sigma: float) -> Running:
    """Run a candidate as its base runs, where that runtime can."""
    if isinstance(candidate, TorchClassifier):
        if isinstance(base.classifier, CompiledClassifier):
            return runtime_by_name(candidate, "compile", dataset, sigma)
        with contextlib.suppress(InvalidArgumentError):  # half precision, say
            if isinstance(base.classifier, OnnxClassifier):
                return runtime_by_name(candidate, "onnx", dataset, sigma)
            if isinstance(base.classifier, OpenVinoClassifier):
                return runtime_by_name(candidate, "openvino", dataset, sigma)
    return Running(candidate, base.batch_size)


def _usual_size(classifier: TorchClassifier, dataset: Dataset) -> int:
    return default_batch_size(math.prod(dataset.inputs.shape[1:]), classifier.device.type)

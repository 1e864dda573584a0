"""What commands work on: model, data, noise and runtime, as the options or a cache's provenance name them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothcert.approximate import Candidate, make_candidate
from smoothcert.classifiers import Classifier
from smoothcert.cli.inputs import open_dataset
from smoothcert.cli.printing import doing, warn_once
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.evaluation import compare
from smoothcert.models import OpenedModel, function_name
from smoothcert.models import load_model as load
from smoothcert.noise import GridNoise, NoiseName, NoiseStream, input_keys
from smoothcert.procedures import far_from_training
from smoothcert.sampling import calibration_batch
from smoothcert.votes import run_as_made
from smoothcert.votes.store import CertificationCache, Provenance, read_provenance, recorded_batch_size

if TYPE_CHECKING:
    from smoothcert.classifiers import RuntimeName
    from smoothcert.data import Dataset
    from smoothcert.evaluation import Comparison

__all__ = [
    "Opened",
    "Workspace",
    "absolute",
    "compared",
    "load_model",
    "noise_law",
    "open_inputs",
    "open_labels",
    "open_workspace",
]


@dataclass(frozen=True)
class Workspace:
    """What recertification from a cache needs."""

    cache: Path
    module: Classifier  # the model that was certified, as candidates are made of it
    base: Classifier  # the same in the runtime that made the cache
    dataset: Dataset
    calibration: NDArray[np.float32]  # noisy inputs, (b, *shape), whose noise no vote uses

    def make(self, spec: str) -> Candidate:
        """Make a candidate of the base."""
        with doing(f"making candidate {spec}"):
            return make_candidate(spec, self.module, calibration=self.calibration)


def open_workspace(cache: Path, *, model: str | None, data: str | None, device: str | None) -> Workspace:
    """Load what a cache was made with, from its provenance or from where the user says."""
    store = CertificationCache(cache)
    dataset = open_labels(cache, data=data)
    known = read_provenance(cache)
    if model is None and known is None:
        raise InvalidArgumentError(f"{cache} does not say what its model is: name it with --model")
    where = _with_model(known, model)
    made = store.manifest
    module = load_model(where, device, made.num_classes).classifier
    base = run_as_made(module, made.fingerprint, made.input_shape, recorded_batch_size(made))
    if base is None:
        raise CacheMismatchError(
            f"{cache} was made with another model than {where.model}: name its checkpoint with --model"
        )
    keys = list(input_keys(dataset.inputs))
    store.require(keys)
    calibration = calibration_batch(dataset.inputs, keys, made.noise(str(cache)))
    return Workspace(cache, module, base, dataset, calibration)


def open_labels(cache: Path, *, data: str | None) -> Dataset:
    """Load the inputs and labels that a cache was made with."""
    store, provenance = CertificationCache(cache), read_provenance(cache)
    made = store.manifest
    where = data or (provenance.data if provenance else None)
    if where is None:
        raise InvalidArgumentError(f"{cache} does not say what its inputs are: name their data set with --data")
    dataset = open_dataset(replace(provenance or _NOTHING, data=where))
    have, want = (made.num_classes, made.input_shape), (dataset.num_classes, tuple(dataset.inputs.shape[1:]))
    if have != want and not (_guesses(where) and have[1] == want[1] and have[0] >= want[0]):
        raise CacheMismatchError(
            f"{cache} was made with {have[0]} classes and inputs of shape {have[1]}, but "
            f"{where} has {want[0]} and {want[1]}: name its data with --data"
        )
    return dataset if provenance is not None else _those_of(store, dataset)


def _guesses(data: str) -> bool:
    """Whether a data set's classes are just those that its labels happen to have."""
    return data.endswith(".npz")


def compared(cache: Path, data: str | None) -> Comparison:
    """Compare the base of a cache with its candidates, by the labels that it knows or those of a data set."""
    return compare(cache) if data is None else compare(cache, open_labels(cache, data=data))


def open_inputs(provenance: Provenance, *, sigma: float, device: str | None, runtime: RuntimeName) -> Opened:
    """Load the inputs and the model that a command names."""
    dataset = open_dataset(provenance)
    model = load_model(provenance, device, dataset.num_classes, runtime, has_more=_guesses(provenance.data))
    warn_once(far_from_training(sigma, model.sigma))
    return Opened(dataset, model.classifier)


@dataclass(frozen=True)
class Opened:
    """Inputs, and the model that votes on them."""

    dataset: Dataset
    classifier: Classifier


def load_model(
    where: Provenance,
    device: str | None,
    num_classes: int,
    runtime: RuntimeName = "auto",
    *,
    has_more: bool = False,
) -> OpenedModel:
    """Load the model of a command or of a cache, for data of so many classes, or one that may have more."""

    def loaded(num_classes: int | None) -> OpenedModel:
        return load(
            where.model,
            num_classes=num_classes,
            arch=where.arch,
            normalization=where.normalization,
            device=device,
            runtime=runtime,
        )

    with doing(f"loading {where.model}"):
        try:
            model = loaded(None if has_more else num_classes)
        except InvalidArgumentError:
            if not has_more:
                raise
            model = loaded(num_classes)  # which not every model says of itself
    if model.classifier.num_classes < num_classes:
        raise InvalidArgumentError(
            f"{where.model} has {model.classifier.num_classes} classes, but the data has {num_classes}: use data "
            "of the same classes"
        )
    return model


def absolute(provenance: Provenance) -> Provenance:
    """Name model and data in words that hold in any folder."""
    data = provenance.data if provenance.data == "digits" else str(Path(provenance.data).resolve())
    return replace(provenance, model=_absolute_model(provenance.model), data=data)


def noise_law(noise: NoiseName, levels: int | None, sigma: float, seed: int) -> NoiseName | NoiseStream:
    """Return what `certify` takes as its noise: a name, or the stream of a grid of the caller's."""
    if levels is None:
        return noise
    if noise not in ("grid", "quantised"):
        raise InvalidArgumentError(f"levels is {levels}, but noise is {noise!r}: it is for grid and quantised")
    return GridNoise(sigma, seed, levels, quantise=noise == "quantised")


def _absolute_model(spec: str) -> str:
    """Make the paths in what names a model absolute."""
    form, colon, rest = spec.partition(":")
    if form == "timm":
        name, at, file = rest.partition("@")
        return f"timm:{name}{at}{Path(file).resolve() if file else ''}"
    if form == "hf":
        return f"hf:{Path(rest).resolve()}" if Path(rest).is_dir() else spec
    return spec if colon and function_name(spec) else str(Path(spec).resolve())


def _with_model(known: Provenance | None, model: str | None) -> Provenance:
    """Return what is known of a cache's model, unless the user names it."""
    if model is None and known is not None:
        return known
    moved = replace(known or _NOTHING, model=model or "")
    # A file may have moved, and is still what it was; what names itself is not.
    names_itself = moved.model.startswith(("hf:", "timm:")) or function_name(moved.model) is not None
    return replace(moved, arch=None, normalization=None) if names_itself else moved


def _those_of(store: CertificationCache, dataset: Dataset) -> Dataset:
    """Find the inputs of a cache in a data set."""
    rows = [i for i, key in enumerate(input_keys(dataset.inputs)) if key in store]
    if len(rows) < len(store):
        raise CacheMismatchError(
            f"{store.path} holds votes of {len(store)} inputs, of which {dataset.name} has {len(rows)}: name the "
            "data that it was made with (--data)"
        )
    return dataset.select(rows)


_NOTHING = Provenance(model="", data="", split="test", limit=None, skip=1)

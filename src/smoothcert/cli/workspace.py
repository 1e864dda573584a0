"""What commands work on: model, data, noise and runtime, as the options or a cache's provenance name them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothcert.approximate import Candidate, make_candidate
from smoothcert.classifiers import TorchClassifier
from smoothcert.cli import options
from smoothcert.cli.inputs import open_dataset
from smoothcert.cli.printing import doing, warn_once
from smoothcert.cli.runtime import Running, runtime_by_name, runtime_of_cache, same_runtime
from smoothcert.data import load_dataset
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.models import LoadedModel, load_checkpoint
from smoothcert.noise import GridNoise, NoiseName, NoiseStream, input_keys
from smoothcert.procedures import far_from_training
from smoothcert.sampling import calibration_batch
from smoothcert.votes.store import CertificationCache, Provenance, read_provenance, write_provenance

if TYPE_CHECKING:
    from smoothcert.data import Dataset

__all__ = [
    "Workspace",
    "keep_provenance",
    "load_model",
    "noise_law",
    "open_labels",
    "open_provenance",
    "open_workspace",
]


@dataclass(frozen=True)
class Workspace:
    """What recertification from a cache needs."""

    cache: Path
    module: TorchClassifier  # the model that was certified, as PyTorch runs it
    base: Running  # the same in the runtime that made the cache
    dataset: Dataset
    calibration: NDArray[np.float32]  # noisy inputs, (b, *shape), whose noise no vote uses
    batch_size: int | None  # what the user asked for; None leaves it to the runtime

    def make(self, spec: str) -> Candidate:
        """Make a candidate of the base."""
        with doing(f"making candidate {spec}"):
            return make_candidate(spec, self.module, calibration=self.calibration)

    def running(self, candidate: Candidate) -> Running:
        """Run a candidate as the base was run."""
        sigma = CertificationCache(self.cache).manifest.sigma
        return _sized(same_runtime(candidate.classifier, self.base, self.dataset, sigma), self.batch_size)


def open_workspace(
    cache: Path, *, model: str | None, data: str | None, device: str | None, batch_size: int | None = None
) -> Workspace:
    """Load what a cache was made with, from its provenance or from where the user says."""
    store = CertificationCache(cache)
    dataset = open_labels(cache, data=data)
    path = model or _provenance(cache).model
    _, module = load_model(path, device, dataset.num_classes)
    base = runtime_of_cache(module, cache, dataset)
    if base is None:
        raise CacheMismatchError(
            f"{cache} was made with another model than {path}: name its checkpoint with --model"
        )
    keys = list(input_keys(dataset.inputs))
    store.require(keys)
    calibration = calibration_batch(dataset.inputs, keys, store.manifest.noise(str(cache)))
    return Workspace(cache, module, _sized(base, batch_size), dataset, calibration, batch_size)


def open_labels(cache: Path, *, data: str | None) -> Dataset:
    """Load the inputs and labels that a cache was made with."""
    provenance, made = _provenance(cache), CertificationCache(cache).manifest
    with doing(f"reading {data or provenance.data}"):
        dataset = load_dataset(data or provenance.data, provenance.split, provenance.limit, provenance.skip)
    have, want = (made.num_classes, made.input_shape), (dataset.num_classes, tuple(dataset.inputs.shape[1:]))
    if have != want:
        raise CacheMismatchError(
            f"{cache} was made with {have[0]} classes and inputs of shape {have[1]}, but "
            f"{data or provenance.data} has {want[0]} and {want[1]}: name its data with --data"
        )
    return dataset


def open_provenance(
    provenance: Provenance,
    out: Path,
    *,
    runtime: options.RuntimeName,
    sigma: float,
    device: str | None,
    batch_size: int | None,
) -> tuple[Dataset, Running]:
    """Load the inputs and the model whose votes will be kept in a folder, in the runtime that suits them."""
    dataset = open_dataset(provenance)
    loaded, module = load_model(provenance.model, device, dataset.num_classes)
    warn_once(far_from_training(sigma, loaded.sigma))
    # Votes go on in the runtime that began them, unless the caller insists on another: then it is refused.
    resumes = runtime == "auto" and any((out / name).exists() for name in ("manifest.json", "rounds.json"))
    made = runtime_of_cache(module, out, dataset) if resumes else None
    return dataset, _sized(made or runtime_by_name(module, runtime, dataset, sigma), batch_size)


def keep_provenance(out: Path, provenance: Provenance) -> None:
    """Write down where model and data of a cache were found, in words that hold in any folder."""
    data = provenance.data if provenance.data == "digits" else str(Path(provenance.data).resolve())
    write_provenance(out, replace(provenance, model=str(Path(provenance.model).resolve()), data=data))


def load_model(path: str, device: str | None, num_classes: int) -> tuple[LoadedModel, TorchClassifier]:
    """Load a checkpoint as a classifier, checking it against the data's number of classes."""
    with doing(f"loading {path}"):
        model = load_checkpoint(Path(path))
    if model.num_classes != num_classes:
        raise InvalidArgumentError(
            f"{path} has {model.num_classes} classes, but the data has {num_classes}: use data of the same classes"
        )
    return model, TorchClassifier(model.module, model.num_classes, device=device)


def noise_law(noise: NoiseName, levels: int | None, sigma: float, seed: int) -> NoiseName | NoiseStream:
    """Return what `certify` takes as its noise: a name, or the stream of a grid of the caller's."""
    if levels is None:
        return noise
    if noise not in ("grid", "quantised"):
        raise InvalidArgumentError(f"levels is {levels}, but noise is {noise!r}: it is for grid and quantised")
    return GridNoise(sigma, seed, levels, quantise=noise == "quantised")


def _sized(running: Running, batch_size: int | None) -> Running:
    return running if batch_size is None else replace(running, batch_size=batch_size)


def _provenance(cache: Path) -> Provenance:
    CertificationCache(cache)  # says what is wrong when this is no cache at all
    provenance = read_provenance(cache)
    if provenance is None:
        raise InvalidArgumentError(
            f"{cache} was not made by the command line: use the Python interface to recertify"
        )
    return provenance

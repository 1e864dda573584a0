"""A cache that the command line made: its model, its inputs, and its candidates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothcert.approximate import Candidate, make_candidate
from smoothcert.cli.common import load_data, load_model
from smoothcert.cli.runtime import Running, like_base, run_like_cache
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import input_keys
from smoothcert.procedures import Method, RadiusDecisions, Recertification, recertify_at_radius
from smoothcert.procedures import recertify as run_recertify
from smoothcert.sampling import calibration_batch
from smoothcert.votes import Progress
from smoothcert.votes.store import (
    CandidateRecord,
    CertificationCache,
    Provenance,
    candidate_folder,
    read_provenance,
    write_candidate,
)

if TYPE_CHECKING:
    from smoothcert.classifiers import TorchClassifier
    from smoothcert.data import Dataset

__all__ = ["Workspace", "decide_candidate", "open_labels", "open_workspace", "recertify_candidate"]


@dataclass(frozen=True)
class Workspace:
    """What recertification from a cache needs.

    Attributes
    ----------
    cache : Path
        Folder of the cache.
    module : TorchClassifier
        The model that was certified, as PyTorch runs it.
    base : Running
        The same in the runtime that made the cache.
    dataset : Dataset
        Its inputs and labels.
    calibration : ndarray of float32, shape (b, *shape)
        Noisy inputs whose noise no vote uses.
    """

    cache: Path
    module: TorchClassifier
    base: Running
    dataset: Dataset
    calibration: NDArray[np.float32]

    def make(self, spec: str) -> Candidate:
        """Make a candidate of the base."""
        return make_candidate(spec, self.module, calibration=self.calibration)

    def running(self, candidate: Candidate) -> Running:
        """Run a candidate as the base was run."""
        sigma = CertificationCache(self.cache).manifest.sigma
        return like_base(candidate.classifier, self.base, self.dataset, sigma)


def open_workspace(cache: Path, *, model: str | None, data: str | None, device: str | None) -> Workspace:
    """Load what a cache was made with, from its provenance or from where the user says.

    Raises
    ------
    CacheMismatchError
        When the model is not the one that made the cache.
    """
    store = CertificationCache(cache)
    dataset = open_labels(cache, data=data)
    path = model or _provenance(cache).model
    _, module = load_model(path, device, dataset.num_classes)
    base = run_like_cache(module, cache, dataset)
    if base is None:
        raise CacheMismatchError(
            f"{cache} was made with another model than {path}: name its checkpoint with --model"
        )
    keys = list(input_keys(dataset.inputs))
    store.require(keys)
    return Workspace(
        cache, module, base, dataset, calibration_batch(dataset.inputs, keys, store.manifest.noise(str(cache)))
    )


def open_labels(cache: Path, *, data: str | None) -> Dataset:
    """Load the inputs and labels that a cache was made with."""
    provenance, made = _provenance(cache), CertificationCache(cache).manifest
    dataset = load_data(data or provenance.data, provenance.split, provenance.limit, provenance.skip)
    have, want = (made.num_classes, made.input_shape), (dataset.num_classes, tuple(dataset.inputs.shape[1:]))
    if have != want:
        raise CacheMismatchError(
            f"{cache} was made with {have[0]} classes and inputs of shape {have[1]}, but "
            f"{data or provenance.data} has {want[0]} and {want[1]}: name its data with --data"
        )
    return dataset


def recertify_candidate(
    workspace: Workspace,
    spec: str,
    candidate: Candidate,
    samples: int | range,
    method: Method,
    baseline: bool,
    batch_size: int | None,
    progress: Progress,
) -> Recertification:
    """Recertify one candidate, keeping its votes below the cache, and a record of it for `compare` to find."""
    start = samples.start if isinstance(samples, range) else None
    name = candidate.name if start is None else f"{candidate.name}-from-{start}"
    folder = candidate_folder(workspace.cache, name)
    running = workspace.running(candidate)
    with _to_start_anew(spec, folder):
        run = run_recertify(
            running.classifier,
            workspace.dataset.inputs,
            cache=workspace.cache,
            n_p=samples,
            alpha_zeta=method.alpha_zeta,
            gamma=method.gamma,
            bound=method.bound,
            runner_up=method.runner_up,
            together=method.together,
            base=workspace.base.classifier,
            n0=CertificationCache(workspace.cache).manifest.n0 if baseline else 0,
            out=folder,
            batch_size=running.batch_size if batch_size is None else batch_size,
            progress=progress,
        )
    record = CandidateRecord(
        spec=spec,
        name=name,
        description=candidate.description,
        n_p=run.pairs.m,
        alpha_zeta=method.alpha_zeta,
        gamma=method.gamma,
        identical=run.identical,
        bound=method.bound,
        runner_up=method.runner_up,
        together=method.together,
        start=start or 0,
        holdout=start is not None,
    )
    write_candidate(workspace.cache, record)
    return run


def decide_candidate(
    workspace: Workspace,
    spec: str,
    candidate: Candidate,
    radius: float,
    samples: int | range | None,
    alpha_zeta: float,
    batch_size: int | None,
    progress: Progress,
) -> RadiusDecisions:
    """Decide whether one candidate is still certified at a radius, keeping its votes below the cache."""
    held_out = f"-from-{samples.start}" if isinstance(samples, range) else ""
    folder = candidate_folder(workspace.cache, f"{candidate.name}{held_out}-at-{radius:g}")
    running = workspace.running(candidate)
    with _to_start_anew(spec, folder):
        return recertify_at_radius(
            running.classifier,
            workspace.dataset.inputs,
            radius,
            cache=workspace.cache,
            n_p=samples,
            alpha_zeta=alpha_zeta,
            base=workspace.base.classifier,
            out=folder,
            batch_size=running.batch_size if batch_size is None else batch_size,
            progress=progress,
        )


@contextmanager
def _to_start_anew(spec: str, folder: Path) -> Iterator[None]:
    """Say what to remove where kept votes do not fit."""
    try:
        yield
    except CacheMismatchError as error:
        if str(folder) not in str(error):
            raise
        raise CacheMismatchError(f"{error}; to start {spec!r} anew, remove {folder}") from error


def _provenance(cache: Path) -> Provenance:
    CertificationCache(cache)  # says what is wrong when this is no cache at all
    provenance = read_provenance(cache)
    if provenance is None:
        raise InvalidArgumentError(
            f"{cache} was not made by the command line: use the Python interface to recertify"
        )
    return provenance

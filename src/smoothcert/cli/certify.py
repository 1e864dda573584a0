"""``smoothcert certify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from smoothcert.cli import options
from smoothcert.cli.printing import doing, print_run, progress_bar

if TYPE_CHECKING:
    from smoothcert.classifiers import Classifier
    from smoothcert.data import Dataset
    from smoothcert.noise import NoiseName, NoiseStream
    from smoothcert.procedures import CertificationRun
    from smoothcert.votes import Progress


class _Shared(TypedDict):
    """What all three ways to certify take."""

    sigma: float
    n0: int
    alpha: float
    seed: int
    noise: NoiseName | NoiseStream
    cache: Path
    batch_size: int | None
    progress: Progress


def certify(
    model: options.Model,
    data: options.Data,
    sigma: options.Sigma,
    cache: Annotated[
        Path, typer.Option("--cache", help="Folder for the votes; a call that was interrupted continues.")
    ],
    split: options.Split = "test",
    limit: options.Limit = None,
    skip: options.Skip = 1,
    n0: Annotated[int, typer.Option("--n0", help="Selection samples per input.")] = 100,
    n: Annotated[int, typer.Option("--n", help="Estimation samples per input.")] = 100_000,
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget", help="Samples of all inputs together, spent where they buy radius, instead of n."
        ),
    ] = None,
    guide: Annotated[
        Path | None,
        typer.Option(
            "--guide", help="Cache of these inputs, of an older or another model, that says where --budget pays."
        ),
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Failure probability of each certificate.")] = 0.001,
    seed: options.Seed = 0,
    noise: options.Noise = "auto",
    levels: options.Levels = None,
    runtime: options.Runtime = "auto",
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    arch: options.Arch = None,
    normalization: options.Normalization = None,
    radius: Annotated[
        float | None,
        typer.Option(
            "--radius", help="Decide at this radius alone, with at most n samples per input and often few."
        ),
    ] = None,
    runner_up: Annotated[
        bool, typer.Option("--runner-up", help="Bound the other classes too, at half of alpha each.")
    ] = False,
    log: Annotated[Path | None, typer.Option("--log", help="Also write the tab-separated log.")] = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Certify a model's smoothed classifier around each input, and keep every vote.

    Example: smoothcert certify model/checkpoint.safetensors --data digits --sigma 0.25 --n 10000 --cache runs/base
    """
    from smoothcert.cli.inputs import open_dataset
    from smoothcert.votes.store import Provenance, recording_provenance

    _require_one_way(radius, budget, runner_up, guide)
    provenance = Provenance(
        model=model, data=data, split=split, limit=limit, skip=skip, arch=arch, normalization=normalization
    )
    if dry_run:
        _show_cost(open_dataset(provenance), cache, n0, n, budget, radius, as_json)
        return
    with doing("loading PyTorch"):
        from smoothcert.cli.workspace import absolute, noise_law, open_inputs
        from smoothcert.reporting import write_cohen_log

    law = noise_law(noise, levels, sigma, seed)
    opened = open_inputs(provenance, sigma=sigma, device=device, runtime=runtime)
    dataset = opened.dataset
    with recording_provenance(cache, absolute(provenance)), progress_bar("certify") as progress:
        shared = _Shared(
            sigma=sigma,
            n0=n0,
            alpha=alpha,
            seed=seed,
            noise=law,
            cache=cache,
            batch_size=batch_size,
            progress=progress,
        )
        run = _run(opened.classifier, dataset, radius, budget, guide, n, runner_up, shared)
    if log is not None:
        write_cohen_log(log, run, dataset.labels)
    print_run(as_json, run, dataset, cache)


def _run(
    classifier: Classifier,
    x: Dataset,
    radius: float | None,
    budget: int | None,
    guide: Path | None,
    n: int,
    runner_up: bool,
    shared: _Shared,
) -> CertificationRun:
    """Certify by the procedure that the options name."""
    from smoothcert.procedures import certify, certify_at_radius, certify_with_budget

    if radius is not None:
        return certify_at_radius(classifier, x, radius, n=n, **shared)
    if budget is not None:
        return certify_with_budget(classifier, x, budget, guide=guide, runner_up=runner_up, **shared)
    return certify(classifier, x, n=n, runner_up=runner_up, **shared)


def _show_cost(
    dataset: Dataset, cache: Path, n0: int, n: int, budget: int | None, radius: float | None, as_json: bool
) -> None:
    from smoothcert.cli.dry_run import known_pace, show_cost
    from smoothcert.votes import require_count

    m, n0, n = len(dataset), require_count("n0", n0, at_least=0), require_count("n", n)
    samples = m * (n0 + n) if budget is None else require_count("budget", budget)
    show_cost(as_json, samples, max(0, samples - m * n0), known_pace(cache), most=radius is not None)


def _require_one_way(radius: float | None, budget: int | None, runner_up: bool, guide: Path | None) -> None:
    from smoothcert.errors import InvalidArgumentError

    if guide is not None and budget is None:
        raise InvalidArgumentError(f"guide is {guide}, but there is no budget for it to divide: give --budget")
    if radius is not None and budget is not None:
        raise InvalidArgumentError(f"radius is {radius:g} and budget is {budget}: give one of them")
    if radius is not None and runner_up:
        raise InvalidArgumentError("runner_up is given, but a radius is decided by the top class: leave one out")

"""``smoothcert certify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from smoothcert.cli.common import (
    BatchOption,
    DataOption,
    DeviceOption,
    JsonOption,
    LevelsOption,
    LimitOption,
    NoiseOption,
    RuntimeOption,
    SeedOption,
    SigmaOption,
    SkipOption,
    SplitOption,
    console,
    load_data,
    load_model,
    noise_law,
    print_json,
    progress_bar,
    show,
    warn,
)

if TYPE_CHECKING:
    from smoothcert.classifiers import Classifier
    from smoothcert.cli.runtime import Running
    from smoothcert.data import Dataset
    from smoothcert.noise import NoiseName, NoiseStream
    from smoothcert.procedures import CertificationRun
    from smoothcert.sampling import Inputs
    from smoothcert.votes import Progress


class _Shared(TypedDict):
    """What all three ways to certify take."""

    sigma: float
    n0: int
    alpha: float
    seed: int
    noise: NoiseName | NoiseStream
    cache: Path
    batch_size: int
    progress: Progress


def certify(
    model: Annotated[str, typer.Argument(help="Checkpoint: locuslab's .pth.tar, or safetensors.")],
    data: DataOption,
    sigma: SigmaOption,
    cache: Annotated[
        Path, typer.Option("--cache", help="Folder for the votes; a call that was interrupted continues.")
    ],
    split: SplitOption = "test",
    limit: LimitOption = None,
    skip: SkipOption = 1,
    n0: Annotated[int, typer.Option("--n0", help="Selection samples per input.")] = 100,
    n: Annotated[int, typer.Option("--n", help="Estimation samples per input.")] = 100_000,
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget", help="Samples of all inputs together, spent where they buy radius, instead of n."
        ),
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Failure probability of each certificate.")] = 0.001,
    seed: SeedOption = 0,
    noise: NoiseOption = "auto",
    levels: LevelsOption = None,
    runtime: RuntimeOption = "auto",
    batch_size: BatchOption = None,
    device: DeviceOption = None,
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and stop.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Certify a model's smoothed classifier around each input, and keep every vote.

    Example: smoothcert certify model/checkpoint.safetensors --data digits --sigma 0.25 --n 10000 --cache runs/base
    """
    from smoothcert.cli.runtime import Running, run_by, run_like_cache
    from smoothcert.report import certification_json, certification_table, to_rich, write_cohen_log
    from smoothcert.votes.store import Recipe, write_recipe

    _require_one_way(radius, budget, runner_up)
    law = noise_law(noise, levels, sigma, seed)
    dataset = load_data(data, split, limit, skip)
    loaded, module = load_model(model, device, dataset.num_classes)
    # A cache goes on in the runtime that began it, unless the caller insists on another: then it is refused.
    resumes = runtime == "auto" and any((cache / name).exists() for name in ("manifest.json", "rounds.json"))
    made = run_like_cache(module, cache, dataset) if resumes else None
    running = made or run_by(module, runtime, dataset, sigma)
    size = running.batch_size if batch_size is None else batch_size
    if dry_run:
        mean = n if budget is None else max(1, budget // len(dataset.labels) - n0)
        _show_cost(Running(running.classifier, size), dataset, sigma, n0, mean, radius, as_json)
        return
    if loaded.sigma is not None and loaded.sigma != sigma:
        warn(f"the model was trained with sigma = {loaded.sigma:g}, not {sigma:g}")
    with progress_bar("certify") as progress:
        shared = _Shared(
            sigma=sigma,
            n0=n0,
            alpha=alpha,
            seed=seed,
            noise=law,
            cache=cache,
            batch_size=size,
            progress=progress,
        )
        run = _run(running.classifier, dataset.inputs, radius, budget, n, runner_up, shared)
    resolved = data if data == "digits" else str(Path(data).resolve())
    recipe = Recipe(model=str(Path(model).resolve()), data=resolved, split=split, limit=limit, skip=skip)
    write_recipe(cache, recipe)
    if log is not None:
        write_cohen_log(log, run.certificates, dataset.labels)
    if as_json:
        print_json(certification_json(run, dataset.labels))
    else:
        console().print(to_rich(certification_table(run, dataset.labels)))
        show(f"{run.certificates.summary()}; votes in {cache}")


def _run(
    classifier: Classifier,
    x: Inputs,
    radius: float | None,
    budget: int | None,
    n: int,
    runner_up: bool,
    shared: _Shared,
) -> CertificationRun:
    """Certify by the procedure that the options name."""
    from smoothcert.procedures import certify, certify_at_radius, certify_with_budget

    if radius is not None:
        return certify_at_radius(classifier, x, radius, n=n, **shared)
    if budget is not None:
        return certify_with_budget(classifier, x, budget, runner_up=runner_up, **shared)
    return certify(classifier, x, n=n, runner_up=runner_up, **shared)


def _show_cost(
    running: Running, dataset: Dataset, sigma: float, n0: int, n: int, radius: float | None, as_json: bool
) -> None:
    from smoothcert.procedures import estimate_cost

    size = running.batch_size
    cost = estimate_cost(running.classifier, dataset.inputs, sigma=sigma, n0=n0, n=n, batch_size=size)
    if as_json:
        print_json(cost)
        return
    most = "" if radius is None else "at most "
    time, space = f"{cost['seconds']:,.0f} s", f"{cost['bytes'] / 1e6:,.1f} MB"
    show(f"{most}{cost['samples']:,} forward passes, about {time} and {space}")


def _require_one_way(radius: float | None, budget: int | None, runner_up: bool) -> None:
    from smoothcert.errors import InvalidArgumentError

    if radius is not None and budget is not None:
        raise InvalidArgumentError(f"radius is {radius:g} and budget is {budget}: give one of them")
    if radius is not None and runner_up:
        raise InvalidArgumentError("runner_up is given, but a radius is decided by the top class: leave one out")

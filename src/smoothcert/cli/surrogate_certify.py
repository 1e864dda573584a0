"""``smoothcert surrogate certify | guided | evaluate``: what a fitted surrogate is for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smoothcert.cli import options
from smoothcert.cli.printing import doing, note, print_result, print_run, progress_bar, warn_once

if TYPE_CHECKING:
    from smoothcert.classifiers import Classifier
    from smoothcert.data import Dataset
    from smoothcert.surrogate import Surrogate
    from smoothcert.votes.store import Provenance


def certify(
    surrogate: options.SurrogateFolder,
    model: Annotated[
        str | None,
        typer.Argument(
            help="Checkpoint of the model, for the agreement check; by default the one that the votes are of, if "
            "it is still there."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="'digits', or the path of a data set; by default that of the votes."),
    ] = None,
    split: options.Split = "test",
    limit: options.Limit = None,
    skip: options.Skip = 1,
    n0: Annotated[
        int | None,
        typer.Option(
            "--n0", help="Samples per input that must agree on the class; by default 100, and 0 without a model."
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Samples that a raw radius stands in for.")] = 100_000,
    alpha: options.SamplingAlpha = 0.001,
    raw: Annotated[
        bool, typer.Option("--raw", help="Estimated radii, even where there is a calibration.")
    ] = False,
    seed: options.Seed = 0,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the radii, .csv or .parquet.")] = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Give each input a radius by one forward pass: calibrated if there is a calibration, else only estimated.

    Example: smoothcert surrogate certify runs/surrogate model/checkpoint.safetensors --data digits --n0 100
    """
    from smoothcert.cli.dry_run import show_cost
    from smoothcert.cli.inputs import open_dataset

    found = _provenance(surrogate, model, data, split, limit, skip)
    dataset = open_dataset(found)
    model = found.model or None
    if n0 is None:
        n0 = 0 if model is None else 100
        note(f"--n0 is {n0}, as none is given" + ("" if n0 else ": there is no model to agree with"))
    if dry_run:
        show_cost(as_json, len(dataset) * n0, most=True, what=f"and {len(dataset):,} of the surrogate")
        return
    with doing("loading PyTorch"):
        from smoothcert.procedures import near_chance
        from smoothcert.reporting import surrogate_json, surrogate_table, write_certificates
        from smoothcert.surrogate import certify_with_surrogate, load_calibration, load_surrogate

    loaded = load_surrogate(surrogate, device=device)
    calibration = None if raw else load_calibration(surrogate, loaded)
    classifier = None if model is None or n0 == 0 else _run_as_fitted(loaded, model, dataset, device)
    with progress_bar("agreement") as progress:
        run = certify_with_surrogate(
            loaded,
            dataset.inputs,
            classifier,
            n0=n0,
            n=n,
            alpha=alpha,
            calibration=calibration,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
        )
    if out is not None:
        write_certificates(out, run, dataset.labels)
    print_result(
        as_json,
        surrogate_json(run, dataset.labels),
        surrogate_table(run, dataset.labels),
        run.certificates.claim(),
        run.certificates.premise,
    )
    warn_once(near_chance(run.prediction.top_class, dataset.labels, dataset.num_classes))


def guided(
    surrogate: options.SurrogateFolder,
    model: Annotated[str, typer.Argument(help="Checkpoint of the model.")],
    data: options.Data,
    cache: Annotated[Path, typer.Option("--cache", help="Folder for the votes; an interrupted call continues.")],
    split: options.Split = "test",
    limit: options.Limit = None,
    skip: options.Skip = 1,
    n0: Annotated[int, typer.Option("--n0", help="Selection samples per input.")] = 100,
    n: Annotated[int, typer.Option("--n", help="Estimation samples per input, on average.")] = 10_000,
    alpha: Annotated[float, typer.Option("--alpha", help="Failure probability of each certificate.")] = 0.001,
    radius: Annotated[
        float | None, typer.Option("--radius", help="Certify this radius for most inputs, not the mean radius.")
    ] = None,
    seed: options.Seed = 0,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Certify by sampling, with samples spent where the surrogate expects them to pay.

    Example: smoothcert surrogate guided runs/surrogate model.safetensors --data digits --n 1000 --cache runs/new
    """
    with doing("loading PyTorch"):
        from smoothcert.cli.dry_run import show_cost
        from smoothcert.cli.inputs import open_dataset
        from smoothcert.procedures import certify_with_budget
        from smoothcert.surrogate import SurrogateGuide, load_surrogate, surrogate_noise
        from smoothcert.votes.store import Provenance

    dataset = open_dataset(Provenance(model=model, data=data, split=split, limit=limit, skip=skip))
    if dry_run:
        show_cost(as_json, len(dataset) * (n0 + n), len(dataset) * n, most=True)
        return
    loaded = load_surrogate(surrogate, device=device)
    classifier = _run_as_fitted(loaded, model, dataset, device)
    with progress_bar("guided") as progress:
        run = certify_with_budget(
            classifier,
            dataset,
            len(dataset) * (n0 + n),
            sigma=loaded.record.sigma,
            guide=SurrogateGuide(loaded, radius=radius),
            n0=n0,
            alpha=alpha,
            seed=seed,
            noise=surrogate_noise(loaded, seed),
            cache=cache,
            batch_size=batch_size,
            progress=progress,
        )
    print_run(as_json, run, dataset, cache)


def evaluate(
    surrogate: options.SurrogateFolder,
    cache: Annotated[
        Path, typer.Option("--cache", help="Votes of certify, of inputs that the surrogate is new to.")
    ],
    n: Annotated[int | None, typer.Option("--n", help="Samples that a raw radius stands in for.")] = None,
    alpha: options.SamplingAlpha = 0.001,
    data: options.MovedData = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for tables and plots.")] = None,
    as_json: options.Json = False,
) -> None:
    """Compare a surrogate with sampling: accuracy, over- and underestimation, samples saved.

    Example: smoothcert surrogate evaluate runs/surrogate --cache runs/base
    """
    with doing("loading PyTorch"):
        from smoothcert.cli.workspace import open_labels
        from smoothcert.evaluation import evaluate_surrogate
        from smoothcert.reporting import evaluation_json, evaluation_tables, write_evaluation
        from smoothcert.surrogate import load_calibration, load_surrogate

    dataset = open_labels(cache, data=data)
    loaded = load_surrogate(surrogate)
    with doing("comparing"):
        found = evaluate_surrogate(
            loaded,
            cache,
            dataset.inputs,
            dataset.labels,
            calibration=load_calibration(surrogate, loaded),
            n=n,
            alpha=alpha,
        )
    if out is not None:
        write_evaluation(found, out)
    left_out = f"{found.left_out} inputs that the surrogate was fitted to or calibrated on are left out"
    tables = evaluation_tables(found).values()
    print_result(as_json, evaluation_json(found), *tables, *([left_out] if found.left_out else []))


def _provenance(
    surrogate: Path, model: str | None, data: str | None, split: str, limit: int | None, skip: int
) -> Provenance:
    """Say where model and data are: where the user says, or where the surrogate's votes had them."""
    from smoothcert.errors import InvalidArgumentError
    from smoothcert.votes.store import Provenance, read_provenance

    kept = read_provenance(surrogate)
    if data is None and kept is None:
        raise InvalidArgumentError(f"data is missing, and {surrogate} does not say where that of its votes is")
    data = data or (kept.data if kept else "")
    model = model or (kept.model if kept and Path(kept.model).is_file() else "")
    return Provenance(model=model, data=data, split=split, limit=limit, skip=skip)


def _run_as_fitted(surrogate: Surrogate, model: str, dataset: Dataset, device: str | None) -> Classifier:
    """Run a model as the classifier that the surrogate was fitted for."""
    from smoothcert.errors import InvalidArgumentError
    from smoothcert.models import load_model
    from smoothcert.votes import run_as_made

    record = surrogate.record
    module = load_model(model, num_classes=dataset.num_classes, device=device).classifier
    if found := run_as_made(module, record.fingerprint, tuple(record.input_shape)):
        return found
    raise InvalidArgumentError(
        f"{model} is not the model that the surrogate was fitted for (fingerprint "
        f"{record.fingerprint[:12]}): give its checkpoint, or fit a surrogate to this one's votes"
    )

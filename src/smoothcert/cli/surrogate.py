"""``smoothcert surrogate``: learn the votes, and certify with few samples or none."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from smoothcert.cli import options
from smoothcert.cli.failures import Command
from smoothcert.cli.printing import doing, print_result, progress_bar, training_bar
from smoothcert.cli.surrogate_certify import certify, evaluate, guided

app = typer.Typer(
    help="Learn a classifier's votes under noise, and certify with few samples or none.", no_args_is_help=True
)


@app.command(cls=Command)
def votes(
    model: options.Model,
    data: options.Data,
    sigma: options.Sigma,
    n: Annotated[int, typer.Option("--n", help="Samples per input; 100,000 in the paper.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the votes; an interrupted call continues.")],
    split: options.Split = "train",
    limit: options.Limit = None,
    skip: options.Skip = 1,
    seed: options.Seed = 0,
    noise: options.Noise = "auto",
    levels: options.Levels = None,
    runtime: options.Runtime = "auto",
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Sample a model's votes under noise, to fit or to calibrate a surrogate.

    Example: smoothcert surrogate votes model.safetensors --data digits --sigma 0.25 --n 1000 --out runs/votes
    """
    from smoothcert.cli.dry_run import known_pace, show_cost
    from smoothcert.cli.inputs import open_dataset
    from smoothcert.votes import require_count
    from smoothcert.votes.store import Provenance, recording_provenance

    provenance = Provenance(model=model, data=data, split=split, limit=limit, skip=skip)
    if dry_run:
        samples = len(open_dataset(provenance)) * require_count("n", n)
        show_cost(as_json, samples, samples, known_pace(out))
        return
    with doing("loading PyTorch"):
        from smoothcert.cli.workspace import absolute, noise_law, open_inputs
        from smoothcert.surrogate import collect_votes

    law = noise_law(noise, levels, sigma, seed)
    opened = open_inputs(provenance, sigma=sigma, device=device, runtime=runtime)
    with recording_provenance(out, absolute(provenance)), progress_bar("votes") as progress:
        found = collect_votes(
            opened.classifier,
            opened.dataset,
            sigma=sigma,
            n=n,
            cache=out,
            seed=seed,
            noise=law,
            batch_size=batch_size,
            progress=progress,
        )
    invalid = int(n * len(found) - found.counts.sum())
    print_result(
        as_json,
        {"votes": str(out), "inputs": len(found), "n": n, "invalid_votes": invalid},
        f"{out}: {n:,} votes of each of {len(found)} inputs, {invalid} of them invalid",
    )


@app.command(cls=Command)
def fit(
    votes: Annotated[Path, typer.Argument(help="Folder of the votes.")],
    arch: Annotated[
        str, typer.Option("--arch", help="Architecture: resnet20, resnet56, resnet110, digits_conv, …")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the surrogate; an interrupted fit continues.")],
    recipe: Annotated[
        Literal["paper", "fast"], typer.Option("--recipe", help="The paper's 200 epochs, or a faster schedule.")
    ] = "paper",
    loss: Annotated[
        Literal["jensen-shannon", "cross-entropy"] | None, typer.Option("--loss", help="What is minimised.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the votes.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Inputs per step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="The largest learning rate.")
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror every other image: for photographs only.")] = False,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--start-from", help="Checkpoint of the same architecture to start from, such as the model's."
        ),
    ] = None,
    data: options.MovedData = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of weights, order, and what is held out.")] = 0,
    device: options.Device = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Fit a surrogate to votes: a network that predicts them from the clean input.

    Example: smoothcert surrogate fit runs/votes --arch digits_conv --recipe fast --out runs/surrogate
    """
    from dataclasses import replace

    with doing("loading PyTorch"):
        from smoothcert.cli.dry_run import show_cost
        from smoothcert.cli.workspace import absolute, open_labels
        from smoothcert.models import ARCHITECTURES, load_checkpoint
        from smoothcert.surrogate import fit_surrogate, surrogate_recipe
        from smoothcert.votes.store import CertificationCache, read_provenance, write_provenance

    chosen = {"loss": loss, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    changes = {name: value for name, value in chosen.items() if value is not None}
    how = replace(surrogate_recipe(recipe), flip=flip, **changes)  # type: ignore[arg-type]
    if dry_run:
        inputs = len(CertificationCache(votes))
        show_cost(as_json, how.epochs * inputs, most=True, what=f"{how.epochs} epochs of gradient steps")
        return
    start = None if start_from is None else load_checkpoint(start_from)
    with training_bar() as progress:
        result = fit_surrogate(
            votes,
            open_labels(votes, data=data).inputs,
            arch=arch if arch in ARCHITECTURES else f"cifar_{arch}",
            module=None if start is None else start.module,
            recipe=how,
            out=out,
            seed=seed,
            device=device,
            progress=progress,
        )
    if (provenance := read_provenance(votes)) is not None:
        write_provenance(out, absolute(provenance if data is None else replace(provenance, data=data)))
    last, record = result.history[-1], result.surrogate.record
    facts = {
        "surrogate": str(out),
        "inputs": record.inputs,
        "held_out": record.held_out,
        "epochs": len(result.history),
        "loss": last.loss,
        "held_out_loss": last.held_out_loss,
    }
    print_result(
        as_json,
        facts,
        f"{out}: fitted to {record.inputs} inputs, {record.held_out} held out; {how.loss} {last.loss:.4f}, "
        f"held out {last.held_out_loss:.4f}",
    )


@app.command(cls=Command)
def calibrate(
    surrogate: options.SurrogateFolder,
    votes: Annotated[Path, typer.Option("--votes", help="Votes of inputs that the surrogate was not fitted to.")],
    miss: Annotated[
        float, typer.Option("--miss", help="Share of inputs whose radius may exceed the sampled one.")
    ] = 0.05,
    beta: Annotated[float, typer.Option("--beta", help="Failure probability of the calibration.")] = 0.05,
    groups: Annotated[int, typer.Option("--groups", help="Groups of radius in which it holds.")] = 3,
    alpha: options.SamplingAlpha = 0.001,
    data: options.MovedData = None,
    as_json: options.Json = False,
) -> None:
    """Calibrate a surrogate's radii: few of them then exceed the ones that sampling certifies.

    Example: smoothcert surrogate calibrate runs/surrogate --votes runs/calibration --miss 0.05
    """
    with doing("loading PyTorch"):
        from smoothcert.cli.workspace import open_labels
        from smoothcert.surrogate import calibrate_surrogate, load_surrogate

    loaded, inputs = load_surrogate(surrogate), open_labels(votes, data=data).inputs
    with doing("calibrating"):
        found = calibrate_surrogate(
            loaded, votes, inputs, miss=miss, beta=beta, groups=groups, alpha=alpha, out=surrogate
        )
    facts = {"promise": found.summary(), "thresholds": found.thresholds, "counts": found.counts}
    print_result(as_json, facts, f"calibrated: {found.summary()}")


app.command(cls=Command)(certify)
app.command(cls=Command)(guided)
app.command(cls=Command)(evaluate)

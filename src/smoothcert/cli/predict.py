"""``smoothcert predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from smoothcert.cli import options
from smoothcert.cli.printing import doing, print_result, progress_bar, warn_once


def predict(
    model: options.Model,
    data: options.Data,
    sigma: options.Sigma,
    split: options.Split = "test",
    limit: options.Limit = None,
    skip: options.Skip = 1,
    n: Annotated[int, typer.Option("--n", help="Samples per input.")] = 1000,
    alpha: Annotated[float, typer.Option("--alpha", help="Probability of a wrong class.")] = 0.001,
    seed: options.Seed = 0,
    noise: options.Noise = "auto",
    levels: options.Levels = None,
    runtime: options.Runtime = "auto",
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    arch: options.Arch = None,
    normalization: options.Normalization = None,
    as_json: options.Json = False,
) -> None:
    """Predict the smoothed classifier's class of each input, or abstain (-1).

    Example: smoothcert predict model/checkpoint.safetensors --data digits --sigma 0.25 --limit 20
    """
    with doing("loading PyTorch"):
        from smoothcert.cli.workspace import noise_law, open_inputs
        from smoothcert.procedures import near_chance, odd_sigma
        from smoothcert.procedures import predict as run_predict
        from smoothcert.votes.store import Provenance

    law = noise_law(noise, levels, sigma, seed)
    provenance = Provenance(
        model=model, data=data, split=split, limit=limit, skip=skip, arch=arch, normalization=normalization
    )
    opened = open_inputs(provenance, sigma=sigma, device=device, runtime=runtime)
    dataset = opened.dataset
    with progress_bar("predict") as progress:
        labels = run_predict(
            opened.classifier,
            dataset.inputs,
            sigma=sigma,
            n=n,
            alpha=alpha,
            seed=seed,
            noise=law,
            batch_size=batch_size,
            progress=progress,
        )
    claimed = labels != -1
    cautions = (*odd_sigma(sigma), *near_chance(labels[claimed], dataset.labels[claimed], dataset.num_classes))
    abstained, right = int((labels == -1).sum()), int((labels == dataset.labels).sum())
    print_result(
        as_json,
        {"predictions": labels.tolist(), "abstained": abstained, "correct": right, "cautions": list(cautions)},
        " ".join(str(label) for label in labels),
        f"{right} of {len(labels)} right, {abstained} abstained (-1), alpha = {alpha:g}",
    )
    warn_once(cautions)

"""``smoothcert train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothcert.cli import options
from smoothcert.cli.printing import doing, print_result, training_bar


def train(
    data: options.Data,
    arch: Annotated[str, typer.Option("--arch", help="Architecture, such as digits_conv or cifar_resnet20.")],
    sigma: options.Sigma,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the checkpoint; an interrupted training continues.")
    ],
    split: options.Split = "train",
    limit: options.Limit = None,
    skip: options.Skip = 1,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Inputs per step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="The largest learning rate.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of weights, order, augmentation and noise.")] = 0,
    device: options.Device = None,
    as_json: options.Json = False,
) -> None:
    """Train a classifier on noisy inputs, so that its smoothed classifier is accurate.

    Example: smoothcert train --data digits --arch digits_conv --sigma 0.25 --out runs/model
    """
    from dataclasses import replace

    with doing("loading PyTorch"):
        from smoothcert.data import load_dataset
        from smoothcert.training import default_recipe, noisy_accuracy
        from smoothcert.training import train as run_train

    chosen = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    recipe = replace(default_recipe(arch), **{k: v for k, v in chosen.items() if v is not None})  # type: ignore[arg-type]
    with doing(f"reading {data}"):
        dataset = load_dataset(data, split, limit, skip)
    with training_bar() as progress:
        result = run_train(dataset, recipe, sigma=sigma, out=out, seed=seed, device=device, progress=progress)
    with doing("measuring the accuracy under noise"):
        accuracy = noisy_accuracy(result.model.module, dataset, sigma=sigma)
    checkpoint = out / "checkpoint.safetensors"
    facts = {"checkpoint": str(checkpoint), "epochs": recipe.epochs, "accuracy_under_noise": accuracy}
    print_result(
        as_json, facts, f"{checkpoint}: accuracy {accuracy:.3f} on {len(dataset.inputs)} noisy inputs of {split!r}"
    )

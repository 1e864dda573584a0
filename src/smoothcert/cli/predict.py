"""``smoothcert predict``."""

from __future__ import annotations

from typing import Annotated

import typer

from smoothcert.cli.common import (
    BatchOption,
    DataOption,
    DeviceOption,
    JsonOption,
    LevelsOption,
    LimitOption,
    NoiseOption,
    SeedOption,
    SigmaOption,
    SkipOption,
    SplitOption,
    load_data,
    load_model,
    noise_law,
    print_json,
    progress_bar,
    show,
)


def predict(
    model: Annotated[str, typer.Argument(help="Checkpoint: locuslab's .pth.tar, or safetensors.")],
    data: DataOption,
    sigma: SigmaOption,
    split: SplitOption = "test",
    limit: LimitOption = None,
    skip: SkipOption = 1,
    n: Annotated[int, typer.Option("--n", help="Samples per input.")] = 1000,
    alpha: Annotated[float, typer.Option("--alpha", help="Probability of a wrong class.")] = 0.001,
    seed: SeedOption = 0,
    noise: NoiseOption = "auto",
    levels: LevelsOption = None,
    batch_size: BatchOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the smoothed classifier's class of each input, or abstain (-1).

    Example: smoothcert predict model/checkpoint.safetensors --data digits --sigma 0.25 --limit 20
    """
    from smoothcert.procedures import predict as run_predict

    dataset = load_data(data, split, limit, skip)
    _, classifier = load_model(model, device, dataset.num_classes)
    with progress_bar("predict") as progress:
        labels = run_predict(
            classifier,
            dataset.inputs,
            sigma=sigma,
            n=n,
            alpha=alpha,
            seed=seed,
            noise=noise_law(noise, levels, sigma, seed),
            batch_size=batch_size,
            progress=progress,
        )
    abstained, right = int((labels == -1).sum()), int((labels == dataset.labels).sum())
    if as_json:
        print_json({"predictions": labels.tolist(), "abstained": abstained, "correct": right})
        return
    show(" ".join(str(label) for label in labels))
    show(f"{right} of {len(labels)} right, {abstained} abstained (-1), alpha = {alpha:g}")

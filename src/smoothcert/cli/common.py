"""Options and helpers that several commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from smoothcert.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from smoothcert.classifiers import TorchClassifier
    from smoothcert.data import Dataset
    from smoothcert.fitting import EpochProgress
    from smoothcert.models import LoadedModel
    from smoothcert.noise import NoiseName, NoiseStream

DataOption = Annotated[str, typer.Option("--data", help="'digits', or the path of a data set.")]
SplitOption = Annotated[str, typer.Option("--split", help="Which part of the data set.")]
LimitOption = Annotated[int | None, typer.Option("--limit", help="Take at most this many inputs.")]
SkipOption = Annotated[int, typer.Option("--skip", help="Take every skip-th input.")]
SigmaOption = Annotated[
    float, typer.Option("--sigma", help="Standard deviation of the noise, for inputs in [0, 1].")
]
NoiseOption = Annotated[
    Literal["auto", "grid", "gaussian", "quantised"],
    typer.Option(
        "--noise",
        help="Exact noise on the inputs' grid, float noise, or whichever fits; 'quantised' first rounds inputs "
        "to the grid and certifies those.",
    ),
]
RuntimeName = Literal["auto", "eager", "compile", "onnx"]
RuntimeOption = Annotated[
    RuntimeName,
    typer.Option("--runtime", help="What runs the model: PyTorch, torch.compile, ONNX Runtime, or the fastest."),
]
LevelsOption = Annotated[
    int | None, typer.Option("--levels", help="Grid steps per unit for --noise grid or quantised.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the noise stream.")]
DeviceOption = Annotated[str | None, typer.Option("--device", help="Where to run, such as 'cuda'.")]
BatchOption = Annotated[int | None, typer.Option("--batch-size", help="Forward passes at once.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def show(*lines: str) -> None:
    """Print lines for people as they are: no markup, nothing that a terminal would obey."""
    from rich.text import Text

    for line in lines:
        console().print(Text(printable(line)), soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning, on standard error."""
    typer.echo(f"warning: {printable(text)}", err=True)


def console() -> Console:
    """Return a console for people, on standard output."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show samples done, samples/s and the time left, on standard error; refreshed twice a second."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        task = bar.add_task(printable(what), total=None, rate="")

        def report(done: int, total: int) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:,.0f}/s" if speed else "")

        yield report


@contextmanager
def training_bar() -> Iterator[Callable[[EpochProgress], None]]:
    """Show epochs, the loss and inputs/s, on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        task = bar.add_task("train", total=None, state="")

        def report(p: EpochProgress) -> None:
            done = (p.epoch - 1) * p.steps + p.step
            state = f"epoch {p.epoch}/{p.epochs}, loss {p.loss:.3f}, {p.samples_per_second:,.0f}/s"
            bar.update(task, completed=done, total=p.epochs * p.steps, state=state)

        yield report


def load_model(path: str, device: str | None, num_classes: int) -> tuple[LoadedModel, TorchClassifier]:
    """Load a checkpoint as a classifier, checking it against the data's number of classes."""
    from smoothcert.classifiers import TorchClassifier
    from smoothcert.errors import InvalidArgumentError
    from smoothcert.models import load_checkpoint

    model = load_checkpoint(Path(path))
    if model.num_classes != num_classes:
        raise InvalidArgumentError(
            f"{path} has {model.num_classes} classes, but the data has {num_classes}: use data of the same classes"
        )
    return model, TorchClassifier(model.module, model.num_classes, device=device)


def load_data(data: str, split: str, limit: int | None, skip: int) -> Dataset:
    """Load a data set."""
    from smoothcert.data import load_dataset

    return load_dataset(data, split, limit, skip)


def noise_law(noise: NoiseName, levels: int | None, sigma: float, seed: int) -> NoiseName | NoiseStream:
    """Return what `certify` takes as its noise: a name, or the stream of a grid of the caller's."""
    from smoothcert.errors import InvalidArgumentError
    from smoothcert.noise import GridNoise

    if levels is None:
        return noise
    if noise not in ("grid", "quantised"):
        raise InvalidArgumentError(f"levels is {levels}, but noise is {noise!r}: it is for grid and quantised")
    return GridNoise(sigma, seed, levels, quantise=noise == "quantised")


def print_json(value: Any) -> None:
    """Print one JSON object."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))

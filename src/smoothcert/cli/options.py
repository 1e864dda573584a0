"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Model = Annotated[
    str,
    typer.Argument(
        help="A checkpoint, .onnx or .pt2 file; PACKAGE.MODULE:FUNCTION that returns a model; hf:FOLDER-OR-ID; "
        "timm:NAME[@FILE]."
    ),
]
MovedModel = Annotated[str | None, typer.Option("--model", help="Model of the base, if it has moved.")]
Arch = Annotated[
    str | None,
    typer.Option(
        "--arch",
        help="For a plain state dict: cifar_resnet20, resnet50, …, or PACKAGE.MODULE:FUNCTION that returns the "
        "module to fill.",
    ),
]
Normalization = Annotated[
    str | None,
    typer.Option(
        "--normalization",
        help="What stands in front of a plain state dict's network: none, cifar10, imagenet or digits.",
    ),
]
Data = Annotated[str, typer.Option("--data", help="'digits', or the path of a data set.")]
MovedData = Annotated[str | None, typer.Option("--data", help="Data set, if it has moved.")]
Split = Annotated[str, typer.Option("--split", help="Which part of the data set.")]
Limit = Annotated[int | None, typer.Option("--limit", help="Take at most this many inputs.")]
Skip = Annotated[int, typer.Option("--skip", help="Take every skip-th input.")]
Sigma = Annotated[float, typer.Option("--sigma", help="Standard deviation of the noise, for inputs in [0, 1].")]
Noise = Annotated[
    Literal["auto", "grid", "gaussian", "quantised"],
    typer.Option(
        "--noise",
        help="Exact noise on the inputs' grid, float noise, or whichever fits; 'quantised' first rounds inputs "
        "to the grid and certifies those.",
    ),
]
RuntimeName = Literal["auto", "eager", "compile", "onnx", "openvino"]  # as in `with_runtime`, which loads torch
Runtime = Annotated[
    RuntimeName,
    typer.Option(
        "--runtime",
        help="What runs the model: PyTorch, torch.compile, ONNX Runtime or OpenVINO. By default ONNX Runtime on "
        "the CPU, if it can, and PyTorch elsewhere.",
    ),
]
Levels = Annotated[int | None, typer.Option("--levels", help="Grid steps per unit for --noise grid or quantised.")]
AlphaZeta = Annotated[float, typer.Option("--alpha-zeta", help="Failure probability beyond the cache's alpha.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the noise stream.")]
Device = Annotated[str | None, typer.Option("--device", help="Where to run, such as 'cuda'.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", help="Forward passes at once.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say at once what it would cost, and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
SurrogateFolder = Annotated[Path, typer.Argument(help="Folder of the surrogate.")]
SamplingAlpha = Annotated[float, typer.Option("--alpha", help="Failure probability of what sampling certifies.")]

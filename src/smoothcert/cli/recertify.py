"""``smoothcert recertify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from smoothcert.cli.common import BatchOption, DeviceOption, JsonOption, console, print_json, progress_bar


def recertify(
    cache: Annotated[Path, typer.Argument(help="Folder with the votes of the base, from certify.")],
    candidate: Annotated[
        list[str],
        typer.Option(
            "--candidate",
            help="fp16, bf16, int8, prune:AMOUNT, prune-global:AMOUNT, package.module:function, a checkpoint or a "
            ".onnx file; may be given several times.",
        ),
    ],
    n_p: Annotated[int, typer.Option("--n-p", help="Samples of each candidate per input.")],
    alpha_zeta: Annotated[
        float, typer.Option("--alpha-zeta", help="Failure probability of zeta's bound.")
    ] = 0.001,
    gamma: Annotated[
        str, typer.Option("--gamma", help="Threshold between the branches in (1/2, 1], or 'auto'.")
    ] = "0.99",
    model: Annotated[str | None, typer.Option("--model", help="Checkpoint of the base, if it has moved.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="Data set, if it has moved.")] = None,
    baseline: Annotated[
        bool, typer.Option(help="Draw selection samples too, so that compare can show certification from scratch.")
    ] = True,
    batch_size: BatchOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recertify changed models from the votes of the base, with few samples each.

    Example: smoothcert recertify runs/base --candidate int8 --candidate prune:0.10 --n-p 1000
    """
    from smoothcert.cli.workspace import open_workspace, recertify_candidate
    from smoothcert.evaluation import mean_zeta

    threshold = _gamma(gamma)
    workspace = open_workspace(cache, model=model, data=data, device=device)
    candidates = [workspace.make(spec) for spec in candidate]  # all of them, before any long work
    rows = []
    for spec, made in zip(candidate, candidates, strict=True):
        with progress_bar(made.name) as progress:
            run = recertify_candidate(
                workspace,
                spec,
                made,
                n_p=n_p,
                alpha_zeta=alpha_zeta,
                gamma=threshold,
                baseline=baseline,
                batch_size=batch_size,
                progress=progress,
            )
        certificates = run.certificates
        zeta = mean_zeta(certificates)
        rows.append(
            {
                "candidate": made.name,
                "computes": made.description,
                "certified": int(certificates.certified.sum()),
                "inputs": len(certificates),
                "mean_zeta": zeta,
                "alpha": certificates.alpha,
                "gamma": run.gamma,
                "identical": run.identical,
                "samples": run.timing.samples,
                "seconds": run.timing.seconds,
            }
        )
        if not as_json:
            same = "; its outputs are bit-identical to the base's: not an approximation" if run.identical else ""
            console().print(
                f"{made.name}: {certificates.summary()}; mean zeta {zeta:.4f}{same}\n  {made.description}"
            )
    if as_json:
        print_json(rows)


def _gamma(text: str) -> float | Literal["auto"]:
    from smoothcert.errors import InvalidArgumentError

    try:
        return "auto" if text == "auto" else float(text)
    except ValueError as error:
        raise InvalidArgumentError(
            f"gamma is {text!r}: it must be in (1/2, 1], such as 0.99, or 'auto'"
        ) from error

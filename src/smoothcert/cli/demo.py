"""``smoothcert demo``."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from smoothcert.cli.printing import show

CANDIDATES = ("fp16", "bf16", "int8", "prune:0.10", "prune:0.20", "prune-global:0.20")
SIGMA = 0.25
VOTES = 200


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the model, the votes and the report.")],
    limit: Annotated[int, typer.Option("--limit", help="Digits to certify.")] = 100,
    n: Annotated[int, typer.Option("--n", help="Estimation samples per digit.")] = 10_000,
    n_p: Annotated[int, typer.Option("--n-p", help="Samples of each candidate per digit.")] = 1000,
) -> None:
    """Certify, change the model, recertify, learn the votes: end to end on digits, in about a minute.

    Example: smoothcert demo --out runs/demo
    """
    began = time.perf_counter()
    steps = _steps(out, limit, n, n_p)
    for number, (what, commands) in enumerate(steps, 1):
        show("", f"{number}/{len(steps)} {what}")
        for arguments in commands:
            show(f"$ smoothcert {shlex.join(arguments)}")
            _run(arguments)
    show("", f"done in {time.perf_counter() - began:.0f} s; look at {out / 'report'}")


def _steps(out: Path, limit: int, n: int, n_p: int) -> list[tuple[str, list[list[str]]]]:
    """Return what each step is called, and its commands."""
    model, cache, surrogate, report, votes, calibration = (
        shlex.quote(str(out / name)) for name in ("model", "cache", "surrogate", "report", "votes", "calibration")
    )
    checkpoint = shlex.quote(str(out / "model" / "checkpoint.safetensors"))
    candidates = " ".join(f"--candidate {c}" for c in CANDIDATES)
    digits = f"{checkpoint} --data digits --sigma {SIGMA}"
    steps = [
        (
            "Train a small conv net on digits under Gaussian noise",
            [f"train --data digits --arch digits_conv --sigma {SIGMA} --out {model}"],
        ),
        (
            f"Certify the smoothed classifier around {limit} digits, {n:,} noisy copies each; keep all votes",
            [f"certify {digits} --limit {limit} --n {n} --cache {cache}"],
        ),
        (
            f"Change the model in {len(CANDIDATES)} ways, and recertify each with {n_p:,} copies a digit",
            [f"recertify {cache} {candidates} --n-p {n_p}"],
        ),
        ("Compare, beside what certification from scratch would need", [f"compare {cache}"]),
        ("Write tables and plots", [f"report {cache} --out {report}"]),
        (
            "Learn the votes of the training digits: a surrogate predicts them from the clean digit",
            [
                f"surrogate votes {digits} --n {VOTES} --out {votes}",
                f"surrogate fit {votes} --arch digits_conv --recipe fast --start-from {checkpoint} "
                f"--out {surrogate}",
            ],
        ),
        (
            "Calibrate its radii on votes of other digits, then give digits a radius without a noisy copy",
            [
                f"surrogate votes {digits} --split test --skip 2 --n 500 --out {calibration}",
                f"surrogate calibrate {surrogate} --votes {calibration} --miss 0.1 --beta 0.1",
                f"surrogate certify {surrogate} --data digits --n0 0",
            ],
        ),
        ("Compare the surrogate with sampling", [f"surrogate evaluate {surrogate} --cache {cache}"]),
    ]
    return [(what, [shlex.split(command) for command in commands]) for what, commands in steps]


def _run(arguments: list[str]) -> None:
    from smoothcert.cli import app

    result: Any = app(arguments, standalone_mode=False)
    if result not in (None, 0):
        raise typer.Exit(int(result))

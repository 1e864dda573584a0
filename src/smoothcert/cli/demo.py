"""``smoothcert demo``."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from smoothcert.cli.common import console

CANDIDATES = ("fp16", "bf16", "int8", "prune:0.10", "prune:0.20", "prune-global:0.20")
SIGMA = 0.25


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the model, the votes and the report.")],
    limit: Annotated[int, typer.Option("--limit", help="Digits to certify.")] = 100,
    n: Annotated[int, typer.Option("--n", help="Estimation samples per digit.")] = 10_000,
    n_p: Annotated[int, typer.Option("--n-p", help="Samples of each candidate per digit.")] = 1000,
) -> None:
    """Certify, change the model, recertify: end to end on scikit-learn's digits, in about a minute.

    Example: smoothcert demo --out runs/demo
    """
    began = time.perf_counter()
    model, cache = out / "model", out / "cache"
    steps: list[tuple[str, list[str]]] = [
        (
            "Train a small conv net on digits under Gaussian noise",
            ["train", "--data", "digits", "--arch", "digits_conv", "--sigma", str(SIGMA), "--out", str(model)],
        ),
        (
            f"Certify the smoothed classifier around {limit} digits, {n:,} noisy copies each; keep all votes",
            shlex.split(
                f"certify {model}/checkpoint.safetensors --data digits --limit {limit} --sigma {SIGMA} "
                f"--n {n} --cache {cache}"
            ),
        ),
        (
            f"Change the model in {len(CANDIDATES)} ways, and recertify each from the votes with {n_p:,} copies",
            ["recertify", str(cache), *(w for c in CANDIDATES for w in ("--candidate", c)), "--n-p", str(n_p)],
        ),
        ("Compare, beside certification from scratch with the same samples", ["compare", str(cache)]),
        ("Write tables and plots", ["report", str(cache), "--out", str(out / "report")]),
    ]
    show = console()
    for number, (what, arguments) in enumerate(steps, 1):
        show.print(f"\n[bold]{number}/{len(steps)} {what}[/bold]")
        show.print(f"$ smoothcert {shlex.join(arguments)}", soft_wrap=True)
        _run(arguments)
    show.print(f"\ndone in {time.perf_counter() - began:.0f} s; look at {out / 'report'}")


def _run(arguments: list[str]) -> None:
    from smoothcert.cli import app

    result: Any = app(arguments, standalone_mode=False)
    if result not in (None, 0):
        raise typer.Exit(int(result))

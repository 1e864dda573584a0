"""``smoothcert plan``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smoothcert.cli import options
from smoothcert.cli.printing import doing, print_result

if TYPE_CHECKING:
    from smoothcert.procedures import PlanBasis

_QUANTILES = 64  # that stand for a Beta distribution


def plan(
    cache: Annotated[Path | None, typer.Argument(help="Cache to plan for; without it, say what p_A is.")] = None,
    p_a: Annotated[
        str | None, typer.Option("--p-a", help="Assumed p_A: one value, or one for each input, as 0.7,0.9,0.99.")
    ] = None,
    beta: Annotated[str | None, typer.Option("--beta", help="Assumed Beta distribution of p_A, as 2,0.5.")] = None,
    inputs: Annotated[int | None, typer.Option("--inputs", help="Number of inputs, without a cache.")] = None,
    sigma: Annotated[
        float | None, typer.Option("--sigma", help="Standard deviation of the noise, without a cache.")
    ] = None,
    acr_within: Annotated[
        float | None,
        typer.Option("--acr-within", help="Target: mean radius at most this share below the reference, as 0.01."),
    ] = None,
    n_p: Annotated[
        int | None, typer.Option("--n-p", help="Target: what so many samples per input get each method to.")
    ] = None,
    radius: Annotated[
        float | None, typer.Option("--radius", help="Target: decide for each input whether it is certified there.")
    ] = None,
    candidates: Annotated[int, typer.Option("--candidates", help="Number of candidates.")] = 1,
    n0: Annotated[int, typer.Option("--n0", help="Selection samples per input, without a cache.")] = 100,
    n: Annotated[int, typer.Option("--n", help="Estimation samples of the base, without a cache.")] = 100_000,
    alpha: Annotated[float, typer.Option("--alpha", help="Failure probability, without a cache.")] = 0.001,
    alpha_zeta: Annotated[
        float, typer.Option("--alpha-zeta", help="Failure probability of candidates beyond alpha.")
    ] = 0.001,
    disagreement: Annotated[
        float, typer.Option("--disagreement", help="Expected disagreement c; 0.044 is about 1 % at p_A = 0.8.")
    ] = 0.044,
    seconds_per_sample: Annotated[
        float | None, typer.Option("--seconds-per-sample", help="Time of a forward pass; by default the cache's.")
    ] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Time the cache's model now, on a few batches.")] = False,
    model: Annotated[str | None, typer.Option("--model", help="Checkpoint of the base, for --probe.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="Data set, for --probe.")] = None,
    device: options.Device = None,
    as_json: options.Json = False,
) -> None:
    """Say what each method would need for a target: samples, time and disk, before anything is run.

    Example: smoothcert plan runs/base --acr-within 0.01 --candidates 20
    """
    with doing("loading libraries"):
        from smoothcert.errors import InvalidArgumentError
        from smoothcert.procedures import plan as run_plan
        from smoothcert.reporting import plan_json, plan_lines, plan_table

    if probe:
        if cache is None:
            raise InvalidArgumentError("probe is set, but there is no cache: give --seconds-per-sample instead")
        seconds_per_sample = _probe(cache, model, data, device)
    basis = _base(cache, p_a, beta, sigma=sigma, inputs=inputs, n0=n0, n=n, alpha=alpha)
    with doing("planning"):
        found = run_plan(
            basis,
            acr_within=acr_within,
            n_p=n_p,
            radius=radius,
            candidates=candidates,
            alpha_zeta=alpha_zeta,
            disagreement=disagreement,
            seconds_per_sample=seconds_per_sample,
        )
    print_result(as_json, plan_json(found), plan_table(found), *plan_lines(found))


def _probe(cache: Path, model: str | None, data: str | None, device: str | None) -> float:
    with doing("loading libraries"):
        from smoothcert.cli.workspace import open_workspace
        from smoothcert.procedures import seconds_per_sample
        from smoothcert.votes.store import CertificationCache

    workspace = open_workspace(cache, model=model, data=data, device=device)
    with doing("timing a few batches"):
        return seconds_per_sample(
            workspace.base,
            workspace.dataset.inputs,
            sigma=CertificationCache(cache).manifest.sigma,
        )


def _base(
    cache: Path | None,
    p_a: str | None,
    beta: str | None,
    *,
    sigma: float | None,
    inputs: int | None,
    n0: int,
    n: int,
    alpha: float,
) -> Path | PlanBasis:
    """Return what the plan rests on: a cache, or what the options assume."""
    from smoothcert.errors import InvalidArgumentError
    from smoothcert.procedures import assumed_base

    if cache is not None:
        if p_a is not None or beta is not None:
            raise InvalidArgumentError("give a cache or an assumption about p_A, not both")
        return cache
    p_A = _assumed(p_a, beta)
    if sigma is None:
        raise InvalidArgumentError("sigma is missing: without a cache, give the noise's standard deviation")
    return assumed_base(p_A, sigma=sigma, inputs=inputs, n0=n0, n=n, alpha=alpha)


def _assumed(p_a: str | None, beta: str | None) -> list[float]:
    """Return the p_A that is assumed; of a Beta distribution, quantiles at even levels."""
    from scipy.special import betaincinv

    from smoothcert.errors import InvalidArgumentError

    if (p_a is None) == (beta is None):
        raise InvalidArgumentError("give a cache, or --p-a, or --beta: one of them")
    if p_a is not None:
        return _numbers("p-a", p_a)
    shape = _numbers("beta", str(beta))
    if len(shape) != 2 or not all(0 < b < float("inf") for b in shape):
        raise InvalidArgumentError(f"beta is {beta!r}: give two positive numbers, such as 2,0.5")
    a, b = shape
    return [float(betaincinv(a, b, (i + 0.5) / _QUANTILES)) for i in range(_QUANTILES)]


def _numbers(name: str, text: str) -> list[float]:
    from smoothcert.errors import InvalidArgumentError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidArgumentError(f"{name} is {text!r}: give numbers with commas between them") from error

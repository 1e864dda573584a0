"""``smoothcert recertify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from smoothcert.cli import options
from smoothcert.cli.candidate_rows import counted, decided_at, lines_of, row_of
from smoothcert.cli.printing import doing, note, print_json, progress_bar, show, warn, warn_once

if TYPE_CHECKING:
    from smoothcert.procedures import BoundName, Irs, Joint


def recertify(
    cache: Annotated[Path, typer.Argument(help="Folder with the votes of the base, from certify.")],
    candidate: Annotated[
        list[str],
        typer.Option(
            "--candidate",
            help="fp16, bf16, int8, prune:AMOUNT, prune-global:AMOUNT, PACKAGE.MODULE:FUNCTION, a checkpoint, "
            ".onnx or .pt2 file, hf:FOLDER-OR-ID, timm:NAME[@FILE]; bf16:torch, bf16:openvino, int8:onnx and "
            "int8:openvino name the runtime; may be given several times.",
        ),
    ],
    n_p: Annotated[
        int | None,
        typer.Option(
            "--n-p", help="Samples of each candidate per input, on average; by default a tenth of the cache's n."
        ),
    ] = None,
    spread: Annotated[
        Literal["budget", "even"] | None,
        typer.Option(
            "--spread",
            help="Spend them where they buy radius, or n-p on every input, as in the paper. By default the "
            "budget, but 'even' with bound irs, --runner-up or --holdout, which need it.",
        ),
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option(
            "--radius", help="Decide only whether each input is still certified at this radius, with few samples."
        ),
    ] = None,
    bound: Annotated[
        Literal["auto", "joint", "irs"],
        typer.Option("--bound", help="How votes become a bound; 'irs' is the incremental paper's."),
    ] = "auto",
    alpha_zeta: options.AlphaZeta = 0.001,
    gamma: Annotated[
        str, typer.Option("--gamma", help="For bound irs: threshold between its branches in (1/2, 1], or 'auto'.")
    ] = "0.99",
    runner_up: Annotated[
        bool, typer.Option("--runner-up", help="Bound the other classes too, at half of alpha each.")
    ] = False,
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help="Let the certificates of all candidates of this call hold at once (bounds auto and joint).",
        ),
    ] = False,
    holdout: Annotated[
        str | None,
        typer.Option(
            "--holdout",
            metavar="START:STOP",
            help="Samples of the cache that nobody looked at while the candidates were made; instead of --n-p.",
        ),
    ] = None,
    model: options.MovedModel = None,
    data: options.MovedData = None,
    baseline: Annotated[
        bool,
        typer.Option(
            help="With --spread even, draw selection samples too: compare then shows certification from scratch."
        ),
    ] = True,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Recertify changed models from the votes of the base, with few samples each.

    Example: smoothcert recertify runs/base --candidate int8 --candidate prune:0.10 --n-p 1000
    """
    with doing("loading libraries"):
        from smoothcert.procedures import require_samples, reserve_holdout, spread_of

    samples = _samples(n_p, holdout)
    if radius is None:
        samples = _a_tenth(cache, alpha_zeta) if samples is None else samples
        require_samples(samples)
    else:
        _require_no_bound(bound, runner_up, together, spread)
    chosen = _chosen(bound, gamma, runner_up=runner_up, together=len(candidate) if together else 1)
    spreads = spread_of(spread, chosen, held_out=isinstance(samples, range))  # refuses what no bound allows
    if dry_run:
        _show_cost(cache, len(candidate), samples, radius, baseline and spreads == "even", as_json)
        return
    with doing("loading PyTorch"):
        from smoothcert.cli.candidates import decide_candidate, recertify_candidate
        from smoothcert.cli.workspace import open_workspace
    workspace = open_workspace(cache, model=model, data=data, device=device)
    candidates = [workspace.make(spec) for spec in candidate]  # all of them, before any long work
    if isinstance(samples, range):
        reserve_holdout(cache, samples, [made.classifier for made in candidates])
    else:
        _warn_of_others(cache, {made.name for made in candidates})
    dataset, said = workspace.dataset, set[str]()
    rows = []
    for made in candidates:
        with progress_bar(made.name) as progress:
            if radius is not None:
                decided = decide_candidate(workspace, made, radius, samples, alpha_zeta, batch_size, progress)
                row = {**row_of(made, decided), **decided_at(decided, radius, dataset.labels)}
            elif samples is not None:
                run = recertify_candidate(
                    workspace, made, samples, spread, chosen, alpha_zeta, baseline, batch_size, progress
                )
                row = {**row_of(made, run), **counted(run)}
        rows.append(row)
        if not as_json:
            show(*lines_of(row))
        warn_once(row["cautions"], said)
    if as_json:
        print_json(rows)


def _a_tenth(cache: Path, alpha_zeta: float) -> int:
    """Choose n_p, and say so."""
    from smoothcert.procedures import default_n_p
    from smoothcert.votes import require_probability
    from smoothcert.votes.store import CertificationCache

    made = CertificationCache(cache).manifest
    n_p = default_n_p(made.n, made.alpha + require_probability("alpha_zeta", alpha_zeta))
    note(f"--n-p is {n_p:,}, as none is given: a tenth of the cache's {made.n:,}, and enough to certify anything")
    return n_p


def _show_cost(
    cache: Path, candidates: int, samples: int | range | None, radius: float | None, selection: bool, as_json: bool
) -> None:
    from smoothcert.cli.dry_run import known_pace, show_cost
    from smoothcert.errors import InvalidArgumentError
    from smoothcert.procedures import DEFAULT_SAMPLES
    from smoothcert.votes.store import CertificationCache

    store = CertificationCache(cache)
    n = store.manifest.n
    n_p = min(DEFAULT_SAMPLES, n) if samples is None else len(samples) if isinstance(samples, range) else samples
    if (samples.stop if isinstance(samples, range) else n_p) > n:
        raise InvalidArgumentError(f"n_p is {n_p}, but the cache {cache} holds n = {n} votes per input")
    votes = candidates * len(store) * n_p
    drawn = votes + (candidates * len(store) * store.manifest.n0 if selection and radius is None else 0)
    what = "candidates may be faster or slower than the base, and what is kept of them already is not drawn again"
    show_cost(as_json, drawn, votes, known_pace(cache), most=True, what=what)


def _warn_of_others(cache: Path, names: set[str]) -> None:
    from smoothcert.votes.store import read_candidates

    if earlier := sum(record.name not in names for record in read_candidates(cache)):
        warn(
            f"{earlier} other candidates were evaluated on samples of this cache. A candidate that was chosen or "
            "changed after looking at their results is not covered: certify it on samples that nobody looked at "
            "(--holdout START:STOP) or on fresh noise (smoothcert audit)"
        )


def _samples(n_p: int | None, holdout: str | None) -> int | range | None:
    from smoothcert.errors import InvalidArgumentError

    if holdout is None:
        return n_p
    start, _, stop = holdout.partition(":")
    if not (start.isdecimal() and stop.isdecimal()):
        raise InvalidArgumentError(f"holdout is {holdout!r}: give START:STOP, such as 5000:6000")
    if n_p is not None:
        raise InvalidArgumentError(f"n_p is {n_p} and holdout is {holdout}: give one of them")
    return range(int(start), int(stop))


def _require_no_bound(bound: str, runner_up: bool, together: bool, spread: str | None) -> None:
    from smoothcert.errors import InvalidArgumentError

    if bound != "auto" or runner_up or together or spread is not None:
        raise InvalidArgumentError("radius has a rule of its own: leave out bound, runner_up, together and spread")


def _chosen(bound: BoundName, gamma: str, *, runner_up: bool, together: int) -> Joint | Irs:
    """Return the bound that the options describe."""
    from smoothcert.errors import InvalidArgumentError
    from smoothcert.procedures import Irs, Joint

    irs = Irs(gamma=_gamma(gamma))  # refuses a wrong gamma, also where another bound has no use for it
    if bound != "irs":
        return Joint(afresh=bound == "auto", runner_up=runner_up, together=together)
    if runner_up or together > 1:
        raise InvalidArgumentError(
            f"{'runner_up' if runner_up else 'together'} is given, but bound 'irs' bounds the top class alone, "
            "and that of each candidate by itself: use bound 'auto' or 'joint'"
        )
    return irs


def _gamma(text: str) -> float | Literal["auto"]:
    from smoothcert.errors import InvalidArgumentError

    try:
        return "auto" if text == "auto" else float(text)
    except ValueError as error:
        raise InvalidArgumentError(
            f"gamma is {text!r}: it must be in (1/2, 1], such as 0.99, or 'auto'"
        ) from error

"""``smoothcert cache``: look at a certification cache, check it, repair it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothcert.cli import options
from smoothcert.cli.failures import Command
from smoothcert.cli.printing import doing, print_result, show
from smoothcert.printable import printable

app = typer.Typer(help="Look at a certification cache, check it, repair it.", no_args_is_help=True)
CacheArgument = Annotated[Path, typer.Argument(help="Folder of the cache.")]


@app.command(cls=Command)
def info(cache: CacheArgument, as_json: options.Json = False) -> None:
    """Show what a cache was made with, how large it is, and its digest.

    Example: smoothcert cache info runs/base
    """
    from smoothcert.votes.store import CertificationCache

    store = CertificationCache(cache)
    manifest, timing, votes = store.manifest, store.timing(), len(store) * store.manifest.n
    facts = {
        "digest": store.digest,
        "inputs": len(store),
        "sigma": manifest.sigma,
        "noise": manifest.noise_law,
        "seed": manifest.seed,
        "n0": manifest.n0,
        "n": manifest.n,
        "alpha": manifest.alpha,
        "classes": manifest.num_classes,
        "input_shape": list(manifest.input_shape),
        "fingerprint": manifest.fingerprint,
        **{f"classifier {name}": value for name, value in manifest.classifier.items()},
        **{f"version of {name}": value for name, value in manifest.versions.items()},
        "parts": len(store.entries),
        "bytes": store.bytes_on_disk,
        "bytes per vote": round(store.bytes_on_disk / max(votes, 1), 4),
        "samples": timing.samples,
        "seconds": round(timing.seconds, 2),
    }
    print_result(as_json, facts, *(f"{name}: {value}" for name, value in facts.items()))


@app.command(cls=Command)
def verify(cache: CacheArgument) -> None:
    """Read every part of a cache, its candidates and journals; exits with status 2 when anything is damaged.

    How many inputs there should be is nowhere written: compare their number with what you asked for.

    Example: smoothcert cache verify runs/base
    """
    from smoothcert.errors import CacheCorruptError
    from smoothcert.votes.store import verify as verify_all

    with doing("reading every part", in_logs=False):
        found = verify_all(cache)
    for each in found:
        missing = each.notes or each.damage
        if each.holds:
            show(f"{each.path}: {each.holds}{'' if missing else ': whole'}")
        for note in each.notes:
            show(f"  note: {note}")
        for damage in each.damage:
            typer.echo(f"  {printable(damage)}", err=True)
    damaged = sum(len(each.damage) for each in found)
    if damaged:
        raise CacheCorruptError(f"{cache} has {damaged} damaged files, see above: restore them, or repair it")


@app.command(cls=Command)
def repair(cache: CacheArgument) -> None:
    """Drop damaged parts, so that certify samples them again.

    Example: smoothcert cache repair runs/base
    """
    from smoothcert.votes.store import CertificationCache

    dropped = CertificationCache.repair(cache)
    lost = sum(len(entry.keys) for entry in dropped)
    show(f"dropped {len(dropped)} parts with {lost} inputs: run certify again to sample them")

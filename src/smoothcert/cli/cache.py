"""``smoothcert cache``: look at a certification cache, check it, repair it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smoothcert.cli.common import JsonOption, console, print_json

app = typer.Typer(help="Look at a certification cache, check it, repair it.", no_args_is_help=True)
CacheArgument = Annotated[Path, typer.Argument(help="Folder of the cache.")]


@app.command()
def info(cache: CacheArgument, as_json: JsonOption = False) -> None:
    """Show what a cache was made with, how large it is, and its digest.

    Example: smoothcert cache info runs/base
    """
    from smoothcert.cache import CertificationCache

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
    if as_json:
        print_json(facts)
    else:
        console().print("\n".join(f"{name}: {value}" for name, value in facts.items()))


@app.command()
def verify(cache: CacheArgument) -> None:
    """Read every part and check it; exits with status 2 when one is damaged.

    Example: smoothcert cache verify runs/base
    """
    from smoothcert.cache import CertificationCache
    from smoothcert.errors import CacheCorruptError

    store = CertificationCache(cache)
    damaged = store.damaged()
    if damaged:
        raise CacheCorruptError("\n".join(str(error) for _, error in damaged))
    console().print(f"{len(store)} inputs in {len(store.entries)} parts are whole; digest {store.digest}")


@app.command()
def repair(cache: CacheArgument) -> None:
    """Drop damaged parts, so that certify samples them again.

    Example: smoothcert cache repair runs/base
    """
    from smoothcert.cache import CertificationCache

    store = CertificationCache(cache)
    damaged = [entry for entry, _ in store.damaged()]
    lost = sum(len(entry.keys) for entry in damaged)
    if damaged:
        store.drop(damaged)
    console().print(f"dropped {len(damaged)} parts with {lost} inputs: run certify again to sample them")

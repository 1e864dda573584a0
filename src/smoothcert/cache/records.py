"""Small JSON records beside a cache: how the command line made it, and its recertified candidates."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smoothcert.cache.files import read_regular, write_atomic
from smoothcert.errors import CacheCorruptError, CacheMismatchError

__all__ = [
    "CandidateRecord",
    "Recipe",
    "candidate_folder",
    "read_candidates",
    "read_recipe",
    "write_candidate",
    "write_recipe",
]

_RECIPE, _CANDIDATE, _CANDIDATES = "recipe.json", "candidate.json", "candidates"
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where the command line found the model and the inputs of a cache.

    It saves typing the same again and is not trusted: fingerprint and keys decide what fits.

    Attributes
    ----------
    model : str
        Path of the checkpoint.
    data : str
        Name or path of the data set.
    split : str
        Its part.
    limit : int or None
        Number of inputs at most.
    skip : int
        Every skip-th input was taken.
    """

    model: str
    data: str
    split: str
    limit: int | None
    skip: int


@dataclass(frozen=True, kw_only=True)
class CandidateRecord:
    """A candidate that was recertified from a cache.

    Attributes
    ----------
    spec : str
        What was asked for, such as ``"prune:0.10"``.
    name : str
        Name of its folder.
    description : str
        What it computes.
    n_p : int
        Paired samples per input.
    alpha_zeta : float
        Failure probability of the disparity's bound.
    gamma : float or "auto"
        The threshold asked for.
    identical : bool
        Whether its outputs are bit-identical to the base's.
    bound : str
        The bound asked for; records of older versions are of the paper's.
    runner_up : bool
        Whether the runner-up class is bounded too.
    start : int
        First sample of the cache that its votes are paired with.
    holdout : bool
        Whether its samples were held out while it was made.
    together : int
        Candidates that its certificates hold together with, itself included.
    """

    spec: str
    name: str
    description: str
    n_p: int
    alpha_zeta: float
    gamma: float | str
    identical: bool
    bound: str = "irs"
    runner_up: bool = False
    start: int = 0
    holdout: bool = False
    together: int = 1


def candidate_folder(cache: Path, name: str) -> Path:
    """Return the folder of a candidate's votes.

    Raises
    ------
    CacheMismatchError
        When the name is not one that a folder may have.
    """
    if _SLUG.fullmatch(name) is None:
        raise CacheMismatchError(f"candidate name {name!r} is not legal: use letters, digits, '.', '_' and '-'")
    return cache / _CANDIDATES / name


def write_recipe(cache: Path, recipe: Recipe) -> None:
    """Write the recipe beside the cache."""
    write_atomic(cache / _RECIPE, _to_json(recipe))


def read_recipe(cache: Path) -> Recipe | None:
    """Read the recipe; None when the cache was not made by the command line."""
    path = cache / _RECIPE
    return Recipe(**_read(path, Recipe)) if path.exists() else None


def write_candidate(cache: Path, record: CandidateRecord) -> None:
    """Write the record of a candidate into its folder."""
    write_atomic(candidate_folder(cache, record.name) / _CANDIDATE, _to_json(record))


def read_candidates(cache: Path) -> list[CandidateRecord]:
    """Read the records of all recertified candidates, by name."""
    paths = sorted((cache / _CANDIDATES).glob(f"*/{_CANDIDATE}"))
    records = [CandidateRecord(**_read(path, CandidateRecord)) for path in paths]
    for path, record in zip(paths, records, strict=True):
        if record.name != path.parent.name:
            raise CacheCorruptError(f"{path} names {record.name!r}: it belongs to another folder")
    return records


def _to_json(record: Recipe | CandidateRecord) -> bytes:
    return (json.dumps(dataclasses.asdict(record), indent=2) + "\n").encode()


def _read(path: Path, kind: type[Recipe] | type[CandidateRecord]) -> dict[str, Any]:
    types: dict[str, type | tuple[type, ...]] = {
        "limit": (int, type(None)),
        "skip": int,
        "n_p": int,
        "alpha_zeta": float,
        "gamma": (float, int, str),
        "identical": bool,
        "runner_up": bool,
        "start": int,
        "holdout": bool,
        "together": int,
    }
    try:
        values = json.loads(read_regular(path, at_most=1 << 20))
    except ValueError as error:
        raise CacheCorruptError(f"{path} was changed: {error}") from error
    fields = dataclasses.fields(kind)
    names = {field.name for field in fields}
    required = {field.name for field in fields if field.default is dataclasses.MISSING}
    if not isinstance(values, dict) or not required <= set(values) <= names:
        raise CacheCorruptError(f"{path} was changed: it must have exactly the fields {', '.join(sorted(names))}")
    for name, value in values.items():
        if not isinstance(value, types.get(name, str)):
            raise CacheCorruptError(f"{path} was changed: {name} is {value!r}")
    return values

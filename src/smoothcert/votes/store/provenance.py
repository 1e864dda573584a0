"""Where the command line found the model and the inputs of a cache."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smoothcert._folders import exists, remove_file
from smoothcert._records import RecordFormat, is_int, is_text
from smoothcert.errors import CacheError, SmoothcertError, reading
from smoothcert.votes.store.folders import manifest_in

__all__ = ["Provenance", "read_provenance", "recording_provenance", "write_provenance"]

_PROVENANCE = "recipe.json"  # the name that caches have had since before the class was called so
_is_index = is_int(0, 1 << 40)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the command line found the model and the inputs of a cache.

    It saves typing the same again and is not trusted: fingerprint and keys decide what fits.

    Attributes
    ----------
    model : str
        What names the model, such as the path of a checkpoint; see `smoothcert.models.MODEL_SPECS`.
    data : str
        Name or path of the data set.
    split : str
        Its part.
    limit : int or None
        Number of inputs at most.
    skip : int
        Every skip-th input was taken.
    arch, normalization : str or None
        What the model's file does not say of itself.
    """

    model: str
    data: str
    split: str
    limit: int | None
    skip: int
    arch: str | None = None
    normalization: str | None = None


_PROVENANCE_FORMAT = RecordFormat(
    name="smoothcert-recipe",
    version=3,
    bare=True,
    legal={
        "model": is_text,
        "data": is_text,
        "split": is_text,
        "limit": lambda v: v is None or _is_index(v),
        "skip": lambda v: _is_index(v) and v > 0,
        "arch": lambda v: v is None or is_text(v),
        "normalization": lambda v: v is None or is_text(v),
    },
    optional={"arch": None, "normalization": None},
)


@contextlib.contextmanager
def recording_provenance(folder: Path, provenance: Provenance) -> Iterator[None]:
    """Write the provenance beside votes: before there are any, so that a call that is killed says what it was."""
    begins = manifest_in(folder) is None and not exists(folder, _PROVENANCE)
    if begins:
        with reading(folder, CacheError, "give another folder"):
            folder.mkdir(parents=True, exist_ok=True)
        write_provenance(folder, provenance)
    try:
        yield
    except SmoothcertError:
        if begins and manifest_in(folder) is None:  # refused before anything was sampled
            remove_file(folder, _PROVENANCE)
            with contextlib.suppress(OSError):  # others may lie there
                folder.rmdir()
        raise
    write_provenance(folder, provenance)


def write_provenance(cache: Path, provenance: Provenance) -> None:
    """Write the provenance beside the cache."""
    _PROVENANCE_FORMAT.write(cache, _PROVENANCE, dataclasses.asdict(provenance))


def read_provenance(cache: Path) -> Provenance | None:
    """Read the provenance; None when the cache was not made by the command line."""
    return Provenance(**_PROVENANCE_FORMAT.read(cache, _PROVENANCE)) if exists(cache, _PROVENANCE) else None

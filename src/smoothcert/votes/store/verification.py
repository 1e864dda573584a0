"""Everything in a folder of votes, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smoothcert._folders import exists, list_folder
from smoothcert.errors import CacheError
from smoothcert.votes.store.cache import MANIFEST, CertificationCache
from smoothcert.votes.store.candidates import open_candidate
from smoothcert.votes.store.holdouts import read_holdouts
from smoothcert.votes.store.index import INDEX, PARTS
from smoothcert.votes.store.journal import ROUNDS_MANIFEST, RoundJournal
from smoothcert.votes.store.labels import read_labels
from smoothcert.votes.store.provenance import read_provenance
from smoothcert.votes.store.records import read_candidates
from smoothcert.votes.store.sizes import read_sizes

__all__ = ["Verified", "verify"]

_CANDIDATES = "candidates"
_MOST_INPUTS = 1 << 20  # whose numbers a folder may keep, also before they are sampled


@dataclass(frozen=True)
class Verified:
    """What was found in one folder.

    Attributes
    ----------
    path : Path
        The folder.
    holds : str
        What it holds that is whole, in words, with its digest; empty where it could not be opened.
    notes : list of str
        What is missing, but not damaged, and what to do about it.
    damage : list of str
        What is damaged.
    """

    path: Path
    holds: str
    notes: list[str]
    damage: list[str]


def verify(path: str | Path) -> list[Verified]:
    """Read and check a certification cache or a journal, and all that are below it.

    How many inputs there should be is nowhere written: an interrupted run is whole as far as it got.

    Parameters
    ----------
    path : str or Path
        The folder.

    Returns
    -------
    list of Verified
        The folder itself first.

    Raises
    ------
    CacheError
        When it holds neither, or its manifest or index is damaged.
    """
    folder = Path(path)
    if exists(folder, ROUNDS_MANIFEST):
        return [_journal(folder)]
    store = CertificationCache(folder)
    return [_cache(store), *_candidates(store)]


def _cache(store: CertificationCache) -> Verified:
    damaged = store.damaged()
    inputs = len(store) - sum(len(entry.keys) for entry, _ in damaged)
    damage, notes = [str(error) for _, error in damaged], []
    named = {entry.name for entry in store.entries}
    found = [name for name, _ in list_folder(store.path, PARTS) if name.endswith(".parquet") and name[0] != "."]
    beside = [name for name in found if name not in named]
    again = "run the command that made it again"
    if found and not exists(store.path, INDEX):
        damage.append(f"{store.path / INDEX} is missing, but {len(found)} parts are there: restore it, or {again}")
    elif beside:
        notes.append(
            f"{len(beside)} parts are not in the index, such as {beside[0]}, as an interruption can leave one: "
            f"{again}, which replaces what is missing, and remove the others"
        )
    if store.torn:
        notes.append(f"the last line of {INDEX} is torn, as an interruption leaves it: {again}")
    if store.dropped:
        inputs_gone = sum(len(entry.keys) for entry in store.dropped)
        notes.append(f"{len(store.dropped)} parts with {inputs_gone} inputs were dropped by repair: {again}")
    damage += _records(store.path)
    whole = len(store.entries) - len(damaged)
    return Verified(store.path, f"{inputs} inputs in {whole} parts; digest {store.digest}", notes, damage)


def _records(folder: Path) -> list[str]:
    found = []
    for read in (
        read_provenance,
        read_labels,
        read_holdouts,
        read_candidates,
        partial(read_sizes, inputs=_MOST_INPUTS),
    ):
        try:
            read(folder)
        except CacheError as error:
            found.append(str(error))
    return found


def _candidates(store: CertificationCache) -> list[Verified]:
    """Check the folders below: candidates by their records, journals, and other caches."""
    try:
        records = {record.name: record for record in read_candidates(store.path)}
    except CacheError:
        records = {}  # said already
    found = []
    for folder in _below(store.path):
        try:
            if exists(folder, ROUNDS_MANIFEST):
                found.append(_journal(folder))
            elif folder.name in records and folder.parent.name == _CANDIDATES:
                found.append(_cache(open_candidate(store, records[folder.name])))
            else:
                found.append(_cache(CertificationCache(folder)))
        except CacheError as error:
            found.append(Verified(folder, "", [], [str(error)]))
    return found


def _below(cache: Path) -> list[Path]:
    names = [name for name, is_folder in list_folder(cache, ".") if is_folder]
    names += [f"{_CANDIDATES}/{name}" for name, is_folder in list_folder(cache, _CANDIDATES) if is_folder]
    return [
        cache / name for name in names if exists(cache / name, MANIFEST) or exists(cache / name, ROUNDS_MANIFEST)
    ]


def _journal(folder: Path) -> Verified:
    journal = RoundJournal(folder)
    damage, notes = [str(error) for error in journal.damaged()], []
    if journal.torn:
        notes.append("its last line is torn, as an interruption leaves it: run the command that made it again")
    votes = sum(entry.votes for entry in journal.entries)
    text = f"{votes} votes in {len(journal)} pieces; digest {journal.digest}"
    return Verified(folder, text, notes, damage)

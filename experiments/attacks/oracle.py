"""What honest work makes of the files that are there: certificates from raw votes, by SciPy where that goes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

from attacks.formats import lines_of
from smoothcert.noise import noise_of_law
from smoothcert.procedures import Irs, Joint, Terms, recertificates
from smoothcert.votes import PairedCounts, stack_pairs

__all__ = [
    "IllegalError",
    "cohen",
    "incremental",
    "journal_is_plausible",
    "manifest_of",
    "rows_of",
    "terms_of_record",
]

Row = dict[str, Any]


class IllegalError(Exception):
    """The files contradict themselves, so that nothing honest follows from them."""


def manifest_of(folder: Path) -> Row:
    """Read a manifest, without checking it."""
    record: Row = json.loads((folder / "manifest.json").read_text())
    return record


def rows_of(folder: Path, keys: list[bytes]) -> list[Row]:
    """Read the raw rows of inputs, in order; refuse rows that no honest run writes."""
    manifest = manifest_of(folder)
    found: dict[bytes, Row] = {}
    for entry in lines_of(folder / "index.jsonl"):
        if not entry["bytes"]:  # the place of a part that was dropped
            continue
        rows = pq.read_table(folder / "parts" / entry["part"]).to_pylist()
        if [row["key"].hex() for row in rows] != entry["keys"]:
            raise IllegalError(f"{entry['part']} has other keys than the index")
        found.update({row["key"]: row for row in rows})
    if missing := [key for key in keys if key not in found]:
        raise IllegalError(f"{len(missing)} inputs are missing")
    return [_checked(found[key], manifest) for key in keys]


def _checked(row: Row, manifest: Row) -> Row:
    k, votes = manifest["num_classes"], np.frombuffer(row["votes"], np.uint8)
    selection = row["selection_counts"]
    legal = (
        (len(votes) == manifest["n"] or (manifest.get("spread") == "budget" and len(votes) <= 100 * manifest["n"]))
        and bool(((votes < k) | (votes == 255)).all())
        and np.bincount(votes[votes < k], minlength=k).tolist() == row["counts"]
        and len(selection) == k
        and min(selection) >= 0
        and sum(selection) <= manifest["n0"]
        and row.get("start", 0) >= 0
    )
    if not legal:
        raise IllegalError(f"row {row['key'].hex()[:12]} contradicts itself")
    top = int(np.argmax(selection)) if any(selection) else -1
    return {**row, "votes": votes, "top": top, "start": row.get("start", 0)}


def _drift(manifest: Row) -> float:
    """How far the noise is from exact Gaussian noise."""
    noise = noise_of_law(manifest["noise_law"], manifest["sigma"], manifest["seed"])
    return 0.0 if noise is None else noise.total_variation(math.prod(manifest["input_shape"]))


def cohen(rows: list[Row], manifest: Row, m: int, alpha: float) -> Row:
    """Certify from the first m votes of each input, by SciPy alone."""
    top = np.array([row["top"] for row in rows])
    count = np.array([int((row["votes"][:m] == row["top"]).sum()) if row["top"] >= 0 else 0 for row in rows])
    lower = np.where(count > 0, stats.beta.ppf(alpha, np.maximum(count, 1), m - count + 1), 0.0)
    lower = np.maximum(lower - _drift(manifest), 0.0)
    radius = np.where(lower > 0.5, manifest["sigma"] * stats.norm.ppf(lower), 0.0)
    return {
        "prediction": np.where(lower > 0.5, top, -1),
        "radius": radius,
        "p_lower": lower,
        "top_class": top,
        "count": count,
        "n": np.full(len(rows), m),
        "alpha": alpha,
        "sigma": manifest["sigma"],
    }


def _pair(base: Row, own: Row, k: int) -> PairedCounts:
    m, n, start = len(own["votes"]), len(base["votes"]), own["start"]
    if start < n < start + m:
        raise IllegalError("votes lie partly on cached noise")
    fresh = start >= n
    seen = own["votes"][:0] if fresh else base["votes"][start : start + m]
    differs = seen != own["votes"][: len(seen)]

    def count(votes: Any) -> Any:
        return np.bincount(votes[votes < k], minlength=k)[None].astype(np.int64)

    return PairedCounts(
        top_class=np.array([base["top"]]),
        counts=count(base["votes"]),
        own=count(own["votes"]),
        paired=count(seen),
        lost=count(seen[differs]),
        n_disagree=np.array([int(differs.sum())]),
        fresh=np.array([fresh]),
        n=n,
        m=np.array([m]),
    )


def terms_of_record(record: Row) -> Terms:
    """Return the terms that a candidate's record names."""
    name = record.get("bound", "irs")
    bound = Joint(
        afresh=name == "auto", runner_up=record.get("runner_up", False), together=record.get("together", 1)
    )
    return Terms(bound=Irs(gamma=record["gamma"]) if name == "irs" else bound, alpha_zeta=record["alpha_zeta"])


def incremental(base: list[Row], own: list[Row], manifest: Any, terms: Terms) -> Row:
    """Recertify from raw votes: the counts are ours; the bounds are the library's, which other tests check."""
    pairs = stack_pairs([_pair(b, o, manifest.num_classes) for b, o in zip(base, own, strict=True)])
    certificates, _ = recertificates(pairs, manifest, terms)
    return {**certificates.columns(), "alpha": certificates.alpha, "sigma": certificates.sigma}


def journal_is_plausible(found: Row, votes: int | None, p0: float | None) -> bool:
    """Say whether certificates from a journal claim no more than an exact test on their counts allows.

    A sequential test is a martingale: it stops with evidence 1 / alpha with probability at most alpha, so that a
    count that it accepts is improbable at any one time too.
    """
    count, n = np.array(found["count"]), np.array(found["n"])
    claimed = np.array(found["prediction"]) >= 0
    if (count > n).any() or (votes is not None and n.sum() > votes):
        return False
    if p0 is not None:
        return bool((np.asarray(stats.binom.sf(count - 1, n, p0))[claimed] <= found["alpha"]).all())
    lower = np.where(count > 0, stats.beta.ppf(found["alpha"], np.maximum(count, 1), n - count + 1), 0.0)
    return bool(np.allclose(lower, found["p_lower"], atol=1e-9) and ((lower > 0.5) == claimed).all())

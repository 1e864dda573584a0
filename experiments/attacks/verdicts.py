"""What a reader's answer to a damaged file is worth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from attacks import oracle
from attacks.formats import lines_of
from attacks.world import ALPHA
from smoothcert.errors import SmoothcertError
from smoothcert.procedures import Irs, Terms
from smoothcert.votes.store import CertificationCache

__all__ = ["BAD", "OK", "Damage", "Verdict", "judge_answer", "judge_error"]

OK = ("refused", "same", "another", "earlier")
BAD = (
    *("changed", "believed", "traceback", "unnamed", "escapes", "outside", "memory", "hung", "died"),
    *("left behind", "lost"),
)
_CLOSE = 1e-9
_SEES_LESS = ("info", "recertify_on_spent_range", "compare", "compare_command", "by_surrogate")
_BASE, _CONTINUED = Path("base"), {"recertify_fresh": "fresh", "recertify_continued": "base/candidates/bf16"}


@dataclass(frozen=True)
class Damage:
    """What was done to which file.

    Attributes
    ----------
    path : Path
        The file.
    sealed : bool
        Whether its checksums were recomputed, which makes it a file that somebody may have meant.
    free : bool
        Whether any content of its format is as good as another.
    earlier : bool
        Whether the files are as they were at an earlier time, so that a crash could have left them.
    keys : list of bytes
        Keys of the inputs.
    """

    path: Path
    sealed: bool
    free: bool
    earlier: bool
    keys: list[bytes]


Verdict = tuple[str, str]
"""One of `OK` or `BAD`, and details."""


def judge_error(error: BaseException, damage: Damage) -> Verdict:
    """Judge what was raised: our own errors, if they name the file, and nothing else."""
    text = str(error)
    if isinstance(error, AssertionError):
        return "escapes", text
    if not isinstance(error, SmoothcertError):
        return "traceback", f"{type(error).__name__}: {text[:300]}"
    if any(ord(c) < 32 and c not in "\n\t" for c in text):
        return "escapes", repr(text[:300])
    path = damage.path
    if damage.sealed and path.name == "recipe.json":  # it stands for what the user would type
        return "refused", text[:200]
    if damage.sealed and path.name.endswith("-state.safetensors") and text.startswith("the loss is"):
        return "refused", text[:200]  # its numbers are legal; training says that they diverge
    named = [str(path), path.name, str(path.parent)] if path.parent != Path() else [path.name]
    if damage.sealed or damage.path.suffix == ".json":
        named += [str(folder) for folder in path.parents if folder != Path()]
    return ("refused", text[:200]) if any(name in text for name in named) else ("unnamed", text[:300])


def judge_answer(reader: str, answer: Any, undamaged: Any, damage: Damage) -> Verdict:
    """Judge what a reader returned."""
    if reader == "verify" and damage.sealed:
        return _judge_whole(_BASE)
    if reader == "verify_candidate" and damage.sealed:
        return _judge_whole(_BASE / "candidates/bf16")
    if _equal(answer, undamaged):
        return "same", ""
    if damage.free:
        return ("another", "") if _is_legal(answer) else ("changed", f"illegal: {answer!r:.200}")
    if damage.earlier and reader in _SEES_LESS:
        return "earlier", ""
    if damage.earlier and reader.startswith("verify") and _says_less(answer, undamaged):
        return "earlier", answer
    if not damage.sealed:
        return "changed", _difference(answer, undamaged)
    try:
        wrong = _contradiction(reader, answer, damage.keys)
    except oracle.IllegalError as error:
        return "believed", str(error)
    return ("another", "") if wrong is None else ("changed", wrong)


def _equal(a: Any, b: Any) -> bool:
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def _says_less(answer: str, undamaged: str) -> bool:
    """Tell whether it is said that something is missing, or nothing is said of a folder that is not there."""
    return "note: " in answer or set(answer.splitlines()) < set(undamaged.splitlines())


def _is_legal(answer: Any) -> bool:
    return not isinstance(answer, dict) or bool(answer.get("legal", True))


def _difference(answer: Any, undamaged: Any) -> str:
    if not isinstance(answer, dict) or not isinstance(undamaged, dict):
        return f"{undamaged!r:.120} became {answer!r:.120}"
    names = [name for name in undamaged if not _equal(answer.get(name), undamaged[name])]
    return "; ".join(f"{name}: {undamaged[name]!r:.60} became {answer.get(name)!r:.60}" for name in names)[:300]


def _judge_whole(folder: Path) -> Verdict:
    """Judge the claim that a cache is whole: no part may contradict itself or claim what its votes do not give."""
    manifest = oracle.manifest_of(folder)
    try:
        keys = [bytes.fromhex(key) for entry in lines_of(folder / "index.jsonl") for key in entry["keys"]]
        rows = oracle.rows_of(folder, keys)
    except oracle.IllegalError as error:
        return "believed", str(error)
    honest = (
        oracle.cohen(rows, manifest, manifest["n"], manifest["alpha"]) if rows else {"top_class": [], "count": []}
    )
    for row, top, count in zip(rows, honest["top_class"], honest["count"], strict=True):
        n, alpha = manifest["n"], manifest["alpha"]
        lower = stats.beta.ppf(alpha, count, n - count + 1) if count else 0.0
        if row["top_class"] != top or not abs(row["p_lower"] - lower) < 1e-6:
            return (
                "believed",
                f"class {row['top_class']} and p_lower {row['p_lower']} where votes give {top}, {lower}",
            )
    return "another", ""


def _contradiction(reader: str, answer: Any, keys: list[bytes]) -> str | None:
    """Return what in an answer does not follow from the files; None when all of it does."""
    if reader in ("certify", "repair"):
        manifest = oracle.manifest_of(_BASE)
        return _mismatch(
            answer, oracle.cohen(oracle.rows_of(_BASE, keys), manifest, manifest["n"], manifest["alpha"])
        )
    if reader == "compare":
        return _compared(answer, keys)
    if reader in _CONTINUED:
        return _recertified(answer, keys, Path(_CONTINUED[reader]), Terms())
    if reader == "recertify_by_paper":
        return _recertified(answer, keys, _BASE / "candidates/prune-0.1", Terms(bound=Irs()))
    if reader in ("radius", "adaptive", "guided"):
        votes = sum(
            entry["votes"] for entry in lines_of(Path({"radius": "at-radius"}.get(reader, reader), "rounds.jsonl"))
        )
        p0 = float(stats.norm.cdf(0.2 / answer["sigma"])) if reader == "radius" else None
        plausible = answer["alpha"] == ALPHA and oracle.journal_is_plausible(answer, votes - 20 * len(keys), p0)
        return None if plausible else f"certificates that {votes} votes do not give"
    return None


def _recertified(answer: Any, keys: list[bytes], own: Path, terms: Terms) -> str | None:
    base, candidate = oracle.rows_of(_BASE, keys), oracle.rows_of(own, keys)
    return _mismatch(answer, oracle.incremental(base, candidate, CertificationCache(_BASE).manifest, terms))


def _compared(answer: Any, keys: list[bytes]) -> str | None:
    raw, manifest = oracle.manifest_of(_BASE), CertificationCache(_BASE).manifest
    base = oracle.rows_of(_BASE, keys)
    if wrong := _mismatch(answer["base"], oracle.cohen(base, raw, raw["n"], raw["alpha"])):
        return f"base: {wrong}"
    for name, found in answer["candidates"].items():
        folder = _BASE / "candidates" / name
        record, own = json.loads((folder / "candidate.json").read_text()), oracle.manifest_of(folder)
        rows = oracle.rows_of(folder, keys)
        wrong = _mismatch(
            found["incremental"], oracle.incremental(base, rows, manifest, oracle.terms_of_record(record))
        )
        if found["scratch"] is not None:
            wrong = wrong or _mismatch(found["scratch"], oracle.cohen(rows, own, own["n"], own["alpha"]))
        if wrong:
            return f"{name}: {wrong}"
    return None


def _mismatch(answer: Any, honest: Any) -> str | None:
    for name, values in honest.items():
        have = answer.get(name)
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            same = np.allclose(np.array(have, dtype=float), values, atol=_CLOSE, rtol=0, equal_nan=True)
        else:
            same = bool(np.array_equal(np.array(have), np.array(values)))
        if not same:
            return f"{name} is {have!r:.100} where the votes give {_short(values)}"
    return None


def _short(values: Any) -> str:
    return f"{(values.tolist() if isinstance(values, np.ndarray) else values)!r:.100}"

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smoothcert.bounds import lower_confidence_bound
from smoothcert.votes.store import CertificationCache


def test_an_audit_passes_and_its_folder_can_be_compared(run: Any, copy: Path) -> None:
    cache, model = copy / "cache", copy / "checkpoint.safetensors"
    call = (
        "audit",
        cache,
        "--model",
        model,
        "--candidate",
        "bf16:torch",
        "--n-p",
        "200",
        "--n",
        "800",
        "--seed",
        "271828",
    )
    status, out, _ = run(*call, "--json")
    found = json.loads(out)
    assert status == 0
    assert found["passed"]
    assert found["changed_votes"] == 0
    assert found["p_value_candidate"] > 0.001
    assert 0 < found["candidate_certified"] <= found["inputs"] == 30
    assert "before the auditor chose the seed 271828" in found["premise"]
    folder = copy / "cache-audit-271828"
    assert CertificationCache(folder).manifest.seed == 271828
    rows = json.loads(run("compare", folder, "--json")[1])["rows"]
    assert {row["classifier"] for row in rows} == {"base", "bf16"}
    status, out, _ = run(*call)
    assert status == 0
    assert "0 of 1920 are others now" in out


def test_a_cache_of_other_votes_fails(run: Any, copy: Path) -> None:
    """The manifest names the right model, and the votes are coin tosses."""
    cache = copy / "cache"
    store = CertificationCache(cache)
    rng = np.random.default_rng(0)
    rows = [row for entry in store.entries for row in store.read(entry)]
    forged = []
    for row in rows:
        votes = np.where(rng.random(len(row.votes)) < 0.5, row.top_class, row.votes).astype(row.votes.dtype)
        counts = np.bincount(votes, minlength=10)[:10]
        bound = lower_confidence_bound(int(counts[row.top_class]), store.manifest.n, store.manifest.alpha)
        forged.append(replace(row, votes=votes, counts=counts, p_lower=bound))
    (cache / "index.jsonl").unlink()
    with CertificationCache.writing(cache, store.manifest) as writer:
        writer.append(forged, store.timing())
    model = copy / "checkpoint.safetensors"
    status, out, _ = run(
        "audit", cache, "--model", model, "--candidate", "bf16:torch", "--n-p", "200", "--n", "800", "--seed", "5"
    )
    assert status == 1
    assert "FOUND cached votes of the base are better than fresh ones" in out
    assert "FOUND cached votes of" in out
    assert "do not repeat" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seed", "5"), "model is missing: on fresh noise the base is evaluated too"),
        (("--seed", "0", "--model", "MODEL"), "seed is 0, which is the cache's"),
        (("--seed", "5", "--model", "MODEL", "--n", "100"), "--n-p is 200, but f gets n = 100"),
        (("--seed", "5", "--model", "nowhere.safetensors"), "nowhere.safetensors"),
    ],
)
def test_bad_arguments_are_refused(run: Any, trained: Path, arguments: tuple[str, ...], message: str) -> None:
    given = [str(trained / "checkpoint.safetensors") if a == "MODEL" else a for a in arguments]
    status, _, err = run("audit", trained / "cache", "--candidate", "bf16:torch", "--n-p", "200", *given)
    assert status == 2
    assert message in err
    assert not list(trained.glob("*audit*"))

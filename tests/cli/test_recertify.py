from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from smoothcert.procedures import BYTES_PER_VOTE
from smoothcert.votes.store import CertificationCache, read_candidates


def test_a_decision_at_a_radius(run: Any, copy: Path) -> None:
    call = ("recertify", copy / "cache", "--candidate", "bf16:torch", "--radius", "0.2", "--json")
    status, out, _ = run(*call)
    assert status == 0
    (row,) = json.loads(out)
    assert row["method"] == "decision"
    assert 0 < row["certified_accuracy"] <= row["certified"] / 30
    assert row["samples"] == round(30 * row["samples_per_input"]) < 30 * 2000 / 4
    assert json.loads(run(*call)[1])[0]["samples"] == 0, "the votes were kept"
    status, out, err = run("recertify", copy / "cache", "--candidate", "bf16:torch", "--radius", "0.2")
    assert "certified accuracy at 0.2 is" in out
    assert "chosen or changed after looking" in err, "int8 and prune:0.1 were evaluated before"
    status, _, err = run("recertify", copy / "cache", "--candidate", "prune:0.2", "--holdout", "500:900")
    assert status == 2
    assert "looked at before" in err


def test_bounds_and_held_out_samples(run: Any, copy: Path) -> None:
    cache = copy / "cache"
    status, out, _ = run(
        "recertify", cache, "--candidate", "prune:0.2", "--n-p", "300", "--bound", "joint", "--json"
    )
    assert status == 0
    assert json.loads(out)[0]["method"] == "joint"
    status, _, err = run("recertify", cache, "--candidate", "prune:0.2", "--holdout", "100:400")
    assert status == 2
    assert "used to evaluate" in err
    pair = ("--candidate", "prune:0.15", "--candidate", "prune:0.25")
    status, out, _ = run("recertify", cache, *pair, "--holdout", "1000:1400")
    assert status == 0, "two that were fixed together"
    assert "samples 1000 to 1400" in out
    status, _, err = run("recertify", cache, "--candidate", "prune:0.2", "--holdout", "1200:1500")
    assert status == 2
    assert "from 1400 on" in err
    rows = json.loads(run("compare", cache, "--json")[1])["rows"]
    assert "prune-0.15-from-1000" in {row["classifier"] for row in rows}
    (cache / "holdouts.jsonl").unlink()
    status, _, err = run("recertify", cache, "--candidate", "prune:0.2", "--holdout", "1200:1500")
    assert status == 2, "the candidates' records remember what the lost file said"
    assert "from 1400 on" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--holdout", "4:x"), "holdout is '4:x'"),
        (("--n-p", "300", "--bound", "irs", "--runner-up"), "bounds the top class alone"),
        (("--n-p", "300", "--bound", "irs", "--spread", "budget"), "--bound 'irs' is proven for an --n-p"),
        (("--n-p", "300", "--spread", "even"), "spread = 'budget', but the call has 'even'"),
        (("--n-p", "200"), "n = 300, but the call has 200"),
        (("--radius", "0.2", "--spread", "even"), "radius has a rule of its own: leave out bound"),
        (("--radius", "5"), "unanimous votes certify no more than"),
        (("--n-p", "3000"), "--n-p is 3000, but the cache"),
    ],
)
def test_wrong_usage_says_what_is_right(run: Any, trained: Path, options: tuple[str, ...], message: str) -> None:
    status, _, err = run("recertify", trained / "cache", "--candidate", "bf16:torch", *options)
    assert status == 2
    assert message in err


def test_a_function_that_was_edited_is_another_candidate(
    run: Any, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name, its module and the weights stay; every label is rolled, and none of the kept votes is its own."""
    monkeypatch.chdir(tmp_path)
    code = """
import torch

class Rolled(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).roll({shift}, dims=1)

def make(module):
    return Rolled(module)
"""
    (tmp_path / "mycand.py").write_text(code.format(shift=0))
    call = ("recertify", copy / "cache", "--candidate", "mycand:make", "--n-p", "200")
    assert run(*call)[0] == 0
    (tmp_path / "mycand.py").write_text(code.format(shift=1))
    monkeypatch.delitem(sys.modules, "mycand")
    importlib.invalidate_caches()
    status, _, err = run(*call)
    assert status == 2
    assert "fingerprint" in err
    assert "to start 'mycand:make' anew, remove" in err
    shutil.rmtree(copy / "cache" / "candidates" / "mycand-make")
    monkeypatch.delitem(sys.modules, "mycand")
    status, out, _ = run(*call, "--json")
    assert (status, json.loads(out)[0]["certified"]) == (0, 0)


def test_without_n_p_a_tenth_of_the_cache_is_sampled(run: Any, copy: Path) -> None:
    cache = copy / "cache"
    status, out, err = run("recertify", cache, "--candidate", "prune:0.3", "--spread", "even", "--json")
    assert status == 0
    assert "--n-p is 200, as none is given: a tenth of the cache's 2,000" in err
    assert json.loads(out)[0]["n_p"] == 200
    (record,) = [r for r in read_candidates(cache) if r.name == "prune-0.3"]
    assert record.n_p == 200


def test_a_dry_run_samples_nothing_and_loads_no_model(run: Any, copy: Path) -> None:
    cache = copy / "cache"
    (copy / "checkpoint.safetensors").unlink()
    timing = CertificationCache(cache).timing()
    before = sorted(cache.rglob("*"))
    call = ("recertify", cache, "--candidate", "int8", "--candidate", "prune:0.3", "--dry-run", "--json")
    for options, samples, votes in (
        (("--n-p", "100"), 2 * 30 * 100, 2 * 30 * 100),
        (("--n-p", "100", "--spread", "even"), 2 * 30 * 200, 2 * 30 * 100),
        (("--holdout", "500:540", "--no-baseline"), 2 * 30 * 40, 2 * 30 * 40),
        (("--radius", "0.1"), 2 * 30 * 2000, 2 * 30 * 2000),
    ):
        status, out, _ = run(*call, *options)
        found = json.loads(out)
        assert (status, found["samples"], found["bytes"]) == (0, samples, votes * BYTES_PER_VOTE)
        assert found["seconds"] == pytest.approx(samples * timing.seconds / timing.samples)
    assert sorted(cache.rglob("*")) == before
    audit = ("audit", cache, "--candidate", "int8", "--model", "gone", "--seed", "7", "--n-p", "100", "--dry-run")
    status, out, _ = run(*audit, "--json")
    assert (status, json.loads(out)["samples"]) == (0, 30 * (2000 + 100 + 100 + 64))


def test_samples_too_few_for_the_radii_of_the_base_are_said_once(run: Any, copy: Path) -> None:
    """The bound on so few is the same for both candidates."""
    pair = ("--candidate", "prune:0.3", "--candidate", "prune:0.35", "--spread", "even", "--n-p", "20")
    status, out, err = run("recertify", copy / "cache", *pair, "--json")
    assert status == 0
    first, second = (row["cautions"] for row in json.loads(out))
    assert "inputs have radii with the base" in first[0]
    for caution in {*first, *second}:
        assert err.count(f"warning: {caution}") == 1
    assert "caution" not in json.loads(out)[0]["summary"]

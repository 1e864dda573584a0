"""``smoothcert certify --radius``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def test_certify_at_a_radius_takes_few_samples(run: Any, trained: Path, tmp_path: Path) -> None:
    model = trained / "checkpoint.safetensors"
    call = ("certify", model, "--data", "digits", "--limit", "30", "--sigma", "0.25", "--n", "5000")
    at = ("--radius", "0.2", "--cache", tmp_path / "r")
    status, out, err = run(*call, *at, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert list(found["certified_accuracy"]) == ["0.2"]
    assert 0.2 < found["certified_accuracy"]["0.2"] < 1
    assert 30 * 32 <= found["samples"] - 30 * 100 < 30 * 2500
    again = json.loads(run(*call, *at, "--json")[1])
    assert again["samples"] == 0
    assert again["certified_accuracy"] == found["certified_accuracy"]
    status, out, _ = run(*call, *at)
    assert status == 0
    assert "certified accuracy at 0.2" in out
    assert "at most 153,000 forward passes" in run(*call, *at, "--dry-run")[1]


def test_a_radius_out_of_reach_and_the_wrong_folder_are_named(run: Any, trained: Path, tmp_path: Path) -> None:
    model = trained / "checkpoint.safetensors"
    call = ("certify", model, "--data", "digits", "--limit", "3", "--sigma", "0.25", "--n", "500", "--radius")
    status, _, err = run(*call, "2", "--cache", tmp_path / "r")
    assert status == 2
    assert "certify no more than" in err
    status, _, err = run(*call, "0.1", "--cache", trained / "cache")
    assert status == 2
    assert "is a certification cache" in err
    assert run(*call, "0.1", "--cache", tmp_path / "r")[0] == 0
    status, _, err = run("recertify", tmp_path / "r", "--candidate", "bf16:torch", "--n-p", "100")
    assert status == 2
    assert "samples in rounds" in err


def test_certify_under_a_budget(run: Any, trained: Path, tmp_path: Path) -> None:
    model = trained / "checkpoint.safetensors"
    call = ("certify", model, "--data", "digits", "--limit", "30", "--sigma", "0.25", "--cache", tmp_path / "a")
    status, out, err = run(*call, "--budget", "30000", "--json")
    assert status == 0, err
    found = json.loads(out)
    assert 29_000 < found["samples"] <= 30_000
    assert found["average_certified_radius"] > 0.1
    status, out, _ = run(*call, "--budget", "30000")
    assert status == 0
    assert "n = 900 on average" in " ".join(out.split())
    assert "30,000 forward" in run(*call, "--budget", "30000", "--dry-run")[1]
    for options, message in (
        (("--budget", "3000"), "use --budget >= 3300"),
        (("--budget", "30000", "--radius", "0.1"), "--radius is 0.1 and --budget is 30000: give one"),
        (("--runner-up", "--radius", "0.1"), "--runner-up is given"),
        (("--guide", trained / "cache"), "there is no budget for it to divide"),
        (("--budget", "30000", "--guide", trained / "cache"), "give another seed"),
    ):
        status, _, err = run(*call, *options)
        assert status == 2
        assert message in " ".join(err.split())


def test_a_cache_guides_a_budget(run: Any, trained: Path, tmp_path: Path) -> None:
    model = trained / "checkpoint.safetensors"
    call = ("certify", model, "--data", "digits", "--limit", "5", "--sigma", "0.25", "--cache", tmp_path / "a")
    guided = (*call, "--budget", "5000", "--guide", trained / "cache", "--seed", "77", "--json")
    status, out, err = run(*guided)
    assert status == 0, err
    found = json.loads(out)
    assert found["guarantee"] == "certified"
    assert 4_700 < found["samples"] <= 5_000
    status, out, _ = run(*guided)
    assert status == 0
    assert json.loads(out)["samples"] == 0, "all of them are kept"

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ASSUMED = ("--p-a", "0.6,0.7,0.8,0.9", "--sigma", "0.5", "--n", "5000", "--inputs", "100")


def test_a_plan_from_a_cache(run: Any, trained: Path) -> None:
    status, out, _ = run("plan", trained / "cache", "--acr-within", "0.2", "--candidates", "20", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["guarantee"] == "estimated"
    assert (found["inputs"], found["candidates"], found["target"]) == (30, 20, "mean radius")
    methods = {method["method"]: method for method in found["methods"]}
    assert methods["auto, budget"]["passes"] == 30 * 20 * methods["auto, budget"]["samples"]
    assert methods["auto, budget"]["seconds"] > 0
    status, out, _ = run("plan", trained / "cache", "--n-p", "300")
    assert status == 0
    assert "300 samples of an input" in out
    status, out, _ = run("plan", trained / "cache", "--radius", "0.25")
    assert status == 0
    assert "decision on the cache" in out


def test_a_plan_from_an_assumption(run: Any) -> None:
    status, out, _ = run("plan", *ASSUMED, "--acr-within", "0.2", "--seconds-per-sample", "0.001")
    assert status == 0
    for text in ("from scratch", "auto, even", "5100", "estimated", "100 inputs and 1 candidate,"):
        assert text in out


def test_the_model_is_timed_when_asked_for(run: Any, trained: Path) -> None:
    call = ("plan", trained / "cache", "--radius", "0.25", "--probe", "--json")
    status, out, _ = run(*call, "--model", trained / "checkpoint.safetensors")
    assert status == 0
    assert json.loads(out)["methods"][0]["seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--p-a", "0.8", "--sigma", "0.5"), "give one target"),
        ((), "give a cache, or --p-a, or --beta"),
        (("--acr-within", "0.1"), "give a cache, or --p-a, or --beta"),
        (("--p-a", "high", "--sigma", "0.5", "--acr-within", "0.1"), "p-a is 'high'"),
        (("--beta", "2", "--sigma", "0.5", "--acr-within", "0.1"), "beta is '2'"),
        (("--beta", "2,1", "--acr-within", "0.1"), "sigma is missing"),
        ((*ASSUMED, "--radius", "3"), "radius is 3"),
        ((*ASSUMED, "--radius", "0.5", "--probe"), "probe is set, but there is no cache"),
        (("nowhere", "--radius", "0.5"), "no certification cache"),
    ],
)
def test_bad_arguments_are_refused(run: Any, arguments: tuple[str, ...], message: str) -> None:
    status, _, err = run("plan", *arguments)
    assert status == 2
    assert message in err

"""What users do with files: each reader looks at the current folder and returns what a user gets to see."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import smoothcert as sc
from attacks.commandline import run_command
from attacks.model_readers import (
    arrays,
    checkpoint,
    cifar_binary,
    cifar_table,
    images,
    onnx,
    published_checkpoint,
    state_of,
)
from attacks.world import ALPHA, COMMANDS, SIGMA
from smoothcert.approximate import make_candidate
from smoothcert.data import load_dataset
from smoothcert.errors import SmoothcertError
from smoothcert.evaluation import compare as compare_cache
from smoothcert.models import load_checkpoint
from smoothcert.surrogate import fit_surrogate, load_calibration, surrogate_recipe
from smoothcert.training import default_recipe, train

__all__ = ["READERS", "Bench", "CommandError", "certificates_of", "open_bench"]

TIMES = {"seconds", "samples", "seconds_per_sample", "speedup", "samples_per_second"}
"""What depends on how long something took, which no file is trusted about."""


class CommandError(SmoothcertError):
    """A command ended with status 2 and this message."""


@dataclass(frozen=True)
class Bench:
    """What readers bring along, besides the files: a model, candidates of it, and inputs."""

    model: sc.TorchClassifier
    candidates: dict[str, Any]
    x: Any
    y: NDArray[np.int64]
    votes_x: Any


_bench: list[Bench] = []


def open_bench() -> Bench:
    """Load what readers need from the world, which is the current folder."""
    loaded = load_checkpoint("model/checkpoint.safetensors")
    model = sc.TorchClassifier(loaded.module, loaded.num_classes)
    made = {spec: make_candidate(spec, model).classifier for spec in ("bf16:torch", "prune:0.1", "prune:0.3")}
    data = load_dataset("data.npz")
    fitted = load_dataset("train.npz", limit=60)
    _bench[:] = [Bench(model, made, data.inputs, data.labels, fitted.inputs)]
    return _bench[0]


def certificates_of(certificates: Any) -> dict[str, Any]:
    """Return certificates as plain lists and numbers."""
    columns = {name: _plain(values) for name, values in certificates.columns().items()}
    scalars = ("alpha", "sigma", "method", "noise", "guarantee", "premise", "together")
    return {**columns, **{name: getattr(certificates, name) for name in scalars}}


def _plain(values: Any) -> Any:
    return values.tolist() if isinstance(values, np.ndarray) else values


def _timeless(value: Any) -> Any:
    """Leave out times, and what was computed from them."""
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in TIMES}
    return [_timeless(v) for v in value] if isinstance(value, (list, tuple)) else value


def _run(*arguments: str) -> str:
    done = run_command(*arguments)
    if "\x1b" in done.out + done.err or "\x07" in done.out + done.err:
        raise AssertionError(f"terminal escapes in the output of {arguments}: {done.out + done.err!r:.300}")
    if done.status == 2:
        raise CommandError(done.err.strip())
    if done.status not in (0, 1):
        raise AssertionError(f"{arguments} ended with status {done.status}: {done.err}")
    return done.out


def _run_json(*arguments: str) -> Any:
    return _timeless(json.loads(_run(*arguments, "--json")))


def _counted(run: sc.CertificationRun) -> dict[str, Any]:
    return {
        **certificates_of(run.certificates),
        "counts": run.tally.counts.tolist(),
        "selection_counts": run.tally.selection.tolist(),
    }


def _recertified(spec: str, **call: Any) -> dict[str, Any]:
    b = _bench[0]
    again = sc.recertify(b.candidates[spec], b.x, cache="base", base=b.model, **call)
    return {**certificates_of(again.certificates), "identical": again.identical, "gamma": again.gamma}


def certify() -> Any:
    b = _bench[0]
    return _counted(sc.certify(b.model, b.x, sigma=SIGMA, alpha=ALPHA, n0=20, n=400, cache="base"))


def recertify_fresh() -> Any:
    return _recertified("bf16:torch", n_p=100, out="fresh")


def recertify_continued() -> Any:
    return _recertified("bf16:torch", n_p=100, out="base/candidates/bf16")


def recertify_by_paper() -> Any:
    return _recertified("prune:0.1", n_p=100, n0=20, out="base/candidates/prune-0.1", bound="irs")


def recertify_on_spent_range() -> Any:
    """Ask for samples that another candidate was evaluated on, as held-out ones: to be refused."""
    try:
        _recertified("prune:0.3", n_p=range(250, 300))
    except sc.InvalidArgumentError as error:
        return {"refused": "looked at before" in str(error)}
    return {"refused": False}


def compare() -> Any:
    b = _bench[0]
    found = compare_cache("base", b.x, b.y)
    results = {
        r.record.name: {
            "incremental": certificates_of(r.incremental),
            "scratch": None if r.scratch is None else certificates_of(r.scratch),
            "gamma": r.gamma,
        }
        for r in found.candidates
    }
    return {"base": certificates_of(found.base), "candidates": results}


def info() -> Any:
    return _run_json("cache", "info", "base")


def verify() -> Any:
    return _run("cache", "verify", "base")


def verify_candidate() -> Any:
    return _run("cache", "verify", "base/candidates/bf16")


def repair() -> Any:
    """Repair and certify again: the cache must be what it was."""
    _run("cache", "repair", "base")
    return {**certify(), "digest": sc.CertificationCache("base").digest}


def plan() -> Any:
    return _run_json("plan", "base", "--radius", "0.2")


def audit() -> Any:
    b = _bench[0]
    found = sc.audit(b.model, b.candidates["bf16:torch"], b.x, cache="base", seed=9, n_p=50, n=100, out="audited")
    return {"base": certificates_of(found.base.certificates), "findings": found.findings()}


def report() -> Any:
    _run("report", "base", "--out", "report")
    return sorted(path.name for path in Path("report").rglob("*"))


def compare_command() -> Any:
    return _run_json("compare", "base")


def recertify_command() -> Any:
    return _run_json(*COMMANDS["recertify"].split())


def decide_command() -> Any:
    return _run_json(*COMMANDS["decide"].split())


def radius() -> Any:
    b = _bench[0]
    call = {"sigma": SIGMA, "alpha": ALPHA, "n0": 20, "n": 3000, "cache": "at-radius"}
    return _counted(sc.certify_at_radius(b.model, b.x, 0.2, **call))  # type: ignore[arg-type]


def adaptive() -> Any:
    b = _bench[0]
    return _counted(sc.certify_with_budget(b.model, b.x, 2400, sigma=SIGMA, alpha=ALPHA, n0=20, cache="adaptive"))


def decide() -> Any:
    b, out = _bench[0], "base/candidates/bf16-at-0.1"
    again = sc.recertify_at_radius(b.candidates["bf16:torch"], b.x, 0.1, cache="base", base=b.model, out=out)
    return {**certificates_of(again.certificates), "identical": again.identical}


def guided() -> Any:
    b = _bench[0]
    run = sc.certify_with_budget(
        b.model,
        b.x,
        len(b.x) * (20 + 300),
        guide=sc.SurrogateGuide(sc.load_surrogate("surrogate")),
        sigma=SIGMA,
        n0=20,
        alpha=ALPHA,
        seed=5,
        cache="guided",
    )
    return {**certificates_of(run.certificates), "counts": run.tally.counts.tolist()}


def by_surrogate() -> Any:
    b = _bench[0]
    loaded = sc.load_surrogate("surrogate")
    calibration = load_calibration("surrogate", loaded)
    run = sc.certify_with_surrogate(loaded, b.x, b.model, n0=20, alpha=ALPHA, calibration=calibration)
    return certificates_of(run.certificates)


def calibrate() -> Any:
    return _run_json(*COMMANDS["calibrate"].split())


def fit() -> Any:
    recipe = dataclasses.replace(surrogate_recipe("fast"), epochs=3, batch_size=10)
    found = fit_surrogate("votes", _bench[0].votes_x, arch="digits_conv", recipe=recipe, out="fitting")
    return state_of(found.surrogate.module)


def continue_training() -> Any:
    recipe = dataclasses.replace(default_recipe("digits_conv"), epochs=3)
    return state_of(train(load_dataset("train.npz"), recipe, sigma=SIGMA, out="training").model.module)


_READERS: tuple[Callable[[], Any], ...] = (
    certify,
    recertify_fresh,
    recertify_continued,
    recertify_by_paper,
    recertify_on_spent_range,
    compare,
    info,
    verify,
    verify_candidate,
    repair,
    plan,
    audit,
    report,
    compare_command,
    recertify_command,
    decide_command,
    radius,
    adaptive,
    decide,
    guided,
    by_surrogate,
    calibrate,
    fit,
    continue_training,
    checkpoint,
    published_checkpoint,
    onnx,
    arrays,
    images,
    cifar_table,
    cifar_binary,
)
READERS = {reader.__name__: reader for reader in _READERS}
"""Every reader by name."""

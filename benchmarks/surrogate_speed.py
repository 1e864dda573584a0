"""Certification by a surrogate against CERTIFY: seconds of one input, and inputs per second of a batch.

Everything counts on both sides: checks of the inputs, the probe of the classifier, the noise, PREDICT's n0
samples, bounds. One process measures both, in turns, and the median of the rounds is kept. CERTIFY is measured up
to --measured samples; beyond, its time is the measured time per sample times N, and marked as such. The surrogate,
which needs no sample but PREDICT's, is measured at every N.

    python benchmarks/surrogate_speed.py model/checkpoint.pth.tar --data cifar10 --surrogate runs/surrogate --out
        benchmarks/results/surrogate_speed.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import machine
import numpy as np

import smoothcert as sc
from smoothcert.classifiers import TorchClassifier, with_runtime
from smoothcert.data import Dataset, load_dataset
from smoothcert.models import load_checkpoint
from smoothcert.noise import GaussianNoise, input_keys
from smoothcert.sampling import calibration_batch

SIZES = (100, 1000, 5000, 10_000, 25_000, 50_000, 100_000)
LARGEST = SIZES[-1]
SHORT = 1.0  # seconds; what takes less is repeated


def fitted_classifier(model: str, surrogate: sc.Surrogate, dataset: Dataset) -> sc.Classifier:
    """Return the model in the runtime whose votes the surrogate was fitted to."""
    loaded = load_checkpoint(model)
    eager = TorchClassifier(loaded.module, loaded.num_classes)
    few = dataset.take(8).inputs
    batch = calibration_batch(few, list(input_keys(few)), GaussianNoise(surrogate.record.sigma, 0), 64)
    for classifier in (eager, with_runtime(eager, "onnx", batch)):
        if classifier.fingerprint == surrogate.record.fingerprint:
            return classifier
    raise SystemExit(f"{model} is not the model that the surrogate was fitted for")


def seconds(jobs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Time every job in turns, a short one several times in each, after a warm-up; return the medians."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    repeats = {}
    for name, job in jobs.items():
        job()
        repeats[name] = max(1, min(20, int(SHORT / _time(job))))
    for _ in range(rounds):
        for name, job in jobs.items():
            taken[name] += [_time(job) for _ in range(repeats[name])]
    return {name: statistics.median(each) for name, each in taken.items()}


def _time(job: Callable[[], Any]) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def single(
    surrogate: sc.Surrogate, classifier: sc.Classifier, x: Any, measured: int, rounds: int
) -> list[dict[str, Any]]:
    """Time one input at each N (Table II)."""
    sigma = surrogate.record.sigma
    jobs: dict[str, Callable[[], Any]] = {
        f"CERTIFY {n}": partial(sc.certify, classifier, x, sigma=sigma, n=n) for n in SIZES if n <= measured
    }
    for n, n0 in itertools.product(SIZES, (100, 0)):
        jobs[f"surrogate {n0} {n}"] = partial(sc.certify_with_surrogate, surrogate, x, classifier, n0=n0, n=n)
    found = seconds(jobs, rounds)
    per_sample = found[f"CERTIFY {measured}"] / measured
    rows: list[dict[str, Any]] = []
    for n in SIZES:
        known = found.get(f"CERTIFY {n}")
        rows.append(
            {
                "N": n,
                "certify_s": known if known is not None else per_sample * n,
                "certify_measured": known is not None,
                "surrogate_s": found[f"surrogate 100 {n}"],
                "surrogate_n0_0_s": found[f"surrogate 0 {n}"],
            }
        )
    return rows


def batch(surrogate: sc.Surrogate, classifier: sc.Classifier, x: Any, rounds: int) -> dict[str, Any]:
    """Time many inputs at once: the surrogate on all of them, CERTIFY on all of them with few samples."""
    sigma, few = surrogate.record.sigma, 900
    jobs: dict[str, Callable[[], Any]] = {
        "certify": lambda: sc.certify(classifier, x, sigma=sigma, n0=100, n=few),
        "surrogate": lambda: sc.certify_with_surrogate(surrogate, x, classifier, n0=100),
        "surrogate_n0_0": lambda: sc.certify_with_surrogate(surrogate, x, n0=0),
    }
    found = seconds(jobs, rounds)
    m = len(x)
    certify = found["certify"] / m * (LARGEST + 100) / (few + 100)
    return {
        "inputs": m,
        "certify_s_an_input_at_100000": certify,
        "surrogate_s_an_input": found["surrogate"] / m,
        "surrogate_n0_0_s_an_input": found["surrogate_n0_0"] / m,
        "ratio": certify / (found["surrogate"] / m),
        "ratio_n0_0": certify / (found["surrogate_n0_0"] / m),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--surrogate", type=Path, required=True)
    parser.add_argument("--measured", type=int, default=10_000, choices=SIZES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    surrogate = sc.load_surrogate(a.surrogate)
    dataset = load_dataset(a.data, "test", a.batch)
    classifier = fitted_classifier(a.model, surrogate, dataset)
    images = np.asarray(dataset.inputs)
    rows = single(surrogate, classifier, images[:1], a.measured, a.rounds)
    together = batch(surrogate, classifier, images, a.rounds)
    largest = rows[-1]
    result = {
        "machine": machine.describe(),
        "rounds": a.rounds,
        "single": rows,
        "single_ratio": largest["certify_s"] / largest["surrogate_s"],
        "single_ratio_n0_0": largest["certify_s"] / largest["surrogate_n0_0_s"],
        "batch": together,
    }
    for row in rows:
        print(row)
    print({name: result[name] for name in ("single_ratio", "single_ratio_n0_0", "batch")})
    a.out.parent.mkdir(parents=True, exist_ok=True)
    a.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

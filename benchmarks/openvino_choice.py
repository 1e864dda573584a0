"""What runs a float32 model and its int8 and bfloat16 candidates on the CPU: OpenVINO, or what ran them before.

A ResNet-20 for CIFAR-10 in float32 by ONNX Runtime and by OpenVINO, its quantized graph by both, and in bfloat16
by PyTorch and by OpenVINO. All sample and count votes by `sample_votes`, noise included, in turns in one process:
what counts is the median over the rounds of the ratios within a round, which other processes on the machine move
least. Beside speed: how far the logits of the two runtimes are apart, how often their votes differ, and how often
each differs from the float32 model, on which depends what recertification costs.

    python benchmarks/openvino_choice.py model/checkpoint.pth.tar --data cifar10 --out openvino_choice.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

import machine
import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.approximate import make_candidate
from smoothcert.classifiers import Classifier, ExportedClassifier, ExportedToOpenVino, TorchClassifier
from smoothcert.data import load_dataset
from smoothcert.models import load_checkpoint
from smoothcert.noise import GridNoise, Purpose, input_keys
from smoothcert.sampling import SampleRange, calibration_batch, count_votes, default_batch_size, sample_votes

SIGMA, INPUTS, COMPARED = 0.5, 20, 600
SECONDS_PER_TURN = 1.5


class Row(TypedDict):
    """What was found for one precision and number of threads."""

    precision: str
    threads: int
    before: str
    before_per_second: float
    openvino_per_second: float
    openvino_over_before: float
    openvino_over_before_range: list[float]
    logits_apart: float
    votes_that_differ: float
    before_unlike_base: float
    openvino_unlike_base: float


def pairs(checkpoint: str, x: NDArray[np.float32]) -> dict[str, tuple[Classifier, Classifier]]:
    """Return, for each precision, what ran it before and OpenVINO."""
    base = TorchClassifier(load_checkpoint(checkpoint).module, 10)
    noisy = calibration_batch(x, list(input_keys(x)), GridNoise(SIGMA, 0))
    exported = ExportedClassifier(base, x.shape[1:])

    def candidate(spec: str) -> Classifier:
        return make_candidate(spec, base, calibration=noisy).classifier

    return {
        "float32": (exported, ExportedToOpenVino(base, x.shape[1:], exported.model_bytes)),
        "int8": (candidate("int8:onnx"), candidate("int8:openvino")),
        "bfloat16": (candidate("bf16:torch"), candidate("bf16:openvino")),
    }


def measure(
    precision: str,
    before: Classifier,
    openvino: Classifier,
    base: NDArray[np.uint8],
    x: NDArray[np.float32],
    rounds: int,
) -> Row:
    """Let both sample in turns, and compare their votes on the same noise with each other's and the base's."""
    jobs = (_job(before, x), _job(openvino, x))
    samples = []
    for job in jobs:
        job(1)
        samples.append(max(1, round(SECONDS_PER_TURN / _seconds(lambda: job(1)))))  # noqa: B023
    speeds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for job, count, speed in zip(jobs, samples, speeds, strict=True):
            seconds = _seconds(lambda: job(count))  # noqa: B023
            speed.append(count * len(x) * default_batch_size(x[0].size) / seconds)
    ratios = [b / a for a, b in zip(*speeds, strict=True)]
    noisy = calibration_batch(x, list(input_keys(x)), GridNoise(SIGMA, 1), 256)
    logits, others = before.logits(noisy), openvino.logits(noisy)
    votes, other_votes = (_votes(run, x, COMPARED) for run in (before, openvino))
    return Row(
        precision=precision,
        threads=torch.get_num_threads(),
        before=before.description["runtime"],
        before_per_second=round(statistics.median(speeds[0]), 1),
        openvino_per_second=round(statistics.median(speeds[1]), 1),
        openvino_over_before=round(statistics.median(ratios), 3),
        openvino_over_before_range=[round(min(ratios), 3), round(max(ratios), 3)],
        logits_apart=float(f"{np.abs(logits - others).max() / np.ptp(logits):.3g}"),
        votes_that_differ=round(float((votes != other_votes).mean()), 5),
        before_unlike_base=round(float((votes != base).mean()), 5),
        openvino_unlike_base=round(float((other_votes != base).mean()), 5),
    )


def _votes(run: Classifier, x: NDArray[np.float32], each: int) -> NDArray[np.uint8]:
    ranges = [SampleRange(i, key, Purpose.ESTIMATION, 0, each) for i, key in enumerate(input_keys(x))]
    return np.stack(sample_votes(run, x, GridNoise(SIGMA, 0), ranges))


def _job(run: Classifier, x: NDArray[np.float32]) -> Callable[[int], object]:
    def job(batches: int) -> None:
        for votes in _votes(run, x, batches * default_batch_size(x[0].size)):
            count_votes(votes, run.num_classes)

    return job


def _seconds(job: Callable[[], object]) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="checkpoint of the ResNet-20")
    parser.add_argument("--data", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    load = [round(each, 2) for each in os.getloadavg()]
    inputs = load_dataset(a.data, limit=INPUTS).inputs
    x = np.stack([inputs[i] for i in range(INPUTS)])
    rows = []
    print(f"{'precision':12}{'threads':>8}{'before':>22}{'before/s':>10}{'OpenVINO/s':>11}{'ratio':>7}", end="")
    print(f"{'(range)':>15}{'logits apart':>14}{'votes differ':>14}{'unlike base':>18}")
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        runs = pairs(a.model, x)
        base = _votes(runs["float32"][0], x, COMPARED)
        for precision, (before, openvino) in runs.items():
            row = measure(precision, before, openvino, base, x, a.rounds)
            rows.append(row)
            low, high = row["openvino_over_before_range"]
            print(
                f"{precision:12}{threads:8}{row['before']:>22}{row['before_per_second']:10,.0f}"
                f"{row['openvino_per_second']:11,.0f}{row['openvino_over_before']:7.2f}{f'({low:.2f}-{high:.2f})':>15}"
                f"{row['logits_apart']:14.2g}{row['votes_that_differ']:14.4f}"
                f"{row['before_unlike_base']:9.4f}{row['openvino_unlike_base']:9.4f}",
                flush=True,
            )
    if a.out:
        versions = {name: version(name) for name in ("onnxruntime", "openvino")}
        result = {"machine": machine.describe() | versions, "load": load, "rounds": a.rounds, "sigma": SIGMA}
        a.out.write_text(json.dumps(result | {"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""What runs a torch module on the CPU: eager PyTorch, ONNX Runtime, or what a timed probe picks.

The rule is ONNX Runtime wherever the module can be exported, with the default batch size. Against it stand eager
PyTorch with the same batch size, and the pick of a probe that times both on growing batches and takes another
batch size too. All sample and count votes by `sample_votes`, noise included, in turns in one process: what counts
is the median over the rounds of the ratios within a round, which other processes on the machine move least. Eager
PyTorch with several threads is slowed out of proportion where others use a core, so one thread is measured too.
Beside speed: the seconds of the export, which the rule costs, and of the probe, which would come on top.

    python benchmarks/runtime_choice.py model/checkpoint.pth.tar --out benchmarks/results/runtime_choice.json
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import machine
import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier, ExportedClassifier, TorchClassifier
from smoothcert.models import build_model, load_checkpoint
from smoothcert.noise import GridNoise, Purpose, input_keys
from smoothcert.sampling import SampleRange, count_votes, default_batch_size, sample_votes

SIZES = (32, 64, 128, 256, 512, 1024)
SIGMA, INPUTS = 0.5, 4
SECONDS_PER_TURN = 0.5
LONGEST_CALL, SECONDS_PER_SIZE, CALLS = 0.25, 0.2, 10
WORTH, SAME_RATE = 1.05, 0.97  # what another runtime must gain, and the smallest batch that is about as fast

Setting = tuple[str, int]
"""A runtime and a batch size."""


class Row(TypedDict):
    """What was found for one model and number of threads."""

    model: str
    threads: int
    batch_size: int
    eager_per_second: float
    onnx_per_second: float
    onnx_over_eager: float
    pick: str
    pick_over_rule: float
    pick_over_rule_range: list[float]
    export_seconds: float
    probe_seconds: float


def models(checkpoint: str) -> dict[str, tuple[torch.nn.Module, tuple[int, ...]]]:
    """Return modules and the shapes of their inputs; only the checkpoint's weights are trained."""
    torch.manual_seed(0)
    image = (3, 32, 32)
    mlp = [torch.nn.Flatten(), torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)]
    return {
        "ResNet-20, CIFAR": (load_checkpoint(checkpoint).module, image),
        "ResNet-110, CIFAR": (build_model("cifar_resnet110"), image),
        "ResNet-50, 224 x 224": (build_model("resnet50"), (3, 224, 224)),
        "conv net, digits": (build_model("digits_conv"), (1, 8, 8)),
        "784-256-10": (torch.nn.Sequential(*mlp), (1, 28, 28)),
        "linear, 784": (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10)), (1, 28, 28)),
        "linear, 3072": (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10)), image),
    }


def probe(runs: dict[str, Classifier], shape: tuple[int, ...]) -> Setting:
    """Time the runtimes in turns on growing batches; pick one and the smallest batch that is about as fast."""
    speeds: dict[Setting, float] = {}
    racing = dict(runs)
    for size in SIZES:
        x = np.random.default_rng(0).random((size, *shape), np.float32)
        best = best_times({name: _classify(run, x) for name, run in racing.items()})
        speeds |= {(name, size): size / seconds for name, seconds in best.items()}
        racing = {name: run for name, run in racing.items() if 2 * best[name] < LONGEST_CALL}
        if not racing:
            break
    peaks = {name: max(speed for (n, _), speed in speeds.items() if n == name) for name in runs}
    name = "onnx" if peaks["onnx"] > WORTH * peaks["eager"] else "eager"
    sizes = [size for (n, size), speed in speeds.items() if n == name and speed >= SAME_RATE * peaks[name]]
    return name, min(sizes)


def best_times(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the shortest time of each of several calls, after a warm-up."""
    for call in calls.values():
        call()
    best = dict.fromkeys(calls, math.inf)
    began = time.perf_counter()
    for _ in range(CALLS):
        for name, call in calls.items():
            best[name] = min(best[name], _seconds(call))
        if time.perf_counter() - began > SECONDS_PER_SIZE * len(calls):
            break
    return best


def in_turns(jobs: dict[Setting, Callable[[int], object]], rounds: int) -> dict[Setting, list[float]]:
    """Return samples per second of each job in each round; a turn is of whole batches and takes about as long."""
    samples = {}
    for setting, job in jobs.items():
        once = setting[1]
        job(once)
        samples[setting] = once * max(1, round(SECONDS_PER_TURN / _seconds(lambda: job(once))))  # noqa: B023
    speeds: dict[Setting, list[float]] = {setting: [] for setting in jobs}
    for _ in range(rounds):
        for setting, job in jobs.items():
            speeds[setting].append(samples[setting] / _seconds(lambda: job(samples[setting])))  # noqa: B023
    return speeds


def measure(name: str, module: torch.nn.Module, shape: tuple[int, ...], rounds: int) -> Row:
    """Compare the rule with eager PyTorch and with what the probe picks, for one model."""
    num_classes = int(module(torch.zeros(1, *shape)).shape[1])
    eager = TorchClassifier(module, num_classes)
    exported: list[Classifier] = []
    export_seconds = _seconds(lambda: exported.append(ExportedClassifier(eager, shape)))
    runs: dict[str, Classifier] = {"eager": eager, "onnx": exported[0]}
    picks: list[Setting] = []
    probe_seconds = _seconds(lambda: picks.append(probe(runs, shape)))
    usual = default_batch_size(math.prod(shape))
    inputs = np.random.default_rng(0).integers(0, 256, (INPUTS, *shape)).astype(np.float32) / np.float32(255)
    rule, other, pick = ("onnx", usual), ("eager", usual), picks[0]
    settings = dict.fromkeys((rule, other, pick))  # the pick may be one of the others
    jobs = {(kind, size): _job(runs[kind], inputs, num_classes, size) for kind, size in settings}
    speeds = in_turns(jobs, rounds)
    gains = _ratios(speeds[pick], speeds[rule])
    return Row(
        model=name,
        threads=torch.get_num_threads(),
        batch_size=usual,
        eager_per_second=round(statistics.median(speeds[other]), 1),
        onnx_per_second=round(statistics.median(speeds[rule]), 1),
        onnx_over_eager=round(statistics.median(_ratios(speeds[rule], speeds[other])), 3),
        pick=f"{pick[0]}, {pick[1]}",
        pick_over_rule=round(statistics.median(gains), 3),
        pick_over_rule_range=[round(min(gains), 3), round(max(gains), 3)],
        export_seconds=round(export_seconds, 2),
        probe_seconds=round(probe_seconds, 2),
    )


def _job(
    run: Classifier, inputs: NDArray[np.float32], num_classes: int, batch_size: int
) -> Callable[[int], object]:
    keys, noise = list(input_keys(inputs)), GridNoise(SIGMA, 0)

    def job(samples: int) -> None:
        each = samples // len(inputs)
        ranges = [SampleRange(i, key, Purpose.ESTIMATION, 0, each) for i, key in enumerate(keys)]
        for votes in sample_votes(run, inputs, noise, ranges, batch_size=batch_size):
            count_votes(votes, num_classes)

    return job


def _classify(run: Classifier, x: NDArray[np.float32]) -> Callable[[], object]:
    return lambda: run.classify(x)


def _ratios(above: list[float], below: list[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def _seconds(job: Callable[[], object]) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="checkpoint of the ResNet-20")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    load = [round(each, 2) for each in os.getloadavg()]
    rows = []
    print(f"{'model':22}{'threads':>8}{'batch':>6}{'eager/s':>10}{'ONNX/s':>10}{'ONNX/eager':>11}", end="")
    print(f"{'probe picks':>13}{'pick/rule':>10}{'(range)':>15}{'export s':>9}{'probe s':>8}")
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        for name, (module, shape) in models(a.model).items():
            row = measure(name, module, shape, a.rounds)
            rows.append(row)
            low, high = row["pick_over_rule_range"]
            print(
                f"{name:22}{threads:8}{row['batch_size']:6}{row['eager_per_second']:10,.0f}"
                f"{row['onnx_per_second']:10,.0f}{row['onnx_over_eager']:11.2f}{row['pick']:>13}"
                f"{row['pick_over_rule']:10.2f}{f'({low:.2f}-{high:.2f})':>15}{row['export_seconds']:9.1f}"
                f"{row['probe_seconds']:8.1f}",
                flush=True,
            )
    if a.out:
        result = {"machine": machine.describe(), "load": load, "rounds": a.rounds, "sigma": SIGMA, "rows": rows}
        a.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

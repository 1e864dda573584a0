"""Samples per second: the published loops, smoothcert, and the classifier alone, side by side in one run.

All run the same checkpoint on the same machine in turns, and the median over the rounds counts. The published
loops keep their batch sizes and their memory layout; they are written anew after what the originals do:

- "Cohen et al. (2019)": batches of 1000, the input repeated, torch's noise scaled, votes counted one by one;
- "Ugare et al. (2024)": batches of 100, noise repeated from kept seeds on the CPU, votes compared with kept ones.

"smoothcert" is `sample_votes`, on one input with all samples or on many inputs with 100 samples each. "alone" is
the classifier on noisy batches that were made before: the limit of any loop around it. Processor time per sample
is given as well: it varies less than speed where other processes run. PyTorch with two threads is slowed out of
proportion where others use a core: compare on an idle machine, or one thread of each with OMP_NUM_THREADS=1.

Last comes, on the CPU, where the cores' time goes in smoothcert's loop, part by part (`loop_profile.py`); with
--out also as a table, FILE_profile.csv. With --device cuda all loops run on the GPU, but for the noise that the
second one makes on the CPU; the int8 candidate, which is ONNX Runtime's, is left out.

    python benchmarks/throughput.py model/checkpoint.pth.tar --data cifar10 --sigma 0.5 --out throughput.json
    python benchmarks/throughput.py model/checkpoint.pth.tar --data cifar10 --device cuda --samples 100000
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import numpy as np
import torch
from loop_profile import profile, write_profiles
from numpy.typing import NDArray

from smoothcert.approximate import make_candidate
from smoothcert.classifiers import Classifier, TorchClassifier, with_runtime
from smoothcert.data import Dataset, load_dataset
from smoothcert.models import load_checkpoint
from smoothcert.noise import GaussianNoise, GridNoise, NoiseStream, Purpose, input_keys
from smoothcert.sampling import SampleRange, calibration_batch, count_votes, default_batch_size, sample_votes

COHEN, UGARE = "Cohen et al. (2019)", "Ugare et al. (2024)"
COHEN_BATCH, UGARE_BATCH, MANY_SAMPLES = 1000, 100, 100

Loop = Callable[[int], Any]
"""Draws and counts that many samples."""


def cohen_loop(module: torch.nn.Module, x: torch.Tensor, sigma: float, num_classes: int) -> Loop:
    """Sample as the code published with "Certified adversarial robustness via randomized smoothing" does."""

    @torch.no_grad()
    def loop(samples: int) -> NDArray[np.int64]:
        counts = np.zeros(num_classes, np.int64)
        for start in range(0, samples, COHEN_BATCH):
            batch = x.repeat(min(COHEN_BATCH, samples - start), 1, 1, 1)
            votes = module(batch + sigma * torch.randn_like(batch)).argmax(1)
            for vote in votes.cpu().numpy():
                counts[vote] += 1
        return counts

    return loop


def ugare_loop(module: torch.nn.Module, x: torch.Tensor, sigma: float, num_classes: int) -> Loop:
    """Estimate a disparity as the code published with the incremental paper does."""
    seeds: list[int] = []
    kept: list[torch.Tensor] = []

    def votes_of(seed: int, size: int) -> torch.Tensor:
        batch = x.repeat(size, 1, 1, 1)
        torch.manual_seed(seed)
        noise = torch.randn(batch.shape).to(batch.device)
        votes: torch.Tensor = module(batch + sigma * noise).argmax(1)
        return votes

    @torch.no_grad()
    def loop(samples: int) -> int:
        counts, different = np.zeros(num_classes, np.int64), 0
        for i, start in enumerate(range(0, samples, UGARE_BATCH)):
            size = min(UGARE_BATCH, samples - start)
            if i == len(seeds):  # the first run is a warm-up: it leaves what the base's run leaves
                seeds.append(torch.seed())
                kept.append(votes_of(seeds[i], size))
            votes = votes_of(seeds[i], size).cpu().numpy()
            different += int((kept[i].cpu().numpy()[:size] != votes).sum())
            for vote in votes:
                counts[vote] += 1
        return different

    return loop


@dataclass(frozen=True)
class Job:
    """What smoothcert samples."""

    dataset: Dataset
    keys: list[bytes]
    noise: NoiseStream

    def sampling(self, classifier: Classifier, rows: int, batch_size: int) -> Loop:
        """Sample and count the votes of the first inputs."""

        def loop(samples: int) -> None:
            stop = samples // rows
            ranges = [SampleRange(i, self.keys[i], Purpose.ESTIMATION, 0, stop) for i in range(rows)]
            for votes in sample_votes(classifier, self.dataset.inputs, self.noise, ranges, batch_size=batch_size):
                count_votes(votes, classifier.num_classes)

        return loop

    def alone(self, classifier: Classifier, batch_size: int) -> Loop:
        """Classify one ready batch again and again, where the classifier is."""
        batch = calibration_batch(self.dataset.inputs, self.keys, self.noise, batch_size)
        if isinstance(classifier, TorchClassifier) and classifier.device.type != "cpu":
            return _alone_there(classifier, batch)

        def loop(samples: int) -> None:
            for start in range(0, samples, batch_size):
                classifier.classify(batch[: samples - start])

        return loop


def _alone_there(classifier: TorchClassifier, batch: NDArray[np.float32]) -> Loop:
    there = torch.from_numpy(batch).to(classifier.device)

    def loop(samples: int) -> None:
        for start in range(0, samples, len(there)):
            labels = classifier.vote(there[: samples - start])
        labels.cpu()  # waits for all of them

    return loop


def in_turns(loops: dict[str, Loop], samples: int, rounds: int) -> dict[str, dict[str, float]]:
    """Run all loops in turns; return the medians of samples per second and processor microseconds per sample."""
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    costs: dict[str, list[float]] = {name: [] for name in loops}
    for i in range(rounds + 1):
        for name, loop in loops.items():
            began, used = time.perf_counter(), time.process_time()
            loop(samples)
            if i > 0:  # the first round warms up
                speeds[name].append(samples / (time.perf_counter() - began))
                costs[name].append(1e6 * (time.process_time() - used) / samples)
    return {
        name: {
            "samples_per_second": round(statistics.median(speeds[name]), 1),
            "slowest": round(min(speeds[name]), 1),
            "fastest": round(max(speeds[name]), 1),
            "cpu_microseconds": round(statistics.median(costs[name]), 1),
        }
        for name in loops
    }


def measure(a: argparse.Namespace) -> dict[str, Any]:
    """Build the loops, run them, and return speeds, ratios and the profile."""
    dataset = load_dataset(a.data, limit=a.samples // MANY_SAMPLES)
    noise: NoiseStream = GridNoise(a.sigma, 0) if a.noise == "grid" else GaussianNoise(a.sigma, 0)
    job = Job(dataset, list(input_keys(dataset.inputs[i] for i in range(len(dataset.inputs)))), noise)
    loaded, published = load_checkpoint(a.model), load_checkpoint(a.model).module.to(a.device)
    eager = TorchClassifier(loaded.module, loaded.num_classes, device=a.device)
    chosen = with_runtime(eager, "auto", calibration_batch(dataset.inputs, job.keys, noise, 64))
    usual = default_batch_size(int(np.prod(dataset.inputs.shape[1:])), eager.device.type)
    calibration = calibration_batch(dataset.inputs, job.keys, noise)
    on_cpu = eager.device.type == "cpu"
    specs = ("bf16:torch", "int8:onnx") if on_cpu else ("bf16:torch",)
    candidates = {spec: make_candidate(spec, eager, calibration=calibration).classifier for spec in specs}
    x = torch.from_numpy(np.ascontiguousarray(dataset.inputs[0])).to(a.device)
    best = "eager" if isinstance(chosen, TorchClassifier) else "onnx"
    runs: dict[str, Classifier] = {best: chosen, "eager": eager, **candidates}
    loops = {
        COHEN: cohen_loop(published, x, a.sigma, loaded.num_classes),
        UGARE: ugare_loop(published, x, a.sigma, loaded.num_classes),
    }
    for name, f in runs.items():
        rows = (1, len(dataset.inputs)) if name == best else (1,)
        loops |= {f"smoothcert, {name}, {_inputs(m)}": job.sampling(f, m, usual) for m in rows}
        loops[f"alone, {name}"] = job.alone(f, usual)
    speeds = in_turns(loops, a.samples, a.rounds)
    return {
        "noise": noise.law,
        "samples": a.samples,
        "rounds": a.rounds,
        "speeds": speeds,
        "ratios": ratios({name: row["samples_per_second"] for name, row in speeds.items()}, list(runs)),
        "profiles": {
            name: profile(f, job.noise, lambda: job.sampling(f, 1, usual)(a.samples))  # noqa: B023 - called at once
            for name, f in runs.items()
            if on_cpu
        },
    }


def _inputs(rows: int) -> str:
    return "one input" if rows == 1 else f"{rows} inputs"


def ratios(speed: dict[str, float], names: list[str]) -> dict[str, float]:
    """Compare smoothcert with the published loops and with the limits."""
    pairs: dict[str, tuple[str, str]] = {}
    for name in names:
        ours = f"smoothcert, {name}, {_inputs(1)}"
        pairs |= {f"{ours} / {other}": (ours, other) for other in (COHEN, UGARE, f"alone, {name}")}
    many = next(name for name in speed if name.endswith(" inputs"))
    pairs[f"{many} / alone, {names[0]}"] = (many, f"alone, {names[0]}")
    return {label: round(speed[above] / speed[below], 3) for label, (above, below) in pairs.items()}


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--noise", choices=("gaussian", "grid"), default="grid")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--samples", type=int, default=4000, help="per loop and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    if a.samples < MANY_SAMPLES or a.samples % MANY_SAMPLES:
        parser.error(f"--samples is {a.samples}: it should be a multiple of {MANY_SAMPLES}")
    result: dict[str, Any] = {"machine": machine.describe(), "threads": torch.get_num_threads()}
    result["load"] = [round(load, 2) for load in os.getloadavg()]
    result |= measure(a)
    for name, row in result["speeds"].items():
        print(
            f"{name:44}{row['samples_per_second']:9,.0f}/s  ({row['slowest']:,.0f} to {row['fastest']:,.0f})"
            f"{row['cpu_microseconds']:9,.0f} us of processor time per sample"
        )
    for name, ratio in result["ratios"].items():
        print(f"{ratio:8.2f}  {name}")
    for name, shares in result["profiles"].items():
        print(f"{name}: " + ", ".join(f"{part} {100 * share:.1f} %" for part, share in shares.items()))
    if a.out:
        a.out.parent.mkdir(parents=True, exist_ok=True)
        if result["profiles"]:
            write_profiles(a.out.with_name(f"{a.out.stem}_profile.csv"), result["profiles"])
        a.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

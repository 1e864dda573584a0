"""What noise costs: microseconds per 3,072 coordinates (a CIFAR-10 image), side by side in one run.

Each thread fills a buffer of its own, of 64 images, again and again; sources take turns, and the median over the
turns counts. "torch" and "NumPy" draw standard normals into the buffer and do not even scale them or add an input;
the noise streams of smoothcert write x + noise. Run it on a machine that does nothing else.

With --device cuda one buffer of many images lies on the GPU, and smoothcert's kernel takes turns with torch's.

    python benchmarks/noise_cost.py --out benchmarks/results/noise_cost.json
    python benchmarks/noise_cost.py --device cuda --out noise_cost_cuda.json
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import machine
import numpy as np
import torch

from smoothcert.noise import GaussianNoise, GridNoise, NoiseStream, Purpose, noise_on_device

SIZE, IMAGES, IMAGES_THERE = 3 * 32 * 32, 64, 4096
SIGMAS = (0.12, 0.25, 0.5, 1.0)
REFERENCE = "torch normal_"

Fill = Callable[[int], None]
"""Fills a thread's buffer; takes the index of the turn."""


def torch_normals(thread: int) -> Fill:
    """Fill with torch's standard normals."""
    buffer, generator = torch.empty(IMAGES, SIZE), torch.Generator().manual_seed(thread)

    def fill(_: int) -> None:
        buffer.normal_(generator=generator)

    return fill


def numpy_normals(thread: int) -> Fill:
    """Fill with NumPy's standard normals in float32."""
    buffer, generator = np.empty((IMAGES, SIZE), np.float32), np.random.default_rng(thread)

    def fill(_: int) -> None:
        generator.standard_normal(dtype=np.float32, out=buffer)

    return fill


def stream(noise: NoiseStream) -> Callable[[int], Fill]:
    """Fill with x + noise, asked for in the pieces that the sampler asks for."""
    x = np.random.default_rng(0).integers(0, 256, SIZE).astype(np.float32) / np.float32(255)
    block = min(IMAGES, noise.block(SIZE))

    def source(thread: int) -> Fill:
        buffer = np.empty((IMAGES, SIZE), np.float32)

        def fill(turn: int) -> None:
            for start in range(0, IMAGES, block):
                first = (turn << 32) + start
                noise.perturb(x, bytes([thread] * 32), Purpose.ESTIMATION, first, buffer[start : start + block])

        return fill

    return source


def sources() -> dict[str, Callable[[int], Fill]]:
    """Return what is compared."""
    grids = {f"GridNoise {sigma}": stream(GridNoise(sigma, 0)) for sigma in SIGMAS}
    return {
        REFERENCE: torch_normals,
        "NumPy standard_normal": numpy_normals,
        "GaussianNoise": stream(GaussianNoise(0.5, 0)),
        **grids,
    }


def measure(threads: int, turns: int, fills: int = 100) -> dict[str, float]:
    """Return microseconds per image of each source, with that many threads at work."""
    workers = {name: [source(t) for t in range(threads)] for name, source in sources().items()}
    seconds: dict[str, list[float]] = {name: [] for name in workers}

    def work(fill: Fill, turn: int) -> None:
        for i in range(fills):
            fill(turn * fills + i)

    with ThreadPoolExecutor(threads) as pool:
        for turn in range(turns + 1):
            for name, own in workers.items():
                began = time.perf_counter()
                list(pool.map(work, own, [turn] * threads))
                seconds[name].append(time.perf_counter() - began)
    # The first turn compiles and warms up.
    return {name: 1e6 * statistics.median(s[1:]) / (threads * fills * IMAGES) for name, s in seconds.items()}


def measure_there(device: torch.device, turns: int, fills: int = 100) -> dict[str, float]:
    """Return microseconds per image of each source on a device that is not the CPU."""
    buffer = torch.empty(IMAGES_THERE, SIZE, device=device)
    samples = torch.arange(IMAGES_THERE, device=device)
    x = np.random.default_rng(0).integers(0, 256, SIZE).astype(np.float32) / np.float32(255)
    own: dict[str, Callable[[int], object]] = {REFERENCE: lambda _: buffer.normal_()}
    for sigma in SIGMAS:
        noise = noise_on_device(GridNoise(sigma, 0), device)
        if noise is None:
            raise SystemExit(f"{device}: grid noise on it needs Triton")
        perturb = functools.partial(noise.perturb_at, x, bytes(32), Purpose.ESTIMATION)
        own[f"GridNoise {sigma}"] = lambda turn, perturb=perturb: perturb(samples + turn, buffer)  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in own}
    for turn in range(turns + 1):
        for name, fill in own.items():
            torch.cuda.synchronize(device)
            began = time.perf_counter()
            for i in range(fills):
                fill(IMAGES_THERE * (turn * fills + i))
            torch.cuda.synchronize(device)
            seconds[name].append(time.perf_counter() - began)
    return {name: 1e6 * statistics.median(s[1:]) / (fills * IMAGES_THERE) for name, s in seconds.items()}


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    torch.set_num_threads(1)
    described = machine.describe()
    if a.device == "cpu":
        results = {threads: measure(threads, a.turns) for threads in a.threads}
    else:
        results = {1: measure_there(torch.device(a.device), a.turns)}
    where = f"{described['processor']}, {described['cores']} cores" if a.device == "cpu" else described["gpu"]
    print(f"{where}; microseconds per {SIZE:,} coordinates")
    print(f"{'':24}" + "".join(f"{f'{t} thread' + 's' * (t > 1):>14}{'ratio':>8}" for t in results))
    for name in next(iter(results.values())):
        cells = (f"{r[name]:14.3g}{r[name] / r[REFERENCE]:8.2f}" for r in results.values())
        print(f"{name:24}" + "".join(cells))
    if a.out:
        a.out.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {"source": name, "threads": t, "microseconds": round(us, 5), "over_torch": round(us / r[REFERENCE], 3)}
            for t, r in results.items()
            for name, us in r.items()
        ]
        a.out.write_text(json.dumps({"machine": described, "coordinates": SIZE, "results": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Peak memory of a certification against the number of samples and of inputs; each a process of its own.

python benchmarks/memory.py MODEL --data digits --sigma 0.25 --sizes 1x1000 1x1000000 500x2000 --out FILE
python benchmarks/memory.py linear --sigma 0.5 --sizes 50x1000 5000x1000 1x1000000 --out FILE

"linear" in place of a checkpoint certifies a linear classifier of 64 pixels on random 8-bit images of CIFAR's
shape, made on demand: as many inputs as wanted in little time, with noise, votes and cache as in any other run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPE, CLASSES, READ = (3, 32, 32), 10, 64


class RandomImages:
    """Random 8-bit images in [0, 1], made when they are asked for."""

    def __init__(self, count: int) -> None:
        self.shape = (count, *SHAPE)

    def __len__(self) -> int:
        """Return the number of images."""
        return self.shape[0]

    def __getitem__(self, index: int, /) -> NDArray[np.float32]:
        """Return one image."""
        levels = np.random.default_rng(index).integers(0, 256, SHAPE)
        return levels.astype(np.float32) / np.float32(255)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the images."""
        return (self[i] for i in range(len(self)))


def certify_linear(inputs: int, n: int, sigma: float) -> None:
    """Certify a linear classifier, with a cache on disk."""
    import smoothcert as sc

    weight = np.random.default_rng(0).standard_normal((READ, CLASSES), dtype=np.float32)

    def logits(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = batch.reshape(len(batch), -1)[:, :READ] @ weight
        return scores

    linear = sc.FunctionClassifier(logits, CLASSES, "linear")
    with tempfile.TemporaryDirectory() as cache:
        sc.certify(linear, RandomImages(inputs), sigma=sigma, n=n, cache=cache)


def measured(a: argparse.Namespace, inputs: str, n: str) -> dict[str, Any]:
    """Run one size in a process."""
    from main_job import measure, run

    if a.model == "linear":
        return measure("certify", [sys.executable, __file__, "linear", "--sigma", a.sigma, "--once", inputs, n])
    with tempfile.TemporaryDirectory() as cache:
        call = (a.model, "--data", a.data, "--sigma", a.sigma, "--limit", inputs, "--n", n, "--cache", cache)
        return run("certify", *call)


def main() -> None:
    """Run each size, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", help="needed unless the model is 'linear'")
    parser.add_argument("--sigma", required=True)
    parser.add_argument("--sizes", nargs="+", default=[], help="INPUTSxN")
    parser.add_argument("--once", nargs=2, type=int, metavar=("INPUTS", "N"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    a = parser.parse_args()
    if a.once:
        certify_linear(a.once[0], a.once[1], float(a.sigma))
        return
    if a.out is None or not a.sizes or (a.data is None and a.model != "linear"):
        parser.error("--sizes and --out are needed, and --data for a checkpoint")
    import machine

    sizes = [size.split("x") for size in a.sizes]
    results = [{"inputs": int(m), "n": int(n), **measured(a, m, n)} for m, n in sizes]
    a.out.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine.describe(), "classifier": Path(a.model).name, "sigma": a.sigma, "runs": results}
    a.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()

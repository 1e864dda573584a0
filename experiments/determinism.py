"""How far a model's logits move with the number of threads, the batch size and the order of the samples.

Compares every combination with one thread and all samples in one batch, for PyTorch's eager mode and ONNX Runtime.

    python experiments/determinism.py model/checkpoint.pth.tar --data cifar10 --sigma 0.5
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier, OnnxClassifier, TorchClassifier, export_onnx
from smoothcert.data import load_dataset
from smoothcert.models import load_checkpoint
from smoothcert.noise import GaussianNoise, input_keys
from smoothcert.sampling import calibration_batch

THREADS, BATCHES = (1, 2, 3, 4), (1, 2, 3, 7, 16, 64, 100, 128)

Floats = NDArray[np.float32]


def logits_of(classifier: Classifier, samples: Floats, batch: int) -> Floats:
    """Score the samples in batches of that size."""
    return np.concatenate([classifier.logits(samples[i : i + batch]) for i in range(0, len(samples), batch)])


def compare(name: str, build: Callable[[int], Classifier], samples: Floats) -> None:
    """Print, for each number of threads and batch size, how far logits and votes are from the first ones."""
    reference = logits_of(build(1), samples, len(samples))
    spread = float(np.ptp(reference))
    order = np.random.default_rng(1).permutation(len(samples))
    for threads in THREADS:
        classifier = build(threads)
        for batch in (*BATCHES, len(samples)):
            found, shuffled = logits_of(classifier, samples, batch), np.empty_like(reference)
            shuffled[order] = logits_of(classifier, samples[order], batch)
            moved = max(float(np.abs(other - reference).max()) for other in (found, shuffled))
            votes = sum(int((other.argmax(1) != reference.argmax(1)).sum()) for other in (found, shuffled))
            same = "bit-identical" if moved == 0 else f"moved by {moved / spread:.1e} of the spread"
            print(f"{name}: {threads} threads, batch {batch}: {same}, {votes} votes of {2 * len(samples)} differ")


def main() -> None:
    """Compare both runtimes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--samples", type=int, default=300)
    a = parser.parse_args()
    dataset, model = load_dataset(a.data, limit=30), load_checkpoint(a.model)
    samples = calibration_batch(
        dataset.inputs, list(input_keys(dataset.inputs)), GaussianNoise(a.sigma, 0), a.samples
    )
    eager = TorchClassifier(model.module, model.num_classes)
    exported = export_onnx(eager, dataset.inputs.shape[1:])

    def with_threads(threads: int) -> TorchClassifier:
        torch.set_num_threads(threads)
        return eager

    compare("eager", with_threads, samples)
    compare("onnx", lambda threads: OnnxClassifier(exported, model.num_classes, threads=threads), samples)


if __name__ == "__main__":
    main()

"""What a small denoiser makes of a classifier that was trained without noise.

    python experiments/denoised_smoothing.py --data cifar10 --work runs/denoised --out benchmarks/results

Trains a classifier without noise and, on the same images, two denoisers: one on the squared error, and that one
further on what the classifier makes of its estimates, with its labels of the clean images as targets (Salman et
al., 2020). Then the same test images are certified with the classifier alone and behind each denoiser. A training
that was killed continues.
"""

from __future__ import annotations

import argparse
import copy
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rows import print_and_write
from torch import nn
from torch.nn import functional

import smoothcert as sc
from smoothcert.classifiers import TorchClassifier, module_fingerprint, with_runtime
from smoothcert.data import Dataset, load_dataset
from smoothcert.fitting import EpochProgress, Optimization, check_start, optimize, random_crop_and_flip
from smoothcert.training import default_recipe, noisy_accuracy, train

RADII = (0.0, 0.25, 0.5)
BATCH, LEARNING_RATE = 32, 1e-3


class ResidualDenoiser(nn.Sequential):
    """Convolutions with batch normalization between them that predict the noise (DnCNN, Zhang et al., 2017)."""

    def __init__(self, image_channels: int, *, layers: int, channels: int) -> None:
        inner: list[nn.Module] = []
        for _ in range(layers - 2):
            inner += [nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        super().__init__(
            nn.Conv2d(image_channels, channels, 3, padding=1),
            nn.ReLU(),
            *inner,
            nn.Conv2d(channels, image_channels, 3, padding=1),
        )


@dataclass(frozen=True)
class DenoiserEpoch:
    """One epoch of a denoiser: its mean loss and the seconds that it took."""

    epoch: int
    loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class DenoiserTraining(Optimization[DenoiserEpoch]):
    """A denoiser, trained on noisy images: on the squared error, or on the labels of a classifier behind it."""

    dataset: Dataset
    sigma: float
    classifier: nn.Module | None

    @functools.cached_property
    def _images(self) -> Dataset:
        return self.dataset.in_memory()

    def batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Go once through the noisy images and the clean ones."""
        flips, noise = self.generator(epoch, "augmentation"), self.generator(epoch, "noise")
        for rows in self.shuffled(epoch):
            clean = random_crop_and_flip(torch.from_numpy(self._images.inputs[rows]), flips, padding=0)
            noisy = clean + self.sigma * torch.randn(clean.shape, generator=noise)
            yield noisy.contiguous(memory_format=torch.channels_last), clean

    def learning_rate(self, step: int) -> float:
        """Fall along a cosine to zero."""
        done = step / (self.epochs * self.steps)
        return float(self.optimizer.defaults["lr"]) * (1 + math.cos(math.pi * done)) / 2

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compare the estimates with the clean images, by value or by label."""
        estimate = x - self.module(x)
        if self.classifier is None:
            loss = functional.mse_loss(estimate, y)
        else:
            with torch.no_grad():
                labels = self.classifier(y).argmax(1)
            loss = functional.cross_entropy(self.classifier(estimate.clamp(0, 1)), labels)
        return loss, loss[None] * len(x)

    def entry(self, epoch: EpochProgress) -> DenoiserEpoch:
        """Keep the loss."""
        return DenoiserEpoch(epoch.epoch, epoch.loss, epoch.seconds)


def train_denoiser(
    start: nn.Module, dataset: Dataset, folder: Path, *, sigma: float, epochs: int, classifier: nn.Module | None
) -> tuple[nn.Module, float]:
    """Train a copy of a denoiser; return it and the seconds that this took."""
    network = copy.deepcopy(start).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    judge = None if classifier is None else copy.deepcopy(classifier).eval().requires_grad_(False)
    _, device = check_start(seed=0, out=folder, device="cpu")
    training = DenoiserTraining(
        module=network,
        optimizer=torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.0),
        moments={name: name for name in ("exp_avg", "exp_avg_sq", "step")},
        record=DenoiserEpoch,
        setup={
            "start": module_fingerprint(start),
            "classifier": "" if judge is None else module_fingerprint(judge),
            "images": f"{dataset.name} {len(dataset)}",
            "sigma": sigma,
            "epochs": epochs,
            "learning_rate": LEARNING_RATE,
        },
        epochs=epochs,
        size=len(dataset),
        batch_size=BATCH,
        seed=0,
        device=device,
        dataset=dataset,
        sigma=sigma,
        classifier=judge,
    )
    history = optimize(training, state=folder / "denoiser.safetensors", progress=report)
    return network.eval(), sum(epoch.seconds for epoch in history)


def report(where: EpochProgress) -> None:
    """Print the end of an epoch."""
    if where.step == where.steps:
        means = ", ".join(f"{value:.4f}" for value in where.means)
        print(f"epoch {where.epoch} of {where.epochs}: {means} in {where.seconds:.0f} s", flush=True)


def commonest_two(f: TorchClassifier, dataset: Dataset, sigma: float) -> float:
    """Return the share of noisy images that get one of the two classes that most of them get."""
    rng, counts = np.random.default_rng(0), np.zeros(f.num_classes, np.int64)
    for start in range(0, len(dataset), 256):
        clean = dataset.inputs[start : start + 256]
        noisy = clean + rng.normal(0, sigma, clean.shape).astype(np.float32)
        counts += np.bincount(f.classify(noisy), minlength=f.num_classes)
    return float(np.sort(counts)[-2:].sum() / counts.sum())


def row(
    denoiser: str, f: TorchClassifier, test: Dataset, more: Dataset, seconds: float, a: argparse.Namespace
) -> dict[str, object]:
    """Certify the test images with one base classifier, and say what it is without smoothing."""
    noisy = np.repeat(test.inputs[:8], 8, axis=0)
    noisy += np.random.default_rng(0).normal(0, a.sigma, noisy.shape).astype(np.float32)
    running = with_runtime(f, "auto", noisy)
    run = sc.certify(running, test.inputs, sigma=a.sigma, n0=a.n0, n=a.n, alpha=a.alpha)
    accuracy = sc.certified_accuracy(run.certificates, test.labels, RADII)
    return {
        "denoiser": denoiser,
        "ACR": f"{sc.average_certified_radius(run.certificates, test.labels):.4f}",
        **{f"certified at {radius:g}": f"{share:.3f}" for radius, share in zip(RADII, accuracy, strict=True)},
        "clean accuracy": f"{noisy_accuracy(f.module, more, sigma=0.0):.4f}",
        "accuracy under noise": f"{noisy_accuracy(f.module, more, sigma=a.sigma):.4f}",
        "commonest two classes under noise": f"{commonest_two(f, more, a.sigma):.4f}",
        "seconds of training": f"{seconds:.0f}",
        "samples a second": f"{run.timing.samples / run.timing.seconds:.0f}",
        "runtime": running.description["runtime"],
        "classifier": a.arch,
        "sigma": a.sigma,
        "training images": a.train,
        "images": len(test),
        "n0": a.n0,
        "n": a.n,
        "alpha": a.alpha,
    }


def rows(a: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Train, then certify with each base classifier."""
    images = load_dataset(a.data, "train", limit=a.train)
    test = load_dataset(a.data, "test")
    chosen, more = test.take(a.images, max(1, len(test) // a.images)), test.take(a.clean_images)
    recipe = replace(default_recipe(a.arch), epochs=a.classifier_epochs, batch_size=64)
    result = train(images, recipe, sigma=0.0, out=a.work / "classifier", device="cpu", progress=report)
    plain = TorchClassifier(result.model.module, images.num_classes)
    seconds = sum(epoch.seconds for epoch in result.history)
    yield row("none", plain, chosen, more, seconds, a)

    torch.manual_seed(0)
    fresh = ResidualDenoiser(images.inputs.shape[1], layers=a.layers, channels=a.channels)
    mse, mse_seconds = train_denoiser(
        fresh, images, a.work / "mse", sigma=a.sigma, epochs=a.mse_epochs, classifier=None
    )
    seconds += mse_seconds
    yield row("squared error", sc.Denoised(mse, plain, predicts="noise"), chosen, more, seconds, a)
    stable, stable_seconds = train_denoiser(
        mse, images, a.work / "stability", sigma=a.sigma, epochs=a.stability_epochs, classifier=plain.module
    )
    seconds += stable_seconds
    yield row("then stability", sc.Denoised(stable, plain, predicts="noise"), chosen, more, seconds, a)


def main() -> None:
    """Print and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--arch", default="cifar_resnet20")
    parser.add_argument("--sigma", type=float, default=0.25)
    parser.add_argument("--train", type=int, default=20_000, help="training images")
    parser.add_argument("--classifier-epochs", type=int, default=6)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--mse-epochs", type=int, default=4)
    parser.add_argument("--stability-epochs", type=int, default=1)
    parser.add_argument("--images", type=int, default=100, help="test images that are certified, spread evenly")
    parser.add_argument("--clean-images", type=int, default=2000, help="test images for the other accuracies")
    parser.add_argument("--n0", type=int, default=100)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--alpha", type=float, default=0.001)
    parser.add_argument("--work", type=Path, required=True, help="folder of the trained networks")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    print_and_write(rows(a), a.out, "denoised_smoothing.csv")


if __name__ == "__main__":
    main()

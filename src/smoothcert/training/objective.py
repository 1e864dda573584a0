"""What a training optimizes: cross entropy on inputs under fresh Gaussian noise."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from smoothcert.data import Dataset
from smoothcert.fitting import EpochProgress, Optimization, random_crop_and_flip
from smoothcert.training.recipe import TrainingRecipe, learning_rate

__all__ = ["EpochRecord", "Training"]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of training.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    loss : float
        Mean cross entropy over the epoch, in nats.
    accuracy : float
        Share of noisy training inputs that were labelled right as they came by.
    learning_rate : float
        At the end of the epoch.
    seconds : float
        Time that it took.
    samples_per_second : float
        Training inputs per second.
    """

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    seconds: float
    samples_per_second: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Training(Optimization[EpochRecord]):
    """A classifier, trained on a dataset under noise of `sigma`, augmented where the recipe says so."""

    recipe: TrainingRecipe
    dataset: Dataset
    sigma: float
    mixed_precision: bool

    @functools.cached_property
    def _decoded(self) -> Dataset:
        return self.dataset.in_memory()

    def batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Go once through the noisy inputs and their labels."""
        augmentation = self.generator(epoch, "augmentation")
        noise = self.generator(epoch, "noise", self.device)
        for rows in self.shuffled(epoch):
            x = torch.from_numpy(self._decoded.inputs[rows]).to(self.device)
            y = torch.from_numpy(self._decoded.labels[rows]).to(self.device)
            if self.recipe.augment:
                x = random_crop_and_flip(x, augmentation)
            x = x + self.sigma * torch.randn(x.shape, generator=noise, device=self.device)
            yield x.contiguous(memory_format=torch.channels_last), y

    def learning_rate(self, step: int) -> float:
        """Follow the recipe's schedule."""
        return learning_rate(self.recipe, step, self.steps)

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean cross entropy; its sum, and how many inputs are labelled right."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision):
            logits = self.module(x)
            loss = functional.cross_entropy(logits, y)
        right = (logits.argmax(1) == y).sum()
        return loss, torch.stack([loss * len(y), right])

    def entry(self, epoch: EpochProgress) -> EpochRecord:
        """Keep the loss and the accuracy under noise."""
        loss, accuracy = epoch.means
        return EpochRecord(
            epoch.epoch, loss, accuracy, epoch.learning_rate, epoch.seconds, epoch.samples_per_second
        )

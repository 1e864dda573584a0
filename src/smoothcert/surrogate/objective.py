"""What a fit optimizes: the distance between a network's predictions and the shares of votes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.data import Images
from smoothcert.fitting import EpochProgress, Optimization, random_crop_and_flip
from smoothcert.sampling import Inputs
from smoothcert.surrogate.inputs import take_rows
from smoothcert.surrogate.losses import LOSSES
from smoothcert.surrogate.model import surrogate_logits
from smoothcert.surrogate.recipe import SurrogateRecipe, fitting_rate

__all__ = ["FitRecord", "SurrogateFit"]

_BATCH = 256


@dataclass(frozen=True)
class FitRecord:
    """One epoch of a fit.

    Attributes
    ----------
    epoch : int
        Counted from 1.
    loss : float
        Mean loss over the epoch, in nats.
    held_out_loss : float
        Mean loss on the inputs that no gradient sees, after the epoch.
    learning_rate : float
        At the end of the epoch.
    seconds : float
        Time that its steps took.
    """

    epoch: int
    loss: float
    held_out_loss: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class SurrogateFit(Optimization[FitRecord]):
    """A surrogate, fitted to the shares (m, outputs) of m inputs: gradients see some rows, others are held out."""

    recipe: SurrogateRecipe
    inputs: Inputs
    shares: NDArray[np.float32]
    fitted: NDArray[np.int64]
    held_out: NDArray[np.int64]

    @functools.cached_property
    def _decoded(self) -> Inputs:
        return self.inputs.in_memory() if isinstance(self.inputs, Images) else self.inputs

    def batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Go once through the fitted inputs and their shares."""
        flips = self.generator(epoch, "augmentation")
        for rows in self.shuffled(epoch):
            chosen = self.fitted[rows]
            x = torch.from_numpy(take_rows(self._decoded, chosen)).to(self.device)
            if self.recipe.flip:
                x = random_crop_and_flip(x, flips, padding=0)
            if x.ndim == 4:
                x = x.contiguous(memory_format=torch.channels_last)
            yield x, torch.from_numpy(self.shares[chosen]).to(self.device)

    def learning_rate(self, step: int) -> float:
        """Follow the recipe's schedule."""
        return fitting_rate(self.recipe, step, self.steps)

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean of the recipe's loss, and its sum."""
        losses = LOSSES[self.recipe.loss](self.module(x), y)
        return losses.mean(), losses.sum()[None]

    def entry(self, epoch: EpochProgress) -> FitRecord:
        """Add the loss on the inputs that are held out."""
        logits, shares = self.held_out_logits(), self.shares[self.held_out].astype(np.float64)
        held_out = LOSSES[self.recipe.loss](torch.from_numpy(logits), torch.from_numpy(shares)).mean().item()
        return FitRecord(epoch.epoch, epoch.loss, held_out, epoch.learning_rate, epoch.seconds)

    def held_out_logits(self) -> NDArray[np.float64]:
        """Return the scores of the held-out inputs, (held_out, outputs); the network is left evaluating."""
        self.module.eval()
        parts = np.split(self.held_out, range(_BATCH, len(self.held_out), _BATCH))
        return np.concatenate([surrogate_logits(self.module, take_rows(self._decoded, rows)) for rows in parts])

"""The noisy batches of an epoch, as a function of the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch

from smoothcert.data import Dataset
from smoothcert.training.augment import random_crop_and_flip
from smoothcert.training.recipe import TrainingRecipe

__all__ = ["noisy_batches", "steps_per_epoch", "stream_seed"]

_PURPOSES = ("weights", "order", "augmentation", "noise")


def steps_per_epoch(dataset: Dataset, recipe: TrainingRecipe) -> int:
    """Return the number of batches: a last one that is not full is left out, for batch norm's sake."""
    return max(1, len(dataset) // recipe.batch_size)


def stream_seed(seed: int, epoch: int, purpose: Literal["weights", "order", "augmentation", "noise"]) -> int:
    """Return a seed of its own for each epoch and purpose, so that nothing depends on what was drawn before."""
    sequence = np.random.SeedSequence((seed, epoch, _PURPOSES.index(purpose)))
    return int(sequence.generate_state(1, np.uint64)[0])


def noisy_batches(
    dataset: Dataset, recipe: TrainingRecipe, sigma: float, seed: int, epoch: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Go once through a dataset, in an order of the epoch's own, augmented and under fresh Gaussian noise.

    Parameters
    ----------
    dataset : Dataset
        m inputs (c, h, w) in [0, 1].
    recipe : TrainingRecipe
        Gives the batch size b and whether to augment.
    sigma : float
        Standard deviation of the noise in the units of the inputs.
    seed, epoch : int
        What the order, the augmentation and the noise are functions of; the epoch counts from 0.
    device : torch.device
        Where the batches go.

    Yields
    ------
    x : Tensor of float32, shape (b, c, h, w)
    y : Tensor of int64, shape (b,)
    """
    order = torch.Generator().manual_seed(stream_seed(seed, epoch, "order"))
    augmentation = torch.Generator().manual_seed(stream_seed(seed, epoch, "augmentation"))
    noise = torch.Generator(device).manual_seed(stream_seed(seed, epoch, "noise"))
    rows = torch.randperm(len(dataset), generator=order).numpy()
    for step in range(steps_per_epoch(dataset, recipe)):
        chosen = rows[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        x = torch.from_numpy(dataset.inputs[chosen]).to(device)
        y = torch.from_numpy(dataset.labels[chosen]).to(device)
        if recipe.augment:
            x = random_crop_and_flip(x, augmentation)
        x = x + sigma * torch.randn(x.shape, generator=noise, device=device)
        yield x.contiguous(memory_format=torch.channels_last), y

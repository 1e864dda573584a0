"""Accuracy of a base classifier under noise: a quick look, not a certificate."""

from __future__ import annotations

import torch
from torch import nn

from smoothcert.data import Dataset
from smoothcert.errors import InvalidArgumentError
from smoothcert.training.recipe import require_sigma

__all__ = ["noisy_accuracy"]


@torch.inference_mode()
def noisy_accuracy(
    module: nn.Module, dataset: Dataset, *, sigma: float, samples: int = 1, seed: int = 0, batch_size: int = 256
) -> float:
    """Return the share of noisy samples that a model labels right.

    Near chance, smoothing abstains everywhere: sigma is in other units, or the model was not trained with noise.

    Parameters
    ----------
    module : torch.nn.Module
        Maps float32 (b, *shape) in [0, 1] to logits; in evaluation mode.
    dataset : Dataset
        Inputs and labels.
    sigma : float
        Standard deviation of the noise in the units of the inputs, at least 0; 0 gives the clean accuracy.
    samples : int
        Noisy samples of each input, at least 1.
    seed : int
        Seed of the noise, at least 0.
    batch_size : int
        Inputs per forward pass, at least 1.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InvalidArgumentError
        When an argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> class FirstPixel(nn.Module):
    ...     def forward(self, x):
    ...         return torch.stack([1 - x[:, 0], x[:, 0]], dim=1)
    >>> dataset = Dataset("toy", np.array([[0.0], [1.0]]), np.array([0, 1]), ("dark", "bright"))
    >>> noisy_accuracy(FirstPixel(), dataset, sigma=0.0)
    1.0
    """
    require_sigma(sigma)
    for name, value, least in (("samples", samples, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        if value < least:
            raise InvalidArgumentError(f"{name} is {value}: give at least {least}")
    parameter = next(module.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    generator = torch.Generator().manual_seed(seed)
    right = 0
    for start in range(0, len(dataset), batch_size):
        x = torch.from_numpy(dataset.inputs[start : start + batch_size])
        labels = torch.from_numpy(dataset.labels[start : start + batch_size])
        for _ in range(samples):
            noisy = x + sigma * torch.randn(x.shape, generator=generator)
            right += int((module(noisy.to(device)).argmax(1).cpu() == labels).sum())
    return right / (samples * len(dataset))

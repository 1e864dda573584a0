"""One epoch of a fit: batches, steps, and the loss on what is held out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from smoothcert.errors import SmoothcertError
from smoothcert.sampling import Inputs
from smoothcert.surrogate.inputs import take_rows
from smoothcert.surrogate.losses import LOSSES
from smoothcert.surrogate.model import surrogate_logits
from smoothcert.surrogate.recipe import SurrogateRecipe, fitting_rate
from smoothcert.surrogate.state import FitRecord
from smoothcert.training import Progress, random_crop_and_flip, stream_seed

__all__ = ["FitRun", "fit_epoch", "held_out_logits"]

_STEPS_PER_REPORT = 10
_BATCH = 256


@dataclass(frozen=True)
class FitRun:
    """What an epoch is a function of, besides the network.

    Attributes
    ----------
    recipe : SurrogateRecipe
        How to fit.
    inputs : Inputs, shape (m, *shape)
        All inputs.
    shares : ndarray of float32, shape (m, outputs)
        Their normalised counts.
    fitted, held_out : ndarray of int64
        Rows that gradients see, and rows that they do not.
    seed : int
        Seed of order and flips.
    device : torch.device
        Where to compute.
    progress : callable or None
        Called with a Progress.
    """

    recipe: SurrogateRecipe
    inputs: Inputs
    shares: NDArray[np.float32]
    fitted: NDArray[np.int64]
    held_out: NDArray[np.int64]
    seed: int
    device: torch.device
    progress: Callable[[Progress], None] | None


def _batches(run: FitRun, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Go once through the fitted inputs, in an order of the epoch's own; a last part of a batch is left out."""
    order = torch.Generator().manual_seed(stream_seed(run.seed, epoch, "order"))
    flips = torch.Generator().manual_seed(stream_seed(run.seed, epoch, "augmentation"))
    rows = run.fitted[torch.randperm(len(run.fitted), generator=order).numpy()]
    for step in range(_steps(run)):
        chosen = rows[step * run.recipe.batch_size : (step + 1) * run.recipe.batch_size]
        x = torch.from_numpy(take_rows(run.inputs, chosen)).to(run.device)
        if run.recipe.flip:
            x = random_crop_and_flip(x, flips, padding=0)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        yield x, torch.from_numpy(run.shares[chosen]).to(run.device)


def _steps(run: FitRun) -> int:
    return max(1, len(run.fitted) // run.recipe.batch_size)


def fit_epoch(run: FitRun, epoch: int, network: nn.Module, optimizer: torch.optim.Optimizer) -> FitRecord:
    """Go once through the fitted inputs; `epoch` counts from 0. SmoothcertError when the loss diverges."""
    network.train()
    start, loss_of = time.perf_counter(), LOSSES[run.recipe.loss]
    loss_sum, seen, steps, rate = torch.zeros((), dtype=torch.float64, device=run.device), 0, _steps(run), 0.0
    # The fastest convolution kernels add in an order that changes from run to run.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        for step, (x, shares) in enumerate(_batches(run, epoch)):
            rate = fitting_rate(run.recipe, epoch * steps + step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = loss_of(network(x), shares)
            optimizer.zero_grad()
            torch.autograd.backward(loss.mean())
            optimizer.step()
            seen += len(x)
            loss_sum += loss.detach().sum()
            if run.progress is not None and ((step + 1) % _STEPS_PER_REPORT == 0 or step + 1 == steps):
                speed, mean = seen / (time.perf_counter() - start), loss_sum.item() / seen
                run.progress(Progress(epoch + 1, run.recipe.epochs, step + 1, steps, mean, speed))
    mean = loss_sum.item() / seen
    if not math.isfinite(mean):
        raise SmoothcertError(
            f"the loss is {mean} in epoch {epoch + 1}: the fit diverged, so give a learning_rate below "
            f"{run.recipe.learning_rate}"
        )
    held_out = loss_of(
        torch.from_numpy(held_out_logits(run, network)), torch.from_numpy(run.shares[run.held_out]).double()
    )
    return FitRecord(epoch + 1, mean, held_out.mean().item(), rate, time.perf_counter() - start)


def held_out_logits(run: FitRun, network: nn.Module) -> NDArray[np.float64]:
    """Return the scores of the inputs that are held out, (held_out, outputs); the network is left evaluating."""
    network.eval()
    parts = range(0, len(run.held_out), _BATCH)
    return np.concatenate(
        [surrogate_logits(network, take_rows(run.inputs, run.held_out[i : i + _BATCH])) for i in parts]
    )

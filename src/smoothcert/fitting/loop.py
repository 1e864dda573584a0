"""The loop over the epochs, from the state that a killed one left."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from smoothcert.errors import SmoothcertError
from smoothcert.fitting.optimization import EpochProgress, Optimization, Record
from smoothcert.fitting.state import restore_state, save_state

__all__ = ["optimize"]

_STEPS_PER_REPORT = 10
_SMALL_NETWORK = 50_000


def optimize(
    optimization: Optimization[Record],
    *,
    state: Path | None,
    progress: Callable[[EpochProgress], None] | None = None,
    after_epoch: Callable[[int], object] | None = None,
) -> tuple[Record, ...]:
    """Run the epochs that are left.

    Parameters
    ----------
    optimization : Optimization
        What is optimized; its network and its optimizer are changed.
    state : Path or None
        The file of the state to continue from, written after each epoch, in a folder that exists.
    progress : callable, optional
        Called with an EpochProgress every 10 steps and at the end of each epoch.
    after_epoch : callable, optional
        Called with the number of epochs done, once their state is written.

    Returns
    -------
    tuple of the optimization's records
        One per epoch, those before an interruption included.

    Raises
    ------
    InvalidArgumentError
        When the state is of another setup.
    CheckpointError
        When the state is damaged or cannot be written.
    SmoothcertError
        When the loss is no longer finite.
    """
    history = [] if state is None else restore_state(state, optimization)
    for epoch in range(len(history), optimization.epochs):
        with _threads(optimization.module, optimization.device):
            history.append(optimization.entry(_run_epoch(optimization, epoch, progress)))
        if state is not None:
            save_state(state, optimization, history)
        if after_epoch is not None:
            after_epoch(epoch + 1)
    return tuple(history)


@contextlib.contextmanager
def _threads(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Use one thread for a small network: its steps are shorter than the wait for a second one."""
    threads = torch.get_num_threads()
    # On two cores that others use as well, one thread is 10 times as fast.
    small = sum(parameter.numel() for parameter in module.parameters()) < _SMALL_NETWORK
    if small and device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _run_epoch(
    optimization: Optimization[Record], epoch: int, progress: Callable[[EpochProgress], None] | None
) -> EpochProgress:
    optimization.module.train()
    start, steps, seen = time.perf_counter(), optimization.steps, 0
    sums = torch.zeros((), dtype=torch.float64, device=optimization.device)
    # The fastest convolution kernels add in an order that changes from run to run.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        for step, (x, y) in enumerate(optimization.batches(epoch), 1):
            rate = optimization.learning_rate(epoch * steps + step - 1)
            sums = sums + _take_step(optimization, x, y, rate).double()
            seen += len(x)
            if step == steps or (progress is not None and step % _STEPS_PER_REPORT == 0):
                seconds = time.perf_counter() - start
                where = EpochProgress(
                    epoch=epoch + 1,
                    epochs=optimization.epochs,
                    step=step,
                    steps=steps,
                    means=tuple(total / seen for total in sums.tolist()),
                    learning_rate=rate,
                    seconds=seconds,
                    samples_per_second=seen / seconds,
                )
                if progress is not None:
                    progress(where)
    if not math.isfinite(where.loss):
        raise SmoothcertError(
            f"the loss is {where.loss} in epoch {epoch + 1}: it diverged, so give a learning_rate below "
            f"{optimization.optimizer.defaults['lr']}"
        )
    return where


def _take_step(optimization: Optimization[Record], x: torch.Tensor, y: torch.Tensor, rate: float) -> torch.Tensor:
    """Make one step, and return the sums over its batch."""
    for group in optimization.optimizer.param_groups:
        group["lr"] = rate
    loss, sums = optimization.loss(x, y)
    optimization.optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimization.optimizer.step()
    return sums.detach()

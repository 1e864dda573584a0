"""The history of a fit."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ADAM_MOMENTS", "STATE_FILE", "FitRecord"]

STATE_FILE = "fit-state.safetensors"

ADAM_MOMENTS = {name: name for name in ("exp_avg", "exp_avg_sq", "step")}
"""What Adam keeps for each parameter."""


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
        Time that it took.
    """

    epoch: int
    loss: float
    held_out_loss: float
    learning_rate: float
    seconds: float

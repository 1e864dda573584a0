"""What one optimization has of its own, and where it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["EpochProgress", "Optimization", "Record", "stream_seed"]

Record = TypeVar("Record", bound="DataclassInstance")
_Drawn = Literal["weights", "order", "augmentation", "noise"]


@dataclass(frozen=True, kw_only=True)
class EpochProgress:
    """Where an optimization is.

    Attributes
    ----------
    epoch, epochs : int
        The epoch, counted from 1, and how many there are.
    step, steps : int
        The step of the epoch, counted from 1, and how many there are.
    means : tuple of float
        What `Optimization.loss` sums up, as means over the inputs of the epoch so far; the loss, in nats, first.
    learning_rate : float
        Of the last step.
    seconds : float
        Since the epoch began.
    samples_per_second : float
        Inputs per second over the epoch so far.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    means: tuple[float, ...]
    learning_rate: float
    seconds: float
    samples_per_second: float

    @property
    def loss(self) -> float:
        """Mean loss over the epoch so far, in nats."""
        return self.means[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Optimization(ABC, Generic[Record]):
    """What `optimize` optimizes: a network, its batches, its loss, and what is kept of an epoch.

    Attributes
    ----------
    module : torch.nn.Module
        The network.
    optimizer : torch.optim.Optimizer
        Of its parameters; made with the largest learning rate.
    moments : mapping of str to str
        What the optimizer keeps for each parameter: names in a state's file, and its own.
    record : type
        The class of the history's entries, a dataclass of numbers.
    setup : dict of str to anything that JSON can hold
        What determines the result, by name; a state is continued only under an equal setup.
    epochs, size, batch_size : int
        Passes over the inputs, how many inputs there are, and how many a step takes.
    seed : int
        What all that is drawn is a function of, with the epoch.
    device : torch.device
        Where the network is.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    moments: Mapping[str, str]
    record: type[Record]
    setup: dict[str, Any]
    epochs: int
    size: int
    batch_size: int
    seed: int
    device: torch.device

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Go once through inputs and targets, on the device; the epoch counts from 0."""

    @abstractmethod
    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0 over all epochs."""

    @abstractmethod
    def loss(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what a step minimises, and sums over the batch to keep: the loss's, then any others."""

    @abstractmethod
    def entry(self, epoch: EpochProgress) -> Record:
        """Make the history's entry of an epoch that just ended."""

    @property
    def steps(self) -> int:
        """Batches of an epoch: a last one that is not full is left out, for batch norm's sake."""
        return max(1, self.size // self.batch_size)

    def shuffled(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Go once through the inputs' numbers, a batch at a time, in an order of the epoch's own."""
        rows = torch.randperm(self.size, generator=self.generator(epoch, "order")).numpy()
        for step in range(self.steps):
            yield rows[step * self.batch_size : (step + 1) * self.batch_size]

    def generator(self, epoch: int, drawn: _Drawn, device: torch.device | str = "cpu") -> torch.Generator:
        """Return a generator for what is drawn in an epoch, whatever was drawn before."""
        return torch.Generator(device).manual_seed(stream_seed(self.seed, epoch, drawn))


def stream_seed(seed: int, epoch: int, drawn: _Drawn) -> int:
    """Return a seed of its own for each epoch and each thing that is drawn in it."""
    sequence = np.random.SeedSequence((seed, epoch, get_args(_Drawn).index(drawn)))
    return int(sequence.generate_state(1, np.uint64)[0])

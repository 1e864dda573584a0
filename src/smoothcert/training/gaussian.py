"""Training with Gaussian augmentation, the base classifier that smoothing needs."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from smoothcert.data import Dataset, Images
from smoothcert.errors import InvalidArgumentError, SmoothcertError
from smoothcert.models import (
    LoadedModel,
    Normalization,
    architecture,
    build_model,
    restore_optimization,
    save_checkpoint,
    save_optimization,
)
from smoothcert.training.batches import noisy_batches, steps_per_epoch, stream_seed
from smoothcert.training.placement import fitting_threads, placement
from smoothcert.training.recipe import TrainingRecipe, default_recipe, learning_rate
from smoothcert.training.state import STATE_FILE, EpochRecord, moments_of, setup_of

__all__ = ["CHECKPOINT_FILE", "EpochRecord", "Progress", "TrainingResult", "train"]

CHECKPOINT_FILE = "checkpoint.safetensors"

# Decoding once is worth it as long as the decoded images leave room for the rest.
_IN_MEMORY_BYTES = 2 << 30
_STEPS_PER_REPORT = 10


@dataclass(frozen=True)
class Progress:
    """Where a training is.

    Attributes
    ----------
    epoch, epochs : int
        The epoch, counted from 1, and how many there are.
    step, steps : int
        The step of the epoch, counted from 1, and how many there are.
    loss : float
        Mean cross entropy over the epoch so far, in nats.
    samples_per_second : float
        Training inputs per second over the epoch so far.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    samples_per_second: float


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained model and how it got there.

    Attributes
    ----------
    model : LoadedModel
        In evaluation mode, on the device that it was trained on.
    history : tuple of EpochRecord
        One record per epoch, those before an interruption included.
    """

    model: LoadedModel
    history: tuple[EpochRecord, ...]


@dataclass(frozen=True)
class _Run:
    recipe: TrainingRecipe
    dataset: Dataset
    sigma: float
    seed: int
    device: torch.device
    mixed_precision: bool
    progress: Callable[[Progress], None] | None


def train(
    dataset: Dataset,
    recipe: TrainingRecipe | str,
    *,
    sigma: float,
    out: str | Path | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    mixed_precision: bool | None = None,
    normalization: Normalization | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train a model on inputs with fresh Gaussian noise in each epoch.

    The noise is added to inputs in [0, 1], in front of the normalization. All randomness is a function of `seed`
    and the epoch, so that a training that was killed and continued ends with the same weights as one that was not,
    on the same machine and number of threads.

    Parameters
    ----------
    dataset : Dataset
        Inputs (c, h, w) in [0, 1] and their labels.
    recipe : TrainingRecipe or str
        How to train, or the name of an architecture for its default recipe.
    sigma : float
        Standard deviation of the noise in the units of the inputs, at least 0.
    out : str or Path, optional
        Folder for ``checkpoint.safetensors`` and the state to continue from, both written after each epoch. When
        it holds the state of the same training, that is continued.
    seed : int
        Seed of weights, order, augmentation and noise, at least 0.
    device : str or torch.device, optional
        Where to train; a CUDA device by default if there is one.
    mixed_precision : bool, optional
        Whether to compute in bfloat16 where that is safe; by default on CUDA devices that support it.
    normalization : Normalization, optional
        The architecture's own by default.
    progress : callable, optional
        Called with a Progress every 10 steps and at the end of each epoch.

    Returns
    -------
    TrainingResult

    Raises
    ------
    InvalidArgumentError
        Before any work: an argument is not as described, or `out` cannot be written or holds another training.
    SmoothcertError
        When the loss is no longer finite.

    References
    ----------
    Cohen, Rosenfeld, Kolter: Certified Adversarial Robustness via Randomized Smoothing, ICML 2019, section 3.3.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from smoothcert.data import load_dataset
    >>> recipe = replace(default_recipe("digits_conv"), epochs=3)
    >>> result = train(load_dataset("digits", "train", limit=256), recipe, sigma=0.25)
    >>> len(result.history), result.model.sigma
    (3, 0.25)
    """
    if isinstance(recipe, str):
        recipe = default_recipe(recipe)
    constants = normalization or architecture(recipe.arch).normalization
    folder = None if out is None else Path(out)
    _check(sigma, seed, dataset, folder)
    run = _Run(recipe, dataset, sigma, seed, *placement(device, mixed_precision), progress)
    module = _fresh_model(run, constants)
    optimizer = torch.optim.SGD(
        module.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )
    setup = setup_of(recipe, dataset, sigma, seed, constants)
    moments, history = moments_of(recipe), list[EpochRecord]()
    if folder is not None:
        history = restore_optimization(folder / STATE_FILE, setup, module, optimizer, moments, EpochRecord)
    if len(history) < recipe.epochs:
        run = replace(run, dataset=_decoded(dataset))
    for epoch in range(len(history), recipe.epochs):
        with fitting_threads(module, run.device):
            history.append(_train_epoch(run, epoch, module, optimizer))
        if folder is not None:
            save_optimization(folder / STATE_FILE, setup, module, optimizer, moments, history)
            save_checkpoint(folder / CHECKPOINT_FILE, _described(run, module, constants, epoch + 1))
    model = _described(run, module, constants, recipe.epochs)
    if folder is not None:
        # Again, for a training that was killed between its last two writes has the state but not the checkpoint.
        model = replace(model, path=save_checkpoint(folder / CHECKPOINT_FILE, model))
    return TrainingResult(model, tuple(history))


def _check(sigma: float, seed: int, dataset: Dataset, folder: Path | None) -> None:
    """Check what the recipe does not, and make the folder."""
    if not math.isfinite(sigma) or sigma < 0:
        raise InvalidArgumentError(f"sigma is {sigma}: give a finite standard deviation of at least 0")
    if seed < 0:
        raise InvalidArgumentError(f"seed is {seed}: give at least 0")
    if not len(dataset):
        raise InvalidArgumentError(f"{dataset.name} has no inputs: give at least 1")
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InvalidArgumentError(f"out={folder} cannot be written: {error}") from error


def _fresh_model(run: _Run, normalization: Normalization) -> nn.Sequential:
    shape = run.dataset.inputs.shape[1:]
    if len(shape) != 3:
        raise InvalidArgumentError(
            f"{run.dataset.name} has inputs of shape {shape}: give (channels, height, width)"
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(run.seed, 0, "weights"))
        module = build_model(
            run.recipe.arch, run.dataset.num_classes, (shape[0], shape[1], shape[2]), normalization
        )
    return module.to(run.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _decoded(dataset: Dataset) -> Dataset:
    small = math.prod(dataset.inputs.shape) <= _IN_MEMORY_BYTES
    return dataset.in_memory() if small and isinstance(dataset.inputs, Images) else dataset


def _train_epoch(run: _Run, epoch: int, module: nn.Module, optimizer: torch.optim.Optimizer) -> EpochRecord:
    module.train()
    start = time.perf_counter()
    loss_sum, right = torch.zeros(2, dtype=torch.float64, device=run.device)
    seen, steps = 0, steps_per_epoch(run.dataset, run.recipe)
    batches = noisy_batches(run.dataset, run.recipe, run.sigma, run.seed, epoch, run.device)
    # The fastest convolution kernels add in an order that changes from run to run.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        for step, (x, y) in enumerate(batches):
            rate = learning_rate(run.recipe, epoch * steps + step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with torch.autocast(run.device.type, torch.bfloat16, enabled=run.mixed_precision):
                logits = module(x)
                loss = functional.cross_entropy(logits, y)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            seen += len(y)
            loss_sum += loss.detach() * len(y)
            right += (logits.detach().argmax(1) == y).sum()
            if run.progress is not None and ((step + 1) % _STEPS_PER_REPORT == 0 or step + 1 == steps):
                speed = seen / (time.perf_counter() - start)
                mean = loss_sum.item() / seen
                run.progress(Progress(epoch + 1, run.recipe.epochs, step + 1, steps, mean, speed))
    mean = loss_sum.item() / seen
    if not math.isfinite(mean):
        raise SmoothcertError(
            f"the loss is {mean} in epoch {epoch + 1}: training diverged, so give a learning_rate below "
            f"{run.recipe.learning_rate}"
        )
    seconds = time.perf_counter() - start
    return EpochRecord(epoch + 1, mean, right.item() / seen, rate, seconds, seen / seconds)


def _described(run: _Run, module: nn.Sequential, normalization: Normalization, epoch: int) -> LoadedModel:
    channels, height, width = run.dataset.inputs.shape[1:]
    return LoadedModel(
        module=module.eval(),
        arch=run.recipe.arch,
        num_classes=run.dataset.num_classes,
        input_shape=(channels, height, width),
        normalization=normalization,
        sigma=run.sigma,
        epoch=epoch,
    )

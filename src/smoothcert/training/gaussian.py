"""Training with Gaussian augmentation, the base classifier that smoothing needs."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from smoothcert.data import Dataset
from smoothcert.errors import InvalidArgumentError
from smoothcert.fitting import EpochProgress, check_start, fresh_model, optimize
from smoothcert.models import LoadedModel, Normalization, architecture, save_checkpoint
from smoothcert.training.objective import EpochRecord, Training
from smoothcert.training.recipe import TrainingRecipe, default_recipe, require_sigma

__all__ = ["CHECKPOINT_FILE", "STATE_FILE", "TrainingResult", "train"]

CHECKPOINT_FILE, STATE_FILE = "checkpoint.safetensors", "training-state.safetensors"


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
    progress: Callable[[EpochProgress], None] | None = None,
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
        Called with an EpochProgress every 10 steps and at the end of each epoch.

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
    recipe = default_recipe(recipe) if isinstance(recipe, str) else recipe
    constants = normalization or architecture(recipe.arch).normalization
    require_sigma(sigma)
    if not len(dataset):
        raise InvalidArgumentError(f"{dataset.name} has no inputs: give at least 1")
    folder, place = check_start(seed=seed, out=out, device=device)
    if mixed_precision is None:
        mixed_precision = place.type == "cuda" and torch.cuda.is_bf16_supported()
    shape, classes = dataset.inputs.shape[1:], dataset.num_classes
    module = fresh_model(recipe.arch, classes, shape, constants, seed=seed, source=dataset.name)
    module = module.to(place).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    training = Training(
        module=module,
        optimizer=_optimizer(recipe, module),
        moments={"momentum": "momentum_buffer"} if recipe.momentum else {},
        record=EpochRecord,
        setup=_setup(recipe, dataset, sigma, seed, constants),
        epochs=recipe.epochs,
        size=len(dataset),
        batch_size=recipe.batch_size,
        seed=seed,
        device=place,
        recipe=recipe,
        dataset=dataset,
        sigma=sigma,
        mixed_precision=mixed_precision,
    )
    keep = functools.partial(_kept, training, module, constants, folder)
    state = None if folder is None else folder / STATE_FILE
    history = optimize(training, state=state, progress=progress, after_epoch=keep)
    # Again, for a training that was killed between its last two writes has the state but not the checkpoint.
    return TrainingResult(keep(recipe.epochs), history)


def _optimizer(recipe: TrainingRecipe, module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        module.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.momentum > 0,
    )


def _setup(
    recipe: TrainingRecipe, dataset: Dataset, sigma: float, seed: int, normalization: Normalization
) -> dict[str, Any]:
    """Collect what determines a training's result, by name."""
    data = hashlib.sha256(repr((dataset.name, dataset.inputs.shape, dataset.classes)).encode())
    data.update(dataset.labels.tobytes() + dataset.indices.tobytes())
    constants = {"mean": list(normalization.mean), "std": list(normalization.std)}
    return {**asdict(recipe), "sigma": sigma, "seed": seed, **constants, "data": data.hexdigest()}


def _kept(
    training: Training, module: nn.Sequential, normalization: Normalization, folder: Path | None, epochs: int
) -> LoadedModel:
    """Describe the model after so many epochs, and write it where there is a folder."""
    channels, height, width = training.dataset.inputs.shape[1:]
    model = LoadedModel(
        module=module.eval(),
        arch=training.recipe.arch,
        num_classes=training.dataset.num_classes,
        input_shape=(channels, height, width),
        normalization=normalization,
        sigma=training.sigma,
        epoch=epochs,
    )
    return model if folder is None else replace(model, path=save_checkpoint(folder / CHECKPOINT_FILE, model))

"""Fitting a surrogate to votes."""

from __future__ import annotations

import copy
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from smoothcert.classifiers import module_fingerprint
from smoothcert.data import Images
from smoothcert.errors import InvalidArgumentError
from smoothcert.models import Normalization, architecture, build_model, restore_optimization, save_optimization
from smoothcert.sampling import Inputs
from smoothcert.surrogate.epoch import FitRun, fit_epoch, held_out_logits
from smoothcert.surrogate.inputs import take_rows
from smoothcert.surrogate.model import Surrogate, save_surrogate, surrogate_logits
from smoothcert.surrogate.prediction import error_features, fit_error_scale, predict_shares, sampling_probit
from smoothcert.surrogate.recipe import SurrogateRecipe, surrogate_recipe
from smoothcert.surrogate.record import SurrogateRecord
from smoothcert.surrogate.state import ADAM_MOMENTS, STATE_FILE, FitRecord
from smoothcert.surrogate.votes import VoteData, read_votes
from smoothcert.training import Progress, fitting_threads, placement, stream_seed

__all__ = ["FitResult", "fit_surrogate"]

_LEAST_HELD_OUT = 20
_ALPHA = 0.001  # of the radii on whose scale errors are learned


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted surrogate and how it got there.

    Attributes
    ----------
    surrogate : Surrogate
        In evaluation mode, on the device that it was fitted on.
    history : tuple of FitRecord
        One record per epoch, those before an interruption included.
    """

    surrogate: Surrogate
    history: tuple[FitRecord, ...]


def fit_surrogate(
    votes: str | Path | VoteData,
    x: Any = None,
    *,
    arch: str | None = None,
    module: nn.Module | None = None,
    recipe: SurrogateRecipe | str = "paper",
    out: str | Path | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    normalization: Normalization | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> FitResult:
    """Fit a surrogate h to the votes of f: h(x) is trained to be the normalised class counts of f(x + eps).

    Labels play no part. All randomness is a function of `seed` and the epoch, so that a fit that was killed and
    continued ends with the same weights as one that was not, on the same machine and number of threads. How far
    its predictions are off is learned afterwards, from a share of the inputs that no gradient saw.

    Parameters
    ----------
    votes : str, Path or VoteData
        A cache of votes, from `collect_votes` or `certify`, or what `collect_votes` returned.
    x : array, tensor or lazy sequence, shape (m, *shape)
        Inputs to fit to, all of them in the cache; left out with VoteData, which has them.
    arch : str, optional
        Architecture of the surrogate, such as ``"cifar_resnet20"``.
    module : torch.nn.Module, optional
        The network to start from, copied; with `arch`, a model of that architecture, such as f itself, whose
        weights are a far better start than random ones. Without `arch`, any module of your own that maps
        (b, *shape) in [0, 1] to logits (b, k); it is needed again to load the surrogate.
    recipe : SurrogateRecipe or {"paper", "fast"}
        How to fit.
    out : str or Path, optional
        Folder for the surrogate, and for the state to continue from, which is written after each epoch.
    seed : int
        Seed of weights, order, flips and of which inputs are held out, at least 0.
    device : str or torch.device, optional
        Where to fit; a CUDA device by default if there is one.
    normalization : Normalization, optional
        The architecture's own by default, or that of `module`.
    progress : callable, optional
        Called with a Progress every 10 steps and at the end of each epoch.

    Returns
    -------
    FitResult

    Raises
    ------
    InvalidArgumentError
        Before any work: an argument is not as described, there are too few inputs, or `out` cannot be written or
        holds another fit.
    CacheError
        When an input has no votes, or the cache is damaged.
    SmoothcertError
        When the loss is no longer finite.

    References
    ----------
    Bhardwaj, Kaushik, Gupta, "Accelerated Smoothing", 2024, section IV-B.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile
    >>> from dataclasses import replace
    >>> f = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    >>> x = np.random.default_rng(0).random((200, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     votes = sc.collect_votes(f, x, sigma=0.25, n=100, cache=folder)
    >>> recipe = replace(surrogate_recipe("fast"), epochs=60, batch_size=20, learning_rate=0.1)
    >>> h = sc.fit_surrogate(votes, module=nn.Linear(2, 2), recipe=recipe).surrogate
    >>> h.predict(np.array([[0.7, 0.3]])).shares.round(1)
    array([[0.9, 0.1]])
    """
    recipe = surrogate_recipe(recipe) if isinstance(recipe, str) else recipe
    data = _votes(votes, x)
    folder = None if out is None else Path(out)
    _check(data, seed, folder)
    constants = _normalization(arch, module, normalization)
    run = _prepared(data, recipe, seed, placement(device)[0], progress)
    network = _network(run, arch, module, constants)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
    )
    setup = _setup(data, run, arch, network)
    history: list[FitRecord] = []
    if folder is not None:
        history = restore_optimization(folder / STATE_FILE, setup, network, optimizer, ADAM_MOMENTS, FitRecord)
    if len(history) < recipe.epochs:
        run = replace(run, inputs=_decoded(data.inputs))
    for epoch in range(len(history), recipe.epochs):
        with fitting_threads(network, run.device):
            history.append(fit_epoch(run, epoch, network, optimizer))
        if folder is not None:
            save_optimization(folder / STATE_FILE, setup, network, optimizer, ADAM_MOMENTS, history)
    surrogate = _described(data, run, network.eval(), arch, constants)
    if folder is not None:
        surrogate = save_surrogate(folder, surrogate)
    return FitResult(surrogate, tuple(history))


def _votes(votes: str | Path | VoteData, x: Any) -> VoteData:
    if isinstance(votes, VoteData) == (x is not None):
        raise InvalidArgumentError(
            "x is needed with a folder of votes, and only then: give the inputs of the votes"
        )
    return votes if isinstance(votes, VoteData) else read_votes(votes, x)


def _check(data: VoteData, seed: int, folder: Path | None) -> None:
    if seed < 0:
        raise InvalidArgumentError(f"seed is {seed}: give at least 0")
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InvalidArgumentError(f"out={folder} cannot be written: {error}") from error


def _normalization(
    arch: str | None, module: nn.Module | None, normalization: Normalization | None
) -> Normalization | None:
    if arch is None:
        if module is None:
            raise InvalidArgumentError("arch and module are both missing: name an architecture or give a module")
        if normalization is not None:
            raise InvalidArgumentError("normalization is for arch: a module of your own has it inside")
        return None
    if normalization is not None:
        return normalization
    first = next(iter(module.children()), None) if module is not None else None
    found: Normalization = getattr(first, "normalization", architecture(arch).normalization)
    return found


def _prepared(
    data: VoteData,
    recipe: SurrogateRecipe,
    seed: int,
    device: torch.device,
    progress: Callable[[Progress], None] | None,
) -> FitRun:
    held = max(_LEAST_HELD_OUT, round(recipe.held_out * len(data)))
    if len(data) < held + _LEAST_HELD_OUT:
        raise InvalidArgumentError(
            f"votes are of {len(data)} inputs, of which {held} would be held out: a surrogate needs at least "
            f"{held + _LEAST_HELD_OUT} inputs, and thousands to be good"
        )
    order = np.random.default_rng([seed, len(data)]).permutation(len(data))
    return FitRun(
        recipe, data.inputs, data.shares(), np.sort(order[held:]), np.sort(order[:held]), seed, device, progress
    )


def _network(
    run: FitRun, arch: str | None, module: nn.Module | None, constants: Normalization | None
) -> nn.Module:
    shape, outputs = run.inputs.shape[1:], run.shares.shape[1]
    if arch is None:
        network = copy.deepcopy(cast("nn.Module", module))  # _normalization refused to go on without both
    else:
        if len(shape) != 3:
            raise InvalidArgumentError(f"x has inputs of shape {shape}: {arch} takes (channels, height, width)")
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(stream_seed(run.seed, 0, "weights"))
            network = build_model(arch, outputs, (shape[0], shape[1], shape[2]), constants)
        if module is not None:
            _start_from(network, module, arch)
    network = network.to(run.device)
    if len(shape) == 3:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    scores = surrogate_logits(network.eval(), take_rows(run.inputs, run.fitted[:2]))
    if scores.shape != (2, outputs):
        invalid = ", one for invalid votes included" if outputs > 2 else ""
        raise InvalidArgumentError(
            f"module returned scores of shape {scores.shape} for 2 inputs: the votes need (2, {outputs}){invalid}"
        )
    return network


def _start_from(network: nn.Module, module: nn.Module, arch: str) -> None:
    try:
        network.load_state_dict(module.state_dict(), strict=True)
    except RuntimeError as error:
        raise InvalidArgumentError(f"module is no {arch} with as many outputs: {error}") from error


def _setup(data: VoteData, run: FitRun, arch: str | None, network: nn.Module) -> dict[str, Any]:
    """Collect what determines a fit's result, by name; it is continued only under an equal setup."""
    return {
        **asdict(run.recipe),
        "arch": arch or "",
        "start": module_fingerprint(network),
        "seed": run.seed,
        "votes": data.manifest.digest,
        "inputs": hashlib.sha256(b"".join(data.keys)).hexdigest(),
    }


def _decoded(inputs: Inputs) -> Inputs:
    return inputs.in_memory() if isinstance(inputs, Images) else inputs


def _described(
    data: VoteData, run: FitRun, network: nn.Module, arch: str | None, constants: Normalization | None
) -> Surrogate:
    """Learn the error from the inputs that were held out, and say what the surrogate was fitted to."""
    manifest = data.manifest
    logits = held_out_logits(run, network)
    predicted = predict_shares(logits, manifest.num_classes)
    sampled = run.shares[run.held_out, predicted.top_class].astype(np.float64)
    wanted = sampling_probit(predicted.top_share, manifest.n, _ALPHA)
    error = wanted - np.maximum(sampling_probit(sampled, manifest.n, _ALPHA), 0.0)
    claims = wanted > 0
    used = claims if claims.sum() >= _LEAST_HELD_OUT else np.ones(len(claims), dtype=bool)
    scale = fit_error_scale(error_features(softmax(logits, axis=1))[used], error[used])
    record = SurrogateRecord(
        arch=arch or "",
        mean=list(constants.mean) if constants is not None else [],
        std=list(constants.std) if constants is not None else [],
        num_classes=manifest.num_classes,
        outputs=run.shares.shape[1],
        input_shape=list(manifest.input_shape),
        sigma=manifest.sigma,
        noise_law=manifest.noise_law,
        noise_digest=manifest.noise_digest,
        fingerprint=manifest.fingerprint,
        n=manifest.n,
        inputs=len(run.fitted),
        held_out=len(run.held_out),
        votes=manifest.digest,
        recipe={**asdict(run.recipe), "betas": list(run.recipe.betas), "seed": run.seed},
        scale={name: list(values) for name, values in asdict(scale).items()},
        weights="0" * 64,
        seed=manifest.seed,
        purpose=manifest.purpose,
        identity=manifest.identity,
    )
    keys = np.frombuffer(b"".join(data.keys), np.uint8).reshape(len(data), -1)
    return Surrogate(module=network, record=record, keys=keys, held_out_probit=np.sort(predicted.probit))

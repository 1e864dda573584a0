"""Fitting a surrogate to votes."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from smoothcert._results import Brief
from smoothcert.classifiers import module_fingerprint
from smoothcert.errors import InvalidArgumentError
from smoothcert.fitting import EpochProgress, check_start, fresh_model, optimize
from smoothcert.models import Normalization, architecture
from smoothcert.surrogate.inputs import take_rows
from smoothcert.surrogate.model import Surrogate, save_surrogate, surrogate_logits
from smoothcert.surrogate.objective import FitRecord, SurrogateFit
from smoothcert.surrogate.prediction import error_features, fit_error_scale, predict_shares, sampling_probit
from smoothcert.surrogate.recipe import SurrogateRecipe, surrogate_recipe
from smoothcert.surrogate.record import SurrogateRecord
from smoothcert.surrogate.votes import VoteData, read_votes

__all__ = ["STATE_FILE", "FitResult", "fit_surrogate"]

STATE_FILE = "fit-state.safetensors"

_LEAST_HELD_OUT = 20
_ALPHA = 0.001  # of the radii on whose scale errors are learned


@dataclass(frozen=True, eq=False, repr=False)
class FitResult(Brief):
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
    progress: Callable[[EpochProgress], None] | None = None,
) -> FitResult:
    """Fit a surrogate h to the votes of f: h(x) is trained to be the normalised class counts of f(x + eps).

    Labels play no part. All randomness is a function of `seed` and the epoch, so that a fit that was killed and
    continued ends with the same weights as one that was not, on the same machine and number of threads. How far
    its predictions are off is learned afterwards, from a share of the inputs that no gradient saw.

    Parameters
    ----------
    votes : str, Path or VoteData
        A cache of votes, from `collect_votes` or `certify`, or what `collect_votes` returned.
    x : array, tensor, sequence, data set or loader, shape (m, *shape)
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
        Called with an EpochProgress every 10 steps and at the end of each epoch.

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
    folder, place = check_start(seed=seed, out=out, device=device)
    constants = _normalization(arch, module, normalization)
    fitted, held_out = _split(len(data), recipe, seed)
    shares = data.shares()
    network = _network(data.inputs.shape[1:], shares.shape[1], arch, module, constants, seed).to(place)
    if len(data.inputs.shape) == 4:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _check_scores(network, take_rows(data.inputs, fitted[:2]), shares.shape[1])
    fit = SurrogateFit(
        module=network,
        optimizer=torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
        ),
        moments={name: name for name in ("exp_avg", "exp_avg_sq", "step")},
        record=FitRecord,
        setup=_setup(data, recipe, seed, arch, network),
        epochs=recipe.epochs,
        size=len(fitted),
        batch_size=recipe.batch_size,
        seed=seed,
        device=place,
        recipe=recipe,
        inputs=data.inputs,
        shares=shares,
        fitted=fitted,
        held_out=held_out,
    )
    history = optimize(fit, state=None if folder is None else folder / STATE_FILE, progress=progress)
    surrogate = _described(data, fit, arch, constants)
    if folder is not None:
        surrogate = save_surrogate(folder, surrogate)
    return FitResult(surrogate, history)


def _votes(votes: str | Path | VoteData, x: Any) -> VoteData:
    if isinstance(votes, VoteData) == (x is not None):
        raise InvalidArgumentError(
            "x is needed with a folder of votes, and only then: give the inputs of the votes"
        )
    return votes if isinstance(votes, VoteData) else read_votes(votes, x)


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


def _split(count: int, recipe: SurrogateRecipe, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose the rows that gradients see, and those that are held out."""
    held = max(_LEAST_HELD_OUT, round(recipe.held_out * count))
    if count < held + _LEAST_HELD_OUT:
        raise InvalidArgumentError(
            f"votes are of {count} inputs, of which {held} would be held out: a surrogate needs at least "
            f"{held + _LEAST_HELD_OUT} inputs, and thousands to be good"
        )
    order = np.random.default_rng([seed, count]).permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])


def _network(
    shape: tuple[int, ...],
    outputs: int,
    arch: str | None,
    module: nn.Module | None,
    constants: Normalization | None,
    seed: int,
) -> nn.Module:
    if arch is None:
        return copy.deepcopy(cast("nn.Module", module))  # _normalization refused to go on without both
    network = fresh_model(arch, outputs, shape, constants, seed=seed, source="x")
    if module is not None:
        _start_from(network, module, arch)
    return network


def _start_from(network: nn.Module, module: nn.Module, arch: str) -> None:
    try:
        network.load_state_dict(module.state_dict(), strict=True)
    except RuntimeError as error:
        raise InvalidArgumentError(f"module is no {arch} with as many outputs: {error}") from error


def _check_scores(network: nn.Module, two: NDArray[np.float32], outputs: int) -> None:
    scores = surrogate_logits(network.eval(), two)
    if scores.shape != (2, outputs):
        invalid = ", one for invalid votes included" if outputs > 2 else ""
        raise InvalidArgumentError(
            f"module returned scores of shape {scores.shape} for 2 inputs: the votes need (2, {outputs}){invalid}"
        )


def _setup(
    data: VoteData, recipe: SurrogateRecipe, seed: int, arch: str | None, network: nn.Module
) -> dict[str, Any]:
    """Collect what determines a fit's result, by name."""
    return {
        **asdict(recipe),
        "arch": arch or "",
        "start": module_fingerprint(network),
        "seed": seed,
        "votes": data.manifest.digest,
        "inputs": hashlib.sha256(b"".join(data.keys)).hexdigest(),
    }


def _described(data: VoteData, fit: SurrogateFit, arch: str | None, constants: Normalization | None) -> Surrogate:
    """Learn the error from the inputs that were held out, and say what the surrogate was fitted to."""
    manifest = data.manifest
    logits = fit.held_out_logits()
    predicted = predict_shares(logits, manifest.num_classes)
    sampled = fit.shares[fit.held_out, predicted.top_class].astype(np.float64)
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
        outputs=fit.shares.shape[1],
        input_shape=list(manifest.input_shape),
        sigma=manifest.sigma,
        noise_law=manifest.noise_law,
        noise_digest=manifest.noise_digest,
        fingerprint=manifest.fingerprint,
        n=manifest.n,
        inputs=len(fit.fitted),
        held_out=len(fit.held_out),
        votes=manifest.digest,
        recipe={**asdict(fit.recipe), "betas": list(fit.recipe.betas), "seed": fit.seed},
        scale={name: list(values) for name, values in asdict(scale).items()},
        weights="0" * 64,
        seed=manifest.seed,
        purpose=manifest.purpose,
        identity=manifest.identity,
    )
    keys = np.frombuffer(b"".join(data.keys), np.uint8).reshape(len(data), -1)
    return Surrogate(module=fit.module, record=record, keys=keys, held_out_probit=np.sort(predicted.probit))

"""A model of any kind, by the text that names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from smoothcert.classifiers import (
    Classifier,
    OnnxClassifier,
    RuntimeName,
    TorchClassifier,
)
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models.checkpoint import load_checkpoint
from smoothcert.models.huggingface import load_huggingface
from smoothcert.models.normalize import CIFAR10, DIGITS, IMAGENET, Normalization
from smoothcert.models.own_function import (
    call_function,
    classifier_of,
    function_name,
    import_function,
    takes_a_module,
)
from smoothcert.models.program import load_program
from smoothcert.models.state_dict import load_into, load_state_dict, read_state
from smoothcert.models.timm_model import load_timm

__all__ = ["MODEL_SPECS", "NORMALIZATIONS", "OpenedModel", "load_model", "onnx_file"]

MODEL_SPECS = {
    "FILE": "a checkpoint (.safetensors, .pth.tar, .pth, .pt), an .onnx model, with @OUTPUT where several of its "
    "outputs could be the scores, or a .pt2 program of torch.export",
    "PACKAGE.MODULE:FUNCTION": "what your function returns: a module, a Classifier or a scikit-learn estimator",
    "hf:FOLDER-OR-ID": "an image classifier of Hugging Face's transformers, with its image processor",
    "timm:NAME[@FILE]": "a model of timm with its own normalization; weights from a file or its pretrained ones",
}
"""The legal forms of what names a model, and what each is."""

NORMALIZATIONS = {
    "none": Normalization((0.0,), (1.0,)),
    "cifar10": CIFAR10,
    "imagenet": IMAGENET,
    "digits": DIGITS,
}
"""What may stand in front of a network whose file does not say it, by name."""

_WHOLE = (".onnx", ".pt2")
_PICKLES = (".pkl", ".pickle", ".joblib", ".skops", ".h5", ".keras")


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenedModel:
    """A model as a classifier.

    Attributes
    ----------
    classifier : Classifier
        Labels noisy inputs.
    sigma : float, optional
        Standard deviation of its training noise, where the file says it.
    """

    classifier: Classifier
    sigma: float | None = None


def load_model(
    spec: str,
    *,
    num_classes: int | None = None,
    arch: str | None = None,
    normalization: str | Normalization | None = None,
    device: str | None = None,
    runtime: RuntimeName = "auto",
) -> OpenedModel:
    """Load a model of any kind.

    Parameters
    ----------
    spec : str
        One of the forms in `MODEL_SPECS`. A function is looked for in the current directory first and called
        without arguments.
    num_classes : int, optional
        Needed where the model does not say it: for modules that a function returns, and programs.
    arch : str, optional
        For state dicts that do not name their architecture: one of `ARCHITECTURES`, or a PACKAGE.MODULE:FUNCTION
        that returns the module to fill.
    normalization : str or Normalization, optional
        For state dicts with an `arch` of `ARCHITECTURES`: what stands in front of the network, one of
        `NORMALIZATIONS` or your own.
    device : str, optional
        Where a torch module runs; by default on the CPU.
    runtime : {"auto", "eager", "compile", "onnx", "openvino"}
        What runs a torch module, see `TorchClassifier`.

    Returns
    -------
    OpenedModel

    Raises
    ------
    InvalidArgumentError
        When `spec` has none of the forms, or an argument does not go with it.
    CheckpointError
        When a file cannot be read safely, or does not fit.
    MissingExtraError
        When the kind needs an extra that is not installed.

    Examples
    --------
    >>> load_model("model.pkl")
    Traceback (most recent call last):
        ...
    smoothcert.errors.InvalidArgumentError: model 'model.pkl' is a pickle or of a format that may run code: write a
    function that loads it, and give PACKAGE.MODULE:FUNCTION
    """
    opened = _opened(spec, num_classes, arch, _constants(normalization), device, runtime)
    found = opened.classifier.num_classes
    if num_classes is not None and found != num_classes:
        raise InvalidArgumentError(
            f"{spec} has {found} classes, but the data has {num_classes}: use data of the same classes"
        )
    return opened


def onnx_file(spec: str) -> tuple[str, str | None] | None:
    """Return the file and the output that ``FILE.onnx`` or ``FILE.onnx@OUTPUT`` names; None for other forms."""
    if spec.endswith(".onnx"):
        return spec, None
    file, at, output = spec.rpartition(".onnx@")
    return (f"{file}.onnx", output) if at and output else None


def _opened(
    spec: str,
    num_classes: int | None,
    arch: str | None,
    normalization: Normalization | None,
    device: str | None,
    runtime: RuntimeName,
) -> OpenedModel:
    form, _, rest = spec.partition(":")
    path = Path(spec)
    if arch is not None:
        if form in ("hf", "timm") or function_name(spec) is not None or path.suffix in _WHOLE:
            raise InvalidArgumentError(
                f"arch is given, but {spec} says itself what it is: arch is for plain state dicts; leave it out"
            )
        module = _from_state(path, arch, num_classes, normalization)
        return _around(module, _classes(spec, num_classes, module), device, runtime)
    if normalization is not None:
        raise InvalidArgumentError(
            "normalization is given without arch: it is for plain state dicts; leave it out"
        )
    if form == "hf":
        return OpenedModel(classifier=load_huggingface(rest, device=device, runtime=runtime))
    if form == "timm":
        return OpenedModel(classifier=load_timm(rest, num_classes, device=device, runtime=runtime))
    if function_name(spec) is not None:
        return OpenedModel(classifier=_from_function(spec, num_classes, device, runtime))
    if (graph := onnx_file(spec)) is not None:
        file, output = graph
        classifier = OnnxClassifier(file, num_classes, output=output, threads=torch.get_num_threads())
        return OpenedModel(classifier=classifier)
    if path.suffix == ".pt2":
        module = load_program(path)
        return _around(module, _classes(spec, num_classes, module), device, runtime)
    if path.suffix in _PICKLES:
        raise InvalidArgumentError(
            f"model {spec!r} is a pickle or of a format that may run code: write a function that loads it, and "
            "give PACKAGE.MODULE:FUNCTION"
        )
    return _from_checkpoint(path, device, runtime)


def _from_checkpoint(path: Path, device: str | None, runtime: RuntimeName) -> OpenedModel:
    if not path.exists():
        raise CheckpointError(f"{path} is not there: give {', '.join(MODEL_SPECS)}")
    loaded = load_checkpoint(path)
    return _around(loaded.module, loaded.num_classes, device, runtime, loaded.sigma)


def _around(
    module: torch.nn.Module,
    num_classes: int,
    device: str | None,
    runtime: RuntimeName,
    sigma: float | None = None,
) -> OpenedModel:
    classifier = TorchClassifier(module, num_classes, device=device, runtime=runtime)
    return OpenedModel(classifier=classifier, sigma=sigma)


def _from_state(
    path: Path, arch: str, num_classes: int | None, normalization: Normalization | None
) -> torch.nn.Module:
    """Fill a known architecture, or what a user's function returns."""
    if function_name(arch) is None:
        return load_state_dict(path, arch, num_classes, normalization)
    if normalization is not None:
        raise InvalidArgumentError(f"normalization is given, but {arch} returns the whole module: put it in there")
    module = call_function(arch, import_function(arch))
    if not isinstance(module, torch.nn.Module):
        raise InvalidArgumentError(
            f"{arch!r} returned a {type(module).__name__}: it should return a torch.nn.Module"
        )
    load_into(module, read_state(path), arch, path)
    return module


def _from_function(spec: str, num_classes: int | None, device: str | None, runtime: RuntimeName) -> Classifier:
    function: Callable[..., Any] = import_function(spec)
    if takes_a_module(function):
        raise InvalidArgumentError(
            f"{spec!r} needs an argument: a function that builds a model is called without any; one that changes "
            "a model's module makes a candidate of it (recertify)"
        )
    made = call_function(spec, function)
    if isinstance(made, torch.nn.Module):
        return TorchClassifier(made, _classes(spec, num_classes, made), device=device, runtime=runtime)
    return classifier_of(spec, made, num_classes)


def _classes(spec: str, num_classes: int | None, module: torch.nn.Module) -> int:
    """Return the number of classes that was given, or that a module says it has."""
    if num_classes is not None:
        return num_classes
    heads = [layer.out_features for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
    return heads[-1] if heads else _required(spec, None)


def _required(spec: str, num_classes: int | None) -> int:
    if num_classes is None:
        raise InvalidArgumentError(f"num_classes is missing: {spec} does not say how many classes it has")
    return num_classes


def _constants(normalization: str | Normalization | None) -> Normalization | None:
    if not isinstance(normalization, str):
        return normalization
    if normalization not in NORMALIZATIONS:
        raise InvalidArgumentError(f"normalization is {normalization!r}: give one of {', '.join(NORMALIZATIONS)}")
    return NORMALIZATIONS[normalization]

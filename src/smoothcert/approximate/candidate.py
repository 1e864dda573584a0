"""From a specification such as ``prune:0.1`` to a candidate of a base model."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.approximate.from_file import load_candidate
from smoothcert.approximate.int8 import quantize_int8
from smoothcert.approximate.precision import bfloat16_arithmetic, float16_arithmetic, float16_weights
from smoothcert.approximate.prune import prune_global, prune_layerwise
from smoothcert.approximate.user_function import apply_function
from smoothcert.classifiers import Classifier, OnnxClassifier, TorchClassifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.models import function_name, load_model

__all__ = ["SPECS", "Candidate", "make_candidate"]

SPECS = {
    "fp16": "float16 weights; float16 arithmetic on CUDA, float32 arithmetic elsewhere",
    "bf16": "bfloat16 weights and arithmetic",
    "int8": "int8 weights, uint8 activations, by ONNX Runtime on the CPU (extra 'onnx')",
    "prune:AMOUNT": "the fraction AMOUNT of each layer's weights, the smallest ones, set to zero",
    "prune-global:AMOUNT": "the fraction AMOUNT of all layers' weights together, the smallest ones, set to zero",
    "PACKAGE.MODULE:FUNCTION": "what your function makes of a copy of the base's torch module, or by itself",
    "FILE": "a checkpoint of the base's architecture (.pth.tar, .pth, .pt, .safetensors), an .onnx or .pt2 model",
    "hf:FOLDER-OR-ID": "an image classifier of Hugging Face's transformers",
    "timm:NAME[@FILE]": "a model of timm",
}
"""The legal forms of a specification, and what each makes."""

_CHECKPOINTS = (".pth.tar", ".pth", ".pt", ".safetensors")
_OTHERS = ("hf", "timm")


@dataclass(frozen=True)
class Candidate:
    """A model made from a base model, or to be compared with it.

    Attributes
    ----------
    name : str
        Usable as the name of a folder: ASCII letters, digits, ``.``, ``_`` and ``-``. It is ``fp16``, ``bf16`` or
        ``int8``; ``prune-0.1`` or ``prune-global-0.1`` with the shortest decimal that is the amount;
        ``package.module-function``; for a file its name without suffix, cut at 64 characters, then ``-`` and the
        first 8 digits of the classifier's fingerprint.
    classifier : Classifier
        Labels noisy batches.
    description : str
        What exactly it computes, in one sentence.
    spec : str
        What was asked for, where that is another text than the name.
    """

    name: str
    classifier: Classifier
    description: str
    spec: str = ""


def make_candidate(
    spec: str, base: TorchClassifier, *, calibration: NDArray[np.float32] | None = None
) -> Candidate:
    """Make a candidate from a base model, which is left as it is.

    Parameters
    ----------
    spec : str
        One of the forms in `SPECS`. AMOUNT is in (0, 1). A function is looked for in the current directory first;
        it returns a module, which takes what the base's module takes, or a `Classifier`, which takes noisy inputs.
    base : TorchClassifier
        The base model f.
    calibration : ndarray of float32, shape (b, *shape), optional
        For ``int8`` only, which needs it: about 100 noisy inputs at the sigma of the certification, with noise
        from a range of the stream that no certificate uses. A candidate tuned on the noise of the cached votes
        agrees with its base there more often than elsewhere, which voids the bound on their disparity.

    Returns
    -------
    Candidate
        The candidate f^p.

    Raises
    ------
    InvalidArgumentError
        When `spec` has none of the legal forms, or cannot be applied to this base.
    CheckpointError
        When a file cannot be read or does not fit the base.
    MissingExtraError
        When the spec needs an extra that is not installed.

    References
    ----------
    Ugare et al., Incremental Randomized Smoothing Certification, ICLR 2024, sections 4 and 5.3.

    Examples
    --------
    >>> import torch
    >>> base = TorchClassifier(torch.nn.Linear(4, 2), num_classes=2)
    >>> make_candidate("bf16", base)
    Candidate(name='bf16', classifier=..., description='bfloat16 weights and arithmetic, ...')
    >>> make_candidate("fp8", base)
    Traceback (most recent call last):
        ...
    smoothcert.errors.InvalidArgumentError: candidate 'fp8' is none of: fp16, bf16, int8, prune:AMOUNT,
    prune-global:AMOUNT, PACKAGE.MODULE:FUNCTION, FILE, hf:FOLDER-OR-ID, timm:NAME[@FILE] (.pth.tar, .pth, .pt,
    .safetensors, .onnx, .pt2)
    """
    if not isinstance(base, TorchClassifier):
        raise InvalidArgumentError(f"base is a {type(base).__qualname__}: give a TorchClassifier")
    return replace(_made(spec, base, calibration), spec=spec)


def _made(spec: str, base: TorchClassifier, calibration: NDArray[np.float32] | None) -> Candidate:
    form, _, argument = spec.partition(":")
    if spec in ("fp16", "bf16"):
        return _in_precision(spec, base)
    if spec == "int8":
        return Candidate(
            "int8",
            quantize_int8(base, calibration),
            "int8 weights scaled per output channel, uint8 activations with scales fixed by calibration, int32 "
            "sums, float32 logits, batch normalization folded; ONNX Runtime on the CPU",
        )
    if form in ("prune", "prune-global"):
        amount = _amount(spec, argument)
        prune = prune_layerwise if form == "prune" else prune_global
        return Candidate(f"{form}-{amount!r}", *prune(base, amount))
    if form in _OTHERS or spec.endswith(".pt2"):
        made = load_model(spec, num_classes=base.num_classes, device=str(base.device)).classifier
        return Candidate(_file_name(spec.replace(":", "-"), made), made, f"the model {spec}")
    if spec.endswith((*_CHECKPOINTS, ".onnx")):
        return _from_file(spec, base)
    if function_name(spec) is not None:
        made = apply_function(base, spec)
        return Candidate(spec.replace(":", "-"), made, f"what {spec} makes of a copy of the base's module")
    raise InvalidArgumentError(
        f"candidate {spec!r} is none of: {', '.join(SPECS)} ({', '.join(_CHECKPOINTS)}, .onnx, .pt2)"
    )


def _in_precision(spec: str, base: TorchClassifier) -> Candidate:
    around = "logits returned as float32; preprocessing and leading layers without parameters stay in float32"
    if spec == "bf16":
        return Candidate(spec, bfloat16_arithmetic(base), f"bfloat16 weights and arithmetic, {around}")
    if base.device.type == "cuda":
        return Candidate(spec, float16_arithmetic(base), f"float16 weights and arithmetic, {around}")
    return Candidate(
        spec,
        float16_weights(base),
        "weights rounded to float16, arithmetic in float32, because this device has no fast float16 convolutions",
    )


def _amount(spec: str, text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = float("nan")
    if not 0 < amount < 1:
        raise InvalidArgumentError(f"candidate {spec!r} has AMOUNT {text!r}: it should be a number in (0, 1)")
    return amount


def _from_file(spec: str, base: TorchClassifier) -> Candidate:
    classifier: Classifier
    if spec.endswith(".onnx"):
        classifier = OnnxClassifier(spec, base.num_classes, threads=torch.get_num_threads())
        description = f"the ONNX model {spec}, by ONNX Runtime on the CPU"
    else:
        classifier, arch = load_candidate(base, spec)
        description = f"the {arch} checkpoint {spec}, in the arithmetic of the base"
    return Candidate(_file_name(spec, classifier), classifier, description)


def _file_name(spec: str, classifier: Classifier) -> str:
    name = Path(spec).name
    stem = name.removesuffix(next((end for end in (*_CHECKPOINTS, ".onnx", ".pt2") if name.endswith(end)), ""))
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:64] or "file"
    return f"{slug}-{classifier.fingerprint[:8]}"

"""From a specification such as ``prune:0.1`` to a candidate of a base model."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.approximate.from_file import load_candidate
from smoothcert.approximate.graphs import prune_graph, round_graph
from smoothcert.approximate.module_copy import torch_base
from smoothcert.approximate.openvino_choice import bfloat16_candidate, int8_candidate
from smoothcert.approximate.precision import float16_arithmetic, float16_weights
from smoothcert.approximate.prune import prune_global, prune_layerwise
from smoothcert.approximate.user_function import apply_function
from smoothcert.classifiers import Classifier, GraphClassifier, OnnxClassifier, TorchClassifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.models import function_name, load_model, onnx_file

__all__ = ["SPECS", "Candidate", "make_candidate"]

SPECS = {
    "fp16": "float16 weights; float16 arithmetic on CUDA, float32 arithmetic elsewhere",
    "bf16": "bfloat16 products, by OpenVINO on a CPU that has them, where it is installed, else by PyTorch",
    "int8": "int8 weights, uint8 activations, by OpenVINO on the CPU, where it is installed, else by ONNX Runtime "
    "(extra 'onnx')",
    "bf16:torch": "bfloat16 weights and arithmetic, by PyTorch",
    "bf16:openvino": "bfloat16 products, by OpenVINO (extras 'onnx' and 'openvino')",
    "int8:onnx": "int8 weights, uint8 activations, by ONNX Runtime on the CPU (extra 'onnx')",
    "int8:openvino": "the same, by OpenVINO on the CPU (extras 'onnx' and 'openvino')",
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
        ``int8``, and ``bf16-openvino`` or ``int8-openvino`` where OpenVINO runs them; ``prune-0.1`` or
        ``prune-global-0.1`` with the shortest decimal that is the amount; ``package.module-function``; for a file
        its name without suffix, cut at 64 characters, then ``-`` and the first 8 digits of the classifier's
        fingerprint.
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


def make_candidate(spec: str, base: Classifier, *, calibration: NDArray[np.float32] | None = None) -> Candidate:
    """Make a candidate from a base model, which is left as it is.

    Parameters
    ----------
    spec : str
        One of the forms in `SPECS`. AMOUNT is in (0, 1). A function is looked for in the current directory first;
        it returns a module, which takes what the base's module takes, or a `Classifier`, which takes noisy inputs.
    base : Classifier
        The base model f; a TorchClassifier, OnnxClassifier or OpenVinoClassifier where its weights are changed. Of
        a graph, ``int8``, ``bf16``, ``fp16``, ``prune`` and ``prune-global`` change the graph
        itself, in whose main part weights are looked for; what is made runs as the base does, where its form does
        not name the runtime.
    calibration : ndarray of float32, shape (b, *shape), optional
        For ``int8``, which needs it, and for ``bf16``, which PyTorch runs without it: about 100 noisy inputs at
        the sigma of the certification, with noise from a range of the stream that no certificate uses. A
        candidate tuned on the noise of the cached votes agrees with its base there more often than elsewhere,
        which voids the bound on their disparity.

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
    smoothcert.errors.InvalidArgumentError: candidate 'fp8' is none of: fp16, bf16, int8, bf16:torch,
    bf16:openvino, int8:onnx, int8:openvino, prune:AMOUNT, prune-global:AMOUNT, PACKAGE.MODULE:FUNCTION, FILE,
    hf:FOLDER-OR-ID, timm:NAME[@FILE] (.pth.tar, .pth, .pt, .safetensors, .onnx, .pt2)
    """
    return replace(_made(spec, base, calibration), spec=spec)


def _made(spec: str, base: Classifier, calibration: NDArray[np.float32] | None) -> Candidate:
    form, _, argument = spec.partition(":")
    if spec == "fp16":
        return Candidate(spec, *_float16(_changeable(spec, base)))
    if spec in ("bf16", "bf16:torch", "bf16:openvino"):
        return Candidate(*bfloat16_candidate(_changeable(spec, base), argument, calibration))
    if spec in ("int8", "int8:onnx", "int8:openvino"):
        return Candidate(*int8_candidate(_changeable(spec, base), argument, calibration))
    if form in ("prune", "prune-global"):
        amount, together = _amount(spec, argument), form == "prune-global"
        return Candidate(f"{form}-{amount!r}", *_pruned(_changeable(spec, base), amount, together=together))
    if form in _OTHERS or spec.endswith(".pt2"):
        device = str(base.device) if isinstance(base, TorchClassifier) else None
        made = load_model(spec, num_classes=base.num_classes, device=device).classifier
        return Candidate(_file_name(spec.replace(":", "-"), made), made, f"the model {spec}")
    if spec.endswith(_CHECKPOINTS) or onnx_file(spec) is not None:
        return _from_file(spec, base)
    if form not in SPECS and function_name(spec) is not None:
        made, how = apply_function(base, spec)
        return Candidate(spec.replace(":", "-"), made, how)
    raise InvalidArgumentError(
        f"candidate {spec!r} is none of: {', '.join(SPECS)} ({', '.join(_CHECKPOINTS)}, .onnx, .pt2)"
    )


def _changeable(spec: str, base: Classifier) -> TorchClassifier | GraphClassifier:
    """Return a base whose weights can be changed."""
    if not isinstance(base, (TorchClassifier, GraphClassifier)):
        raise InvalidArgumentError(
            f"candidate is {spec!r}, but base is a {type(base).__qualname__}: give a TorchClassifier or "
            "OnnxClassifier, or a candidate that is made without the base, such as a file or a function of yours"
        )
    return base


def _float16(base: TorchClassifier | GraphClassifier) -> tuple[Classifier, str]:
    if isinstance(base, GraphClassifier):
        return round_graph(base)
    if base.device.type == "cuda":
        around = "logits returned as float32; preprocessing and leading layers without parameters stay in float32"
        return float16_arithmetic(base), f"float16 weights and arithmetic, {around}"
    return (
        float16_weights(base),
        "weights rounded to float16, arithmetic in float32, because this device has no fast float16 convolutions",
    )


def _pruned(base: TorchClassifier | GraphClassifier, amount: float, *, together: bool) -> tuple[Classifier, str]:
    if isinstance(base, GraphClassifier):
        return prune_graph(base, amount, together=together)
    return prune_global(base, amount) if together else prune_layerwise(base, amount)


def _amount(spec: str, text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = float("nan")
    if not 0 < amount < 1:
        raise InvalidArgumentError(f"candidate {spec!r} has AMOUNT {text!r}: it should be a number in (0, 1)")
    return amount


def _from_file(spec: str, base: Classifier) -> Candidate:
    classifier: Classifier
    if (graph := onnx_file(spec)) is not None:
        file, output = graph
        threads = base.threads if isinstance(base, GraphClassifier) else torch.get_num_threads()
        classifier = OnnxClassifier(file, base.num_classes, output=output, threads=threads)
        description = f"the ONNX model {spec}, by ONNX Runtime on the CPU"
    else:
        classifier, arch = load_candidate(torch_base(spec, base), spec)
        description = f"the {arch} checkpoint {spec}, in the arithmetic of the base"
    return Candidate(_file_name(spec, classifier), classifier, description)


def _file_name(spec: str, classifier: Classifier) -> str:
    name = Path(spec).name
    stem = name.removesuffix(next((end for end in (*_CHECKPOINTS, ".onnx", ".pt2") if name.endswith(end)), ""))
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:64] or "file"
    return f"{slug}-{classifier.fingerprint[:8]}"

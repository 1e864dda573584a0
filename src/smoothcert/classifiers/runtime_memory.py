"""Which runtimes were tried for a module on this machine, kept between processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from smoothcert._records import RecordFormat, is_list
from smoothcert.classifiers.torch_module import TorchClassifier
from smoothcert.errors import SmoothcertError

__all__ = ["Trial", "recall", "remember"]

_FORMAT = RecordFormat(
    name="smoothcert-runtimes",
    version=2,
    bare=True,
    legal={"job": lambda v: isinstance(v, dict), "tried": is_list(lambda v: isinstance(v, dict))},
    at_most=1 << 16,
)


@dataclass(frozen=True)
class Trial:
    """One runtime with one batch size.

    Attributes
    ----------
    runtime : str
        ``"eager"``, ``"compile"`` or ``"onnx"``.
    batch_size : int
        Forward passes at once; 0 when the runtime was rejected.
    samples_per_second : float
        The best of a few calls; 0 when the runtime was rejected.
    reason : str
        Why it was rejected; empty when it was not.
    """

    runtime: str
    batch_size: int = 0
    samples_per_second: float = 0.0
    reason: str = ""


def recall(
    folder: str | Path | None, classifier: TorchClassifier, shape: tuple[int, ...], names: Sequence[str]
) -> tuple[Trial, ...] | None:
    """Return what was tried before for the same module, machine and versions; None when nothing (legible) is kept.

    Parameters
    ----------
    folder : str, Path or None
        Where it is kept; None for the user's cache folder.
    classifier : TorchClassifier
        The module.
    shape : tuple of int
        Shape of one input.
    names : sequence of str
        The candidates.

    Returns
    -------
    tuple of Trial or None
    """
    job = _job(classifier, shape, names)
    try:
        path = _path(folder, job)
        content = _FORMAT.read(path.parent, path.name)
        tried = tuple(Trial(**entry) for entry in content["tried"])
        intact = content["job"] == job and all(_is_sound(trial, names) for trial in tried)
    except (SmoothcertError, RuntimeError, TypeError):  # RuntimeError: no home folder
        return None
    return tried if intact and any(not trial.reason for trial in tried) else None


def remember(
    folder: str | Path | None,
    classifier: TorchClassifier,
    shape: tuple[int, ...],
    names: Sequence[str],
    tried: Sequence[Trial],
) -> None:
    """Keep what was tried, unless the folder cannot be written; see `recall`."""
    job = _job(classifier, shape, names)
    content = {"job": job, "tried": [asdict(trial) for trial in tried]}
    with contextlib.suppress(OSError, RuntimeError, SmoothcertError):
        path = _path(folder, job)
        path.parent.mkdir(parents=True, exist_ok=True)
        _FORMAT.write(path.parent, path.name, content)


def _job(classifier: TorchClassifier, shape: tuple[int, ...], names: Sequence[str]) -> dict[str, Any]:
    return {
        "fingerprint": classifier.fingerprint,
        "shape": list(shape),
        "candidates": list(names),
        "machine": _machine(classifier.device),
        "torch": str(torch.__version__),
        "onnxruntime": _version("onnxruntime"),
    }


def _machine(device: torch.device) -> str:
    """Describe what decides the speed: processor, its vector extensions, threads; or the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _path(folder: str | Path | None, job: dict[str, Any]) -> Path:
    if folder is None:
        home = os.environ.get("XDG_CACHE_HOME")
        folder = os.environ.get("SMOOTHCERT_CACHE") or Path(home or Path.home() / ".cache", "smoothcert")
    digest = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()
    return Path(folder, "runtimes", f"{digest[:32]}.json")


def _is_sound(trial: Trial, names: Sequence[str]) -> bool:
    """Tell whether an entry of a file could have been written by `remember`."""
    numbers = (trial.batch_size, trial.samples_per_second)
    if trial.runtime not in names or not isinstance(trial.reason, str):
        return False
    if type(trial.batch_size) is not int or not isinstance(trial.samples_per_second, (int, float)):
        return False
    positive = all(number > 0 for number in numbers) and math.isfinite(trial.samples_per_second)
    return bool(trial.reason) != positive

"""What identifies a classifier: not what it is called, but what it computes for fixed inputs."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import cast

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier, GraphClassifier, beyond_rounding
from smoothcert.noise import NoiseStream, Purpose, noise_of_law

__all__ = ["Identity", "identify", "probe_batch"]

_CLEAN, _NOISY = 8, 8
_KEY = hashlib.sha256(b"smoothcert probe").digest()
_KEPT = 32  # classes whose logits are kept for comparison across runtimes; the digest is of all
_known: weakref.WeakKeyDictionary[GraphClassifier, dict[object, Identity]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Identity:
    """What a classifier returned for the probe.

    A fingerprint sees parameters and structure; it does not see a module's Python attributes, a closure, or what a
    function's name stands for today. Logits see all of it.

    Attributes
    ----------
    execution : str
        What the last bits depend on: runtime and its version, device, dtype, threads, instruction set.
    digest : str
        SHA-256 of all logits, in hexadecimal; empty where two runs gave other bits.
    logits : str
        The logits of up to 32 classes, little-endian float32 in hexadecimal.
    """

    execution: str
    digest: str
    logits: str

    def name(self, fingerprint: str) -> str:
        """Name the classifier by its fingerprint and what it computes; on other hardware it has another name."""
        return f"{fingerprint}:{self.digest[:32]}"

    def difference(self, other: Identity, description: Mapping[str, str]) -> str:
        """Say how another classifier differs from this one; empty where it is the same.

        Logits have to agree bit for bit where both were executed alike, and up to rounding where they were not.

        Parameters
        ----------
        other : Identity
            Of the other classifier, from the same probe.
        description : mapping of str to str
            Of this classifier.
        """
        if self == other:
            return ""
        mine, others = self._values(), other._values()
        if mine.shape != others.shape:
            return "it returns another number of logits"
        if self.execution == other.execution and self.digest and other.digest:
            with np.errstate(invalid="ignore"):
                moved = float(np.nanmax(np.abs(mine - others), initial=0.0))
            return f"its logits for fixed inputs are others, by up to {moved:.3g}"
        return beyond_rounding(mine, others, description)

    def _values(self) -> NDArray[np.float32]:
        return np.frombuffer(bytes.fromhex(self.logits), "<f4").reshape(1, -1)


def identify(classifier: Classifier, shape: tuple[int, ...], noise: NoiseStream) -> Identity:
    """Score the probe, twice: logits that do not repeat themselves cannot be held to their last bits.

    Parameters
    ----------
    classifier : Classifier
        The classifier.
    shape : tuple of int
        Of one input.
    noise : NoiseStream
        Noise of the votes that the identity stands beside; its seed does not matter.

    Returns
    -------
    Identity

    Examples
    --------
    >>> import numpy as np
    >>> from smoothcert.classifiers import FunctionClassifier
    >>> from smoothcert.noise import GaussianNoise
    >>> def above(t):
    ...     return FunctionClassifier(lambda x: np.stack([t - x[:, 0], x[:, 0] - t], 1), 2, fingerprint="one name")
    >>> noise = GaussianNoise(0.25, seed=0)
    >>> a, b = (identify(above(t), (4,), noise) for t in (0.5, 0.625))
    >>> b.difference(a, {"device": "cpu", "dtype": "float32"})
    'its logits for fixed inputs are others, by up to 0.125'
    """
    if not isinstance(classifier, GraphClassifier):  # a module or a function may have changed since
        return _identify(classifier, shape, noise)
    known, probe = _known.setdefault(classifier, {}), (shape, noise.law, noise.sigma)
    if probe not in known:
        known[probe] = _identify(classifier, shape, noise)
    return known[probe]


def _identify(classifier: Classifier, shape: tuple[int, ...], noise: NoiseStream) -> Identity:
    batch = probe_batch(shape, noise)
    first, again = (np.asarray(classifier.logits(batch.copy()), "<f4") for _ in range(2))
    repeats = first.tobytes() == again.tobytes()
    columns = np.linspace(0, first.shape[1] - 1, min(first.shape[1], _KEPT)).astype(int)
    return Identity(
        execution=_execution(classifier),
        digest=hashlib.sha256(first.tobytes()).hexdigest() if repeats else "",
        logits=np.ascontiguousarray(first[:, columns]).tobytes().hex(),
    )


def probe_batch(shape: tuple[int, ...], noise: NoiseStream) -> NDArray[np.float32]:
    """Return the fixed inputs (16, *shape): black, white, a ramp and random ones, then noisy ones."""
    # The noise is of the calibration purpose and under a key of its own: no vote uses it.
    # Under one seed, so that caches of different seeds can be compared.
    fixed = noise_of_law(noise.law, noise.sigma, 0) or noise
    size = math.prod(shape)
    batch = np.zeros((_CLEAN + _NOISY, size), np.float32)
    levels = np.frombuffer(hashlib.shake_256(_KEY).digest(_CLEAN * size), np.uint8).reshape(_CLEAN, size)
    batch[1] = 1
    batch[2] = np.linspace(0, 1, size)
    batch[3:_CLEAN] = levels[3:] / np.float32(255)
    batch = batch.reshape(-1, *shape)
    for i in range(_NOISY):
        # On every grid: 0 and 1 alone are.
        x = (batch[i] if i < 2 else levels[i].reshape(shape) > 127).astype(np.float32)
        fixed.perturb(x, _KEY, Purpose.CALIBRATION, i, batch[_CLEAN + i : _CLEAN + i + 1])
    return batch


def _execution(classifier: Classifier) -> str:
    """Name what the last bits of logits depend on beside the model."""
    what = [
        classifier.description.get(name, "") for name in ("runtime", "dtype", "convolutions", "matrix_products")
    ]
    device = getattr(classifier, "device", None)
    if device is not None and device.type == "cuda":
        import torch

        what.append(torch.cuda.get_device_name(device))
    else:
        what += [platform.machine(), _instructions()]
        if not isinstance(classifier, GraphClassifier):  # whose logits do not depend on them
            what.append(f"{_threads(device is not None)} threads")
            what.append(f"numpy {np.__version__}")
    return ", ".join(text for text in what if text)


def _instructions() -> str:
    """Name the processor's vector instructions, by which kernels are chosen."""
    features = cast("dict[str, bool]", import_module("numpy._core._multiarray_umath").__cpu_features__)
    enabled = "+".join(sorted(name for name, on in features.items() if on))
    return f"instructions {hashlib.sha256(enabled.encode()).hexdigest()[:8]}"


def _threads(by_torch: bool) -> int:
    if by_torch:
        import torch

        return torch.get_num_threads()
    return os.cpu_count() or 1

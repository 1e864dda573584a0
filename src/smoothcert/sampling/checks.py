"""Checks before any long work: the inputs' form and range, and that votes do not depend on batch mates."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier, GraphClassifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseStream, Purpose
from smoothcert.sampling.inputs import Inputs

__all__ = ["check_classifier", "check_classifier_once", "check_inputs"]

_PROBE = 16
_passed: weakref.WeakKeyDictionary[GraphClassifier, set[tuple[int, ...]]] = weakref.WeakKeyDictionary()


def check_inputs(x: Any) -> Inputs:
    """Check the form and the range of the inputs.

    Parameters
    ----------
    x : array, tensor or Inputs, shape (m, *shape)
        float32 or float64 values in [0, 1]; a lazy sequence is checked row by row as it is.

    Returns
    -------
    Inputs
        float32 rows.

    Raises
    ------
    InvalidArgumentError
        When there is no input, the type is not floating, or a value is NaN, infinite or outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> check_inputs(np.full((2, 3), 255.0))
    Traceback (most recent call last):
        ...
    smoothcert.errors.InvalidArgumentError: x[0] has values from 255 to 255: inputs are in [0, 1] before noise and
    normalization; divide 8-bit images by 255
    """
    if type(x).__module__.startswith("torch"):
        x = x.detach().cpu().numpy()
    if len(getattr(x, "shape", ())) < 2 or x.shape[0] == 0:
        raise InvalidArgumentError(f"x has shape {getattr(x, 'shape', None)}: give (m, *shape) with m >= 1 inputs")
    if isinstance(x, np.ndarray):
        if not np.issubdtype(x.dtype, np.floating):
            raise InvalidArgumentError(
                f"x has dtype {x.dtype}: give float32 in [0, 1]; divide 8-bit images by 255"
            )
        x = x.astype(np.float32, copy=False)
    for i in range(len(x)):
        low, high = float(np.min(x[i])), float(np.max(x[i]))
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InvalidArgumentError(f"x[{i}] has NaN or infinite values: inputs are finite")
        if low < 0 or high > 1:
            raise InvalidArgumentError(
                f"x[{i}] has values from {low:g} to {high:g}: inputs are in [0, 1] before noise and "
                "normalization; divide 8-bit images by 255"
            )
    inputs: Inputs = x
    return inputs


def check_classifier(
    classifier: Classifier, inputs: Inputs, key: bytes, noise: NoiseStream
) -> NDArray[np.float32]:
    """Try the classifier on a few noisy copies of the first input.

    A classifier that uses its batch mates, by batch statistics or a vote over the batch, would be certified for
    something that it is not: its score for a sample must not depend on the other samples.

    Parameters
    ----------
    classifier : Classifier
        What will be certified.
    inputs : Inputs, shape (m, *shape)
        The inputs.
    key : bytes
        Key of the first input.
    noise : NoiseStream
        The noise; the probe draws from the calibration purpose and touches no sample that is counted.

    Returns
    -------
    ndarray of float32, shape (16, num_classes)
        The logits of the probe.

    Raises
    ------
    InvalidArgumentError
        When logits have the wrong shape or move with the batch mates by more than rounding can explain.
    """
    batch = np.empty((_PROBE, *inputs.shape[1:]), np.float32)
    noise.perturb(inputs[0], key, Purpose.CALIBRATION, 0, batch)
    logits = classifier.logits(batch)
    if logits.shape != (_PROBE, classifier.num_classes):
        raise InvalidArgumentError(
            f"classifier returned logits of shape {logits.shape} for a batch of {_PROBE}: with num_classes = "
            f"{classifier.num_classes} it should be {(_PROBE, classifier.num_classes)}"
        )
    if not np.isfinite(logits).all():
        return logits
    half = _PROBE // 2
    reversed_ = classifier.logits(np.ascontiguousarray(batch[::-1]))[::-1]
    split = np.concatenate([classifier.logits(batch[:half].copy()), classifier.logits(batch[half:].copy())])
    # Kernels chosen by batch size may round differently; half precision moves logits by up to a few percent.
    moved = max(float(np.abs(logits - other).max()) for other in (reversed_, split))
    if moved > 0.05 * max(float(np.ptp(logits)), 1e-6):
        raise InvalidArgumentError(
            f"classifier gives a sample other logits in another batch (by up to {moved:.3g}): it looks at its "
            "batch mates, so its votes are not independent; put it into evaluation mode"
        )
    return logits


def check_classifier_once(classifier: Classifier, inputs: Inputs, key: bytes, noise: NoiseStream) -> None:
    """Do as `check_classifier`, but only once for a graph, which cannot change.

    The probe is a third of the forward passes of a call that takes a hundred samples of one input. A module may
    have been put into training mode in between, and a function may do anything: they are tried every time.

    Parameters
    ----------
    classifier, inputs, key, noise
        As for `check_classifier`.

    Raises
    ------
    InvalidArgumentError
        As `check_classifier`.
    """
    if not isinstance(classifier, GraphClassifier):
        check_classifier(classifier, inputs, key, noise)
    elif inputs.shape[1:] not in _passed.setdefault(classifier, set()):
        check_classifier(classifier, inputs, key, noise)
        _passed[classifier].add(inputs.shape[1:])

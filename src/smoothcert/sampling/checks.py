"""Checks before any long work: that a classifier labels the inputs, each without regard to its batch mates."""

from __future__ import annotations

import weakref

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier, GraphClassifier
from smoothcert.errors import InvalidArgumentError, SmoothcertError
from smoothcert.noise import NoiseStream, Purpose
from smoothcert.sampling.inputs import Inputs
from smoothcert.sampling.values import is_of

__all__ = ["check_classifier", "check_classifier_once"]

_PROBE = 16
_EXTREME = 1000  # times a usual input
_passed: weakref.WeakKeyDictionary[GraphClassifier, set[tuple[int, ...]]] = weakref.WeakKeyDictionary()


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
        When the classifier fails on inputs of this shape, or logits have the wrong shape or move with the batch
        mates by more than rounding can explain.
    """
    batch = np.empty((_PROBE, *inputs.shape[1:]), np.float32)
    noise.perturb(inputs[0], key, Purpose.CALIBRATION, 0, batch)
    logits = _first_logits(classifier, batch, tuple(inputs.shape))
    if logits.shape != (_PROBE, classifier.num_classes):
        raise InvalidArgumentError(
            f"classifier returned logits of shape {logits.shape} for a batch of {_PROBE}: with num_classes = "
            f"{classifier.num_classes} it should be {(_PROBE, classifier.num_classes)}"
        )
    if not np.isfinite(logits).all():
        return logits
    half = _PROBE // 2
    # One of the mates is far out of range, which moves scales that are taken from the whole batch.
    mates = np.ascontiguousarray(batch[::-1])
    mates[0] *= _EXTREME
    reversed_ = np.concatenate([classifier.logits(mates)[:0:-1], logits[-1:]])
    split = np.concatenate([classifier.logits(batch[:half].copy()), classifier.logits(batch[half:].copy())])
    # Kernels chosen by batch size may round differently; half precision moves logits by up to a few percent.
    moved = max(float(np.abs(logits - other).max()) for other in (reversed_, split))
    if moved > 0.05 * max(float(np.ptp(logits)), 1e-6):
        raise InvalidArgumentError(
            f"classifier gives a sample other logits in another batch (by up to {moved:.3g}): it looks at its "
            "batch mates, so its votes are not independent; put it into evaluation mode, and quantize statically, "
            "not by the range of each batch"
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


def _first_logits(
    classifier: Classifier, batch: NDArray[np.float32], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Score a batch; what a classifier raises that was not made for such inputs names their shape and a remedy."""
    try:
        return classifier.logits(batch)
    except (SmoothcertError, MemoryError):
        raise
    except Exception as error:
        if is_of(error, "torch", "OutOfMemoryError"):
            raise
        said = (str(error).strip().splitlines() or ["no message"])[0]
        raise InvalidArgumentError(
            f"classifier cannot label inputs of shape {shape[1:]}: {type(error).__name__}: {said:.200}; "
            f"{_remedy_for_shape(shape)}"
        ) from error


def _remedy_for_shape(shape: tuple[int, ...]) -> str:
    """Say what else x may have been meant as, by its number of axes."""
    own = "else give inputs of the channels and the size that it was made for"
    if len(shape) == 2:
        return (
            f"x has shape {shape}: if that is a single input, give x[None]; if its rows are flattened images, "
            f"x.reshape(m, channels, height, width); {own}"
        )
    if len(shape) == 3 and shape[2] in (1, 3, 4):
        return f"x has shape {shape}: if that is one image with channels last, x.transpose(2, 0, 1)[None]; {own}"
    if len(shape) == 3:
        return (
            f"x has shape {shape}: if that is a single input, give x[None]; if those are images without a channel "
            f"axis, x[:, None]; {own}"
        )
    if len(shape) == 4 and shape[1] == 1:
        return f"x has shape {shape}: a classifier of colour images takes np.repeat(x, 3, axis=1); {own}"
    return f"x has shape {shape}: give inputs of the channels and the size that it was made for"

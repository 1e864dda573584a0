"""A denoiser in front of a classifier that never saw noise."""

from __future__ import annotations

from typing import Literal

import torch

from smoothcert.classifiers.fingerprint import module_fingerprint, qualified_name
from smoothcert.classifiers.torch_module import TorchClassifier
from smoothcert.errors import InvalidArgumentError

__all__ = ["Denoised"]


class Denoised(TorchClassifier):
    """A classifier behind a denoiser, as one base classifier: denoise, then classify.

    A classifier trained without noise is of no use for smoothing by itself. Behind a denoiser it sees images like
    those that it knows. A certificate is about both together: whatever the denoiser does, it is a part of f, and
    no property of it is assumed.

    Parameters
    ----------
    denoiser : torch.nn.Module
        Maps noisy images, float32 (b, c, h, w), images in [0, 1] plus noise, to estimates of the clean ones, or of
        the noise, of the same shape. Left as it is: a copy is used, in evaluation mode.
    classifier : TorchClassifier or torch.nn.Module
        Maps images (b, c, h, w) in [0, 1] to logits (b, num_classes). Left as it is, like the denoiser, which is
        copied to where it is.
    num_classes : int, optional
        Number of classes, for a module; a TorchClassifier knows its own.
    predicts : {"image", "noise"}
        What the denoiser returns. With ``"noise"``, as networks that learn the residual, the estimate of the image
        is the input minus the output.

    Raises
    ------
    InvalidArgumentError
        When an argument is not as described or a module cannot be copied. A denoiser that returns another shape is
        refused with the first batch.

    Notes
    -----
    Estimates are clipped to [0, 1] before they are classified. Clean images are in [0, 1], so clipping brings an
    estimate closer to every one of them, or leaves it. Without it, give
    ``TorchClassifier(torch.nn.Sequential(denoiser, classifier), num_classes)``.

    References
    ----------
    Salman, Sun, Yang, Kapoor, Kolter, "Denoised smoothing: a provable defense for pretrained classifiers",
    NeurIPS 2020.

    Examples
    --------
    A denoiser that averages neighbours, in front of a linear classifier:

    >>> denoiser = torch.nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    >>> f = Denoised(denoiser, network, num_classes=3)
    >>> f.logits(torch.rand(2, 1, 4, 4).numpy()).shape
    (2, 3)
    >>> f.description["denoiser"]
    'AvgPool2d ...'
    """

    def __init__(
        self,
        denoiser: torch.nn.Module,
        classifier: TorchClassifier | torch.nn.Module,
        *,
        num_classes: int | None = None,
        predicts: Literal["image", "noise"] = "image",
    ) -> None:
        if not isinstance(denoiser, torch.nn.Module):
            raise InvalidArgumentError(
                f"denoiser is a {type(denoiser).__qualname__}: give a torch.nn.Module from noisy to clean images"
            )
        if predicts not in ("image", "noise"):
            raise InvalidArgumentError(f"predicts is {predicts!r}: give 'image' or 'noise'")
        source = _as_classifier(classifier, num_classes)
        module = _DenoiseThenClassify(denoiser, source, predicts_noise=predicts == "noise")
        super().__init__(module, source.num_classes, device=source.device, input_dtype=torch.float32)
        self._parts = {
            "denoiser": f"{type(denoiser).__qualname__} {module_fingerprint(denoiser)}",
            "classifier": f"{type(source.module).__qualname__} {source.fingerprint}",
        }

    @property
    def description(self) -> dict[str, str]:
        """What is run; ``denoiser`` and ``classifier`` name both with their fingerprints."""
        return super().description | self._parts


class _DenoiseThenClassify(torch.nn.Module):
    def __init__(self, denoiser: torch.nn.Module, source: TorchClassifier, *, predicts_noise: bool) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.preprocess = source.preprocess
        self.network = source.module
        self.dtype = source.input_dtype
        self.predicts_noise = predicts_noise

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """Map noisy images (b, c, h, w) to logits (b, k)."""
        found = self.denoiser(noisy)
        if not isinstance(found, torch.Tensor) or found.shape[1:] != noisy.shape[1:]:
            what = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__qualname__
            raise InvalidArgumentError(
                f"the denoiser returned {what} for images of shape {tuple(noisy.shape)}: it should be a tensor of "
                "the same shape; wrap it in a module that returns one"
            )
        image = (noisy - found if self.predicts_noise else found).clamp(0, 1)
        prepared = image if self.preprocess is None else self.preprocess(image)
        if self.dtype != torch.float32:
            prepared = prepared.to(self.dtype)
        logits: torch.Tensor = self.network(prepared)
        return logits

    def extra_repr(self) -> str:
        """Name what the state dict does not hold."""
        return f"predicts_noise={self.predicts_noise}, preprocess={qualified_name(self.preprocess)}"


def _as_classifier(classifier: TorchClassifier | torch.nn.Module, num_classes: int | None) -> TorchClassifier:
    """Return a classifier, or a module as one."""
    if isinstance(classifier, TorchClassifier):
        if num_classes not in (None, classifier.num_classes):
            raise InvalidArgumentError(
                f"num_classes is {num_classes}, but classifier has {classifier.num_classes}: leave num_classes out"
            )
        return classifier
    if not isinstance(classifier, torch.nn.Module):
        raise InvalidArgumentError(
            f"classifier is a {type(classifier).__qualname__}: give a TorchClassifier or a torch.nn.Module, in "
            "front of which a denoiser can be put"
        )
    if num_classes is None:
        raise InvalidArgumentError(
            "num_classes is missing: a torch.nn.Module does not say how many classes it has"
        )
    return TorchClassifier(classifier, num_classes)

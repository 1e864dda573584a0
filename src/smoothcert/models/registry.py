"""Architectures by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from smoothcert.errors import InvalidArgumentError
from smoothcert.models.cifar_resnet import CifarResNet
from smoothcert.models.conv_net import DigitsConv
from smoothcert.models.imagenet_resnet import ResNet50
from smoothcert.models.normalize import CIFAR10, DIGITS, IMAGENET, Normalization, Normalize

__all__ = ["ARCHITECTURES", "Architecture", "Shape", "architecture", "build_model"]

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Architecture:
    """A network and what it was made for.

    Attributes
    ----------
    name : str
        Its name in checkpoints and on the command line.
    build : callable
        Maps (num_classes, input_shape) to the network, without the normalization.
    num_classes : int
        Number of classes by default.
    input_shape : (int, int, int)
        (channels, height, width) by default.
    normalization : Normalization
        The normalization by default.
    """

    name: str
    build: Callable[[int, Shape], nn.Module]
    num_classes: int
    input_shape: Shape
    normalization: Normalization


def _cifar_resnet(depth: int) -> Architecture:
    def build(num_classes: int, shape: Shape) -> nn.Module:
        return CifarResNet(depth, num_classes, in_channels=shape[0])

    return Architecture(f"cifar_resnet{depth}", build, 10, (3, 32, 32), CIFAR10)


def _resnet50(num_classes: int, shape: Shape) -> nn.Module:
    return ResNet50(num_classes, in_channels=shape[0])


ARCHITECTURES: dict[str, Architecture] = {
    each.name: each
    for each in (
        _cifar_resnet(20),
        _cifar_resnet(56),
        _cifar_resnet(110),
        Architecture("resnet50", _resnet50, 1000, (3, 224, 224), IMAGENET),
        Architecture("digits_conv", DigitsConv, 10, (1, 8, 8), DIGITS),
    )
}
"""All architectures, by name."""


def architecture(name: str) -> Architecture:
    """Look up an architecture.

    Parameters
    ----------
    name : str
        One of the names in `ARCHITECTURES`.

    Returns
    -------
    Architecture

    Raises
    ------
    InvalidArgumentError
        When there is none of this name.

    Examples
    --------
    >>> architecture("digits_conv").input_shape
    (1, 8, 8)
    """
    if name not in ARCHITECTURES:
        raise InvalidArgumentError(f"arch is {name!r}: give one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def build_model(
    arch: str,
    num_classes: int | None = None,
    input_shape: Shape | None = None,
    normalization: Normalization | None = None,
) -> nn.Sequential:
    """Build a model that takes inputs in [0, 1]: its normalization, then the network, with fresh weights.

    Parameters
    ----------
    arch : str
        Name of the architecture.
    num_classes : int, optional
        At least 2; the architecture's own by default.
    input_shape : (int, int, int), optional
        (channels, height, width); the architecture's own by default.
    normalization : Normalization, optional
        One mean and standard deviation per channel; the architecture's own by default.

    Returns
    -------
    torch.nn.Sequential
        Module 0 normalizes and has no state, module 1 is the network: the layout of published checkpoints. It
        maps float32 (b, c, h, w) in [0, 1] to logits (b, num_classes).

    Raises
    ------
    InvalidArgumentError
        When an argument is not as described.

    Examples
    --------
    >>> model = build_model("cifar_resnet20", num_classes=100)
    >>> model[0]
    Normalize(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.201))
    >>> list(model.state_dict())[0]
    '1.conv1.weight'
    """
    info = architecture(arch)
    num_classes = info.num_classes if num_classes is None else num_classes
    shape = info.input_shape if input_shape is None else input_shape
    constants = info.normalization if normalization is None else normalization
    if num_classes < 2:
        raise InvalidArgumentError(f"num_classes is {num_classes}: a classifier has at least 2 classes")
    if len(shape) != 3 or min(shape) < 1:
        raise InvalidArgumentError(f"input_shape is {shape}: give (channels, height, width), each at least 1")
    if len(constants.mean) != shape[0]:
        raise InvalidArgumentError(
            f"normalization has {len(constants.mean)} channels, but inputs have {shape[0]}: give as many"
        )
    return nn.Sequential(Normalize(constants), info.build(num_classes, shape))

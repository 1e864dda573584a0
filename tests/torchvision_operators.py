"""Stand-ins for torchvision's compiled operators, where they do not load."""

from __future__ import annotations

import importlib.util
import sys

import torch

_kept: list[torch.library.Library] = []  # an operator lives as long as its library


def define_missing_operators() -> None:
    """Let timm be imported beside a CPU build of torch that PyPI's torchvision was not made for.

    torchvision names two of its operators when it is imported; no test uses them.
    """
    if importlib.util.find_spec("torchvision") is None or _kept:
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        _kept.append(library)

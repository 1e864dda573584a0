"""Fixtures that more than one room's tests use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads on tiny networks wait for each other; read once, early


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the checkpoint, the data and the reference logs; skips where there is none."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("SMOOTHCERT_SHARED", root.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}: set SMOOTHCERT_SHARED")
    return folder


def _stand_in_for_torchvision_operators() -> None:
    """Let timm be imported beside a CPU build of torch that PyPI's torchvision was not made for.

    Its compiled operators do not load there, and two of them are named when it is imported; no test uses them.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)

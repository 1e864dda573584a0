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

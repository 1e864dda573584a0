"""Fixtures that more than one room's tests use."""

from __future__ import annotations

import os
from collections.abc import Iterator
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


@pytest.fixture(scope="session", autouse=True)
def own_cache_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep graphs of tests out of the user's cache directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield

"""Exported and quantized graphs, kept from one call to the next: making one takes seconds, reading it none."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from smoothcert._files import read_regular, write_atomic
from smoothcert.classifiers.torch_module import TorchClassifier
from smoothcert.errors import SmoothcertError

__all__ = ["computed_by", "kept_graph", "versions_of"]

_AT_MOST = 2 << 30  # bytes of all graphs together
_DIGEST = 32
_SUFFIX = ".graph"
_PROBE = 4


def kept_graph(what: str, make: Callable[[], bytes]) -> bytes:
    """Return the graph that was made before of what a text describes, or make it and keep it.

    Graphs lie in the user's own cache directory (``XDG_CACHE_HOME``, else ``~/.cache``), never beside votes, which
    may come from anybody. Where nothing can be kept there, or what was kept is damaged, they are made each time.

    Parameters
    ----------
    what : str
        Everything that the graph follows from, versions included.
    make : callable
        Makes it.
    """
    name = hashlib.sha256(what.encode()).hexdigest() + _SUFFIX
    folder = _folder()
    with contextlib.suppress(OSError, SmoothcertError):
        data = read_regular(folder, name, at_most=_AT_MOST, error=SmoothcertError)
        if hashlib.sha256(data[_DIGEST:]).digest() == data[:_DIGEST]:
            (folder / name).touch()
            return data[_DIGEST:]
    made = make()
    with contextlib.suppress(OSError, SmoothcertError):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder, name, hashlib.sha256(made).digest() + made, SmoothcertError)
        _forget_the_oldest(folder)
    return made


def computed_by(classifier: TorchClassifier, shape: tuple[int, ...]) -> str:
    """Name what a module computes: its fingerprint does not see attributes and code, its logits do."""
    # Fixed inputs; with other threads or processors their last bits may differ, and then a graph is made again.
    batch = np.random.default_rng(0).random((_PROBE, *shape), dtype=np.float32)
    logits = classifier.logits(batch)
    return f"{classifier.fingerprint} {shape} {hashlib.sha256(logits.tobytes()).hexdigest()}"


def versions_of(*packages: str) -> str:
    """Name versions of packages that a graph follows from."""
    return ", ".join(f"{package} {version(package)}" for package in packages)


def _folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "smoothcert" / "graphs"


def _forget_the_oldest(folder: Path) -> None:
    """Keep the graphs that were used last, up to a size."""
    found = sorted(
        ((path.stat(), path) for path in folder.glob(f"*{_SUFFIX}")), key=lambda each: -each[0].st_mtime
    )
    total = 0
    for stat, path in found:
        total += stat.st_size
        if total > _AT_MOST:
            path.unlink()

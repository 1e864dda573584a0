"""A small cache in three parts, and ways to forge its files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import smoothcert as sc
from folders import votes_of
from smoothcert.noise import GaussianNoise
from smoothcert.votes.store import CachedInput, CertificationCache, Manifest
from smoothcert.votes.store.index import index_line
from smoothcert.votes.store.parts import encode_part

CALL = {"sigma": 0.5, "n0": 20, "n": 20_000, "alpha": 0.001, "seed": 7}
INPUTS = np.random.default_rng(0).random((12, 3, 4), dtype=np.float32)
X = INPUTS[:7]
Y = np.zeros(7, np.int64)
_W = np.random.default_rng(1).standard_normal((12, 5))


def classifier(shift: float = 0.0) -> sc.FunctionClassifier:
    def logits(batch: NDArray[np.float32]) -> NDArray[np.float64]:
        return batch.reshape(len(batch), -1) @ _W + shift * np.arange(5)

    return sc.FunctionClassifier(logits, num_classes=5, fingerprint=f"W {shift}")


def manifest_of(**changes: object) -> Manifest:
    """A manifest of votes of some classifier f; fields by name are others."""
    noise = GaussianNoise(sigma=0.5, seed=3)
    fields: dict[str, object] = {
        "sigma": 0.5,
        "noise_law": noise.law,
        "noise_digest": noise.digest,
        "seed": 3,
        "n0": 0,
        "n": 1000,
        "alpha": 0.001,
        "num_classes": 2,
        "input_shape": (3,),
        "fingerprint": "f",
        "classifier": {},
        "versions": {},
    }
    return Manifest(**{**fields, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True)
class World:
    """A cache, and what can be done to it."""

    cache: Path

    def certify(self, count: int = len(X)) -> sc.CertificationRun:
        return sc.certify(classifier(), X[:count], cache=self.cache, **CALL)  # type: ignore[arg-type]

    def contents(self) -> dict[str, bytes]:
        return votes_of(self.cache)

    def forge(self, change: Callable[[CachedInput], CachedInput], cache: Path | None = None) -> None:
        """Change every input, with all checksums recomputed."""
        store = CertificationCache(cache or self.cache)
        lines = []
        for number, entry in enumerate(store.entries):
            data = encode_part([change(row) for row in store.read(entry)], store.manifest)
            (store.path / "parts" / entry.name).write_bytes(data)
            forged = replace(entry, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
            lines.append(index_line(number, forged) + "\n")
        (store.path / "index.jsonl").write_text("".join(lines))

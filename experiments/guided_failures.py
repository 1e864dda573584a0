"""Count false certificates of guided certification by a surrogate that remembers every vote it was fitted to.

It gives each input the number of samples at which the votes that it saw certify falsely. Its own noise makes the
memory worthless. Were the votes that it saw those that are counted, far more certificates would be false:

    python experiments/guided_failures.py

counts both, the latter by a surrogate whose record lies about the noise that it was fitted to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from closed_form_surrogate import SIGMA, certify_guided, classifier, surrogate
from counts import Count
from numpy.typing import NDArray
from torch import nn

import smoothcert as sc
from smoothcert.surrogate import Surrogate, VoteData, plan_samples, read_votes
from smoothcert.votes.store import CertificationCache

ALPHA = 0.05
MENU = np.linspace(0.53, 0.97, 9)
"""Probabilities that the surrogate may predict: each makes another number of samples."""

WORLDS = tuple((distance, n, n0) for distance in (0.05, 0.1, 0.3) for n in (60, 150) for n0 in (0, 20))
"""Distance of the boundary, mean samples an input, selection samples."""


class Memory(nn.Module):
    """Says of each input that it was shown what it was told to say."""

    def __init__(self, x: NDArray[np.float32], says: NDArray[np.float64]) -> None:
        super().__init__()
        self.row = {each.tobytes(): i for i, each in enumerate(x)}
        self.says = torch.from_numpy(says)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return log shares, (b, 2)."""
        found = self.says[[self.row[each.tobytes()] for each in x.numpy()]]
        return torch.log(torch.stack([1 - found, found], dim=1))


def points(m: int, distance: float) -> NDArray[np.float32]:
    """Return m different inputs at one distance from the boundary x0 = 1/2."""
    x = np.full((m, 2), 0.5 + distance, np.float32)
    x[:, 1] = np.arange(m) / m
    return x


def are_false(certificates: sc.Certificates, x: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which certificates claim more than is true."""
    wrong: NDArray[np.bool_] = (certificates.prediction != 1) | (
        certificates.radius > x[:, 0].astype(np.float64) - 0.5
    )
    wrong &= certificates.certified
    return wrong


def chosen_by_memory(data: VoteData, seen: NDArray[np.bool_], n: int) -> tuple[Surrogate, NDArray[np.int64]]:
    """Fit a surrogate to votes (m, n_seen) by heart; return it and the samples that it gives each input."""
    x, m = np.asarray(data.inputs), len(data)
    keys = np.frombuffer(b"".join(data.keys), np.uint8).reshape(m, 32)
    noise = {name: getattr(data.manifest, name) for name in ("purpose", "seed", "identity")}
    pick = np.random.default_rng(0).integers(len(MENU), size=m)
    for _ in range(4):  # what an input gets depends a little on what the others say
        h = replace(surrogate(Memory(x, MENU[pick]), **noise), keys=keys)
        sizes, better = plan_samples(h.predict(x), n, ALPHA), pick.copy()
        for j in np.unique(pick):
            size = int(sizes[pick == j][0])
            bound = sc.lower_confidence_bound(seen[:, :size].sum(axis=1), size, ALPHA)
            better[sc.certified_radius(bound, SIGMA) > x[:, 0].astype(np.float64) - 0.5] = j
        pick = better
    return h, sizes


def remembered(
    x: NDArray[np.float32], n: int, folder: str, *, counted: bool = False
) -> tuple[Surrogate, NDArray[np.int64]]:
    """Draw votes, more than any input will get, and learn them by heart; on request those that will be counted."""
    if counted:
        sc.certify(classifier(), x, sigma=SIGMA, n=3 * n, cache=folder)
        data = read_votes(folder, x)
        data = replace(data, manifest=replace(data.manifest, purpose="fitting"))
    else:
        data = sc.collect_votes(classifier(), x, sigma=SIGMA, n=3 * n, cache=folder)
    store = CertificationCache(folder)
    return chosen_by_memory(data, np.stack([store[key].votes == 1 for key in data.keys]), n)


def count_all(certificates: int, show: Callable[[Count], None]) -> list[Count]:
    """Count the false certificates of every world."""
    return count_worlds(certificates, show, counted=False)


def count_worlds(certificates: int, show: Callable[[Count], None], *, counted: bool) -> list[Count]:
    """Count with a surrogate that remembers other votes, or those that are counted."""
    found = []
    kind = "guided by memory of what is counted" if counted else "guided by memory"
    for distance, n, n0 in WORLDS:
        x = points(certificates, distance)
        with tempfile.TemporaryDirectory() as folder:
            h, _ = remembered(x, n, folder, counted=counted)
        c = certify_guided(classifier(), x, surrogate=h, sigma=SIGMA, n0=n0, n=n, alpha=ALPHA).certificates
        world = f"{distance / SIGMA:g} sigma from the boundary, n = {n}, n0 = {n0}"
        found.append(Count(world, kind, len(x), len(x), int(are_false(c, x).sum()), ALPHA))
        show(found[-1])
    return found


if __name__ == "__main__":
    for seen in (False, True):
        count_worlds(
            1500, lambda c: print(f"{c.world}, {c.kind}: {c.failures / c.inputs:.3f} false"), counted=seen
        )

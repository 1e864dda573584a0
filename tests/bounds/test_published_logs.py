"""Cohen et al.'s published radii, from a whole number of votes each."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from smoothcert.bounds import certified_radius, lower_confidence_bound

N = 100_000
LOGS = ["cifar10-resnet110-noise_0.50-test-sigma_0.50", "cifar10-resnet110-noise_1.00-test-sigma_1.00"]


def printed(radii: NDArray[np.float64]) -> set[str]:
    """Print as the logs do, with three significant digits."""
    return {f"{radius:.3}" for radius in radii}


def possible_radii(sigma: float, alpha: float) -> NDArray[np.float64]:
    """Radii of all counts that certify anything."""
    radii = certified_radius(lower_confidence_bound(np.arange(N // 2, N + 1), N, alpha), sigma)
    return radii[radii > 0]


def logged_radii(path: Path) -> tuple[float, list[str]]:
    """Read sigma from the name, and the radii above 0 as they are printed."""
    name = re.search(r"sigma_([0-9.]+)$", path.name)
    assert name is not None
    header, *rows = path.read_text().splitlines()
    column = header.split("\t").index("radius")
    radii = [row.split("\t")[column] for row in rows]
    return float(name[1]), [radius for radius in radii if float(radius) > 0]


@pytest.mark.parametrize("log", LOGS)
def test_every_published_radius_is_that_of_a_whole_count(shared: Path, log: str) -> None:
    sigma, radii = logged_radii(shared / "reference" / "cohen_logs" / log)
    assert len(radii) > 200
    assert set(radii) <= printed(possible_radii(sigma, alpha=0.01))


@pytest.mark.parametrize("log", LOGS)
def test_the_comparison_could_fail(shared: Path, log: str) -> None:
    """Near unanimity the radii are further apart than their last digit, and another alpha misses some."""
    sigma, radii = logged_radii(shared / "reference" / "cohen_logs" / log)
    matched = printed(possible_radii(sigma, alpha=0.001))
    assert sum(radius in matched for radius in radii) < len(radii)
    largest = np.sort(possible_radii(sigma, alpha=0.01))[-8:]
    assert (np.diff(largest) > 0.01).all()

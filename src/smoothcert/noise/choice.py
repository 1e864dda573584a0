"""Which noise law a certification uses, and the stream of a law by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smoothcert.errors import InvalidArgumentError
from smoothcert.noise.gaussian import GaussianNoise
from smoothcert.noise.grid import GridNoise, on_grid
from smoothcert.noise.stream import NoiseStream, check_sigma_and_seed
from smoothcert.noise.thresholds import MAX_SCALE

__all__ = ["NoiseName", "choose_noise", "noise_of_law"]

NoiseName = Literal["auto", "grid", "gaussian", "quantised"]

_AUTO_LEVELS = (255, 1024)
"""8-bit images, and data in binary fractions such as scikit-learn's digits."""


def choose_noise(
    noise: NoiseName | NoiseStream,
    sigma: float,
    seed: int,
    inputs: Callable[[], Iterable[NDArray[np.float32]]],
) -> NoiseStream:
    """Return the noise stream of a certification.

    Parameters
    ----------
    noise : {"auto", "grid", "gaussian", "quantised"} or NoiseStream
        ``"auto"`` takes grid noise where all inputs lie on the grid of 1/255, or else of 1/1024, and float
        Gaussian noise where they do not. ``"grid"`` and ``"quantised"`` take the grid of 1/255, and the latter
        rounds inputs that lie off it. Any other grid is a stream, such as ``GridNoise(sigma, seed, levels=4096)``.
    sigma : float
        Standard deviation, in the units of the input.
    seed : int
        Seed of the stream.
    inputs : callable
        Returns the inputs one by one.

    Returns
    -------
    NoiseStream

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, or an input is off the grid that was asked for.

    Examples
    --------
    >>> import numpy as np
    >>> pixels, digits = np.arange(4, dtype=np.float32) / 255, np.arange(4, dtype=np.float32) / 16
    >>> for x in (pixels, digits, digits / 3):
    ...     print(choose_noise("auto", 0.5, 0, lambda: [x]).law)
    grid-1/255/1
    grid-1/1024/1
    gaussian/1
    """
    if not isinstance(noise, str):
        return _as_asked(noise, sigma, seed, inputs)
    if noise == "gaussian":
        return GaussianNoise(sigma, seed)
    if noise == "grid":
        return _on_its_grid(GridNoise(sigma, seed, _AUTO_LEVELS[0]), inputs())
    if noise == "quantised":
        return GridNoise(sigma, seed, _AUTO_LEVELS[0], quantise=True)
    if noise != "auto":
        raise InvalidArgumentError(
            f"noise is {noise!r}: give 'auto', 'grid', 'gaussian', 'quantised', or a stream such as "
            "GridNoise(sigma, seed, levels=1024)"
        )
    stream = GaussianNoise(sigma, seed)  # checks sigma and seed before the inputs are read
    fitting = [levels for levels in _AUTO_LEVELS if sigma * levels <= MAX_SCALE]
    for x in inputs():
        fitting = [levels for levels in fitting if on_grid(x, levels)]
        if not fitting:
            return stream
    return GridNoise(sigma, seed, fitting[0]) if fitting else stream


def _as_asked(
    noise: NoiseStream, sigma: float, seed: int, inputs: Callable[[], Iterable[NDArray[np.float32]]]
) -> NoiseStream:
    """Return a stream of the caller's, where it is of this sigma and seed and of these inputs."""
    sigma, seed = check_sigma_and_seed(sigma, seed)
    if (noise.sigma, noise.seed) != (sigma, seed):
        raise InvalidArgumentError(
            f"noise is a stream of sigma = {noise.sigma:g} and seed = {noise.seed}, but the call has sigma = "
            f"{sigma:g} and seed = {seed}: give the same"
        )
    return _on_its_grid(noise, inputs()) if isinstance(noise, GridNoise) and not noise.quantise else noise


def _on_its_grid(noise: GridNoise, inputs: Iterable[NDArray[np.float32]]) -> GridNoise:
    for i, x in enumerate(inputs):
        if not on_grid(x, noise.levels):
            raise InvalidArgumentError(
                f"x[{i}] has values that are no multiples of 1/{noise.levels}: take noise='quantised' to round "
                "the inputs to the grid and certify those, or noise='gaussian'"
            )
    return noise


def noise_of_law(law: str, sigma: float, seed: int) -> NoiseStream | None:
    """Return the stream of a law by its name; None when this version cannot draw it.

    Examples
    --------
    >>> noise_of_law("grid-1/255/1", 0.5, 0).levels, noise_of_law("quantised-1/4096/1", 0.5, 0).quantise
    (255, True)
    >>> noise_of_law("laplace/1", 0.5, 0) is None
    True
    """
    if law == GaussianNoise.law:
        return GaussianNoise(sigma, seed)
    name, _, rest = law.partition("-1/")
    levels = rest.removesuffix("/1")
    if name in ("grid", "quantised") and levels.isascii() and levels.isdigit() and len(levels) < 8:
        stream = GridNoise(sigma, seed, int(levels), quantise=name == "quantised")
        return stream if stream.law == law else None
    return None

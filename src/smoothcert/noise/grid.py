"""Gaussian noise on the grid of the input: exact up to a proven distance, and free of rounding."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from smoothcert.errors import InvalidArgumentError
from smoothcert.noise.stream import Purpose, check_sigma_and_seed
from smoothcert.noise.thresholds import (
    MAX_SCALE,
    grid_thresholds,
    thresholds_digest,
    total_variation,
    word_tables,
)

__all__ = ["GridNoise", "distance_to_grid", "on_grid"]

_BLOCK_VALUES = 1 << 18
_MAX_SIZE = 1 << 33  # two coordinates share a block of the second stream, whose index has 32 bits
_MAX_LEVEL = 1 << 20  # levels stay distinct in float32, with room for the noise


class GridNoise:
    """Grid noise: x + h K, with h = 1/levels and K = k where Gaussian noise would lie within h/2 of h k.

    What is certified is the classifier behind a rounding of its input to the grid, under real Gaussian noise. That
    rounding is part of the certified classifier, and a deployment has to do it too. Each vote's probability is
    proven to be within `total_variation` of the exact one (`thresholds.total_variation` has the argument), and the
    outcome is a function of x + h K alone: x and K are added as integers and become a float by one correctly
    rounded division. So the attacks on floating-point noise do not apply (Voracek and Hein, 2023).

    Noise at (seed, key, purpose, sample, coordinate) is the same on every machine.

    Parameters
    ----------
    sigma : float
        Standard deviation, > 0, in the units of the input; sigma * levels is at most 3500.
    seed : int
        0 <= seed < 2^128.
    levels : int
        Grid steps per unit of the input: 255 for 8-bit images in [0, 1].
    quantise : bool
        Take inputs off the grid too, and round each to the grid before the noise: a law of its own, under which
        certificates are about the rounded input x_q. What is certified within R of x_q is certified within
        R - |x - x_q| of x (the triangle inequality); `distance_to_grid` has |x - x_q|.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range.

    References
    ----------
    V. Voracek, M. Hein, "Sound randomized smoothing in floating-point arithmetics", ICLR 2023, arXiv:2207.07209.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0, 51], [102, 255]], np.float32) / np.float32(255)
    >>> noise, out = GridNoise(sigma=0.5, seed=0), np.empty((100, 2, 2), np.float32)
    >>> noise.perturb(x, bytes(32), Purpose.ESTIMATION, 0, out)
    >>> on_grid(out, 255)
    True
    """

    def __init__(self, sigma: float, seed: int, levels: int = 255, *, quantise: bool = False) -> None:
        self.sigma, self.seed = check_sigma_and_seed(sigma, seed)
        if not (isinstance(levels, (int, np.integer)) and levels >= 1):
            raise InvalidArgumentError(f"levels is {levels!r}: it must be an integer >= 1, 255 for 8-bit images")
        self.levels = int(levels)
        if not self.sigma * self.levels <= MAX_SCALE:
            raise InvalidArgumentError(
                f"sigma is {sigma!r} at {levels} levels: sigma * levels must be at most {MAX_SCALE}"
            )
        self.quantise = quantise
        self.law = f"{'quantised' if quantise else 'grid'}-1/{self.levels}/1"
        self._thresholds = grid_thresholds(self.sigma, self.levels)
        self._decided, self._first = word_tables(self._thresholds)

    @property
    def premise(self) -> str:
        """That the smoothed classifier rounds its noisy input to the grid, and whether x was rounded."""
        rounds = f"the smoothed classifier rounds its noisy input to multiples of 1/{self.levels}"
        if not self.quantise:
            return rounds
        return (
            f"{rounds}; the certificate is about x_q, each input x rounded to multiples of 1/{self.levels}: "
            "around x itself the radius is smaller by |x - x_q|"
        )

    @property
    def digest(self) -> str:
        """Hash of the law's name and its thresholds."""
        return hashlib.sha256(f"{self.law} {thresholds_digest(self._thresholds)}".encode()).hexdigest()

    def block(self, size: int) -> int:
        """Return the samples that are best asked for at once, a power of two: at most 2^18 values, but 16 samples.

        Any range can be drawn without waste. Asking for many at once spares checks of `x`, which cost as much as
        a sample or two.
        """
        return 1 << max(4, (_BLOCK_VALUES // size).bit_length() - 1)

    def total_variation(self, size: int) -> float:
        """Return the bound of `thresholds.total_variation` for inputs of `size` coordinates.

        Examples
        --------
        >>> f"{GridNoise(sigma=2.0, seed=0).total_variation(3 * 224 * 224):.1e}"
        '7.7e-11'
        """
        return total_variation(size, self._thresholds)

    def perturb(
        self, x: NDArray[np.float32], key: bytes, purpose: Purpose, start: int, out: NDArray[np.float32]
    ) -> None:
        """Write x + noise for samples start .. start + b - 1 into `out`; see `NoiseStream`.

        Values leave [0, 1] with the noise. To clip them is the classifier's business: then it is part of what is
        certified, in a deployment too.

        Raises
        ------
        InvalidArgumentError
            When `x` is not on the grid, `out` is not C-contiguous float32, or an address is out of range.
        """
        if not (start >= 0 and start + len(out) <= 1 << 64):
            raise InvalidArgumentError(
                f"start is {start}, for {len(out)} samples: sample indices must lie in 0 .. 2^64 - 1"
            )
        self._perturb(x, key, purpose, np.uint64(start) + np.arange(len(out), dtype=np.uint64), out)

    def perturb_at(
        self,
        x: NDArray[np.float32],
        key: bytes,
        purpose: Purpose,
        indices: NDArray[np.int64],
        out: NDArray[np.float32],
    ) -> None:
        """Write x + noise for the samples of these indices into `out`; see `NoiseStream` and `perturb`."""
        self._perturb(x, key, purpose, indices.astype(np.uint64), out)

    def _perturb(
        self,
        x: NDArray[np.float32],
        key: bytes,
        purpose: Purpose,
        samples: NDArray[np.uint64],
        out: NDArray[np.float32],
    ) -> None:
        from smoothcert.noise import _kernel

        if x.size > _MAX_SIZE:
            raise InvalidArgumentError(f"x has {x.size} coordinates: grid noise addresses at most 2^33")
        if not (out.flags.c_contiguous and out.dtype == np.float32 and out.shape == (len(samples), *x.shape)):
            raise InvalidArgumentError(
                f"out is {out.dtype} of shape {out.shape}: it must be C-contiguous float32 "
                f"{(len(samples), *x.shape)}"
            )
        pixels, values = self._pixels(x)
        philox_key, tag = self._address(key, purpose)
        _kernel.perturb(
            pixels,
            values,
            self._thresholds,
            self._decided,
            self._first,
            philox_key,
            np.uint32(tag),
            samples,
            out.reshape(len(out), x.size),
        )

    def _address(self, key: bytes, purpose: Purpose) -> tuple[NDArray[np.uint32], int]:
        """Return the Philox key and the last counter word: 24 more bits of the key, purpose, stream."""
        digest = hashlib.sha256(self.law.encode() + self.seed.to_bytes(16, "little") + key).digest()
        words = np.frombuffer(digest[:8], dtype="<u4").astype(np.uint32)
        return words, int.from_bytes(digest[8:11], "little") << 8 | int(purpose) << 1

    def _pixels(self, x: NDArray[np.float32]) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Return where the coordinates' values are, less the largest step, in a table, and the table."""
        levels = self._levels_of(x)
        lowest, highest = min(0, int(levels.min())), max(self.levels, int(levels.max()))
        return (levels - lowest).astype(np.uint32), _values(
            self.levels, lowest, highest, len(self._thresholds) // 2
        )

    def _levels_of(self, x: NDArray[np.float32]) -> NDArray[np.int32]:
        nearest, exact = _nearest_levels(x.ravel(), self.levels)
        if self.quantise:
            exact = np.abs(nearest) <= _MAX_LEVEL
        if not exact.all():
            value = float(x.ravel()[np.argmin(exact)])
            raise InvalidArgumentError(
                f"x has the value {value!r}, which is no multiple of 1/{self.levels} below 2^20 steps: grid "
                'noise needs inputs on its grid. Quantise them (noise="quantised"), or use noise="gaussian"'
            )
        return nearest.astype(np.int32)


def on_grid(x: NDArray[np.float32], levels: int) -> bool:
    """Tell whether all values are multiples of 1/levels, so that `GridNoise` takes them.

    Parameters
    ----------
    x : ndarray of float32, any shape
        Inputs. A multiple m/levels counts if it is the nearest float32, or the float32 product of m and the
        nearest float32 of 1/levels, which is what some devices give for m / levels. Both are the level m.
    levels : int
        Grid steps per unit.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(256, dtype=np.float32)
    >>> on_grid(x / np.float32(255), 255), on_grid(x * np.float32(1 / 255), 255), on_grid(x / np.float32(256), 255)
    (True, True, False)
    """
    return bool(_nearest_levels(np.asarray(x, dtype=np.float32), levels)[1].all())


def distance_to_grid(inputs: Iterable[NDArray[np.float32]], levels: int) -> NDArray[np.float64]:
    """Return how far each input is from the grid point that `GridNoise` rounds it to.

    Parameters
    ----------
    inputs : iterable of ndarray of float32, each of shape (*shape), or array of shape (m, *shape)
        Inputs.
    levels : int
        Grid steps per unit.

    Returns
    -------
    ndarray of float64, shape (m,)
        L2 distances, rounded up; at most sqrt(d) / (2 levels) but for rounding, d the coordinates of an input.

    Examples
    --------
    >>> import numpy as np
    >>> float(distance_to_grid(np.array([[0.1, 0.5]]), levels=10)[0].round(6))
    0.0
    >>> distance_to_grid(np.array([[0.1, 0.5], [0.125, 0.25]]), levels=4).round(3)
    array([0.1  , 0.125])
    """
    found = []
    for x in inputs:
        values = np.asarray(x, np.float32).ravel()
        nearest = _nearest_levels(values, levels)[0].astype(np.float64)
        distance = float(np.linalg.norm(values.astype(np.float64) - nearest / levels))
        # Each quotient is off by half a unit in the last place, and a sum of d squares by d of them at most.
        largest = float(np.abs(values).max(initial=1.0))
        found.append(distance * (1 + values.size * 2**-52) + largest * values.size**0.5 * 2**-51)
    return np.array(found)


def _nearest_levels(x: NDArray[np.float32], levels: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the nearest levels, and where x is exactly such a level."""
    with np.errstate(over="ignore"):
        nearest = np.rint(x * np.float32(levels))
    exact = (x == nearest / np.float32(levels)) | (x == nearest * (np.float32(1) / np.float32(levels)))
    return nearest, exact & (np.abs(nearest) <= _MAX_LEVEL)


@functools.lru_cache(maxsize=8)
def _values(levels: int, lowest: int, highest: int, reach: int) -> NDArray[np.float32]:
    """Return m / levels for m = lowest - reach .. highest + reach + 1."""
    # Both operands are integers below 2^24, so float32 division rounds correctly, once.
    return np.arange(lowest - reach, highest + reach + 2, dtype=np.float32) / np.float32(levels)

"""Gaussian noise in float32, addressed by counter."""

from __future__ import annotations

import functools
import hashlib
import itertools

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

from smoothcert.noise.stream import Purpose, check_sigma_and_seed

__all__ = ["GaussianNoise"]

_BLOCK_VALUES = 1 << 16


class GaussianNoise:
    """Float Gaussian noise: x + sigma * z, each z drawn by NumPy's ziggurat from a Philox 4x64 counter stream.

    A block of consecutive samples of one input is one Philox stream: its key is a hash of (law, seed, input key),
    its counter starts at (block, purpose). Any range of samples can be drawn in any order, in any process.

    The sum is formed in float32, so it carries rounding bits of x. Against classifiers built to read those bits
    the certificate does not hold in floating point (Voracek and Hein, 2023); against others it is the field's
    usual practice.

    Parameters
    ----------
    sigma : float
        Standard deviation, > 0 and finite, in the units of the input.
    seed : int
        0 <= seed < 2^128.

    Raises
    ------
    InvalidArgumentError
        When `sigma` or `seed` is out of range.

    Examples
    --------
    Sample 7 is the same alone and in a range:

    >>> import numpy as np
    >>> noise, x, key = GaussianNoise(sigma=0.5, seed=0), np.zeros((3, 4), np.float32), bytes(32)
    >>> ten, one = np.empty((10, 3, 4), np.float32), np.empty((1, 3, 4), np.float32)
    >>> noise.perturb(x, key, Purpose.ESTIMATION, 0, ten)
    >>> noise.perturb(x, key, Purpose.ESTIMATION, 7, one)
    >>> bool((one[0] == ten[7]).all())
    True
    """

    law = "gaussian/1"
    premise = "the classifier does not read the rounding bits that x leaves in the float32 sum x + noise"

    def __init__(self, sigma: float, seed: int) -> None:
        self.sigma, self.seed = check_sigma_and_seed(sigma, seed)

    @property
    def digest(self) -> str:
        """Hash of the first draws of a fixed key: NumPy may change its normals between releases."""
        return _law_digest()

    def block(self, size: int) -> int:
        """Return the samples per block: the largest power of two that makes at most 2^16 values."""
        return 1 << max(0, (_BLOCK_VALUES // size).bit_length() - 1)

    def total_variation(self, size: int) -> float:
        """Return 0.0: the law is taken for exactly Gaussian.

        It is not: float32 has finitely many values, and no bound is known that holds for every classifier
        (Voracek and Hein). Where that matters, use `GridNoise`.
        """
        return 0.0

    def perturb(
        self, x: NDArray[np.float32], key: bytes, purpose: Purpose, start: int, out: NDArray[np.float32]
    ) -> None:
        """Write x + noise for samples start .. start + b - 1 into `out`; see `NoiseStream`."""
        block = self.block(x.size)
        done = 0
        while done < len(out):
            index, skip = divmod(start + done, block)
            count = min(block - skip, len(out) - done)
            self._draw(key, purpose, index, skip, out[done : done + count])
            done += count
        out *= np.float32(self.sigma)
        out += x

    def perturb_at(
        self,
        x: NDArray[np.float32],
        key: bytes,
        purpose: Purpose,
        indices: NDArray[np.int64],
        out: NDArray[np.float32],
    ) -> None:
        """Write x + noise for the samples of these indices into `out`; see `NoiseStream`.

        A block is drawn from its beginning to the last sample that is asked for.
        """
        block = self.block(x.size)
        within = indices % block
        cuts = [*np.flatnonzero(np.diff(indices // block, prepend=-1)), len(indices)]
        for first, last in itertools.pairwise(cuts):
            drawn = np.empty((int(within[last - 1]) + 1, *x.shape), np.float32)
            self._draw(key, purpose, int(indices[first]) // block, 0, drawn)
            out[first:last] = drawn[within[first:last]]
        out *= np.float32(self.sigma)
        out += x

    def _draw(self, key: bytes, purpose: Purpose, block: int, skip: int, out: NDArray[np.float32]) -> None:
        """Write standard normals of one block, leaving out its first `skip` samples."""
        generator = Generator(Philox(key=self._philox_key(key), counter=[0, 0, block, int(purpose)]))
        if skip:
            generator.standard_normal((skip, *out.shape[1:]), dtype=np.float32)
        generator.standard_normal(dtype=np.float32, out=out)

    def _philox_key(self, key: bytes) -> NDArray[np.uint64]:
        digest = hashlib.sha256(self.law.encode() + self.seed.to_bytes(16, "little") + key).digest()
        return np.frombuffer(digest[:16], dtype="<u8")


@functools.cache
def _law_digest() -> str:
    draws = np.zeros((64, 64), np.float32)
    GaussianNoise(1.0, 0).perturb(np.zeros(64, np.float32), bytes(32), Purpose.SELECTION, 0, draws)
    return hashlib.sha256(draws.astype("<f4").tobytes()).hexdigest()

"""Noise written into tensors where they lie."""

from __future__ import annotations

import importlib.util
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.noise.grid import GridNoise
from smoothcert.noise.stream import NoiseStream, Purpose

__all__ = ["DeviceNoise", "TritonGridNoise", "noise_on_device", "upload"]


class DeviceNoise(Protocol):
    """A noise stream that writes to tensors of one device."""

    def perturb_at(
        self, x: NDArray[np.float32], key: bytes, purpose: Purpose, samples: torch.Tensor, out: torch.Tensor
    ) -> None:
        """Write x + noise for the samples of these indices, int64 of shape (b,), into `out`, (b, *shape)."""
        ...


def noise_on_device(noise: NoiseStream, device: torch.device) -> DeviceNoise | None:
    """Return a stream that writes the same noise to tensors of a device; None where there is none.

    Parameters
    ----------
    noise : NoiseStream
        What to draw.
    device : torch.device
        On the CPU any law can be drawn; on CUDA grid noise, where Triton is installed.

    Returns
    -------
    DeviceNoise or None

    Examples
    --------
    >>> import numpy as np
    >>> from smoothcert.noise import GridNoise
    >>> noise, x, out = GridNoise(sigma=0.5, seed=0), np.zeros(3, np.float32), torch.empty(2, 3)
    >>> there = noise_on_device(noise, out.device)
    >>> there.perturb_at(x, bytes(32), Purpose.ESTIMATION, torch.tensor([5, 9]), out)
    >>> here = np.empty((2, 3), np.float32)
    >>> noise.perturb_at(x, bytes(32), Purpose.ESTIMATION, np.array([5, 9]), here)
    >>> bool((out.numpy() == here).all())
    True
    """
    if device.type == "cpu":
        return _HostNoise(noise)
    if device.type == "cuda" and isinstance(noise, GridNoise) and importlib.util.find_spec("triton") is not None:
        return TritonGridNoise(noise, device)
    return None


class _HostNoise:
    """Noise of the CPU's own kernels."""

    def __init__(self, noise: NoiseStream) -> None:
        self.noise = noise

    def perturb_at(
        self, x: NDArray[np.float32], key: bytes, purpose: Purpose, samples: torch.Tensor, out: torch.Tensor
    ) -> None:
        self.noise.perturb_at(x, key, purpose, samples.numpy(), out.numpy())


class TritonGridNoise:
    """Grid noise by a kernel on a device (a CPU only in Triton's interpreter), bit-identical to `GridNoise`."""

    def __init__(self, noise: GridNoise, device: torch.device) -> None:
        self.noise, self.device = noise, device
        ends = np.append(noise._first, len(noise._thresholds)).astype(np.int32)
        # What a word decides needs no search: only the others count for the longest one.
        undecided = noise._decided == len(noise._thresholds) + 1
        self._halvings = int(np.diff(ends)[undecided].max(initial=0)).bit_length()
        self._thresholds = upload(noise._thresholds.view(np.int64), device)
        self._decided = upload(noise._decided.view(np.int16), device)
        self._first = upload(ends, device)
        self._values: dict[tuple[float, int, torch.dtype], torch.Tensor] = {}
        self._last: tuple[tuple[bytes, Purpose, torch.dtype], torch.Tensor, torch.Tensor] | None = None

    def perturb_at(
        self, x: NDArray[np.float32], key: bytes, purpose: Purpose, samples: torch.Tensor, out: torch.Tensor
    ) -> None:
        """Write x + noise for the samples of these indices; floats of `out` are rounded from float32."""
        from smoothcert.noise import _triton

        addressed, values = self._addressed(x, key, purpose, out.dtype)
        flat = out.view(len(out), -1)
        _triton.perturb(
            addressed, values, self._thresholds, self._decided, self._first, self._halvings, samples, flat
        )

    def _addressed(
        self, x: NDArray[np.float32], key: bytes, purpose: Purpose, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return key and pixels, and the table of values; the last input's are kept for its next batch."""
        if self._last is None or self._last[0] != (key, purpose, dtype):
            pixels, values = self.noise._pixels(x)
            philox_key, tag = self.noise._address(key, purpose)
            words = np.concatenate([philox_key, np.array([tag, 0], np.uint32), pixels])
            self._last = (
                (key, purpose, dtype),
                upload(words.view(np.int32), self.device),
                self._table(values, dtype),
            )
        return self._last[1:]

    def _table(self, values: NDArray[np.float32], dtype: torch.dtype) -> torch.Tensor:
        name = float(values[0]), len(values), dtype
        if name not in self._values:
            self._values[name] = upload(values, self.device).to(dtype)
        return self._values[name]


def upload(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """Copy an array to a device; nothing waits for it."""
    tensor = torch.from_numpy(np.array(array))
    # From pageable memory a copy would first wait for everything that the device has to do.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor

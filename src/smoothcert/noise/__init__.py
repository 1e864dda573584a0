"""Addressable noise streams: noise as a pure function of (seed, input key, purpose, sample index)."""

from smoothcert.noise.gaussian import GaussianNoise
from smoothcert.noise.grid import GridNoise, on_grid
from smoothcert.noise.keys import KEY_BYTES, input_keys
from smoothcert.noise.stream import NoiseStream, Purpose

__all__ = ["KEY_BYTES", "GaussianNoise", "GridNoise", "NoiseStream", "Purpose", "input_keys", "on_grid"]

"""Addressable noise streams: noise as a pure function of (seed, input key, purpose, sample index)."""

from smoothcert.noise.choice import NoiseName, choose_noise, noise_of_law
from smoothcert.noise.device import DeviceNoise, noise_on_device, upload
from smoothcert.noise.gaussian import GaussianNoise
from smoothcert.noise.grid import GridNoise, distance_to_grid, on_grid
from smoothcert.noise.keys import KEY_BYTES, input_keys
from smoothcert.noise.stream import NoiseStream, Purpose

__all__ = [
    "KEY_BYTES",
    "DeviceNoise",
    "GaussianNoise",
    "GridNoise",
    "NoiseName",
    "NoiseStream",
    "Purpose",
    "choose_noise",
    "distance_to_grid",
    "input_keys",
    "noise_of_law",
    "noise_on_device",
    "on_grid",
    "upload",
]

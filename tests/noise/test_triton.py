"""The GPU kernel against the definition; without a GPU in Triton's interpreter, where Triton is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from smoothcert.noise import GridNoise, Purpose
from smoothcert.noise._reference import grid_steps

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed: it comes with PyTorch for CUDA", allow_module_level=True)
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when the kernel's module is imported

from smoothcert.noise.device import TritonGridNoise

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
KEY = bytes(range(32))


def by_definition(
    noise: GridNoise, levels_of_x: NDArray[np.int64], samples: NDArray[np.int64], key: bytes, purpose: Purpose
) -> NDArray[np.float32]:
    philox_key, tag = noise._address(key, purpose)
    coordinates = np.arange(levels_of_x.size, dtype=np.uint64)
    steps = grid_steps(noise._thresholds, philox_key, tag, samples.astype(np.uint64)[:, None], coordinates)
    return ((levels_of_x + steps) / noise.levels).astype(np.float32)


def draw(
    noise: GridNoise,
    levels_of_x: NDArray[np.int64],
    samples: NDArray[np.int64],
    key: bytes = KEY,
    purpose: Purpose = Purpose.ESTIMATION,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    x = levels_of_x.astype(np.float32) / np.float32(noise.levels)
    out = torch.full((len(samples), *x.shape), torch.nan, dtype=dtype, device=DEVICE)
    TritonGridNoise(noise, DEVICE).perturb_at(x, key, purpose, torch.from_numpy(samples).to(DEVICE), out)
    return out.cpu()


@pytest.mark.parametrize("seed", range(12))
def test_it_draws_what_the_definition_says_at_random_addresses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = int(rng.choice([16, 255, 1024]))
    noise = GridNoise(float(rng.uniform(1e-3, 2.0)), int(rng.integers(2**63)) << 64, levels)
    m = rng.integers(-levels, 2 * levels, int(rng.integers(1, 4000)))
    samples = np.sort(rng.integers(0, 2**63 - 1, 3))
    key, purpose = rng.bytes(32), Purpose(int(rng.integers(4)))
    found = draw(noise, m, samples, key, purpose)
    np.testing.assert_array_equal(found.numpy(), by_definition(noise, m, samples, key, purpose))


def test_with_every_word_open_it_searches_all_the_same() -> None:
    noise = GridNoise(0.5, 5)
    noise._decided = np.full_like(noise._decided, len(noise._thresholds) + 1)
    m, samples = np.zeros(2000, np.int64), np.arange(2**32 - 2, 2**32 + 2)
    found = draw(noise, m, samples)
    np.testing.assert_array_equal(found.numpy(), by_definition(noise, m, samples, KEY, Purpose.ESTIMATION))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_other_dtypes_are_rounded_once(dtype: torch.dtype) -> None:
    noise, m, samples = GridNoise(0.5, 5), np.arange(256), np.arange(20)
    expected = torch.from_numpy(by_definition(noise, m, samples, KEY, Purpose.ESTIMATION)).to(dtype)
    assert torch.equal(draw(noise, m, samples, dtype=dtype), expected)


def test_inputs_take_turns() -> None:
    noise = GridNoise(0.5, 5)
    there = TritonGridNoise(noise, DEVICE)
    samples, rng = np.arange(4), np.random.default_rng(0)
    for turn in range(6):
        m = np.random.default_rng(turn % 2).integers(0, 256, 100) * (turn - 2)  # tables of several ranges
        key, purpose = bytes([turn] * 32), Purpose(int(rng.integers(4)))
        out = torch.empty(4, 10, 10, device=DEVICE)
        x = (m.astype(np.float32) / np.float32(255)).reshape(10, 10)
        there.perturb_at(x, key, purpose, torch.from_numpy(samples).to(DEVICE), out)
        expected = by_definition(noise, m, samples, key, purpose)
        np.testing.assert_array_equal(out.cpu().numpy().reshape(4, 100), expected)


def test_it_compiles_for_a_gpu_that_is_not_here() -> None:
    """The interpreter takes code that the compiler refuses."""
    program = (
        "import triton\n"
        "from triton.backends.compiler import GPUTarget\n"
        "from triton.compiler import ASTSource\n"
        "from smoothcert.noise import _triton\n"
        "names = 'addressed values thresholds decided first samples out size undecided'.split()\n"
        "kinds = '*i32 *fp16 *i64 *i16 *i32 *i64 *fp16 i32 i32'.split()\n"
        "constants = {'ADDRESS_WORDS': 4, 'HALVINGS': 10, 'BLOCK': 1024}\n"
        "signature = dict(zip(names, kinds)) | dict.fromkeys(constants, 'constexpr')\n"
        "source = ASTSource(fn=_triton._kernel, signature=signature, constexprs=constants)\n"
        "target, options = GPUTarget('cuda', 90, 32), {'enable_fp_fusion': False}\n"
        "print(len(triton.compile(source, target=target, options=options).asm['cubin']))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    other = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment
    )
    assert int(other.stdout) > 1000

"""Grid noise on a GPU: the steps of `_reference`, written into the batch where it lies, in its own dtype."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

__all__ = ["ADDRESS_WORDS", "perturb"]

ADDRESS_WORDS = 4
"""Words before the pixels: Philox key, last counter word, and one to keep the pixels aligned."""

_LARGEST_BLOCK = 1024  # coordinates of a sample that one program writes


# Triton would take annotations other than tl.constexpr for uses of global variables, and refuse them.
@triton.jit
def _philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    for _ in tl.static_range(10):
        p0 = c0.to(tl.uint64) * 0xD2511F53
        p1 = c2.to(tl.uint64) * 0xCD9E8D57
        c0 = (p1 >> 32).to(tl.uint32) ^ c1 ^ k0
        c2 = (p0 >> 32).to(tl.uint32) ^ c3 ^ k1
        c1 = p1.to(tl.uint32)
        c3 = p0.to(tl.uint32)
        k0 = (k0.to(tl.uint64) + 0x9E3779B9).to(tl.uint32)
        k1 = (k1.to(tl.uint64) + 0xBB67AE85).to(tl.uint32)
    return c0, c1, c2, c3


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def]
    addressed,
    values,
    thresholds,
    decided,
    first,
    samples,
    out,
    size,
    undecided,
    ADDRESS_WORDS: tl.constexpr,
    HALVINGS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0)
    base = tl.program_id(1) * BLOCK
    k0 = tl.load(addressed).to(tl.uint32, bitcast=True)
    k1 = tl.load(addressed + 1).to(tl.uint32, bitcast=True)
    tag = tl.load(addressed + 2).to(tl.uint32, bitcast=True)
    sample = tl.load(samples + row).to(tl.uint64, bitcast=True)
    low = sample.to(tl.uint32)
    high = (sample >> 32).to(tl.uint32)
    eighths = (base // 8 + tl.arange(0, BLOCK // 8)).to(tl.uint32)
    w0, w1, w2, w3 = _philox(eighths, low, high, tag, k0, k1)
    pairs = tl.interleave(tl.interleave(w0, w2), tl.interleave(w1, w3))  # w0 w1 w2 w3 of each block in turn
    words = tl.interleave(pairs & 0xFFFF, pairs >> 16).to(tl.int32)
    i = base + tl.arange(0, BLOCK)
    inside = i < size
    number = tl.load(decided + words).to(tl.int32) & 0xFFFF
    is_open = (number == undecided) & inside
    # The rest of the uniform costs four times the first word: most blocks of a small input have no open draw.
    if tl.max(is_open.to(tl.int32), axis=0) > 0:
        halves = (base // 2 + tl.arange(0, BLOCK // 2)).to(tl.uint32)
        v0, v1, v2, v3 = _philox(halves, low, high, tag | 1, k0, k1)
        even = ((v1 & 0xFFFF).to(tl.uint64) << 32) | v0.to(tl.uint64)
        odd = ((v3 & 0xFFFF).to(tl.uint64) << 32) | v2.to(tl.uint64)
        uniform = (words.to(tl.uint64) << 48) | tl.interleave(even, odd)
        reached = tl.load(first + words, mask=is_open, other=0)
        most = tl.load(first + words + 1, mask=is_open, other=0)
        for _ in range(HALVINGS):
            middle = (reached + most) // 2
            searching = reached < most
            threshold = tl.load(thresholds + middle, mask=searching, other=0).to(tl.uint64, bitcast=True)
            passed = threshold <= uniform
            reached = tl.where(searching & passed, middle + 1, reached)
            most = tl.where(searching & (passed == 0), middle, most)
        number = tl.where(is_open, reached, number)
    pixel = tl.load(addressed + ADDRESS_WORDS + i, mask=inside, other=0)
    value = tl.load(values + pixel + number, mask=inside)
    tl.store(out + row.to(tl.int64) * size + i, value, mask=inside)


def perturb(
    addressed: torch.Tensor,
    values: torch.Tensor,
    thresholds: torch.Tensor,
    decided: torch.Tensor,
    first: torch.Tensor,
    halvings: int,
    samples: torch.Tensor,
    out: torch.Tensor,
) -> None:
    """Write values[pixel + number of thresholds <= U] for each coordinate of the samples; nothing waits for it."""
    # As in `_kernel.perturb`, but on one device, unsigned bits in signed types, and values in the dtype of out
    # (b, d), which is contiguous. addressed (4 + d,) is the Philox key's two words, the counters' last word, 0,
    # and the pixels; first (65537,) is int32 and ends with 2 J; halvings is how many bisections find a number
    # between two neighbours in `first`: ceil(log2(largest difference + 1)).
    rows, size = out.shape
    block = min(_LARGEST_BLOCK, max(16, triton.next_power_of_2(size)))
    _kernel[(rows, triton.cdiv(size, block))](
        addressed,
        values,
        thresholds,
        decided,
        first,
        samples,
        out,
        size,
        len(thresholds) + 1,
        ADDRESS_WORDS=ADDRESS_WORDS,
        HALVINGS=halvings,
        BLOCK=block,
        enable_fp_fusion=False,  # there is no arithmetic on floats to fuse; unset, Triton 3.9 warns
    )

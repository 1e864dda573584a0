from __future__ import annotations

import numpy as np
import pytest
import torch

from smoothcert.approximate import make_candidate
from smoothcert.classifiers import TorchClassifier
from smoothcert.errors import InvalidArgumentError

BATCH = np.random.default_rng(0).random((16, 3, 8, 8), dtype=np.float32)


class Centre(torch.nn.Module):
    """A normalization whose constant is no parameter: it would stay float32 inside a half-precision network."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.dtype == torch.float32
        return x - torch.tensor(1 / 3)


def make_net() -> torch.nn.Sequential:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, bias=False), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(288, 4),
    )  # fmt: skip
    return torch.nn.Sequential(Centre(), net)


def make_base() -> TorchClassifier:
    return TorchClassifier(make_net(), num_classes=4)


def test_fp16_on_a_cpu_rounds_the_weights_and_computes_in_float32() -> None:
    base = make_base()
    candidate = make_candidate("fp16", base)
    expected = make_base()
    state = expected.module.state_dict()
    for tensor in state.values():
        if tensor.is_floating_point():
            tensor.copy_(torch.from_numpy(tensor.numpy().astype(np.float16).astype(np.float32)))
    np.testing.assert_array_equal(candidate.classifier.logits(BATCH), expected.logits(BATCH))
    assert not np.array_equal(candidate.classifier.logits(BATCH), base.logits(BATCH))
    assert candidate.classifier.description["dtype"] == "float16 weights, float32 arithmetic"
    assert "arithmetic in float32" in candidate.description


def test_fp16_of_weights_that_are_float16_already_is_no_approximation() -> None:
    base = make_base()
    once = make_candidate("fp16", base).classifier
    assert isinstance(once, TorchClassifier)
    twice = make_candidate("fp16", once).classifier
    np.testing.assert_array_equal(twice.logits(BATCH), once.logits(BATCH))


def test_bf16_computes_in_bfloat16_behind_a_float32_normalization() -> None:
    base = make_base()
    candidate = make_candidate("bf16", base)
    centred = torch.from_numpy(BATCH) - torch.tensor(1 / 3)
    net = make_net()[1].eval().to(torch.bfloat16)
    with torch.inference_mode():
        expected = net(centred.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)).float().numpy()
    logits = candidate.classifier.logits(BATCH)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, expected)
    np.testing.assert_allclose(logits, base.logits(BATCH), atol=0.05)
    assert not np.array_equal(logits, base.logits(BATCH))
    assert candidate.classifier.description["dtype"] == "bfloat16"


@pytest.mark.parametrize("spec", ["fp16", "bf16"])
def test_preprocessing_stays_in_front_in_float32(spec: str) -> None:
    base = TorchClassifier(make_net()[1], num_classes=4, preprocess=Centre())
    candidate = make_candidate(spec, base).classifier
    np.testing.assert_array_equal(
        candidate.logits(BATCH), make_candidate(spec, make_base()).classifier.logits(BATCH)
    )


def test_float16_arithmetic_is_float16() -> None:
    from smoothcert.approximate.precision import float16_arithmetic

    base = make_base()
    half = float16_arithmetic(base)
    assert half.description["dtype"] == "float16"
    np.testing.assert_allclose(half.logits(BATCH), base.logits(BATCH), atol=0.01)


def test_weights_beyond_the_range_are_refused_by_name() -> None:
    base = make_base()
    base.module.state_dict()["1.4.bias"][2] = 1e5
    with pytest.raises(InvalidArgumentError, match=r"4\.bias.*100000.*65504"):
        make_candidate("fp16", base)
    assert np.isfinite(make_candidate("bf16", base).classifier.logits(BATCH)).all()


@pytest.mark.parametrize("spec", ["fp16", "bf16"])
def test_a_module_without_weights_is_refused(spec: str) -> None:
    with pytest.raises(InvalidArgumentError, match="nothing to round"):
        make_candidate(spec, TorchClassifier(torch.nn.Sequential(torch.nn.Flatten()), num_classes=4))

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import kinds
import smoothcert as sc
from smoothcert.errors import InvalidArgumentError

X = kinds.images(2).numpy()


def weight_norm(net: nn.Sequential) -> nn.Module:
    net[4] = nn.utils.parametrizations.weight_norm(net[4])
    return net


def old_weight_norm(net: nn.Sequential) -> nn.Module:
    with pytest.warns(FutureWarning, match="weight_norm"):
        net[4] = nn.utils.weight_norm(net[4])
    return net


def frozen(net: nn.Sequential) -> nn.Module:
    return net.requires_grad_(False)


def partly_in_training(net: nn.Sequential) -> nn.Module:
    net.train()
    net[4].eval()
    return net


def laid_out(net: nn.Sequential) -> nn.Module:
    made: nn.Module = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return made


MODULES: dict[str, Callable[[nn.Sequential], nn.Module]] = {
    "in evaluation mode": lambda net: net,
    "in training mode": lambda net: net.train(),
    "partly in training mode": partly_in_training,
    "channels last": laid_out,
    "frozen": frozen,
    "float16": lambda net: net.half(),
    "float64": lambda net: net.double(),
    "weight norm": weight_norm,
    "old weight norm": old_weight_norm,
}


def state(module: nn.Module) -> list[object]:
    """Everything about a module that a caller could notice."""
    tensors = [
        (name, t.data_ptr(), t.dtype, t.device, t.stride(), t.requires_grad, t.detach().double().tolist())
        for name, t in (*module.named_parameters(), *module.named_buffers())
    ]
    hooks = [(len(part._forward_hooks), len(part._forward_pre_hooks)) for part in module.modules()]
    return [tensors, hooks, [(name, id(part), part.training) for name, part in module.named_modules()]]


@pytest.mark.parametrize("kind", MODULES)
def test_the_module_given_is_left_as_it_was(kind: str) -> None:
    module = MODULES[kind](kinds.small_net())
    calls: list[torch.Size] = []
    module.register_forward_hook(lambda module, args, output: calls.append(output.shape))
    before = state(module)
    classifier = sc.TorchClassifier(module, 10, runtime="eager")
    assert state(module) == before
    sc.certify(classifier, X, sigma=0.25, n0=8, n=32)
    assert state(module) == before
    assert calls, "a hook is a part of what is run"


def test_a_later_change_of_the_module_does_not_reach_the_classifier() -> None:
    module = kinds.small_net()
    classifier = sc.TorchClassifier(module, 10)
    expected = classifier.logits(X)
    with torch.no_grad():
        module[6].bias.add_(torch.arange(10.0))  # type: ignore[operator]
    module.train()
    assert np.array_equal(classifier.logits(X), expected)


class Dropped(nn.Module):
    """Batch statistics and dropout: another function in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.net = kinds.small_net()
        self.norm, self.dropout = nn.BatchNorm2d(3), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.net(self.dropout(self.norm(x)))
        return scores


@pytest.mark.parametrize("runtime", ["eager", "auto"])
def test_a_module_in_training_mode_is_certified_in_evaluation_mode(runtime: Any) -> None:
    trained, evaluated = Dropped().train(), Dropped().eval()
    votes = [
        sc.certify(sc.TorchClassifier(module, 10, runtime=runtime), X, sigma=0.25, n0=8, n=64)
        for module in (trained, evaluated)
    ]
    assert np.array_equal(votes[0].tally.counts, votes[1].tally.counts)
    assert trained.training
    assert int(trained.norm.num_batches_tracked or 0) == 0


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2), (torch.float64, 1e-5)]
)
def test_modules_of_other_precisions_get_what_they_take(dtype: torch.dtype, tolerance: float) -> None:
    expected = kinds.small_net()(torch.from_numpy(X)).detach().numpy()
    classifier = sc.TorchClassifier(kinds.small_net().to(dtype), 10)
    found = classifier.logits(X)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < tolerance
    assert classifier.description["dtype"] == str(dtype).removeprefix("torch.")
    assert "cast" in classifier.description["input"]
    assert sc.certify(classifier, X, sigma=0.25, n0=8, n=32).certificates.n.sum() == 64


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_preprocessing_is_in_float32_whatever_the_module_is(dtype: torch.dtype) -> None:
    seen: list[torch.dtype] = []

    def preprocess(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.dtype)
        return x

    sc.TorchClassifier(kinds.small_net().to(dtype), 10, preprocess).logits(X)
    assert seen == [torch.float32]


@dataclass
class Output:
    logits: torch.Tensor
    hidden: int = 0


class Wrapped(nn.Module):
    def __init__(self, wrap: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.net, self.wrap = kinds.small_net(), wrap

    def forward(self, x: torch.Tensor) -> object:
        return self.wrap(self.net(x))


@pytest.mark.parametrize("wrap", [Output, lambda logits: {"logits": logits, "loss": None}])
def test_logits_are_taken_out_of_what_a_module_returns(wrap: Callable[[torch.Tensor], object]) -> None:
    expected = sc.TorchClassifier(kinds.small_net(), 10).logits(X)
    assert np.array_equal(sc.TorchClassifier(Wrapped(wrap), 10).logits(X), expected)


@pytest.mark.parametrize("wrap", [lambda logits: (logits,), lambda logits: {"scores": logits}])
def test_outputs_without_logits_are_refused(wrap: Callable[[torch.Tensor], object]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"without logits: wrap it"):
        sc.TorchClassifier(Wrapped(wrap), 10).logits(X)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_kind_is_certified_as_its_module_votes(kind: str) -> None:
    module = kinds.KINDS[kind](kinds.small_net())
    classifier = sc.TorchClassifier(module, 10, runtime="eager")
    with torch.no_grad():
        expected = module(torch.from_numpy(X).to(classifier.input_dtype)).float().numpy()
    assert np.abs(classifier.logits(X) - expected).max() <= 1e-3 * np.ptp(expected)
    run = sc.certify(sc.TorchClassifier(module, 10), X, sigma=0.25, n0=8, n=64)
    assert int(run.certificates.n.sum()) == 128


def test_scales_that_are_taken_from_the_batch_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"dynamically quantized layer '4'.*quantize it statically"):
        sc.TorchClassifier(kinds.dynamic_per_batch(kinds.small_net()), 10)


def test_programs_for_one_size_of_batch_are_refused_with_the_option_that_frees_it() -> None:
    fixed = kinds.program(kinds.small_net(), kinds.images(2), free=False).module()
    remedy = r"batches of 2 alone: export it with dynamic_shapes=\{'input': \{0: torch.export.Dim.AUTO\}\}"
    with pytest.raises(InvalidArgumentError, match=remedy):
        sc.TorchClassifier(fixed, 10)
    free = torch.export.export(
        kinds.small_net(), (kinds.images(2),), dynamic_shapes={"input": {0: torch.export.Dim.AUTO}}
    )
    assert sc.TorchClassifier(free.module(), 10).logits(X[:1]).shape == (1, 10), "as the remedy says"


def test_a_classifier_whose_module_was_changed_in_place_is_run_anew() -> None:
    classifier = sc.TorchClassifier(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2)), 2)
    x = np.full((1, 1, 2, 2), 0.5, np.float32)
    bias = classifier.module.get_parameter("1.bias")
    found = []
    for value in (torch.tensor([9.0, 0.0]), torch.tensor([0.0, 9.0])):
        bias.data.copy_(value)
        found.append(int(sc.certify(classifier, x, sigma=0.25, n=100).certificates.prediction[0]))
    assert found == [0, 1]

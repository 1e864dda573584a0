from __future__ import annotations

import copy
import importlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import parametrizations

from smoothcert.approximate import make_candidate
from smoothcert.classifiers import TorchClassifier
from smoothcert.errors import InvalidArgumentError

# PyTorch's own pruning has no type annotations.
reference: Any = importlib.import_module("torch.nn.utils.prune")


def make_net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv1d(1, 5, 3),
        torch.nn.Flatten(), torch.nn.Linear(30, 4),
    )  # fmt: skip


def prunable(module: torch.nn.Module) -> list[torch.nn.Module]:
    return [
        layer
        for layer in module.modules()
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Conv1d | torch.nn.Linear)
    ]


def pruned_state(spec: str, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    candidate = make_candidate(spec, TorchClassifier(module, num_classes=4)).classifier
    assert isinstance(candidate, TorchClassifier)
    state: dict[str, torch.Tensor] = candidate.module.state_dict()
    return state


def assert_equal(state: dict[str, torch.Tensor], expected: torch.nn.Module) -> None:
    assert state.keys() == expected.state_dict().keys()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(state[name], tensor), name


@pytest.mark.parametrize("amount", [0.05, 0.1, 0.2, 0.731])
def test_layerwise_agrees_with_pytorch(amount: float) -> None:
    expected = make_net()
    for layer in prunable(expected):
        reference.l1_unstructured(layer, "weight", amount=amount)
        reference.remove(layer, "weight")
    assert_equal(pruned_state(f"prune:{amount}", make_net()), expected)


@pytest.mark.parametrize("amount", [0.05, 0.1, 0.2, 0.731])
def test_global_agrees_with_pytorch(amount: float) -> None:
    expected = make_net()
    layers = [(layer, "weight") for layer in prunable(expected)]
    reference.global_unstructured(layers, pruning_method=reference.L1Unstructured, amount=amount)
    for layer, name in layers:
        reference.remove(layer, name)
    assert_equal(pruned_state(f"prune-global:{amount}", make_net()), expected)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.001, 0.999), st.sampled_from(["prune", "prune-global"]))
def test_of_equal_magnitudes_the_first_go(amount: float, form: str) -> None:
    layer = torch.nn.Linear(10, 20, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.where(torch.arange(200).view(20, 10) % 2 == 0, 0.5, -0.5))
    weight = pruned_state(f"{form}:{amount!r}", layer)["weight"].flatten()
    count = round(amount * 200)
    assert not weight[:count].any()
    assert weight[count:].all()


def test_a_shared_weight_is_pruned_once() -> None:
    first, second = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    candidate = make_candidate("prune-global:0.25", TorchClassifier(torch.nn.Sequential(first, second), 4))
    assert isinstance(candidate.classifier, TorchClassifier)
    assert isinstance(candidate.classifier.module, torch.nn.Sequential)
    weights = [layer.get_parameter("weight") for layer in candidate.classifier.module]
    assert weights[0] is weights[1]
    assert int((weights[0] == 0).sum()) == 4
    assert "(4 of 16)" in candidate.description


def test_no_masks_remain() -> None:
    net = make_net()
    hooks_and_parameters = len(list(copy.deepcopy(net).named_parameters()))
    candidate = make_candidate("prune:0.1", TorchClassifier(net, 4)).classifier
    assert isinstance(candidate, TorchClassifier)
    assert len(list(candidate.module.named_parameters())) == hooks_and_parameters
    assert not reference.is_pruned(candidate.module)


def test_weights_that_are_computed_are_refused() -> None:
    masked = make_net()
    reference.l1_unstructured(prunable(masked)[0], "weight", amount=0.5)
    with pytest.raises(InvalidArgumentError, match="layer '0' is computed"):
        make_candidate("prune:0.1", TorchClassifier(masked, 4))
    normed = make_net()
    parametrizations.weight_norm(prunable(normed)[0])
    with pytest.raises(InvalidArgumentError, match="layer '0' is computed"):
        make_candidate("prune:0.1", TorchClassifier(normed, 4))


def test_a_model_without_layers_to_prune_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="nothing to prune"):
        make_candidate("prune:0.1", TorchClassifier(torch.nn.BatchNorm1d(4), 4))


@pytest.mark.parametrize("text", ["0", "1", "1.5", "-0.1", "nan", "ten", "", "10%"])
def test_amounts_outside_the_unit_interval_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="AMOUNT"):
        make_candidate(f"prune:{text}", TorchClassifier(make_net(), 4))


def test_pruning_keeps_the_labels_of_a_wide_margin() -> None:
    layer = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.01], [-1.0, 0.02]]))
    candidate = make_candidate("prune:0.5", TorchClassifier(layer, 2)).classifier
    batch = np.array([[1.0, 1.0], [-1.0, 1.0]], np.float32)
    np.testing.assert_array_equal(candidate.logits(batch), [[1.0, -1.0], [-1.0, 1.0]])

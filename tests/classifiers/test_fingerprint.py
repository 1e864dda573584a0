from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import kinds
from smoothcert.classifiers import TorchClassifier, module_fingerprint

_TESTS = Path(__file__).resolve().parents[1]
_PRINTED = f"""
import json, sys
sys.path.insert(0, {str(_TESTS)!r})
from kinds import KINDS, small_net
from smoothcert.classifiers import module_fingerprint
print(json.dumps({{kind: module_fingerprint(make(small_net())) for kind, make in KINDS.items()}}))
"""


def fingerprint(kind: str, net: nn.Module) -> str:
    return module_fingerprint(kinds.KINDS[kind](net))


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    """The fingerprint of the small network as each kind."""
    return {kind: fingerprint(kind, kinds.small_net()) for kind in kinds.KINDS}


def test_another_process_finds_the_same(plain: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", _PRINTED], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == plain


def test_each_kind_has_its_own(plain: dict[str, str]) -> None:
    assert len({*plain.values(), module_fingerprint(kinds.small_net())}) == len(plain) + 1


@pytest.mark.parametrize("kind", kinds.KINDS)
@pytest.mark.parametrize("layer", [4, 6])
def test_one_weight_changes_it(plain: dict[str, str], kind: str, layer: int) -> None:
    net = kinds.small_net()
    with torch.no_grad():
        weight: torch.Tensor = net[layer].weight  # type: ignore[assignment]
        weight[1, 2] = -weight[1, 2].sign() * weight[1].abs().mean()  # another code; the same scale of the row
    assert fingerprint(kind, net) != plain[kind]


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_another_activation_changes_it(plain: dict[str, str], kind: str) -> None:
    assert fingerprint(kind, kinds.small_net(nn.ELU)) != plain[kind]


@pytest.mark.parametrize("kind", ["FX int8", "PT2E int8"])
def test_other_scales_of_the_activations_change_it(plain: dict[str, str], kind: str) -> None:
    make: Any = {"FX int8": kinds.fx_int8, "PT2E int8": kinds.pt2e_int8}[kind]
    assert module_fingerprint(make(kinds.small_net(), kinds.images())) == plain[kind]
    assert module_fingerprint(make(kinds.small_net(), 2 * kinds.images())) != plain[kind]


@pytest.mark.parametrize("kind", ["torchao, weights alone", "torchao, dynamic by row"])
@pytest.mark.parametrize("part", ["qdata", "scale"])
def test_a_part_of_a_tensor_of_another_library_changes_it(plain: dict[str, str], kind: str, part: str) -> None:
    module = kinds.KINDS[kind](kinds.small_net())
    weight = dict(module.named_parameters())["4.weight"]
    names, _ = weight.__tensor_flatten__()  # type: ignore[attr-defined]
    assert {"qdata", "scale"} <= set(names)
    with torch.no_grad():
        getattr(weight, part).flatten()[3:4].mul_(2).add_(1)
    assert module_fingerprint(module) != plain[kind]


def test_a_constant_in_a_graph_changes_it() -> None:
    class Shifted(nn.Module):
        def __init__(self, shift: float) -> None:
            super().__init__()
            self.shift = torch.tensor([shift])  # neither a parameter nor a buffer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x + self.shift).flatten(1)

    found = {
        module_fingerprint(make(Shifted(shift)))
        for shift in (1.0, 2.0)
        for make in (kinds.exported, torch.fx.symbolic_trace)
    }
    assert len(found) == 4


def test_quantized_tensors_by_levels_scale_and_zero_point() -> None:
    class Held(nn.Module):
        def __init__(self, values: list[float], scale: float, zero: int) -> None:
            super().__init__()
            with kinds.quietly():
                made = torch.quantize_per_tensor(torch.tensor(values), scale, zero, torch.qint8)
            self.register_buffer("held", made)

    changed = [([1.0, 2.0], 0.1, 0), ([1.0, 2.1], 0.1, 0), ([0.5, 1.0], 0.05, 0), ([1.1, 2.1], 0.1, -1)]
    assert len({module_fingerprint(Held(*each)) for each in changed}) == len(changed)


def test_ordinary_modules_keep_the_one_that_caches_of_before_have() -> None:
    """Computed before quantized tensors and graphs were told apart."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.copy_((torch.arange(tensor.numel()) / 8).reshape(tensor.shape))
    assert module_fingerprint(net) == "e0e76b172d27651a06ee75991e9833ca65fafe796a7988c8cae5a29bc300e3c8"
    assert (
        module_fingerprint(net, nn.Hardtanh())
        == "11bcbbdd7d00dc00ca9ac99e586dd11fc375a54ceecac3b607d87afb3021e029"
    )
    assert TorchClassifier(net, 3).fingerprint == module_fingerprint(net), "also where a copy of it is run"
    assert (
        module_fingerprint(net.half(), torch.sin)
        == "a818fffd7187868c33c3d2795b5ebe5afe8379dadfa44a3fcf152c32d9b1560d"
    )

"""Normalization refuses other channels than its own, and still exports and compiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import smoothcert as sc
from smoothcert.classifiers import with_runtime
from smoothcert.errors import InvalidArgumentError
from smoothcert.models import CIFAR10, Normalize, build_model


@pytest.mark.parametrize("shape", [(2, 1, 5, 5), (2, 4, 5, 5), (2, 5, 5), (2, 75)])
def test_other_channels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"images of 3 channels, but gets a batch of shape \(2, "):
        Normalize(CIFAR10)(torch.rand(shape))


def test_grey_images_are_not_certified_by_a_colour_model() -> None:
    classifier = sc.TorchClassifier(build_model("cifar_resnet20"), 10)
    with pytest.raises(InvalidArgumentError, match=r"np\.repeat\(x, 3, axis=1\)"):
        sc.certify(classifier, np.zeros((2, 1, 8, 8)), sigma=0.25, n=100)


def test_it_is_exported_with_any_number_of_inputs() -> None:
    layer, x = Normalize(CIFAR10), torch.rand(4, 3, 5, 5)
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(layer, (x,), dynamic_shapes=(batch,)).module()
    for given in (x, torch.rand(7, 3, 5, 5)):
        torch.testing.assert_close(program(given), layer(given), rtol=0, atol=0)


def test_it_is_traced_into_one_graph() -> None:
    layer, x = Normalize(CIFAR10), torch.rand(4, 3, 5, 5)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x), rtol=0, atol=0)


def test_a_model_with_it_runs_in_onnx_runtime() -> None:
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    eager = sc.TorchClassifier(build_model("digits_conv"), 10)
    x = np.random.default_rng(0).random((5, 1, 8, 8)).astype(np.float32)
    exported = with_runtime(eager, "onnx", x)
    np.testing.assert_allclose(exported.logits(x), eager.logits(x), atol=1e-5)

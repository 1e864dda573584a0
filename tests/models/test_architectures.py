"""Architectures: the sizes and names that papers and published checkpoints have."""

from __future__ import annotations

import pytest
import torch

from smoothcert.classifiers import module_fingerprint
from smoothcert.errors import InvalidArgumentError
from smoothcert.models import ARCHITECTURES, CIFAR10, Normalization, Normalize, build_model


def _parameters(arch: str) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(arch).parameters())


@pytest.mark.parametrize(
    ("arch", "millions"), [("cifar_resnet20", 0.27), ("cifar_resnet56", 0.85), ("cifar_resnet110", 1.7)]
)
def test_cifar_resnets_have_the_sizes_of_he_et_al_table_6(arch: str, millions: float) -> None:
    assert _parameters(arch) / 1e6 == pytest.approx(millions, rel=0.03)


@pytest.mark.parametrize("depth", [20, 56, 110])
def test_cifar_resnets_are_as_deep_as_they_are_called(depth: int) -> None:
    with torch.device("meta"):
        model = build_model(f"cifar_resnet{depth}")
    layers = [name for name, p in model.named_parameters() if p.ndim in (2, 4) and "downsample" not in name]
    assert len(layers) == depth


def test_resnet50_has_torchvisions_size_and_names() -> None:
    with torch.device("meta"):
        network = build_model("resnet50")[1]
    assert sum(parameter.numel() for parameter in network.parameters()) == 25_557_032
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert len(shapes) == 320
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    names = ["conv1.weight", *(f"bn1.{each}" for each in norm), "fc.weight", "fc.bias"]
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            prefix = f"layer{stage}.{block}"
            names += [f"{prefix}.conv{i}.weight" for i in (1, 2, 3)]
            names += [f"{prefix}.bn{i}.{each}" for i in (1, 2, 3) for each in norm]
        names += [f"layer{stage}.0.downsample.0.weight", *(f"layer{stage}.0.downsample.1.{each}" for each in norm)]
    assert set(shapes) == set(names)
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["layer4.2.conv2.weight"] == (512, 512, 3, 3)
    assert shapes["fc.weight"] == (1000, 2048)


def test_resnet50_halves_the_image_in_the_3x3_convolutions() -> None:
    with torch.device("meta"):
        network = build_model("resnet50", num_classes=3)[1]
    strides = {name: m.stride for name, m in network.named_modules() if isinstance(m, torch.nn.Conv2d)}
    assert [strides[f"layer{stage}.0.conv2"] for stage in (1, 2, 3, 4)] == [(1, 1), (2, 2), (2, 2), (2, 2)]
    assert all(strides[f"layer{stage}.0.conv1"] == (1, 1) for stage in (1, 2, 3, 4))
    with torch.device("meta"):
        assert network(torch.zeros(2, 3, 224, 224)).shape == (2, 3)


@pytest.mark.parametrize("arch", [name for name in ARCHITECTURES if name != "resnet50"])
def test_each_model_maps_images_to_logits(arch: str) -> None:
    info = ARCHITECTURES[arch]
    model = build_model(arch, num_classes=7).eval()
    with torch.inference_mode():
        logits = model(torch.rand(2, *info.input_shape))
    assert logits.shape == (2, 7)
    assert torch.isfinite(logits).all()


def test_fresh_weights_keep_the_scale_of_the_signal() -> None:
    torch.manual_seed(0)
    first = build_model("cifar_resnet56").state_dict()["1.conv1.weight"]
    assert first.std().item() == pytest.approx((2 / (9 * 16)) ** 0.5, rel=0.15)


def test_digits_conv_is_small() -> None:
    assert 5_000 < _parameters("digits_conv") < 15_000


def test_normalization_is_that_of_the_formula_and_has_no_state() -> None:
    layer = Normalize(CIFAR10)
    x = torch.rand(4, 3, 5, 5)
    mean, std = torch.tensor(CIFAR10.mean), torch.tensor(CIFAR10.std)
    torch.testing.assert_close(layer(x), (x - mean[:, None, None]) / std[:, None, None], rtol=0, atol=0)
    assert not layer.state_dict()
    assert not list(layer.parameters())


def test_another_normalization_is_another_fingerprint() -> None:
    torch.manual_seed(0)
    model = build_model("digits_conv")
    other = torch.nn.Sequential(Normalize(Normalization((0.30529999,), (0.3761,))), model[1])
    assert module_fingerprint(model) != module_fingerprint(other)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(
        InvalidArgumentError, match="arch is 'resnet18': give one of cifar_resnet20, cifar_resnet56"
    ):
        build_model("resnet18")
    with pytest.raises(InvalidArgumentError, match="num_classes is 1"):
        build_model("digits_conv", num_classes=1)
    with pytest.raises(InvalidArgumentError, match=r"input_shape is \(1, 0, 8\)"):
        build_model("digits_conv", input_shape=(1, 0, 8))
    with pytest.raises(InvalidArgumentError, match="normalization has 1 channels, but inputs have 3"):
        build_model("digits_conv", input_shape=(3, 8, 8))
    with pytest.raises(InvalidArgumentError, match="std"):
        Normalization((0.5,), (float("nan"),))


def test_other_shapes_and_channels_can_be_asked_for() -> None:
    grey = Normalization((0.5,), (0.25,))
    model = build_model("digits_conv", num_classes=3, input_shape=(1, 9, 7), normalization=grey)
    assert model(torch.rand(2, 1, 9, 7)).shape == (2, 3)
    model = build_model("cifar_resnet20", input_shape=(1, 28, 28), normalization=grey).eval()
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 10)

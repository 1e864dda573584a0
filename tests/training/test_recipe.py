"""Recipes: legal values, the learning rate, and augmentation."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from smoothcert.errors import InvalidArgumentError
from smoothcert.fitting.augment import random_crop_and_flip
from smoothcert.models import ARCHITECTURES
from smoothcert.training import TrainingRecipe, default_recipe
from smoothcert.training.recipe import learning_rate


def test_every_architecture_has_a_recipe() -> None:
    for arch in ARCHITECTURES:
        assert default_recipe(arch).arch == arch
        assert default_recipe(arch).augment == (arch != "digits_conv")
    with pytest.raises(InvalidArgumentError, match="arch is 'vgg': give one of cifar_resnet20"):
        default_recipe("vgg")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("warmup", 1.0),
    ],
)
def test_illegal_values_are_named(name: str, value: float) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{name} is {value}: give"):
        replace(default_recipe("digits_conv"), **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5])
def test_the_learning_rate_rises_to_its_largest_value_and_falls_to_zero(warmup: float) -> None:
    recipe = TrainingRecipe(arch="digits_conv", epochs=10, batch_size=1, learning_rate=0.2, warmup=warmup)
    rates = [learning_rate(recipe, step, 20) for step in range(200)]
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.2)
    assert peak <= warmup * 200
    assert all(a < b for a, b in pairwise(rates[:peak]))
    assert all(a >= b for a, b in pairwise(rates[peak:]))
    assert 0 < rates[-1] < 0.001


def test_one_epoch_of_one_step_has_a_positive_learning_rate() -> None:
    assert learning_rate(replace(default_recipe("cifar_resnet20"), epochs=1), 0, 1) > 0


def test_crops_are_shifts_and_flips_of_the_padded_image() -> None:
    image = torch.rand(1, 3, 6, 5)
    padded = torch.nn.functional.pad(image[0], (2, 2, 2, 2))
    shifts = [padded[:, i : i + 6, j : j + 5] for i in range(5) for j in range(5)]
    legal = shifts + [each.flip(2) for each in shifts]
    out = random_crop_and_flip(image.expand(400, 3, 6, 5), torch.Generator().manual_seed(0), padding=2)
    seen = {next(i for i, each in enumerate(legal) if torch.equal(each, one)) for one in out}
    # 400 draws from 50 equally likely outcomes miss one of them with probability 50 * 0.98^400 < 0.02.
    assert len(seen) == 50


def test_augmentation_is_a_function_of_its_generator() -> None:
    images = torch.rand(8, 3, 32, 32)
    outs = [random_crop_and_flip(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smoothcert.errors import InvalidArgumentError
from smoothcert.surrogate import RECIPES, surrogate_recipe
from smoothcert.surrogate.recipe import fitting_rate


def test_the_papers_recipe_is_the_default_in_full() -> None:
    paper = surrogate_recipe("paper")
    assert (paper.loss, paper.epochs, paper.batch_size) == ("jensen-shannon", 200, 128)
    assert (paper.learning_rate, paper.betas, paper.weight_decay, paper.flip) == (1e-3, (0.5, 0.999), 0.0, False)


def test_the_papers_schedule_is_that_of_step_lr() -> None:
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=20, gamma=0.5)
    for epoch in range(200):
        assert fitting_rate(surrogate_recipe("paper"), 7 * epoch + 3, 7) == pytest.approx(
            schedule.get_last_lr()[0]
        )
        optimizer.step()
        schedule.step()


def test_the_fast_schedule_rises_and_falls_to_zero() -> None:
    recipe = surrogate_recipe("fast")
    rates = np.array([fitting_rate(recipe, step, 5) for step in range(recipe.epochs * 5)])
    assert rates.argmax() == pytest.approx(0.1 * len(rates), abs=1)
    assert rates.max() == recipe.learning_rate
    assert 0 < rates[-1] < 0.01 * recipe.learning_rate


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "l2"},
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"betas": (0.9, 1.0)},
        {"weight_decay": -1.0},
        {"schedule": "linear"},
        {"held_out": 0.0},
    ],
)
def test_illegal_values_are_named(change: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(change))):
        replace(RECIPES["paper"], **change)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="recipe is 'slow'"):
        surrogate_recipe("slow")

"""States of two networks."""

from __future__ import annotations

import pytest
import torch

from smoothcert.models import build_model


@pytest.fixture(scope="module")
def digits_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(build_model("digits_conv").state_dict())


@pytest.fixture(scope="module")
def cifar_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(build_model("cifar_resnet20").state_dict())

"""Lets examples import packages that announce their own deprecations, beside whatever build of torch there is."""

from __future__ import annotations

import pytest

from torchvision_operators import define_missing_operators

define_missing_operators()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore what torch warns about itself."""
    for item in items:
        if item.path.name == "models.md":
            item.add_marker(pytest.mark.filterwarnings("ignore:`torch.jit.script"))

"""Lets examples import packages that announce their own deprecations, beside whatever build of torch there is."""

from __future__ import annotations

from torchvision_operators import define_missing_operators

define_missing_operators()

"""The losses against SciPy's, and their gradients where shares are zero."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr, softmax
from scipy.stats import entropy

from smoothcert.surrogate.losses import jensen_shannon, soft_cross_entropy


@given(st.integers(0, 10_000), st.integers(2, 30), st.floats(0.1, 20))
@settings(max_examples=60, deadline=None)
def test_losses_are_those_of_scipy(seed: int, k: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, size, (5, k))
    shares = rng.multinomial(20, rng.dirichlet(np.full(k, 0.3)), 5) / 20
    h = softmax(logits, axis=1)
    divergence = jensen_shannon(torch.from_numpy(logits), torch.from_numpy(shares)).numpy()
    mean = (h + shares) / 2  # SciPy's jensenshannon takes the root, which warns where rounding makes a 0 negative
    expected = (rel_entr(h, mean) + rel_entr(shares, mean)).sum(axis=1) / 2
    np.testing.assert_allclose(divergence, expected, atol=1e-9)
    cross = soft_cross_entropy(torch.from_numpy(logits), torch.from_numpy(shares)).numpy()
    np.testing.assert_allclose(cross, entropy(shares, axis=1) + entropy(shares, h, axis=1), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("loss", [jensen_shannon, soft_cross_entropy])
@pytest.mark.parametrize("size", [1.0, 200.0])
def test_gradients_are_finite_where_shares_are_zero_and_lead_to_the_shares(loss: object, size: float) -> None:
    shares = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    logits = (size * torch.tensor([[-1.0, 1.0, 0.0], [0.5, 0.0, -1.0]])).requires_grad_()
    torch.autograd.backward(loss(logits, shares).sum())  # type: ignore[operator]
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert size > 1 or logits.grad[0, 0] < 0 < logits.grad[0, 1]

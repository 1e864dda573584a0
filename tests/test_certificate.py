"""Certificates as a table: a row can stand by itself."""

from __future__ import annotations

import numpy as np

import smoothcert as sc
from closed_form import half_space


def test_a_row_of_the_table_says_all_that_its_claim_depends_on() -> None:
    x = np.array([[0.7, 0.0], [0.5, 0.0]], np.float32)
    c = sc.certify(half_space(), x, sigma=0.25, n=500, runner_up=True).certificates
    table = c.to_pandas()
    assert len(table) == 2
    for name, values in c.columns().items():
        np.testing.assert_array_equal(table[name], values)
    scalars = {"alpha": 0.001, "sigma": 0.25, "method": "cohen", "noise": c.noise, "guarantee": "certified"}
    assert {name: table[name].unique().tolist() for name in scalars} == {k: [v] for k, v in scalars.items()}
    assert set(table) == {*c.columns(), *scalars}
    assert "zeta" not in table, "which nothing bounded"

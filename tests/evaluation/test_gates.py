from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from smoothcert.certificate import Certificates
from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import Gate, any_false, judge

M = 500
Y = np.ones(M, np.int64)


def certificates(certified: int | NDArray[np.bool_], **changes: object) -> Certificates:
    claimed = np.arange(M) < certified if isinstance(certified, int) else certified
    made = Certificates(
        prediction=np.where(claimed, 1, -1),
        radius=np.where(claimed, 0.5, 0.0),
        p_lower=np.where(claimed, 0.9, 0.3),
        top_class=np.ones(M, np.int64),
        count=np.full(M, 900),
        n=np.full(M, 1000),
        reason=np.where(claimed, "", "p_lower <= 1/2"),
        alpha=0.002,
        alpha_split={"joint": 0.002},
        sigma=0.5,
        method="joint",
        noise="gaussian/1",
        guarantee="certified",
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_a_plain_gate_compares_what_was_observed() -> None:
    gates = [Gate(0.6, 0.5), Gate(0.6, 0.51)]
    verdicts = judge({"a": certificates(300), "b": certificates(299)}, Y, gates)
    assert [v.passed for v in verdicts] == [True, False, False, False]
    assert [v.observed for v in verdicts] == [0.6, 0.598, 0, 0]
    assert all(v.together is None for v in verdicts)


def test_confidence_costs_a_few_inputs() -> None:
    [verdict] = judge({"a": certificates(302)}, Y, [Gate(0.6, 0.5)], confidence=0.99)
    assert (verdict.alone, verdict.together, verdict.passed) == (0.6, 0.6, True)
    [verdict] = judge({"a": certificates(301)}, Y, [Gate(0.6, 0.5)], confidence=0.99)
    assert not verdict.passed
    many = {str(i): certificates(302) for i in range(20)}
    for verdict in judge(many, Y, [Gate(0.6, 0.5)], confidence=0.99):
        assert verdict.alone == 0.6
        assert verdict.together in (0.596, 0.598)
        assert not verdict.passed


def test_verdicts_hold_together_at_their_confidence() -> None:
    """Candidates whose false certificates are independent: the worst case for a union bound."""
    rng = np.random.default_rng(0)
    true, candidates, confidence, runs = 200, 8, 0.9, 400
    wrong = 0
    for _ in range(runs):
        found = {str(j): certificates((np.arange(M) < true) | (rng.random(M) < 0.002)) for j in range(candidates)}
        verdicts = judge(found, Y, [Gate(0.0, 0.5)], confidence=confidence)
        wrong += any((v.together or 0) > true / M for v in verdicts)
    assert stats.binom.sf(wrong - 1, runs, 1 - confidence) > 1e-4


def test_only_certified_claims_give_a_confidence() -> None:
    estimated = {"surrogate": certificates(300, guarantee="estimated")}
    assert judge(estimated, Y, [Gate(0.5, 0.5)])[0].passed
    with pytest.raises(InvalidArgumentError, match="surrogate is estimated"):
        judge(estimated, Y, [Gate(0.5, 0.5)], confidence=0.99)


def test_failures_of_candidates_that_stand_alone_add_up() -> None:
    joint = certificates(300)
    paper = certificates(300, method="irs", alpha=0.003, alpha_split={"base": 0.001, "disparity": 0.002})
    assert any_false([]) == 0
    assert any_false([joint]) == pytest.approx(0.002)
    assert any_false([joint] * 20) == pytest.approx(0.04)
    assert any_false([paper, joint, joint]) == pytest.approx(0.007)
    assert any_false([certificates(300, alpha=0.2)] * 20) == 1


def test_only_a_group_of_one_size_and_alpha_shares_its_alpha() -> None:
    """The proof needs one level for all: of groups that differ, only the sum is known."""
    three = certificates(300, method="joint", alpha_split={"joint": 0.002}, together=3)
    four = dataclasses.replace(three, together=4)
    dearer = dataclasses.replace(three, alpha=0.01, alpha_split={"joint": 0.01})
    assert any_false([three] * 3) == pytest.approx(0.002)
    assert any_false([three] * 4) == pytest.approx(4 * 0.002)
    assert any_false([three, three, dearer]) == pytest.approx(0.002 + 0.002 + 0.01)
    assert any_false([three, three, four]) == pytest.approx(3 * 0.002)

"""What a comparison claims, for candidates of known certificates."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from smoothcert.bounds import largest_radius
from smoothcert.certificate import Certificates
from smoothcert.evaluation import (
    CandidateResult,
    Comparison,
    Curve,
    Gate,
    bounded_mean_interval,
    credited_radius,
    judge,
)
from smoothcert.reporting.intervals import interval_table, terminal_intervals
from smoothcert.reporting.statements import premises, repetition, selection_warning, statements, verdict_line
from smoothcert.votes.store import CandidateRecord, GatedComparison, Timing

M, N, N_P = 200, 10_000, 1000
Y = np.ones(M, np.int64)
RADIUS = np.where(np.arange(M) < 120, np.linspace(0.8, 0.1, M), 0.0)


def certificates(method: str, n: int, **changes: object) -> Certificates:
    made = Certificates(
        prediction=np.where(RADIUS > 0, 1, -1),
        radius=RADIUS,
        p_lower=np.where(RADIUS > 0, 0.9, 0.3),
        top_class=np.ones(M, np.int64),
        count=np.full(M, n),
        n=np.full(M, n),
        reason=np.where(RADIUS > 0, "", "p_lower <= 1/2"),
        alpha=0.001 if method == "cohen" else 0.002,
        alpha_split={"joint": 0.002},
        sigma=0.5,
        method=method,
        noise="gaussian/1",
        guarantee="certified",
        premise="" if method == "cohen" else "the candidate was fixed before",
        branch=np.full(M, "paired"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def candidate(name: str, start: int = 0, **changes: object) -> CandidateResult:
    record = CandidateRecord(
        spec=name,
        name=name,
        description=name,
        n_p=N_P,
        alpha_zeta=0.001,
        gamma=0.99,
        identical=False,
        bound="auto",
        start=start,
        holdout=start > 0,
    )
    return CandidateResult(
        record=record,
        votes=hashlib.sha256(name.encode()).hexdigest(),
        incremental=certificates("auto", N_P, **changes),
        scratch=None,
        gamma=0.99,
        cost=Timing(M * N_P, 1.0),
        scratch_cost=None,
        curve=Curve([0.1, 0.2], [1.0, 2.0]),
        scratch_curve=Curve([0.1, 0.2], [2.0, 4.0]),
        baselines=None,
    )


def comparison(*candidates: CandidateResult) -> Comparison:
    return Comparison(
        base=certificates("cohen", N), base_cost=Timing(M * N, 1.0), candidates=list(candidates), y=Y
    )


def test_intervals_and_bounds_are_what_they_say() -> None:
    table = interval_table(comparison(candidate("a"), candidate("b")), 0.99)
    rows = {(row[0], row[1]): row[2:] for row in table.rows}
    assert len(rows) == 3 * (4 + 1)
    k = int((RADIUS >= 0.25).sum())
    value, low, high, alone, together = rows["a", "CA@0.25"]
    exact = stats.binomtest(k, M).proportion_ci(0.95, method="exact")
    assert (value, low, high) == pytest.approx((k / M, exact.low, exact.high))
    assert alone == (k - stats.binom.isf(0.01, M, 0.002)) / M
    assert together == (k - stats.binom.isf(0.005, M, 0.002)) / M
    value, low, high, alone, together = rows["a", "ACR"]
    largest = largest_radius(N + N_P, 0.002, 0.5)
    assert (low, high) == bounded_mean_interval(credited_radius(certificates("auto", N_P), Y), largest)
    assert value == pytest.approx(RADIUS.mean())
    for bound, error in ((alone, 0.01), (together, 0.005)):
        largest_false = int(stats.binom.isf(error, M, 0.002))
        assert bound == pytest.approx(np.sort(RADIUS)[: M - largest_false].sum() / M)


def test_nothing_is_said_to_be_true_of_estimates() -> None:
    table = interval_table(comparison(candidate("a", guarantee="estimated")), 0.99)
    assert {row[5] for row in table.rows if row[0] == "a"} == {None}


def test_the_terminal_has_a_row_for_each_classifier() -> None:
    table = terminal_intervals(comparison(candidate("a")), 160)
    assert [column.name for column in table.columns] == [
        "classifier",
        "CA 0",
        "CA 0.25",
        "CA 0.5",
        "CA 0.75",
        "ACR",
    ]
    assert [row[0] for row in table.rows] == ["base", "a"]


def test_statements_count_false_certificates() -> None:
    assert statements(comparison(), 0.99) == []
    [alone] = statements(comparison(candidate("a")), 0.99)
    assert f"at most {stats.binom.isf(0.01, M, 0.002):g} of its 200 are" in alone
    _, together = statements(comparison(*(candidate(c) for c in "abcde")), 0.99)
    assert "any of its certificates is false with probability at most 0.01;" in together
    assert f"at most {stats.binom.isf(0.002, M, 0.002):g} of 200 are for every candidate" in together


def test_premises_name_ranges() -> None:
    held_out = "fixed without samples 5000 to 6000"
    lines = premises(comparison(candidate("a"), candidate("b"), candidate("c", 5000, premise=held_out)))
    assert lines == [
        "a, b on samples 0 to 999: provided that the candidate was fixed before",
        f"c on samples 5000 to 5999, held out: provided that {held_out}",
    ]
    beyond = np.where(np.arange(M) < 5, "direct", "paired")
    assert "(some inputs on samples beyond the cache)" in premises(comparison(candidate("a", branch=beyond)))[0]


def test_one_candidate_is_no_selection() -> None:
    assert selection_warning(comparison(candidate("a"))) is None
    text = selection_warning(comparison(candidate("a"), candidate("b")))
    assert text is not None
    assert "up to 0.004, not 0.002" in text


def test_verdicts_in_words() -> None:
    found = {"a": certificates("auto", N_P)}
    [plain] = judge(found, Y, [Gate(0.7, 0.0)])
    assert verdict_line(plain, None) == "a: certified accuracy at radius 0 is below 0.7"
    [sure] = judge(found, Y, [Gate(0.5, 0.0)], confidence=0.99)
    assert verdict_line(sure, 0.99).startswith(
        "a: certified accuracy at radius 0 is shown to be at least 0.5 with"
    )


def gated(confidence: float | None, *names: str) -> GatedComparison:
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    return GatedComparison(confidence=confidence, gates=[[0.6, 0.5]], candidates=digests)


def test_repeated_comparisons_add_their_errors_and_name_who_came_later() -> None:
    shown = comparison(candidate("a"), candidate("b"))
    assert repetition(shown, 0.99, [], []) == []
    [together] = repetition(shown, 0.99, [gated(0.98, "a", "b")], [gated(0.9, "a")])
    assert "all 3 are right at once with confidence 0.87" in together
    [later] = repetition(shown, None, [gated(None, "a")], [])
    assert later.startswith("b came after a comparison")
    assert repetition(shown, None, [], [gated(None, "c")]) == []

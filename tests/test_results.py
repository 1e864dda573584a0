"""Results are short to look at, and can be indexed, iterated over and turned into data frames."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smoothcert as sc
from closed_form import half_space
from smoothcert.certificate import Certificate
from smoothcert.evaluation import (
    Gate,
    any_false,
    average_certified_radius_interval,
    certified_accuracy_interval,
    certified_accuracy_lower,
    correct,
    judge,
    mean_zeta,
    radius_grid,
)
from smoothcert.procedures import RadiusDecisions
from smoothcert.reporting import Column, Table, read_cohen_log, write_certificates, write_cohen_log
from smoothcert.votes.store import CertificationCache

X = np.array([[0.7, 0.0], [0.5, 0.0], [0.9, 0.0], [0.2, 0.0]], np.float32)
Y = np.array([1, 0, 1, 0])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results") / "cache"


@pytest.fixture(scope="module")
def run(cache: Path) -> sc.CertificationRun:
    return sc.certify(half_space(), X, sigma=0.25, n=500, cache=cache)


@pytest.fixture(scope="module")
def again(run: sc.CertificationRun, cache: Path) -> sc.Recertification:
    return sc.recertify(half_space(), X, cache=cache, n_p=200, bound="joint")


@pytest.fixture(scope="module")
def decided(run: sc.CertificationRun, cache: Path) -> RadiusDecisions:
    return sc.recertify_at_radius(half_space(), X, 0.1, cache=cache)


def test_a_position_gives_a_record_of_python_numbers(run: sc.CertificationRun) -> None:
    c = run.certificates
    for i in (0, np.int64(2), -1):
        one = c[i]
        assert isinstance(one, Certificate)
        for name, values in c.columns().items():
            value = getattr(one, name)
            assert value == values[i]
            assert type(value) in (int, float, str)
        assert (one.alpha, one.sigma, one.method, one.guarantee) == (0.001, 0.25, "cohen", "certified")
        assert one.zeta is None
        assert one.certified is bool(c.certified[i])
    with pytest.raises(IndexError):
        c[4]
    with pytest.raises(dataclasses.FrozenInstanceError):
        c[0].radius = 9.0  # type: ignore[misc]


@pytest.mark.parametrize(
    "rows",
    [slice(1, 3), slice(None, None, -1), [0, 2], np.array([3, 3, 0]), [True, False, True, True], [], slice(0, 0)],
    ids=str,
)
def test_several_positions_give_certificates(again: sc.Recertification, rows: Any) -> None:
    some = again.certificates[rows]
    assert isinstance(some, sc.Certificates)
    for name, values in again.certificates.columns().items():
        np.testing.assert_array_equal(getattr(some, name), values[rows if len(some) else slice(0)])
    assert (some.alpha, some.premise) == (again.certificates.alpha, again.certificates.premise)
    assert repr(some).startswith(f"Certificates({len(some)} inputs")
    with pytest.raises(IndexError):
        again.certificates[[True, False]]


def test_iteration_yields_every_certificate(run: sc.CertificationRun) -> None:
    assert [one.radius for one in run.certificates] == run.certificates.radius.tolist()
    assert list(run) == [run[i] for i in range(len(run))]


def test_a_run_stands_for_its_certificates(
    run: sc.CertificationRun, again: sc.Recertification, decided: RadiusDecisions
) -> None:
    for found in (run, again, decided):
        assert len(found) == 4
        assert found[1] == found.certificates[1]
        assert found[:2].prediction.tolist() == found.certificates.prediction[:2].tolist()
        assert found.to_pandas().equals(found.certificates.to_pandas())
        assert found.to_polars().equals(found.certificates.to_polars())
        assert found.summary() == found.certificates.summary()


def test_what_takes_certificates_takes_a_run(
    run: sc.CertificationRun, again: sc.Recertification, tmp_path: Path
) -> None:
    c = run.certificates
    assert sc.certified_accuracy(run, Y, [0, 0.1]).tolist() == sc.certified_accuracy(c, Y, [0, 0.1]).tolist()
    assert sc.average_certified_radius(run, Y) == sc.average_certified_radius(c, Y) > 0
    assert correct(run, Y).tolist() == correct(c, Y).tolist()
    assert radius_grid([run, c]).tolist() == radius_grid([c]).tolist()
    assert certified_accuracy_interval(run, Y, 0.1) == certified_accuracy_interval(c, Y, 0.1)
    assert average_certified_radius_interval(run, Y) == average_certified_radius_interval(c, Y)
    lower = {"alpha": 0.001, "confidence": 0.9}
    assert certified_accuracy_lower(run, Y, 0.1, **lower) == certified_accuracy_lower(c, Y, 0.1, **lower)
    assert judge({"f": run}, Y, [Gate(0.5, 0.1)], confidence=0.9) == judge(
        {"f": c}, Y, [Gate(0.5, 0.1)], confidence=0.9
    )
    assert any_false([run, c]) == 2 * c.alpha
    assert mean_zeta(again) == mean_zeta(again.certificates)
    both = [write_certificates(tmp_path / "run.csv", run, Y), write_certificates(tmp_path / "c.csv", c, Y)]
    assert both[0].read_text() == both[1].read_text()
    log = read_cohen_log(write_cohen_log(tmp_path / "log.tsv", run, Y))
    assert log.prediction.tolist() == c.prediction.tolist()


def test_reprs_say_what_is_claimed_and_show_no_array(
    run: sc.CertificationRun, again: sc.Recertification, decided: RadiusDecisions, cache: Path
) -> None:
    mean = np.floor(1e3 * run.certificates.radius.mean()) / 1e3
    assert repr(run.certificates) == (
        f"Certificates(4 inputs: 3 certified, mean radius {mean:g}; n = 500, alpha = 0.001, sigma = 0.25, "
        "method = 'cohen')"
    )
    assert repr(run).startswith("CertificationRun(4 inputs: 3 certified")
    assert "2,400 samples in " in repr(run)
    assert f"votes in {str(cache)!r}" in repr(run)
    assert "spread = 'budget'; identical to the base; " in repr(again)
    assert "identical to the base" in repr(decided)
    assert repr(CertificationCache(cache)) == (
        f"CertificationCache({str(cache)!r}: 4 inputs, n = 500, n0 = 100, alpha = 0.001, sigma = 0.25, "
        "noise = 'gaussian/1')"
    )
    assert repr(run.tally) == "Tally(selection=int64 (4, 2), counts=int64 (4, 2), n=int64 (4,))"
    shown = [run, run.certificates, again, decided, run.tally, again.pairs, sc.plan(cache, n_p=300)]
    for each in shown:
        assert "array(" not in repr(each)
        assert len(repr(each)) < 800


def test_an_audit_and_a_plan_in_words(cache: Path, run: sc.CertificationRun, tmp_path: Path) -> None:
    found = sc.audit(half_space(), half_space(0.501), X, cache=cache, seed=7, n_p=200, out=tmp_path / "audit")
    assert repr(found).startswith("Audit(nothing speaks against the cache, p = ")
    assert "candidate on fresh noise: 4 inputs" in repr(found)
    accused = dataclasses.replace(found, otherwise="logits differ")
    assert "the base is not what made the cache: logits differ" in repr(accused)
    plan = sc.plan(cache, n_p=300)
    assert repr(plan).startswith("Plan(samples 300 for 1 candidates on 4 inputs; sigma = 0.25")
    frame = plan.to_pandas()
    assert frame["method"].tolist() == [method.method for method in plan.methods]
    assert plan.to_polars()["reaches"].to_list() == [method.reaches for method in plan.methods]


def test_a_table_as_data_frames() -> None:
    table = Table("t", (Column("a", 1), Column("b")), ((1.25, "x"), (None, "y")))
    assert table.to_pandas()["b"].tolist() == ["x", "y"]
    assert table.to_polars().to_dict(as_series=False) == {"a": [1.25, None], "b": ["x", "y"]}


@pytest.mark.parametrize(("package", "method", "extra"), [("pandas", "to_pandas", "report"), ("polars",) * 3])
def test_a_missing_package_is_named_by_its_extra(
    run: sc.CertificationRun, monkeypatch: pytest.MonkeyPatch, package: str, method: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    method = method if method.startswith("to_") else f"to_{method}"
    with pytest.raises(ImportError, match=rf"smoothcert\[{extra}\]"):
        getattr(run, method)()

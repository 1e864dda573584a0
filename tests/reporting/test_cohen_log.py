from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothcert.certificate import Certificates, Guarantee
from smoothcert.errors import DataError, InvalidArgumentError
from smoothcert.evaluation import average_certified_radius, certified_accuracy
from smoothcert.reporting import CohenLog, read_cohen_log, write_cohen_log

HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
LOGS = ("cifar10-resnet110-noise_0.50-test-sigma_0.50", "cifar10-resnet110-noise_1.00-test-sigma_1.00")


def make(prediction: Any, radius: Any, guarantee: Guarantee = "certified") -> Certificates:
    prediction = np.asarray(prediction, np.int64)
    m = len(prediction)
    return Certificates(
        prediction=prediction,
        radius=np.asarray(radius, np.float64),
        p_lower=np.full(m, 0.8),
        top_class=np.where(prediction < 0, 0, prediction),
        count=np.full(m, 90),
        n=np.full(m, 100),
        reason=np.full(m, ""),
        alpha=0.001,
        alpha_split={"base": 0.001},
        sigma=0.5,
        method="cohen",
        noise="gaussian/1",
        guarantee=guarantee,
    )


def assert_same(a: CohenLog, b: CohenLog) -> None:
    for name in ("idx", "label", "prediction", "radius", "correct", "seconds"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.parametrize("name", LOGS)
def test_published_logs_come_back_as_they_were(shared: Path, tmp_path: Path, name: str) -> None:
    published = shared / "reference/cohen_logs" / name
    log = read_cohen_log(published)
    assert len(log) == 500
    certificates = make(log.prediction, log.radius)
    write_cohen_log(tmp_path / "log", certificates, log.label, idx=log.idx, seconds=log.seconds)
    assert_same(read_cohen_log(tmp_path / "log"), log)
    # Apart from how the seconds are written, also the text is the same.
    texts = [(tmp_path / "log").read_text(), published.read_text()]
    ours, theirs = ([line.rsplit("\t", 1)[0] for line in text.splitlines()] for text in texts)
    assert ours == theirs


@pytest.mark.parametrize("name", LOGS)
def test_metrics_on_a_log_are_those_of_the_usual_script(shared: Path, name: str) -> None:
    import pandas as pd

    frame = pd.read_csv(shared / "reference/cohen_logs" / name, delimiter="\t")
    log = read_cohen_log(shared / "reference/cohen_logs" / name)
    radii = np.arange(0, 2.5, 0.05)
    expected = [float(((frame["correct"] == 1) & (frame["radius"] >= r)).mean()) for r in radii]
    np.testing.assert_allclose(certified_accuracy(log, log.label, radii), expected, rtol=1e-14)
    acr = float((frame["correct"] * frame["radius"]).mean())
    assert average_certified_radius(log, log.label) == pytest.approx(acr, rel=1e-12)


def test_radii_are_rounded_down_and_abstentions_have_none(tmp_path: Path) -> None:
    certificates = make([3, 1, -1], [0.48699, 1.3999, 0.7])
    write_cohen_log(tmp_path / "log", certificates, [3, 2, 0], seconds=[1.5, np.nan, 0.25])
    assert (tmp_path / "log").read_text() == (
        HEADER + "0\t3\t3\t0.486\t1\t1.500000\n1\t2\t1\t1.39\t0\tnan\n2\t0\t-1\t0.0\t0\t0.250000\n"
    )


@given(st.lists(st.floats(0, 10), min_size=1, max_size=20))
def test_no_radius_grows_by_being_written(tmp_path_factory: pytest.TempPathFactory, radii: list[float]) -> None:
    path = tmp_path_factory.getbasetemp() / "growth.tsv"
    write_cohen_log(path, make([1] * len(radii), radii), [1] * len(radii))
    log = read_cohen_log(path)
    assert (log.radius <= radii).all()
    np.testing.assert_allclose(log.radius, radii, rtol=0.01)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("16.6", 16.6),
        ("17", 17.0),
        ("0:00:16.600000", 16.6),
        ("0:01:05", 65.0),
        ("12:00:00.5", 43200.5),
        ("1 day, 1:00:00", 90000.0),
        ("2 days, 0:00:01", 172801.0),
        ("nan", np.nan),
    ],
)
def test_times_in_seconds_and_by_the_clock(tmp_path: Path, text: str, seconds: float) -> None:
    (tmp_path / "log").write_text(f"{HEADER}0\t3\t3\t0.5\t1\t{text}\n")
    np.testing.assert_allclose(read_cohen_log(tmp_path / "log").seconds, [seconds], rtol=1e-15)


def test_an_abstention_that_its_author_called_correct_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"{HEADER}0\t3\t-1\t0.0\t1\t1.0\n1\t3\t3\t0.5\t1\t1.0\n")
    log = read_cohen_log(tmp_path / "log")
    assert log.correct.tolist() == [True, True]
    assert certified_accuracy(log, log.label, 0.0) == 0.5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t3\t3\t0.5\t1", "there are 5 tab-separated fields, not 6"),
        ("", "there are 1 tab-separated fields"),
        ("1 3 3 0.5 1 2.0", "there are 1 tab-separated fields"),
        ("x\t3\t3\t0.5\t1\t2", "invalid literal"),
        ("1\t-3\t3\t0.5\t1\t2", "label is -3"),
        ("1\t3\t-2\t0.5\t1\t2", "predict is -2"),
        (f"{2**63}\t3\t3\t0.5\t1\t2", "idx is 9223372036854775808"),
        ("1\t3\t3\tnan\t1\t2", "radius is nan"),
        ("1\t3\t3\tinf\t1\t2", "radius is inf"),
        ("1\t3\t3\t-0.5\t1\t2", "radius is -0.5"),
        ("1\t3\t3\t0.5\tTrue\t2", "correct is 'True'"),
        ("1\t3\t3\t0.5\t1\t0:99:00", "could not convert"),
        ("1\t3\t3\t0.5\t1\t-2", "time is -2"),
        ("0\t3\t3\t0.5\t1\t2", "idx 0 appears a second time"),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "log"
    path.write_text(f"{HEADER}0\t3\t3\t0.5\t1\t16.6\n{line}\n2\t1\t1\t0.5\t1\t16.6\n")
    with pytest.raises(DataError, match=f"log, line 3: {message}"):
        read_cohen_log(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with pytest.raises(DataError, match="cannot be read"):
        read_cohen_log(path)
    path.write_text("")
    with pytest.raises(DataError, match="line 1: the header is ''"):
        read_cohen_log(path)
    path.write_text("idx\tlabel\tpredict\tcorrect\ttime\n")
    with pytest.raises(DataError, match="should be idx label predict radius correct time"):
        read_cohen_log(path)
    path.write_bytes(b"\x93NUMPY\xff\xfe")
    with pytest.raises(DataError, match="cannot be read as text"):
        read_cohen_log(path)


def test_a_log_without_lines_is_empty(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(HEADER)
    log = read_cohen_log(tmp_path / "log")
    assert len(log) == 0
    assert log.radius.dtype == np.float64


@pytest.mark.parametrize("guarantee", ["calibrated", "estimated"])
def test_weaker_guarantees_are_not_written_as_certified(tmp_path: Path, guarantee: Guarantee) -> None:
    with pytest.raises(InvalidArgumentError, match=f"guarantee '{guarantee}'"):
        write_cohen_log(tmp_path / "log", make([1], [0.5], guarantee), [1])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": [1, 2, 3]}, r"y has shape \(3,\)"),
        ({"idx": [1]}, "idx has shape"),
        ({"idx": [0.0, 1.0]}, "dtype float64"),
        ({"idx": [1, 1]}, "repeated position"),
        ({"idx": [-1, 1]}, "negative"),
        ({"seconds": [1.0]}, r"seconds has shape \(1,\)"),
        ({"seconds": [1.0, -1.0]}, "at least 0"),
    ],
)
def test_arguments_are_checked(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        write_cohen_log(tmp_path / "log", make([1, 2], [0.5, 0.6]), **{"y": [1, 2], **arguments})


def test_an_infinite_radius_is_refused(tmp_path: Path) -> None:
    certificates = replace(make([1], [0.5]), radius=np.array([np.inf]))
    with pytest.raises(InvalidArgumentError, match="contains inf"):
        write_cohen_log(tmp_path / "log", certificates, [1])

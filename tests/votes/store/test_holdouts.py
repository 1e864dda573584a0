"""A range of samples is held out for those that were named before anybody looked at it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from smoothcert._files import locked
from smoothcert.errors import CacheCorruptError, CacheLockedError, InvalidArgumentError
from smoothcert.votes.store import CandidateRecord, note_seen, read_holdouts, reserve, write_candidate
from smoothcert.votes.store.lines import append_line


def ranges(cache: Path) -> list[tuple[int, int, list[str], bool]]:
    return [(h.start, h.stop, h.candidates, h.held_out) for h in read_holdouts(cache)]


def evaluated(cache: Path, name: str, start: int, n_p: int, *, holdout: bool) -> None:
    (cache / "candidates" / name).mkdir(parents=True)
    fields = {"spec": name, "description": "", "alpha_zeta": 0.001, "gamma": 0.99, "identical": False}
    record = CandidateRecord(name=name, n_p=n_p, start=start, holdout=holdout, **fields)  # type: ignore[arg-type]
    write_candidate(cache, record)


def look(cache: Path) -> None:
    note_seen(cache, 100, 200, ["seen"])


def hold_out(cache: Path) -> None:
    reserve(cache, 100, 200, ["seen"])


def evaluate(cache: Path) -> None:
    """A record without a line of its own: older versions wrote none, or it was lost."""
    evaluated(cache, "seen", 100, 100, holdout=True)


@pytest.mark.parametrize("before", [look, hold_out, evaluate])
@pytest.mark.parametrize(
    ("start", "stop", "free"),
    [(0, 100, True), (200, 300, True), (0, 101, False), (199, 300, False), (120, 130, False), (0, 300, False)],
)
def test_what_somebody_looked_at_is_not_held_out(
    before: Callable[[Path], None], start: int, stop: int, free: bool, tmp_path: Path
) -> None:
    before(tmp_path)
    known = ranges(tmp_path)
    if free:
        reserve(tmp_path, start, stop, ["new"])
        assert ranges(tmp_path) == [*known, (start, stop, ["new"], True)]
    else:
        with pytest.raises(InvalidArgumentError, match=r"samples 100 to 199 .* take a range from 200 on"):
            reserve(tmp_path, start, stop, ["new"])
        assert ranges(tmp_path) == known


def test_the_range_that_is_named_as_free_is_free(tmp_path: Path) -> None:
    note_seen(tmp_path, 0, 50, ["a"])
    note_seen(tmp_path, 300, 400, ["b"])
    reserve(tmp_path, 50, 300, ["c"])
    with pytest.raises(InvalidArgumentError, match="from 400 on"):
        reserve(tmp_path, 10, 20, ["d"])
    reserve(tmp_path, 400, 410, ["d"])


def test_a_range_serves_all_that_were_named_and_no_other(tmp_path: Path) -> None:
    reserve(tmp_path, 10, 20, ["b", "a"])
    for names in (["a"], ["b"], ["a", "b"]):
        reserve(tmp_path, 10, 20, names)
    assert ranges(tmp_path) == [(10, 20, ["a", "b"], True)]
    for names in (["c"], ["a", "c"]):
        with pytest.raises(InvalidArgumentError, match="were looked at before"):
            reserve(tmp_path, 10, 20, names)
    evaluated(tmp_path, "a", 10, 10, holdout=True)
    reserve(tmp_path, 10, 20, ["b"])


def test_who_looked_at_the_first_samples_may_not_hold_them_out(tmp_path: Path) -> None:
    evaluated(tmp_path, "a", 0, 100, holdout=False)
    with pytest.raises(InvalidArgumentError, match=r"samples 0 to 99 of .* were used to evaluate 'a'"):
        reserve(tmp_path, 99, 120, ["b"])
    reserve(tmp_path, 100, 120, ["b"])


def test_a_look_is_written_down_once(tmp_path: Path) -> None:
    """Unless it is of other candidates, or sees more than was seen."""
    note_seen(tmp_path, 10, 20, ["a", "b"])
    for start, stop, names in ((10, 20, ["a", "b"]), (10, 20, ["b"]), (12, 18, ["a"])):
        note_seen(tmp_path, start, stop, names)
    assert ranges(tmp_path) == [(10, 20, ["a", "b"], False)]
    for start, stop, names in ((9, 20, ["a"]), (10, 21, ["a"]), (12, 18, ["a", "c"])):
        note_seen(tmp_path, start, stop, names)
        assert ranges(tmp_path)[-1] == (start, stop, names, False)


def test_lines_of_older_versions_are_of_ranges_that_were_held_out(tmp_path: Path) -> None:
    append_line(tmp_path, "holdouts.jsonl", {"number": 0, "start": 10, "stop": 20, "candidates": ["a"]})
    assert ranges(tmp_path) == [(10, 20, ["a"], True)]
    evaluated(tmp_path, "a", 10, 10, holdout=True)
    reserve(tmp_path, 10, 20, ["a"])
    assert len(ranges(tmp_path)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"start": -1}, {"start": 20}, {"start": 21}, {"start": 1.0}, {"start": None}, {"stop": 1 << 40},
        {"candidates": "a"}, {"candidates": [1]}, {"candidates": None}, {"held_out": 1}, {"held_out": None},
    ],
)  # fmt: skip
def test_an_illegal_line_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    line = {"number": 0, "start": 10, "stop": 20, "candidates": ["a"], "held_out": False}
    append_line(tmp_path, "holdouts.jsonl", {**line, **change})
    with pytest.raises(CacheCorruptError, match=r"holdouts\.jsonl was changed in line 1"):
        read_holdouts(tmp_path)


@pytest.mark.parametrize("write", [look, hold_out])
def test_it_waits_for_who_writes_the_ledger_but_not_for_ever(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as another:
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                another.close()

        monkeypatch.setattr("time.sleep", sleep)
        another.enter_context(locked(tmp_path, ".holdouts.lock"))
        write(tmp_path)
        assert len(pauses) == 3
        assert len(ranges(tmp_path)) == 1
    with locked(tmp_path, ".holdouts.lock"), pytest.raises(CacheLockedError):
        write(tmp_path)
    assert 5 < sum(pauses) < 60

"""Votes in rounds: the right ones, kept durably, and identical after any interruption."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import smoothcert as sc
from folders import contents
from interruptions import interrupted
from processes import start
from smoothcert.errors import CacheCorruptError, CacheLockedError, CacheMismatchError
from smoothcert.noise import GaussianNoise, Purpose, input_keys
from smoothcert.sampling import SampleIndices, SampleRange, SampleRequest, sample_votes
from smoothcert.votes import Quota, RoundSampler, Smoothed, rounds, sampling_rounds
from smoothcert.votes.store import Setting

X = np.random.default_rng(0).random((6, 5), dtype=np.float32)
KEYS = list(input_keys(X))
W = np.random.default_rng(1).standard_normal((5, 3))
PROCEDURE: dict[str, Setting] = {"name": "test", "radius": 0.5}


def logits(batch: NDArray[np.float32]) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = (batch.astype(np.float64)[:, :, None] * W).sum(axis=1)
    return scores


QUOTA = Quota(n0=10, n=1000, alpha=0.001)


def smoothed(
    fingerprint: str = "W", batch_size: int | None = None, seed: int = 0, rows: slice = slice(None)
) -> Smoothed:
    return Smoothed(
        classifier=sc.FunctionClassifier(logits, num_classes=3, fingerprint=fingerprint),
        inputs=X[rows],
        keys=KEYS[rows],
        noise=GaussianNoise(0.5, seed),
        batch_size=batch_size,
    )


def run(rounds: RoundSampler) -> list[int]:
    """Ask for votes of which later requests are a function, as a procedure does."""
    start, seen = 0, [0] * len(X)
    for number in range(6):
        size = 20 + sum(seen) % 13
        requests: list[SampleRequest] = [
            SampleRange(i, KEYS[i], Purpose.ESTIMATION, start, start + size)
            for i in range(len(X))
            if seen[i] < 40 or number % 2
        ]
        picked = np.arange(0, 10 * size, 10) + number
        requests.append(SampleIndices(3, KEYS[3], Purpose.ESTIMATION, picked))
        for request, votes in zip(requests, rounds(requests, to_come=7), strict=True):
            assert len(votes) == len(request)
            seen[request.row] += int((votes == 1).sum())
        start += size
    return seen


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("smoothcert.votes.rounds.PART_VOTES", 64)  # several pieces in a round
    with sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=tmp_path / "j") as rounds:
        run(rounds)
    return tmp_path / "j"


def test_votes_are_those_of_the_samples_asked_for() -> None:
    requests: list[SampleRequest] = [
        SampleRange(2, KEYS[2], Purpose.SELECTION, 3, 50),
        SampleIndices(1, KEYS[1], Purpose.ESTIMATION, np.array([5, 700, 701, 99_000])),
        SampleRange(2, KEYS[2], Purpose.ESTIMATION, 0, 200),
    ]
    p = smoothed()
    with sampling_rounds(p, QUOTA, procedure=PROCEDURE) as rounds:
        found = rounds(requests)
        assert rounds([]) == []
        assert [len(v) for v in rounds([SampleRange(0, KEYS[0], Purpose.ESTIMATION, 9, 9)])] == [0]
        assert rounds.timing.samples == 47 + 4 + 200
    for votes, request in zip(found, requests, strict=True):
        np.testing.assert_array_equal(votes, sample_votes(p.classifier, X, p.noise, [request])[0])


@pytest.mark.parametrize("batch_size", [1, 17, 1000])
def test_results_do_not_depend_on_the_batch_size(batch_size: int) -> None:
    with sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE) as rounds:
        expected = run(rounds)
    with sampling_rounds(smoothed(batch_size=batch_size), QUOTA, procedure=PROCEDURE) as rounds:
        assert run(rounds) == expected


def test_a_finished_journal_is_replayed_without_sampling(journal: Path) -> None:
    before = contents(journal)
    with sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE) as rounds:
        expected, samples = run(rounds), rounds.timing.samples
    with sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=journal) as rounds:
        assert run(rounds) == expected
        assert rounds.timing.samples == 0
    assert contents(journal) == before
    assert samples == sum(p["votes"] for p in _index(journal))


def _index(journal: Path) -> list[dict[str, int]]:
    index = journal / "rounds.jsonl"
    lines = index.read_text().splitlines() if index.exists() else []
    return [json.loads(line.partition(" ")[2]) for line in lines]


@pytest.mark.parametrize("pieces", [0, 1, 4, 9])
def test_an_interrupted_run_continues_to_the_same_bytes(journal: Path, tmp_path: Path, pieces: int) -> None:
    classifier = interrupted(sc.FunctionClassifier(logits, 3, "W"), pieces + 2)  # the first 2 identify it
    broken = replace(smoothed(batch_size=1024), classifier=classifier)
    folder = tmp_path / "again"
    with (
        pytest.raises(KeyboardInterrupt),
        sampling_rounds(broken, QUOTA, procedure=PROCEDURE, folder=folder) as rounds,
    ):
        run(rounds)
    assert len(_index(folder)) == pieces
    with sampling_rounds(smoothed(batch_size=1024), QUOTA, procedure=PROCEDURE, folder=folder) as rounds:
        run(rounds)
    different = {"rounds.json"}  # the batch size is written down
    assert {k: v for k, v in contents(folder).items() if k not in different} == {
        k: v for k, v in contents(journal).items() if k not in different
    }


def test_a_torn_line_and_a_torn_file_do_not_count(journal: Path) -> None:
    expected = contents(journal)
    index = journal / "rounds.jsonl"
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(lines[:-1]) + lines[-1][:30])
    (journal / "rounds" / f".{len(lines) - 1:06d}.votes.{'0' * 32}.tmp").write_bytes(b"half")
    with sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=journal) as rounds:
        run(rounds)
        assert 0 < rounds.timing.samples <= 64
    assert contents(journal) == expected


def run_slowly(folder: Path) -> None:
    """Do the run in more than a second."""

    def slow(batch: NDArray[np.float32]) -> NDArray[np.float64]:
        time.sleep(0.01)
        return logits(batch)

    rounds.PART_VOTES = 64  # type: ignore[attr-defined]
    slowed = replace(smoothed(batch_size=16), classifier=sc.FunctionClassifier(slow, 3, "W"))
    with sampling_rounds(slowed, QUOTA, procedure=PROCEDURE, folder=folder) as sampler:
        run(sampler)


def test_kill_9_costs_a_piece_and_changes_nothing(journal: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    for wait in (0.05, 0.15):
        known = len(_index(folder))
        child = start(__file__, "run_slowly", folder)
        while child.is_alive() and len(_index(folder)) == known:
            time.sleep(0.002)
        time.sleep(wait)
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    assert len(_index(folder)) < len(_index(journal))
    with sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=folder) as rounds:
        run(rounds)
    same = [name for name in contents(journal) if name != "rounds.json"]
    assert {n: contents(folder)[n] for n in same} == {n: contents(journal)[n] for n in same}


def test_the_lock_is_held(journal: Path) -> None:
    with (
        sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=journal),
        pytest.raises(CacheLockedError),
        sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=journal),
    ):
        pass


@pytest.mark.parametrize(
    ("call", "settings", "message"),
    [
        (smoothed(), {"name": "test", "radius": 0.25}, r"radius = 0.5, but the call has 0.25"),
        (smoothed(), {"name": "other", "radius": 0.5}, "name = 'test'"),
        (smoothed(fingerprint="V"), PROCEDURE, "fingerprint"),
        (smoothed(seed=1), PROCEDURE, "seed"),
        (smoothed(rows=slice(None, None, -1)), PROCEDURE, "other inputs, or in another order"),
        (smoothed(rows=slice(5)), PROCEDURE, "other inputs"),
    ],
)
def test_another_call_is_refused(
    journal: Path, call: Smoothed, settings: dict[str, Setting], message: str
) -> None:
    before = contents(journal)
    with (
        pytest.raises(CacheMismatchError, match=message),
        sampling_rounds(call, QUOTA, procedure=settings, folder=journal),
    ):
        pass
    assert contents(journal) == before


def test_other_requests_and_another_model_are_refused(journal: Path) -> None:
    other = [SampleRange(0, KEYS[0], Purpose.ESTIMATION, 0, 64)]
    with (
        sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=journal) as rounds,
        pytest.raises(CacheMismatchError, match="other samples than this call asks for, from piece 0 on"),
    ):
        rounds(other)
    liar = replace(smoothed(), classifier=sc.FunctionClassifier(lambda b: -logits(b), 3, "W"))
    with (
        pytest.raises(CacheMismatchError, match="votes of another classifier under the fingerprint"),
        sampling_rounds(liar, QUOTA, procedure=PROCEDURE, folder=journal) as rounds,
    ):
        run(rounds)


@pytest.mark.parametrize("name", ["rounds.json", "rounds.jsonl", "rounds/000003.votes"])
@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_a_flipped_bit_is_found(journal: Path, name: str, where: float) -> None:
    data = bytearray((journal / name).read_bytes())
    data[int(where * len(data))] ^= 4
    (journal / name).write_bytes(data)
    with (
        pytest.raises((CacheCorruptError, CacheMismatchError)),
        sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=journal) as rounds,
    ):
        run(rounds)


@pytest.mark.parametrize("name", ["rounds.json", "rounds/000003.votes"])
def test_a_missing_or_linked_file_is_refused(journal: Path, name: str, tmp_path: Path) -> None:
    def refused() -> None:
        with (
            pytest.raises(CacheCorruptError),
            sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=journal) as rounds,
        ):
            run(rounds)

    (journal / name).rename(tmp_path / "elsewhere")
    refused()
    (journal / name).symlink_to(tmp_path / "elsewhere")
    refused()


def test_the_two_kinds_of_folder_do_not_mix(journal: Path, tmp_path: Path) -> None:
    classifier = smoothed().classifier
    with pytest.raises(CacheMismatchError, match="samples in rounds"):
        sc.certify(classifier, X, sigma=0.5, n=100, cache=journal)
    with pytest.raises(CacheMismatchError, match="samples in rounds"):
        sc.recertify(classifier, X, cache=journal, n_p=100)
    sc.certify(classifier, X, sigma=0.5, n=100, cache=tmp_path / "cache")
    with (
        pytest.raises(CacheMismatchError, match="is a certification cache"),
        sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=tmp_path / "cache"),
    ):
        pass


@pytest.mark.parametrize("kept", [False, True])
def test_progress_says_what_is_done_and_expected(kept: bool, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with sampling_rounds(
        smoothed(batch_size=50),
        QUOTA,
        procedure=PROCEDURE,
        folder=tmp_path / "j" if kept else None,
        progress=lambda done, total: seen.append((done, total)),
    ) as rounds:
        rounds([SampleRange(0, KEYS[0], Purpose.ESTIMATION, 0, 120)], to_come=80)
        rounds([SampleRange(0, KEYS[0], Purpose.ESTIMATION, 120, 170)])
    assert seen == [(50, 200), (100, 200), (120, 200), (170, 170), (170, 170)]

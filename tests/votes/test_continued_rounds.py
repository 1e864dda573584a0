"""A call that continues a journal samples as it was begun, and counts the same in whatever parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import smoothcert as sc
from closed_form import half_space, invalid_beyond, recording
from smoothcert.errors import CacheMismatchError
from smoothcert.noise import GaussianNoise, Purpose, input_keys
from smoothcert.sampling import SampleIndices, SampleRange, SampleRequest, sample_votes
from smoothcert.sampling.identity import probe_batch
from smoothcert.votes import Quota, Smoothed, sampling_rounds
from smoothcert.votes.store import Setting

X = np.random.default_rng(0).random((4, 3), dtype=np.float32)
KEYS = list(input_keys(X))
NOISE, QUOTA = GaussianNoise(0.5, 0), Quota(n0=10, n=1000, alpha=0.001)
PROCEDURE: dict[str, Setting] = {"name": "test"}
F = invalid_beyond(half_space(num_classes=3), 1, 1.0)


def smoothed(classifier: sc.FunctionClassifier = F, batch_size: int | None = None) -> Smoothed:
    return Smoothed(classifier=classifier, inputs=X, keys=KEYS, noise=NOISE, batch_size=batch_size)


def test_a_continued_run_keeps_its_batch_size(tmp_path: Path) -> None:
    """Kernels may round by batch size, so the rest of a run has to come in the batches that it was begun with."""
    requests = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 0, 300) for i in range(2)]
    sizes: list[int] = []
    for batch_size in (96, None):
        g = smoothed(recording(F, sizes), batch_size)
        with sampling_rounds(g, QUOTA, procedure=PROCEDURE, folder=tmp_path / "j") as rounds:
            rounds(requests[:1])
            sizes.clear()
            if batch_size is None:
                rounds(requests[1:])
    assert sizes == [96, 96, 96, 12]


def test_votes_that_do_not_repeat_are_refused(tmp_path: Path) -> None:
    """Where logits for fixed inputs do not tell another model behind the same name, the votes do."""
    request = SampleRange(0, KEYS[0], Purpose.ESTIMATION, 0, 300)
    with sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, folder=tmp_path / "j") as rounds:
        rounds([request])
    probe = probe_batch((3,), NOISE)

    def unlike_elsewhere(batch: NDArray[np.float32]) -> NDArray[np.floating]:
        return F.function(batch) if np.isin(batch, probe).all() else -F.function(batch)

    liar = smoothed(sc.FunctionClassifier(unlike_elsewhere, 3, F.fingerprint))
    with (
        pytest.raises(CacheMismatchError, match="does not repeat"),
        sampling_rounds(liar, QUOTA, procedure=PROCEDURE, folder=tmp_path / "j") as rounds,
    ):
        rounds([request])


@pytest.mark.parametrize("at_once", [1, 50, 120, 1 << 20])
def test_counts_are_those_of_the_votes_in_whatever_parts(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smoothcert.votes.rounds._COUNTED_AT_ONCE", at_once)
    requests: list[SampleRequest] = []
    for i, key in enumerate(KEYS):
        requests.append(SampleRange(i, key, Purpose.SELECTION, 0, 7 * i))  # none of the first
        requests.append(SampleIndices(i, key, Purpose.ESTIMATION, np.arange(3, 100 + 30 * i, 3)))
    seen: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        seen.append((done, total))

    with sampling_rounds(smoothed(), QUOTA, procedure=PROCEDURE, progress=note) as rounds:
        counts = rounds.count(requests, to_come=5)
        assert rounds.count([]).shape == (0, 3)
    total = sum(map(len, requests))
    assert {expected for _, expected in seen[:-1]} == {total + 5}, "what is left of the round is to come"
    assert seen[-1] == (total, total)
    for request, found in zip(requests, counts, strict=True):
        if len(request):
            (votes,) = sample_votes(F, X, NOISE, [request])
            assert found.tolist() == [int((votes == c).sum()) for c in range(3)]
        else:
            assert found.tolist() == [0, 0, 0]

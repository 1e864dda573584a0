from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smoothcert.classifiers import ExportedClassifier, FunctionClassifier, TorchClassifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import GaussianNoise, GridNoise, NoiseStream, Purpose, input_keys
from smoothcert.sampling import (
    SampleIndices,
    SampleRange,
    SampleRequest,
    check_classifier,
    check_classifier_once,
    count_votes,
    sample_votes,
)

RNG = np.random.default_rng(0)
X = RNG.random((5, 2, 3), dtype=np.float32)
KEYS = list(input_keys(X))
NOISE = GaussianNoise(0.5, 3)
W = RNG.standard_normal((6, 4)).astype(np.float32)


def logits(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    return batch.reshape(len(batch), -1).astype(np.float64) @ W.astype(np.float64)  # type: ignore[return-value]


CLASSIFIER = FunctionClassifier(logits, 4, "linear")


def votes_one_by_one(row: int, purpose: Purpose, start: int, stop: int) -> NDArray[np.int64]:
    """The definition: each sample by itself."""
    labels = []
    for i in range(start, stop):
        out = np.empty((1, 2, 3), np.float32)
        NOISE.perturb(X[row], KEYS[row], purpose, i, out)
        labels.append(int(logits(out).argmax()))
    return np.array(labels)


range_strategy = st.builds(
    lambda row, purpose, start, length: SampleRange(row, KEYS[row], purpose, start, start + length),
    st.integers(0, 4),
    st.sampled_from([Purpose.SELECTION, Purpose.ESTIMATION]),
    st.sampled_from([0, 1, 16_380, 16_384, 30_000]),
    st.integers(1, 20),
)


@given(st.lists(range_strategy, min_size=1, max_size=6), st.integers(1, 70))
@settings(max_examples=40, deadline=None)
def test_votes_do_not_depend_on_batches_or_company(ranges: list[SampleRange], batch_size: int) -> None:
    found = sample_votes(CLASSIFIER, X, NOISE, ranges, batch_size=batch_size)
    for r, votes in zip(ranges, found, strict=True):
        np.testing.assert_array_equal(votes, votes_one_by_one(r.row, r.purpose, r.start, r.stop))


@given(
    picked=st.lists(st.sets(st.integers(0, 99), max_size=30), min_size=1, max_size=4),
    batch_size=st.integers(1, 70),
    grid=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_votes_by_index_are_those_of_the_range(picked: list[set[int]], batch_size: int, grid: bool) -> None:
    x = (np.rint(X * 255) / np.float32(255)).astype(np.float32)
    noise: NoiseStream = GridNoise(0.5, 3) if grid else NOISE
    whole = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 0, 100) for i in range(len(picked))]
    some: list[SampleRequest] = [
        SampleIndices(i, KEYS[i], Purpose.ESTIMATION, np.array(sorted(p), np.int64)) for i, p in enumerate(picked)
    ]
    expected = sample_votes(CLASSIFIER, x, noise, whole)
    found = sample_votes(CLASSIFIER, x, noise, [*some, whole[0]], batch_size=batch_size)
    np.testing.assert_array_equal(found[-1], expected[0], "ranges and indices may be mixed")
    for votes, p, all_votes in zip(found[:-1], picked, expected, strict=True):
        np.testing.assert_array_equal(votes, all_votes[sorted(p)])


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        (np.array([0.0, 1.0]), "float64"),
        ([0, 1], "list"),
        (np.array([[0, 1]]), r"\(1, 2\)"),
        (np.array([-1, 1]), "begin at 0"),
        (np.array([1, 5, 4]), "4 after 5"),
    ],
)
def test_bad_indices_are_refused(indices: object, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^indices .*{message}"):
        SampleIndices(0, KEYS[0], Purpose.ESTIMATION, indices)  # type: ignore[arg-type]


def test_batches_are_filled_across_inputs() -> None:
    sizes: list[int] = []
    ranges = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 0, 30) for i in range(5)]
    sample_votes(CLASSIFIER, X, NOISE, ranges, batch_size=64, on_batch=sizes.append)
    assert sizes == [64, 64, 22]


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_out_of_memory_halves_the_batch_and_goes_on(error: Exception) -> None:
    sizes: list[int] = []

    def small(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(len(batch))
        if len(batch) > 20:
            raise error
        return logits(batch)

    ranges = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 0, 30) for i in range(5)]
    found = sample_votes(FunctionClassifier(small, 4, "small"), X, NOISE, ranges, batch_size=64)
    expected = sample_votes(CLASSIFIER, X, NOISE, ranges)
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
    assert sizes[:3] == [64, 32, 16], "what fits is tried once"
    assert max(sizes[3:]) == 16


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        raise RuntimeError("shapes cannot be multiplied")

    ranges = [SampleRange(0, KEYS[0], Purpose.ESTIMATION, 0, 30)]
    with pytest.raises(RuntimeError, match="shapes"):
        sample_votes(FunctionClassifier(broken, 4, "broken"), X, NOISE, ranges)


def test_votes_are_compact_and_invalid_ones_are_marked() -> None:
    def broken(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = np.zeros((len(batch), 300), np.float32)
        scores[::2, 7] = np.nan
        scores[1::2, 299] = 1
        return scores

    ranges = [SampleRange(0, KEYS[0], Purpose.ESTIMATION, 0, 10)]
    (votes,) = sample_votes(FunctionClassifier(broken, 300, "broken"), X, NOISE, ranges, batch_size=10)
    assert votes.dtype == np.uint16
    assert votes.tolist() == [65535, 299] * 5
    assert count_votes(votes, 300).sum() == 5


def test_torch_and_function_agree() -> None:
    linear = torch.nn.Linear(6, 4, bias=False)
    linear.weight.data = torch.from_numpy(W.T.copy())
    module = torch.nn.Sequential(torch.nn.Flatten(), linear)
    ranges = [SampleRange(i, KEYS[i], Purpose.ESTIMATION, 0, 500) for i in range(5)]
    ours = sample_votes(TorchClassifier(module, 4), X, NOISE, ranges)
    theirs = sample_votes(CLASSIFIER, X, NOISE, ranges)
    assert (np.concatenate(ours) != np.concatenate(theirs)).mean() < 0.002  # float32 against float64 at near ties


def test_nan_and_infinite_logits_are_invalid_votes() -> None:
    linear = torch.nn.Linear(6, 4)
    linear.bias.data[2] = torch.inf
    module = torch.nn.Sequential(torch.nn.Flatten(), linear)
    assert (TorchClassifier(module, 4).classify(X) == -1).all()


def test_a_classifier_that_uses_its_batch_mates_is_refused() -> None:
    def centred(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = logits(batch)
        centre: NDArray[np.float32] = scores[: len(batch) // 2].mean(axis=0)
        return scores - centre

    with pytest.raises(InvalidArgumentError, match="batch mates"):
        check_classifier(FunctionClassifier(centred, 4, "centred"), X, KEYS[0], NOISE)
    check_classifier(CLASSIFIER, X, KEYS[0], NOISE)


def test_only_what_cannot_change_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 4))
    eager = TorchClassifier(module, 4)
    exported = ExportedClassifier(eager, (2, 3))
    calls: list[int] = []
    score = ExportedClassifier.logits

    def counted(self: ExportedClassifier, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        calls.append(len(batch))
        return score(self, batch)

    monkeypatch.setattr(ExportedClassifier, "logits", counted)
    for _ in range(3):
        check_classifier_once(exported, X, KEYS[0], NOISE)
    assert len(calls) == 4
    check_classifier_once(ExportedClassifier(eager, (2, 3)), X, KEYS[0], NOISE)  # another one
    assert len(calls) == 8
    check_classifier_once(eager, X, KEYS[0], NOISE)
    eager.module.train()
    with pytest.raises(InvalidArgumentError, match="batch mates"):
        check_classifier_once(eager, X, KEYS[0], NOISE)


def test_scales_that_are_taken_from_the_batch_are_refused() -> None:
    """Noisy copies of one input have nearly the same range: batches of them show nothing."""

    def quantized(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        scale = np.abs(batch).max() / 127
        return np.asarray(np.rint(batch / scale) * scale, np.float32)

    dynamic = FunctionClassifier(quantized, num_classes=4, fingerprint="dynamic int8")
    x, noise = np.full((1, 4), 0.5, np.float32), GaussianNoise(0.25, 0)
    with pytest.raises(InvalidArgumentError, match=r"batch mates.*quantize statically"):
        check_classifier(dynamic, x, b"key", noise)

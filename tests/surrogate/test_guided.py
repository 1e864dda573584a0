"""Guided certificates fail no more often than they say, whatever the surrogate predicts, and continue."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from closed_form_surrogate import FINGERPRINT, SIGMA, Wrong, certify_guided, classifier, inputs, surrogate
from guided_failures import are_false, points, remembered
from scipy.stats import binomtest

import smoothcert as sc
from interruptions import halfway
from smoothcert.errors import CacheCorruptError, CacheMismatchError, InvalidArgumentError
from smoothcert.surrogate import plan_samples
from smoothcert.votes.store import kept_sizes
from smoothcert.votes.store.sizes import SIZES_FILE

ALPHA = 0.05


class Opposite(Wrong):
    """Is sure where it is lost and lost where it is sure, but names the right class."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = (x[:, 0].double() - 0.5) / SIGMA
        z = torch.sign(z) * (2.0 - torch.abs(z))
        return torch.stack([torch.special.log_ndtr(-z), torch.special.log_ndtr(z)], dim=1)


@pytest.mark.parametrize("n0", [0, 20])
@pytest.mark.parametrize("module", [Wrong(0.0), Wrong(1.0), Opposite(0.0)], ids=["right", "noisy", "opposite"])
def test_no_more_false_certificates_than_alpha(module: torch.nn.Module, n0: int) -> None:
    m = 3000
    x = inputs(m, 11)
    x[: m // 2, 0] = 0.5 + 0.1 * np.sign(x[: m // 2, 0] - 0.5)  # many where the bound is close
    run = certify_guided(
        classifier(), x, surrogate=surrogate(module), sigma=SIGMA, n0=n0, n=300, alpha=ALPHA, seed=3
    )
    c = run.certificates
    truth = np.abs(x[:, 0].astype(np.float64) - 0.5)
    false = c.certified & ((c.prediction != (x[:, 0] > 0.5)) | (c.radius > truth))
    assert binomtest(int(false.sum()), m, ALPHA, alternative="greater").pvalue > 1e-4
    # The count can fail: an exact bound is above the truth for a share alpha of the inputs.
    assert false.sum() > 0.4 * ALPHA * m
    assert (c.method, c.guarantee, c.alpha) == ("guided", "certified", ALPHA)
    assert c.n.sum() <= 300 * m
    assert len(np.unique(c.n)) > 3
    assert run.timing.samples == c.n.sum() + n0 * m


def test_votes_are_the_first_ones_of_certify() -> None:
    x = inputs(30, 12)
    guided = certify_guided(classifier(), x, surrogate=surrogate(Wrong(0.0)), sigma=SIGMA, n0=20, n=500)
    for i in range(30):
        n = int(guided.certificates.n[i])
        alone = sc.certify(classifier(), x[i : i + 1], sigma=SIGMA, n0=20, n=n)
        np.testing.assert_array_equal(guided.tally.counts[i], alone.tally.counts[0])
        assert guided.certificates.radius[i] == alone.certificates.radius[0]


def test_the_plan_depends_on_nothing_but_the_predictions() -> None:
    h, x = surrogate(Wrong(0.3)), inputs(50, 13)
    sizes = plan_samples(h.predict(x), 400, 0.001)
    for seed in (0, 1):
        run = certify_guided(classifier(), x, surrogate=h, sigma=SIGMA, n=400, seed=seed)
        np.testing.assert_array_equal(run.certificates.n, sizes)


def test_more_radius_than_with_one_n_for_all() -> None:
    h, x = surrogate(Wrong(0.1)), inputs(300, 14)
    guided = certify_guided(classifier(), x, surrogate=h, sigma=SIGMA, n=300)
    uniform = sc.certify(classifier(), x, sigma=SIGMA, n=300)
    assert guided.certificates.radius.mean() > uniform.certificates.radius.mean()


def test_an_interrupted_run_continues_with_its_plan(tmp_path: Path) -> None:
    h, x = surrogate(Wrong(0.1)), inputs(400, 15)
    arguments = {"surrogate": h, "sigma": SIGMA, "n": 1000, "n0": 50}
    whole = certify_guided(classifier(), x, **arguments)  # type: ignore[arg-type]

    def stop(done: int, total: int) -> None:
        assert total == 400 * 50 + whole.certificates.n.sum()
        halfway(done, total)

    with pytest.raises(KeyboardInterrupt):
        certify_guided(classifier(), x, cache=tmp_path, progress=stop, **arguments)  # type: ignore[arg-type]
    # Another machine may round the predictions otherwise: the plan that was begun with is kept.
    rounded = {**arguments, "surrogate": surrogate(Wrong(0.1 + 1e-12))}
    again = certify_guided(classifier(), x, cache=tmp_path, **rounded)  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.tally.counts, whole.tally.counts)
    assert 0 < again.timing.samples < whole.timing.samples
    for change, words in (({"n": 900}, "n = 1000"), ({"radius": 0.1}, "radius = 'none'")):
        with pytest.raises(CacheMismatchError, match=words):
            certify_guided(classifier(), x, cache=tmp_path, **{**arguments, **change})  # type: ignore[arg-type]
    with pytest.raises(CacheMismatchError, match="made with other inputs"):
        certify_guided(classifier(), x[:9], cache=tmp_path, **arguments)  # type: ignore[arg-type]
    (tmp_path / SIZES_FILE).write_text("{}")
    with pytest.raises(CacheCorruptError, match="was changed"):
        certify_guided(classifier(), x, cache=tmp_path, **arguments)  # type: ignore[arg-type]


def test_misuse_is_refused_before_any_sampling() -> None:
    h, x = surrogate(Wrong(0.0)), inputs(5, 0)

    def untouched(*_: int) -> None:
        raise AssertionError

    for words, arguments in (
        ("sigma = 0.25, not for the 0.5 of the call", {"sigma": 0.5}),
        ("fingerprint = 'x0 > 1/2', not for the 'another'", {"classifier": classifier("another")}),
        ("num_classes = 2, not for the 3", {"classifier": classifier(num_classes=3)}),
        ("budget is 525", {"n": 5}),
        ("radius is -1", {"radius": -1.0}),
        ("least is 9999", {"least": 9999}),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            certify_guided(
                **{  # type: ignore[arg-type]
                    "classifier": classifier(),
                    "x": x,
                    "surrogate": h,
                    "sigma": SIGMA,
                    "n": 100,
                    "progress": untouched,
                    **arguments,
                }
            )


def test_a_surrogate_that_remembers_votes_does_not_see_those_that_count(tmp_path: Path) -> None:
    """On the noise it was fitted to, n is chosen after looking: 15 % of the certificates were false at 5 %."""
    x, n = points(1500, 0.05), 60
    h, sizes = remembered(x, n, str(tmp_path))
    c = certify_guided(classifier(), x, surrogate=h, sigma=SIGMA, n0=0, n=n, alpha=ALPHA).certificates
    assert len(np.unique(sizes)) > 5
    np.testing.assert_array_equal(c.n, sizes)
    false = int(are_false(c, x).sum())
    assert binomtest(false, len(x), ALPHA, alternative="greater").pvalue > 1e-3
    assert false > 0.4 * ALPHA * len(x)


def test_noise_that_a_surrogate_was_fitted_to_is_refused(tmp_path: Path) -> None:
    """Votes of a certification may fit a surrogate, and are then spent for guiding one around these inputs."""
    x = inputs(5, 21)
    run = sc.certify(classifier(), x, sigma=SIGMA, n=100, seed=4, cache=tmp_path / "c")
    keys = np.frombuffer(b"".join(run.keys), np.uint8).reshape(5, 32)
    known = replace(surrogate(Wrong(0.0), purpose="estimation", seed=4), keys=keys)
    call = {"sigma": SIGMA, "n": 100, "seed": 4}
    with pytest.raises(InvalidArgumentError, match=r"noise of seed 4 around 5 of these inputs.*another seed"):
        certify_guided(classifier(), x, surrogate=known, **call)  # type: ignore[arg-type]
    certify_guided(classifier(), inputs(5, 22), surrogate=known, **call)  # type: ignore[arg-type]
    certify_guided(classifier(), x, surrogate=known, **{**call, "seed": 5})  # type: ignore[arg-type]
    old = replace(known, record=replace(known.record, seed=None))
    with pytest.raises(InvalidArgumentError, match="its record does not name"):
        certify_guided(classifier(), x, surrogate=old, **{**call, "seed": 5})  # type: ignore[arg-type]


def test_a_surrogate_of_another_classifier_under_the_same_name_is_refused(tmp_path: Path) -> None:
    data = sc.collect_votes(classifier(), inputs(5, 23), sigma=SIGMA, n=50, cache=tmp_path / "votes")
    h = surrogate(Wrong(0.0), identity=data.manifest.identity)
    certify_guided(classifier(), inputs(2, 24), surrogate=h, sigma=SIGMA, n=100)
    namesake = sc.FunctionClassifier(lambda batch: batch[:, :2] - 0.5, num_classes=2, fingerprint=FINGERPRINT)
    with pytest.raises(InvalidArgumentError, match="another classifier than the classifier under the same"):
        certify_guided(namesake, inputs(2, 24), surrogate=h, sigma=SIGMA, n=100)


def test_a_flipped_bit_in_the_plan_changes_nothing_silently(tmp_path: Path) -> None:
    keys, sizes = [bytes([i]) * 32 for i in range(9)], np.arange(100, 109)
    assert kept_sizes(tmp_path, keys, sizes).tolist() == sizes.tolist()
    path = tmp_path / SIZES_FILE
    data = path.read_bytes()
    for bit in np.random.default_rng(0).choice(8 * len(data), 300, replace=False).tolist():
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            kept = kept_sizes(tmp_path, keys, sizes + 1).tolist()
        except (CacheCorruptError, CacheMismatchError) as error:
            assert SIZES_FILE in str(error)
        else:
            assert kept == sizes.tolist()
    # Older plans have no digest.
    fields = json.loads(data)
    path.write_text(json.dumps({"inputs": fields["inputs"], "n": fields["n"]}))
    assert kept_sizes(tmp_path, keys, sizes + 1).tolist() == sizes.tolist()
    illegal: list[object] = [[-1] * 9, [1.5] * 9, [True] * 9, "9", [[[]]]]
    for n in illegal:
        path.write_text(json.dumps({"inputs": fields["inputs"], "n": n}))
        with pytest.raises(CacheCorruptError, match="not legal"):
            kept_sizes(tmp_path, keys, sizes)
    path.write_text("[" * 100_000)
    with pytest.raises(CacheCorruptError, match="is damaged"):
        kept_sizes(tmp_path, keys, sizes)

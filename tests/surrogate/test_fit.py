"""Fitting: it learns the truth, continues where it was killed, and its files say what it is for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from closed_form_surrogate import SIGMA, inputs, votes
from scipy.special import ndtr
from torch import nn

import smoothcert as sc
from smoothcert.data import UInt8Images
from smoothcert.errors import CheckpointError, InvalidArgumentError, SmoothcertError
from smoothcert.fitting import EpochProgress
from smoothcert.models import build_model
from smoothcert.noise import input_keys
from smoothcert.surrogate import SurrogateRecipe, VoteData, save_surrogate, surrogate_recipe
from smoothcert.surrogate.fit import STATE_FILE
from smoothcert.surrogate.inputs import take_rows
from smoothcert.surrogate.model import RECORD_FILE, WEIGHTS_FILE

FAST = replace(surrogate_recipe("fast"), epochs=4, batch_size=16, learning_rate=0.1)


class _KilledError(Exception):
    pass


def _kill_at(epoch: int, step: int) -> object:
    def progress(where: EpochProgress) -> None:
        if (where.epoch, where.step) >= (epoch, step):
            raise _KilledError

    return progress


def _net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(2, 2)


@pytest.fixture(scope="module")
def data() -> VoteData:
    return votes(inputs(200, 0), 500, 1)


@pytest.fixture(scope="module")
def images() -> VoteData:
    """Random images and random votes of three classes: enough to run a ResNet."""
    rng = np.random.default_rng(0)
    pixels = UInt8Images(rng.integers(0, 256, (48, 3, 16, 16), np.uint8))
    few = votes(inputs(48, 0), 100, 1)
    counts = rng.multinomial(100, [0.5, 0.3, 0.2], 48)
    manifest = replace(few.manifest, input_shape=(3, 16, 16), num_classes=3)
    return VoteData(manifest=manifest, inputs=pixels, keys=list(input_keys(pixels)), counts=counts)


def _same(a: sc.Surrogate, b: sc.Surrogate) -> bool:
    one, other = a.module.state_dict(), b.module.state_dict()
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("loss", ["jensen-shannon", "cross-entropy"])
def test_the_shares_of_a_closed_form_classifier_are_learned(loss: str) -> None:
    recipe = replace(FAST, epochs=60, loss=loss)  # type: ignore[arg-type]
    result = sc.fit_surrogate(votes(inputs(600, 2), 1000, 3), module=_net(), recipe=recipe)
    x = inputs(300, 4)
    predicted = result.surrogate.predict(x)
    truth = ndtr((x[:, 0].astype(np.float64) - 0.5) / SIGMA)
    # A logistic function stands in for Phi: at best within 0.02.
    assert np.abs(predicted.shares[:, 1] - truth).max() < 0.03
    np.testing.assert_allclose(predicted.shares.sum(axis=1), 1)
    assert result.history[-1].held_out_loss < result.history[0].held_out_loss


def test_the_papers_recipe_learns_a_step_of_it_too(data: VoteData) -> None:
    recipe = replace(surrogate_recipe("paper"), epochs=20, batch_size=16)
    result = sc.fit_surrogate(data, module=_net(), recipe=recipe)
    assert result.history[-1].loss < result.history[0].loss


@pytest.mark.parametrize("killed_at", [(1, 10), (3, 10), (4, 10)])
def test_a_killed_fit_ends_like_one_that_was_not(
    tmp_path: Path, data: VoteData, killed_at: tuple[int, int]
) -> None:
    whole = sc.fit_surrogate(data, module=_net(), recipe=FAST, seed=3)
    with pytest.raises(_KilledError):
        sc.fit_surrogate(
            data,
            module=_net(),
            recipe=FAST,
            seed=3,
            out=tmp_path,
            progress=_kill_at(*killed_at),  # type: ignore[arg-type]
        )
    torch.rand(17)
    again = sc.fit_surrogate(data, module=_net(), recipe=FAST, seed=3, out=tmp_path)
    assert _same(whole.surrogate, again.surrogate)
    assert [(r.loss, r.held_out_loss) for r in whole.history] == [(r.loss, r.held_out_loss) for r in again.history]
    assert whole.surrogate.record.scale == again.surrogate.record.scale


@pytest.mark.parametrize("flip", [False, True])
def test_batch_norm_and_flips_continue_as_well(tmp_path: Path, images: VoteData, flip: bool) -> None:
    recipe = replace(FAST, epochs=2, learning_rate=0.01, batch_size=4, flip=flip)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
        net(torch.zeros(2, 3, 16, 16))
    whole = sc.fit_surrogate(images, module=net, recipe=recipe)
    with pytest.raises(_KilledError):
        sc.fit_surrogate(images, module=net, recipe=recipe, out=tmp_path, progress=_kill_at(2, 1))  # type: ignore[arg-type]
    assert _same(whole.surrogate, sc.fit_surrogate(images, module=net, recipe=recipe, out=tmp_path).surrogate)
    loaded = sc.load_surrogate(tmp_path, module=net)
    few = take_rows(images.inputs, np.arange(3))
    np.testing.assert_allclose(loaded.predict(few).shares, whole.surrogate.predict(few).shares, rtol=1e-5)


def test_a_finished_fit_is_not_repeated_and_loads_as_it_was(tmp_path: Path, data: VoteData) -> None:
    first = sc.fit_surrogate(data, module=_net(), recipe=FAST, out=tmp_path)
    (tmp_path / RECORD_FILE).unlink()  # as if killed between the last two files
    steps: list[EpochProgress] = []
    sc.fit_surrogate(data, module=_net(), recipe=FAST, out=tmp_path, progress=steps.append)
    assert not steps
    loaded = sc.load_surrogate(tmp_path, module=_net())
    assert loaded.record == first.surrogate.record
    x = inputs(10, 9)
    np.testing.assert_array_equal(loaded.predict(x).spread, first.surrogate.predict(x).spread)
    assert loaded.was_fitted_to(data.keys).all()
    assert not loaded.was_fitted_to(list(input_keys(x))).any()
    record = json.loads((tmp_path / RECORD_FILE).read_text())
    wanted = {"sigma": SIGMA, "noise_law": "gaussian/1", "num_classes": 2, "input_shape": [2], "n": 500}
    assert wanted.items() <= record.items()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([RECORD_FILE, WEIGHTS_FILE, STATE_FILE])


def test_a_fit_can_start_from_the_base_classifier(images: VoteData) -> None:
    base = build_model("cifar_resnet20", 3, (3, 16, 16))
    still = replace(FAST, epochs=1, learning_rate=1e-12)
    result = sc.fit_surrogate(images, arch="cifar_resnet20", module=base, recipe=still)
    torch.testing.assert_close(result.surrogate.module[1].fc.weight, base[1].fc.weight)  # type: ignore[index,union-attr]
    with pytest.raises(InvalidArgumentError, match="module is no cifar_resnet56"):
        sc.fit_surrogate(images, arch="cifar_resnet56", module=base, recipe=still)


def test_invalid_votes_are_predicted_by_an_output_of_their_own(data: VoteData) -> None:
    counts = data.counts.copy()
    counts[:, 0] //= 2
    some = VoteData(manifest=data.manifest, inputs=data.inputs, keys=data.keys, counts=counts)
    with pytest.raises(InvalidArgumentError, match=r"\(2, 3\), one for invalid votes included"):
        sc.fit_surrogate(some, module=_net(), recipe=FAST)
    result = sc.fit_surrogate(some, module=nn.Linear(2, 3), recipe=FAST)
    assert result.surrogate.record.outputs == 3
    assert result.surrogate.predict(inputs(5, 1)).shares.shape == (5, 2)


def test_bad_calls_are_named_before_any_work(tmp_path: Path, data: VoteData) -> None:
    def few(m: int) -> VoteData:
        return VoteData(
            manifest=data.manifest,
            inputs=take_rows(data.inputs, np.arange(m)),
            keys=data.keys[:m],
            counts=data.counts[:m],
        )

    for words, arguments in (
        ("needs at least 40 inputs", {"votes": few(39), "module": _net()}),
        ("x is needed with a folder", {"votes": data, "x": data.inputs, "module": _net()}),
        ("x is needed with a folder", {"votes": tmp_path, "module": _net()}),
        ("arch and module are both missing", {"votes": data}),
        ("digits_conv takes", {"votes": data, "arch": "digits_conv"}),
        ("arch is 'resnet7'", {"votes": data, "arch": "resnet7"}),
        ("seed is -1", {"votes": data, "module": _net(), "seed": -1}),
        ("recipe is 'slow'", {"votes": data, "module": _net(), "recipe": "slow"}),
        ("cannot be used here", {"votes": data, "module": _net(), "device": "cuda:99"}),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            sc.fit_surrogate(**{"recipe": FAST, **arguments})  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(InvalidArgumentError, match="cannot be written"):
        sc.fit_surrogate(data, module=_net(), recipe=FAST, out=tmp_path / "file")


def test_another_fit_in_the_folder_and_divergence_are_refused(tmp_path: Path, data: VoteData) -> None:
    once = replace(FAST, epochs=1)
    sc.fit_surrogate(data, module=_net(), recipe=once, out=tmp_path)
    for change, words in (
        ({"recipe": FAST}, "epochs 1 there, 4 now"),
        ({"recipe": once, "seed": 1}, "seed 0 there, 1 now"),
        ({"recipe": once, "votes": votes(inputs(200, 5), 500, 1)}, "inputs "),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            sc.fit_surrogate(**{"votes": data, "module": _net(), "out": tmp_path, **change})  # type: ignore[arg-type]
    with pytest.raises(SmoothcertError, match="learning_rate below"):
        sc.fit_surrogate(data, module=_net(), recipe=replace(FAST, learning_rate=1e38))


def test_damaged_and_foreign_files_are_refused(tmp_path: Path, data: VoteData) -> None:
    with pytest.raises(CheckpointError, match="holds no finished surrogate"):
        sc.load_surrogate(tmp_path)
    result = sc.fit_surrogate(data, module=_net(), recipe=replace(FAST, epochs=1), out=tmp_path)
    with pytest.raises(InvalidArgumentError, match="give module"):
        sc.load_surrogate(tmp_path)
    with pytest.raises(CheckpointError, match="does not hold the weights"):
        sc.load_surrogate(tmp_path, module=nn.Linear(3, 2))
    record = (tmp_path / RECORD_FILE).read_text()
    for old, new, words in (
        ('"sigma": 0.25', '"sigma": 0.5', "its digest does not match"),
        ('"sigma": 0.25', '"sigma": -1.0', "sigma is -1.0"),
        ('"sigma"', '"stigma"', "missing or unknown fields"),
        ('"format_version": 2', '"format_version": 3', "this version reads"),
        ("{", "[", "is damaged"),
    ):
        assert old in record
        (tmp_path / RECORD_FILE).write_text(record.replace(old, new, 1))
        with pytest.raises(CheckpointError, match=words):
            sc.load_surrogate(tmp_path, module=_net())
    (tmp_path / RECORD_FILE).write_text(record)
    path = tmp_path / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointError, match=r"is not the file that surrogate\.json names"):
        sc.load_surrogate(tmp_path, module=_net())
    save_surrogate(tmp_path, result.surrogate)
    assert sc.load_surrogate(tmp_path, module=_net()).record.inputs == 180


@pytest.mark.parametrize("shape", [[1, 1 << 31, 1 << 31], [1, 50_000, 50_000], [8, 8]])
def test_a_record_of_a_network_that_is_not_there_allocates_nothing(
    tmp_path: Path, data: VoteData, shape: list[int]
) -> None:
    fitted = sc.fit_surrogate(data, module=_net(), recipe=replace(FAST, epochs=1)).surrogate
    record = replace(fitted.record, arch="digits_conv", input_shape=shape, mean=[0.5], std=[0.5])
    save_surrogate(tmp_path, replace(fitted, record=record))
    with pytest.raises(CheckpointError, match="does not hold the weights of digits_conv"):
        sc.load_surrogate(tmp_path)


def test_a_recipe_may_be_given_whole() -> None:
    recipe = SurrogateRecipe(epochs=1, learning_rate=0.1, schedule="step", held_out=0.5)
    result = sc.fit_surrogate(votes(inputs(60, 0), 100, 1), module=_net(), recipe=recipe)
    assert (result.surrogate.record.inputs, result.surrogate.record.held_out) == (30, 30)

"""Training: it learns, it is deterministic, and a killed one ends like one that was not killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from smoothcert.data import ArrayInputs, Dataset, UInt8Images, load_dataset
from smoothcert.errors import CheckpointError, InvalidArgumentError, SmoothcertError
from smoothcert.fitting import EpochProgress
from smoothcert.models import Normalization, load_checkpoint
from smoothcert.training import TrainingRecipe, TrainingResult, default_recipe, noisy_accuracy, train
from smoothcert.training.gaussian import CHECKPOINT_FILE, STATE_FILE
from smoothcert.training.objective import EpochRecord, Training

DIGITS = TrainingRecipe(arch="digits_conv", epochs=4, batch_size=32, learning_rate=0.05)
RESNET = TrainingRecipe(arch="cifar_resnet20", epochs=2, batch_size=4, learning_rate=0.05, augment=True)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two threads would wait for each other, 20 times as long where other tests use the cores as well."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", "train", limit=200)


@pytest.fixture(scope="module")
def colours() -> Dataset:
    levels = np.random.default_rng(0).integers(0, 256, (8, 3, 8, 8), np.uint8)
    return Dataset("colours", UInt8Images(levels), np.arange(8) % 2, ("a", "b"))


def _same(a: TrainingResult, b: TrainingResult) -> bool:
    one, other = a.model.module.state_dict(), b.model.module.state_dict()
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


class _KilledError(Exception):
    pass


def _kill_at(epoch: int, step: int) -> object:
    def progress(where: EpochProgress) -> None:
        if (where.epoch, where.step) >= (epoch, step):
            raise _KilledError

    return progress


def test_the_default_recipe_learns_digits_in_seconds(tmp_path: Path) -> None:
    half = load_dataset("digits", "train", limit=700)
    result = train(half, "digits_conv", sigma=0.25, out=tmp_path)
    test = load_dataset("digits", "test")
    assert noisy_accuracy(result.model.module, test, sigma=0.0) >= 0.9
    assert noisy_accuracy(result.model.module, test, sigma=0.25, samples=4) >= 0.9
    assert result.history[-1].loss < result.history[0].loss / 4
    assert [record.epoch for record in result.history] == list(range(1, 61))
    loaded = load_checkpoint(tmp_path / CHECKPOINT_FILE)
    assert (loaded.arch, loaded.sigma, loaded.epoch) == ("digits_conv", 0.25, 60)
    assert result.model.path == loaded.path
    x = torch.rand(5, 1, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(x), result.model.module(x))


def test_the_cifar_recipe_learns(shared: Path) -> None:
    """To tell aeroplanes from frogs, which takes few images."""
    data = load_dataset(shared / "data" / "cifar10", "train", limit=512)
    few = data.select(np.flatnonzero(np.isin(data.labels, (0, 6)))[:64])
    recipe = replace(default_recipe("cifar_resnet20"), epochs=5, batch_size=16, learning_rate=0.05)
    result = train(few, recipe, sigma=0.12, mixed_precision=True)
    # A guess costs log(10) = 2.30 before it is known that there are two classes, then log(2) = 0.69.
    assert result.history[-1].loss < min(result.history[0].loss, 0.6)
    assert result.history[-1].accuracy > 0.7


@pytest.mark.parametrize("killed_at", [(1, 6), (3, 6), (4, 6)])
def test_a_killed_training_ends_like_one_that_was_not(
    tmp_path: Path, digits: Dataset, killed_at: tuple[int, int]
) -> None:
    whole = train(digits, DIGITS, sigma=0.25, seed=3)
    with pytest.raises(_KilledError):
        train(digits, DIGITS, sigma=0.25, seed=3, out=tmp_path, progress=_kill_at(*killed_at))  # type: ignore[arg-type]
    torch.rand(17)
    again = train(digits, DIGITS, sigma=0.25, seed=3, out=tmp_path)
    assert _same(whole, again)
    assert [r.loss for r in again.history] == [r.loss for r in whole.history]
    assert torch.equal(
        load_checkpoint(tmp_path / CHECKPOINT_FILE).module.state_dict()["1.fc.weight"],
        whole.model.module.state_dict()["1.fc.weight"],
    )


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_running_statistics_and_augmentation_continue_as_well(
    tmp_path: Path, colours: Dataset, momentum: float
) -> None:
    recipe = replace(RESNET, momentum=momentum)
    whole = train(colours, recipe, sigma=0.1)
    with pytest.raises(_KilledError):
        train(colours, recipe, sigma=0.1, out=tmp_path, progress=_kill_at(2, 2))  # type: ignore[arg-type]
    assert load_checkpoint(tmp_path / CHECKPOINT_FILE).epoch == 1
    assert _same(whole, train(colours, recipe, sigma=0.1, out=tmp_path))


def test_a_finished_training_is_not_repeated(tmp_path: Path, digits: Dataset) -> None:
    first = train(digits, DIGITS, sigma=0.25, out=tmp_path)
    (tmp_path / CHECKPOINT_FILE).unlink()  # as if killed between the state and the checkpoint
    steps: list[EpochProgress] = []
    second = train(digits, DIGITS, sigma=0.25, out=tmp_path, progress=steps.append)
    assert not steps
    assert _same(first, second)
    assert second.history == first.history
    assert load_checkpoint(tmp_path / CHECKPOINT_FILE).epoch == 4


def test_another_training_in_the_folder_is_refused(tmp_path: Path, digits: Dataset) -> None:
    recipe = replace(DIGITS, epochs=1)
    train(digits, recipe, sigma=0.25, out=tmp_path)
    for change, words in (
        ({"sigma": 0.5}, r"sigma 0\.25 there, 0\.5 now"),
        ({"sigma": 0.25, "seed": 1}, "seed 0 there, 1 now"),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            train(digits, recipe, out=tmp_path, **change)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="epochs 1 there, 4 now"):
        train(digits, DIGITS, sigma=0.25, out=tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"data \w+ there"):
        train(digits.take(100), recipe, sigma=0.25, out=tmp_path)


def test_a_damaged_state_is_refused(tmp_path: Path, digits: Dataset) -> None:
    recipe = replace(DIGITS, epochs=1)
    train(digits, recipe, sigma=0.25, out=tmp_path)
    path = tmp_path / STATE_FILE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"training-state\.safetensors is damaged"):
        train(digits, recipe, sigma=0.25, out=tmp_path)
    path.write_bytes((tmp_path / CHECKPOINT_FILE).read_bytes())
    with pytest.raises(CheckpointError, match="delete it to start again"):
        train(digits, recipe, sigma=0.25, out=tmp_path)


def test_a_flipped_bit_in_the_state_is_found(tmp_path: Path, digits: Dataset) -> None:
    recipe = replace(DIGITS, epochs=1)
    train(digits, recipe, sigma=0.25, out=tmp_path)
    path, left = tmp_path / STATE_FILE, tmp_path / f".{STATE_FILE}.{'0' * 32}.tmp"
    left.write_bytes(b"half")
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1  # the last bit of a weight or a moment
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="its digest does not match"):
        train(digits, recipe, sigma=0.25, out=tmp_path)
    assert not left.exists()


def test_the_seed_decides_everything(digits: Dataset) -> None:
    before = torch.get_rng_state()
    recipe = replace(DIGITS, epochs=1)
    results: list[TrainingResult] = []
    for seed in (5, 5, 6):
        torch.manual_seed(len(results))
        results.append(train(digits, recipe, sigma=0.25, seed=seed))
    assert _same(results[0], results[1])
    assert not _same(results[0], results[2])
    torch.set_rng_state(before)
    train(digits, recipe, sigma=0.25)
    assert torch.equal(torch.get_rng_state(), before)


def test_each_epoch_sees_each_input_once_under_fresh_gaussian_noise() -> None:
    inputs = np.linspace(0, 1, 40, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 8, 8), np.float32)
    dataset = Dataset("ramp", ArrayInputs(inputs), np.arange(40), tuple(str(i) for i in range(40)))
    module = torch.nn.Linear(1, 1)
    training = Training(
        module=module,
        optimizer=torch.optim.SGD(module.parameters()),
        moments={},
        record=EpochRecord,
        setup={},
        epochs=2,
        size=40,
        batch_size=10,
        seed=0,
        device=torch.device("cpu"),
        recipe=DIGITS,
        dataset=dataset,
        sigma=0.5,
        mixed_precision=False,
    )
    noise = []
    for epoch in (0, 1):
        batches = list(training.batches(epoch))
        labels = torch.cat([y for _, y in batches]).numpy()
        assert sorted(labels.tolist()) == list(range(40))
        assert labels.tolist() != list(range(40))
        noise.append(torch.cat([x for x, _ in batches]).numpy() - inputs[labels])
    assert not np.allclose(noise[0], noise[1], atol=1e-3)
    assert kstest(np.concatenate(noise).ravel() / 0.5, "norm").pvalue > 0.01


def test_progress_and_history_agree(digits: Dataset) -> None:
    seen: list[EpochProgress] = []
    result = train(digits, replace(DIGITS, batch_size=8), sigma=0.25, progress=seen.append)
    ends = [where for where in seen if where.step == where.steps]
    assert [where.step for where in seen[:3]] == [10, 20, 25]
    assert [where.epoch for where in ends] == [1, 2, 3, 4]
    assert [where.loss for where in ends] == [record.loss for record in result.history]
    assert all(where.samples_per_second > 0 for where in seen)


def test_small_datasets_and_other_normalizations_work(digits: Dataset) -> None:
    own = Normalization((0.0,), (1.0,))
    result = train(digits.take(5), replace(DIGITS, epochs=1), sigma=0.0, normalization=own)
    assert result.model.normalization == own
    assert not result.model.module.training


def test_wrong_arguments_are_refused_before_any_work(tmp_path: Path, digits: Dataset) -> None:
    for sigma in (-0.1, float("nan"), float("inf")):
        with pytest.raises(InvalidArgumentError, match="sigma is"):
            train(digits, DIGITS, sigma=sigma, out=tmp_path / "never")
    with pytest.raises(InvalidArgumentError, match="seed is -1"):
        train(digits, DIGITS, sigma=0.1, seed=-1, out=tmp_path / "never")
    assert not (tmp_path / "never").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgumentError, match=r"out=.*file cannot be written"):
        train(digits, DIGITS, sigma=0.1, out=tmp_path / "file")
    with pytest.raises(InvalidArgumentError, match="device is 'abacus'"):
        train(digits, DIGITS, sigma=0.1, device="abacus")
    with pytest.raises(InvalidArgumentError, match="arch is 'vgg'"):
        train(digits, "vgg", sigma=0.1)
    with pytest.raises(InvalidArgumentError, match="normalization has 3 channels, but inputs have 1"):
        train(digits, RESNET, sigma=0.1)
    flat = Dataset("flat", ArrayInputs(np.zeros((2, 64))), np.array([0, 1]), ("a", "b"))
    with pytest.raises(InvalidArgumentError, match=r"flat has inputs of shape \(64,\)"):
        train(flat, DIGITS, sigma=0.1)


def test_small_networks_train_alike_on_any_number_of_threads(digits: Dataset) -> None:
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(train(digits, DIGITS, sigma=0.25))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert _same(*results)


def test_a_diverged_training_says_so_and_keeps_the_last_good_state(tmp_path: Path, digits: Dataset) -> None:
    with pytest.raises(SmoothcertError, match=r"it diverged, so give a learning_rate below 1e\+30"):
        train(digits, replace(DIGITS, learning_rate=1e30), sigma=0.1, out=tmp_path)
    assert not (tmp_path / STATE_FILE).exists()


def test_another_process_and_an_interruption_end_with_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from dataclasses import replace\n"
        "from smoothcert.data import load_dataset\n"
        "from smoothcert.training import default_recipe, train\n"
        "recipe = replace(default_recipe('digits_conv'), epochs=3)\n"
        "train(load_dataset('digits', 'train', limit=64), recipe, sigma=0.25, out=sys.argv[1])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "other")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "1"})

    def stop(progress: EpochProgress) -> None:
        if progress.epoch == 2:
            raise KeyboardInterrupt

    recipe, few = replace(default_recipe("digits_conv"), epochs=3), load_dataset("digits", "train", limit=64)
    with pytest.raises(KeyboardInterrupt):
        train(few, recipe, sigma=0.25, out=tmp_path / "here", progress=stop)
    train(few, recipe, sigma=0.25, out=tmp_path / "here")
    here, other = ((tmp_path / name / CHECKPOINT_FILE).read_bytes() for name in ("here", "other"))
    assert here == other

"""The loop: it continues where it was stopped, under an equal setup only, and says where it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from smoothcert.errors import CheckpointError, InvalidArgumentError, SmoothcertError
from smoothcert.fitting import EpochProgress, Optimization, optimize


@dataclass(frozen=True)
class _Entry:
    epoch: int
    loss: float
    threads: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Line(Optimization[_Entry]):
    """The line y = 3 x, through inputs of the epoch's own."""

    def batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        noise = self.generator(epoch, "noise")
        for rows in self.shuffled(epoch):
            x = torch.rand(len(rows), 1, generator=noise)
            yield x, 3 * x

    def learning_rate(self, step: int) -> float:
        return float(self.optimizer.defaults["lr"]) / (1 + step)

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        losses = (self.module(x) - y) ** 2
        return losses.mean(), losses.sum()[None]

    def entry(self, epoch: EpochProgress) -> _Entry:
        return _Entry(epoch.epoch, epoch.loss, torch.get_num_threads())


def _line(learning_rate: float = 0.1, width: int = 1, **changes: Any) -> _Line:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(1, width), nn.Linear(width, 1))
    fields: dict[str, Any] = {
        "module": module,
        "optimizer": torch.optim.SGD(module.parameters(), lr=learning_rate, momentum=0.9),
        "moments": {"momentum": "momentum_buffer"},
        "record": _Entry,
        "setup": {"rate": learning_rate, "betas": (1, 2)},
        "epochs": 3,
        "size": 50,
        "batch_size": 2,
        "seed": 0,
        "device": torch.device("cpu"),
    }
    return _Line(**{**fields, **changes})


def _weights(line: _Line) -> list[list[float]]:
    return [tensor.flatten().tolist() for tensor in line.module.state_dict().values()]


def _stop(where: EpochProgress) -> None:
    if (where.epoch, where.step) == (2, 20):
        raise KeyboardInterrupt


def test_a_stopped_optimization_ends_like_one_that_was_not(tmp_path: Path) -> None:
    state, whole, done = tmp_path / "state.safetensors", _line(), list[tuple[int, int]]()

    def after_epoch(epochs: int) -> None:
        with safe_open(state, "pt") as file:
            done.append((epochs, len(json.loads(file.metadata()["history"]))))

    history = optimize(whole, state=None)
    with pytest.raises(KeyboardInterrupt):
        optimize(_line(), state=state, progress=_stop, after_epoch=after_epoch)
    again = _line()
    assert optimize(again, state=state, after_epoch=after_epoch) == history
    assert done == [(1, 1), (2, 2), (3, 3)]  # the state is there before anything else is done after an epoch
    assert _weights(again) == _weights(whole)
    finished = _line()
    assert optimize(finished, state=state, progress=_stop, after_epoch=after_epoch) == history
    assert len(done) == 3
    assert _weights(finished) == _weights(whole)


def test_another_setup_is_refused_and_an_equal_one_is_not(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    optimize(_line(), state=state)
    with pytest.raises(InvalidArgumentError, match=r"out=.* \(rate 0\.1 there, 0\.2 now\)"):
        optimize(_line(0.2), state=state)
    assert len(optimize(_line(), state=state)) == 3


def test_states_without_a_digest_are_continued_and_those_without_a_moment_refused(tmp_path: Path) -> None:
    state, whole = tmp_path / "state.safetensors", _line()
    history = optimize(whole, state=None)
    with pytest.raises(KeyboardInterrupt):
        optimize(_line(), state=state, progress=_stop)
    with safe_open(state, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = {name: file.metadata()[name] for name in ("setup", "history")}
    save_file(tensors, state, metadata)
    again = _line()
    assert optimize(again, state=state) == history
    assert _weights(again) == _weights(whole)
    save_file({name: tensor for name, tensor in tensors.items() if name != "momentum.0.bias"}, state, metadata)
    with pytest.raises(CheckpointError, match=r"momentum\.0\.bias.*delete it to start again"):
        optimize(_line(), state=state)


def test_progress_comes_every_ten_steps_and_at_the_end_of_an_epoch() -> None:
    seen: list[EpochProgress] = []
    history = optimize(_line(), state=None, progress=seen.append)
    assert [(where.epoch, where.step) for where in seen] == [(e, s) for e in (1, 2, 3) for s in (10, 20, 25)]
    assert [where.loss for where in seen[2::3]] == [entry.loss for entry in history]
    assert all((where.epochs, where.steps) == (3, 25) for where in seen)
    assert [where.learning_rate for where in seen[:3]] == [pytest.approx(0.1 / step) for step in (10, 20, 25)]
    assert all(where.samples_per_second == pytest.approx(2 * where.step / where.seconds) for where in seen)


@pytest.mark.parametrize(("size", "sizes"), [(50, [7] * 7), (5, [5])])
def test_an_epoch_takes_each_row_once_in_an_order_of_its_own(size: int, sizes: list[int]) -> None:
    line = _line(size=size, batch_size=7)
    orders = [torch.cat([torch.from_numpy(rows) for rows in line.shuffled(epoch)]).tolist() for epoch in (0, 1)]
    assert [len(rows) for rows in line.shuffled(0)] == sizes
    assert line.steps == len(sizes)
    assert all(len(set(order)) == sum(sizes) and set(order) <= set(range(size)) for order in orders)
    assert orders[0] != orders[1]
    assert torch.cat([torch.from_numpy(rows) for rows in line.shuffled(0)]).tolist() == orders[0]


def test_small_networks_are_fitted_on_one_thread_and_others_on_those_there_are() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert optimize(_line(epochs=1), state=None)[0].threads == 1
        assert optimize(_line(1e-9, epochs=1, width=20_000), state=None)[0].threads == 2
        with pytest.raises(KeyboardInterrupt):
            optimize(_line(), state=None, progress=_stop)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_loss_that_is_not_finite_ends_it_with_the_last_good_state(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    with pytest.raises(SmoothcertError, match=r"in epoch 1: it diverged, so give a learning_rate below 1e\+30"):
        optimize(_line(1e30), state=state)
    assert not state.exists()

"""A small world with a file of every kind, made by the command line; the same bytes each time."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image

from attacks.commandline import run_command
from attacks.formats import seal_record
from smoothcert.data import load_dataset
from smoothcert.models import load_checkpoint
from smoothcert.surrogate import fit_surrogate, surrogate_recipe
from smoothcert.training import default_recipe, train

__all__ = ["ALPHA", "COMMANDS", "SIGMA", "make_world", "still_clock"]

SIGMA, ALPHA, CLASSES = 0.5, 0.01, 3
_MODEL, _CALL = "model/checkpoint.safetensors", f"--sigma {SIGMA} --alpha {ALPHA} --runtime eager"
_SEEN, _VOTES = "--n0 20 --data data.npz", f"--sigma {SIGMA} --n 100 --runtime eager"

COMMANDS = {
    "train": f"train --data train.npz --arch digits_conv --sigma {SIGMA} --epochs 3 --out model",
    "certify": f"certify {_MODEL} {_SEEN} {_CALL} --n 400 --cache base",
    "recertify": "recertify base --candidate bf16:torch --candidate prune:0.05 --n-p 100",
    "paper": "recertify base --candidate prune:0.1 --n-p 100 --bound irs",
    "holdout": "recertify base --candidate prune:0.2 --holdout 300:400 --bound irs",
    "decide": "recertify base --candidate bf16:torch --radius 0.1",
    "radius": f"certify {_MODEL} {_SEEN} {_CALL} --n 3000 --radius 0.2 --cache at-radius",
    "adaptive": f"certify {_MODEL} {_SEEN} {_CALL} --budget 2400 --cache adaptive",
    "votes": f"surrogate votes {_MODEL} --data train.npz --limit 60 {_VOTES} --out votes",
    "fit": "surrogate fit votes --arch digits_conv --recipe fast --epochs 3 --batch-size 10 --out surrogate",
    "more": f"surrogate votes {_MODEL} --data more.npz {_VOTES} --out more",
    "calibrate": "surrogate calibrate surrogate --votes more --miss 0.3 --beta 0.3 --groups 2 --alpha 0.01",
    "guided": f"surrogate guided surrogate {_MODEL} {_SEEN} --n 300 --alpha {ALPHA} --seed 5 --cache guided",
}
"""Every command that writes something to continue from, in the order in which they need each other."""


class _StoppedError(Exception):
    pass


@contextlib.contextmanager
def still_clock() -> Any:
    """Let durations count calls of the clock instead of seconds, so that files with them are always the same."""
    ticks = itertools.count()
    with mock.patch("time.perf_counter", lambda: float(next(ticks))):
        yield


def make_world(root: Path) -> None:
    """Write the world into an empty folder, which becomes the current one."""
    os.chdir(root)
    _write_data()
    with still_clock():
        for name, command in COMMANDS.items():
            if (done := run_command(*command.split())).status:
                raise RuntimeError(f"{name} ended with {done.status}: {done.err}")
        _stop_early()
    for path in root.rglob("recipe.json"):
        record = json.loads(path.read_text())
        changed = {name: str(Path(record[name]).relative_to(root)) for name in ("model", "data")}
        path.write_text(json.dumps(seal_record({**record, **changed}), indent=2) + "\n")
    _write_models()


def _images(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw 8x8 images whose class is the third that is bright, some of them between two classes."""
    random = np.random.default_rng(seed)
    y = np.arange(count) % CLASSES
    x = random.integers(0, 120, (count, 1, 8, 8))
    for i, label in enumerate(y):
        x[i, 0, :, 3 * label : 3 * label + 2] += int(random.integers(20, 135))
    return x.astype(np.uint8), y.astype(np.int64)


def _write_data() -> None:
    for name, count, seed in (("train", 90, 1), ("data", 6, 2), ("more", 60, 3)):
        x, y = _images(count, seed)
        np.savez_compressed(f"{name}.npz", x=x, y=y)
    random = np.random.default_rng(4)
    encoded = []
    for i in range(4):
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        folder = Path("images", f"class{i % 2}")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        Image.fromarray(pixels).save(folder / f"{i}.jpg")
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "png")
        encoded.append({"bytes": buffer.getvalue(), "path": f"{i}.png"})
    Path("cifar").mkdir()
    table = pa.table({"img": encoded, "label": pa.array([0, 1, 2, 3], pa.int64())})
    pq.write_table(table, "cifar/test-00000-of-00001.parquet")
    Path("binary").mkdir()
    records = random.integers(0, 10, (3, 3073), dtype=np.uint8)
    records.tofile("binary/test_batch.bin")
    Path("binary/batches.meta.txt").write_text("\n".join("abcdefghij") + "\n")


def _stop_early() -> None:
    """Leave a training and a fit after their first epoch."""

    def stop(progress: Any) -> None:
        if progress.epoch == 2:
            raise _StoppedError

    with contextlib.suppress(_StoppedError):
        train(
            load_dataset("train.npz"),
            replace(default_recipe("digits_conv"), epochs=3),
            sigma=SIGMA,
            out="training",
            progress=stop,
        )
    with contextlib.suppress(_StoppedError):
        fit_surrogate(
            "votes",
            load_dataset("train.npz", limit=60).inputs,
            arch="digits_conv",
            recipe=replace(surrogate_recipe("fast"), epochs=3, batch_size=10),
            out="fitting",
            progress=stop,
        )


def _write_models() -> None:
    """Write the model as published checkpoints are, and a linear one as ONNX."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    module = load_checkpoint(_MODEL).module
    content = {"arch": "digits_conv", "epoch": 3, "sigma": SIGMA, "state_dict": module.state_dict()}
    torch.save(content, "model.pth.tar")
    weight = np.random.default_rng(5).standard_normal((64, CLASSES)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", CLASSES])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, "model.onnx")

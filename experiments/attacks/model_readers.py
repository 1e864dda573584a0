"""What users do with models and data sets of others: each reader returns what a user gets to see."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

import smoothcert as sc
from smoothcert.data import load_dataset
from smoothcert.models import load_checkpoint


def state_of(module: torch.nn.Module) -> str:
    """Hash the weights of a module."""
    found = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        found.update(
            name.encode() + str(tuple(tensor.shape)).encode() + tensor.cpu().contiguous().numpy().tobytes()
        )
    return found.hexdigest()


def _model(path: str) -> Any:
    loaded = load_checkpoint(path)
    with torch.inference_mode():
        loaded.module(torch.zeros(2, *loaded.input_shape))
    facts = [loaded.arch, loaded.num_classes, loaded.sigma, loaded.epoch, list(loaded.input_shape)]
    return {"facts": facts, "state": state_of(loaded.module)}


def checkpoint() -> Any:
    """Load our own checkpoint."""
    return _model("model/checkpoint.safetensors")


def published_checkpoint() -> Any:
    """Load a checkpoint in the published form."""
    return _model("model.pth.tar")


def onnx() -> Any:
    """Run an ONNX model."""
    classifier = sc.OnnxClassifier("model.onnx", num_classes=3)
    return classifier.logits(np.zeros((2, 1, 8, 8), np.float32)).tolist()


def _data(spec: str) -> Any:
    data = load_dataset(spec)
    x = np.asarray(data.inputs)
    legal = bool(((x >= 0) & (x <= 1)).all() and ((data.labels >= 0) & (data.labels < data.num_classes)).all())
    return {"shape": list(x.shape), "x": hashlib.sha256(x.tobytes()).hexdigest(), "legal": legal}


def arrays() -> Any:
    """Read arrays."""
    return _data("data.npz")


def images() -> Any:
    """Read a folder of images."""
    return _data("images")


def cifar_table() -> Any:
    """Read CIFAR-10 from Parquet."""
    return _data("cifar")


def cifar_binary() -> Any:
    """Read CIFAR-10 from its binary form."""
    return _data("binary")

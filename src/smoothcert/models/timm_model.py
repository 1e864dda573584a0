"""Models of timm, by name."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import torch

from smoothcert.classifiers import RuntimeName, TorchClassifier, in_one_line, quiet
from smoothcert.errors import CheckpointError, InvalidArgumentError, import_extra
from smoothcert.models.normalize import Normalization
from smoothcert.models.preprocess import Preprocess
from smoothcert.models.state_dict import load_into, read_state

__all__ = ["load_timm"]


def load_timm(spec: str, num_classes: int | None, *, device: str | None, runtime: RuntimeName) -> TorchClassifier:
    """Load ``NAME`` with its pretrained weights, or ``NAME@FILE`` with weights from a file.

    timm's own mean and standard deviation stand behind the noise, and images are scaled where a network takes one
    size alone.
    """
    timm: Any = _import()
    name, _, weights = spec.partition("@")
    if not timm.is_model(name):
        close = ", ".join(difflib.get_close_matches(name.partition(".")[0], timm.list_models(), 5))
        raise InvalidArgumentError(f"timm has no model {name!r}" + (f"; there are {close}" if close else ""))
    given = {} if num_classes is None else {"num_classes": num_classes}
    try:
        with quiet():
            model = timm.create_model(name, pretrained=not weights, **given)
            config = timm.data.resolve_model_data_config(model)
    except Exception as error:  # the hub and the network have errors of their own
        raise CheckpointError(
            f"timm:{name} has no weights here and they cannot be downloaded ({in_one_line(error)[:200]}): put "
            f"them into a file and give timm:{name}@FILE (.safetensors or .pth)"
        ) from error
    if weights:
        _fill(model, Path(weights), name)
    height, width = config["input_size"][-2:]
    fixed = bool(config.get("fixed_input_size", model.pretrained_cfg.get("fixed_input_size", False)))
    return TorchClassifier(
        model,
        model.num_classes,
        preprocess=Preprocess(
            Normalization(tuple(config["mean"]), tuple(config["std"])),
            size=(height, width) if fixed else None,
            interpolation=config["interpolation"]
            if config["interpolation"] in ("bilinear", "bicubic")
            else "bilinear",
        ),
        device=device,
        runtime=runtime,
    )


def _import() -> Any:
    try:
        return import_extra("timm", "timm")
    except RuntimeError as error:  # torchvision, which timm imports, has operators for one build of torch each
        raise InvalidArgumentError(
            f"timm cannot be imported ({in_one_line(error)[:200]}): install a torchvision that fits torch "
            f"{torch.__version__}"
        ) from error


def _fill(model: torch.nn.Module, path: Path, name: str) -> None:
    load_into(model, read_state(path), f"timm's {name}", path)

"""Image classifiers of Hugging Face's transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from smoothcert.classifiers import RuntimeName, TorchClassifier, in_one_line, quiet
from smoothcert.errors import CheckpointError, InvalidArgumentError, import_extra
from smoothcert.models.normalize import Normalization
from smoothcert.models.preprocess import Preprocess

__all__ = ["from_huggingface", "load_huggingface"]

_INTERPOLATIONS: dict[int, Any] = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # as Pillow numbers them
_FILES = "config.json, model.safetensors and preprocessor_config.json"


def from_huggingface(
    model: nn.Module,
    image_processor: Any,
    *,
    device: str | None = None,
    runtime: RuntimeName = "auto",
) -> TorchClassifier:
    """Make a classifier of an image classification model and its image processor.

    Resizing, rescaling and normalization move behind the noise: inputs are images in [0, 1] at the resolution of
    the data, and sigma means the same as for every other model.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Returns an object with ``logits``; left as it is.
    image_processor : transformers image processor or mapping
        Its configuration is all that is used.
    device : str, optional
        Where to run; by default where the model is.
    runtime : {"auto", "eager", "compile", "onnx"}
        What procedures run it with, see `TorchClassifier`.

    Returns
    -------
    TorchClassifier

    Raises
    ------
    InvalidArgumentError
        When the model does not say how many classes it has, or the processor does what is not known here.

    Examples
    --------
    >>> import torch
    >>> class Model(torch.nn.Module):  # stands for one of transformers
    ...     config = type("Config", (), {"num_labels": 2})
    ...     def forward(self, pixel_values):
    ...         return {"logits": pixel_values.mean((2, 3))[:, :2]}
    >>> processor = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    >>> from_huggingface(Model(), processor).num_classes
    2
    """
    num_classes = getattr(getattr(model, "config", None), "num_labels", None)
    if not isinstance(num_classes, int):
        raise InvalidArgumentError(
            f"model is a {type(model).__name__} without config.num_labels: give an image classifier"
        )
    settings = image_processor if isinstance(image_processor, Mapping) else image_processor.to_dict()
    return TorchClassifier(
        _Pixels(model), num_classes, preprocess=_preprocess(settings), device=device, runtime=runtime
    )


def load_huggingface(where: str, *, device: str | None, runtime: RuntimeName) -> TorchClassifier:
    """Load a model from a folder, or by its name on the hub; weights in safetensors only."""
    transformers = import_extra("transformers", "huggingface")
    transformers.utils.logging.disable_progress_bar()
    try:
        with quiet():
            # By safetensors only, and without code of the model's own: neither can run anything.
            settings, _ = transformers.ImageProcessingMixin.get_image_processor_dict(where)
            model = transformers.AutoModelForImageClassification.from_pretrained(where, use_safetensors=True)
    except ImportError as error:
        raise InvalidArgumentError(
            f"transformers cannot import a model ({in_one_line(error)[:160]}): where torchvision is installed "
            f"it must fit torch {torch.__version__}; install one that does, or remove it"
        ) from error
    except Exception as error:  # the hub, the network and the parsers have errors of their own
        reason = (str(error).splitlines() or [""])[0][:200]
        if Path(where).is_dir():
            raise CheckpointError(f"{where} holds no image classifier with {_FILES}: {reason}") from error
        raise CheckpointError(
            f"hf:{where} is no folder here and cannot be downloaded ({type(error).__name__}: {reason}): put "
            f"{_FILES} into a folder and give hf:FOLDER"
        ) from error
    return from_huggingface(model, settings, device=device, runtime=runtime)


class _Pixels(nn.Module):
    """Call a model by the name of its argument and take its logits, so that it exports like any other."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any) -> Any:
        output = self.model(pixel_values=x)
        return output["logits"] if isinstance(output, Mapping) else output.logits


def _preprocess(settings: Mapping[str, Any]) -> Preprocess:
    """Turn the configuration of an image processor into a layer for images in [0, 1]."""
    mean, std = settings.get("image_mean"), settings.get("image_std")
    if not settings.get("do_normalize", mean is not None):
        mean = std = None
    # The processor sees levels 0 .. 255 and multiplies them; some subtract 1 then.
    factor = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    scale = 255 * factor
    size, resize = _sizes(settings)
    try:
        return Preprocess(
            Normalization(tuple(mean), tuple(std)) if mean and std else None,
            size=size,
            resize=resize,
            interpolation=_INTERPOLATIONS[settings.get("resample", 2)],
            scale=1.0 if abs(scale - 1) < 1e-9 else scale,
            offset=-1.0 if settings.get("rescale_offset") else 0.0,
        )
    except KeyError as error:
        raise InvalidArgumentError(
            f"image_processor has resample = {error}: nearest (0), bilinear (2) and bicubic (3) are known here"
        ) from error


def _sizes(settings: Mapping[str, Any]) -> tuple[tuple[int, int] | None, int | tuple[int, int] | None]:
    """Return what the network takes, and what images are scaled to before that is cut out of them."""
    resize = _size(settings.get("size")) if settings.get("do_resize", settings.get("size") is not None) else None
    crop = _size(settings.get("crop_size")) if settings.get("do_center_crop") else None
    cut = (crop, crop) if isinstance(crop, int) else crop
    if cut is None and isinstance(resize, int):
        cut = (resize, resize)  # square images, as classifiers take them
    return cut or (resize if isinstance(resize, tuple) else None), resize


def _size(value: Any) -> int | tuple[int, int] | None:
    if isinstance(value, Mapping):
        if "shortest_edge" in value:
            return int(value["shortest_edge"])
        return int(value["height"]), int(value["width"])
    return None if value is None else int(value)

"""Small models of every kind, made without a download."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from torchvision_operators import define_missing_operators

SHAPE = (3, 8, 8)
NUM_CLASSES = 10

_DEPRECATED = (
    "torch.ao.quantization is deprecated",
    "`torch.jit.script",
    "Please use quant_min and quant_max",
    "torch.quantize_per_tensor",
)


def small_net(activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Seven layers, always with the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            activation(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(128, 32),
            activation(),
            nn.Linear(32, NUM_CLASSES),
        ).eval()


def images(count: int = 4, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> torch.Tensor:
    """Draw images in [0, 1], (count, *shape)."""
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def weight_only(net: nn.Module) -> nn.Module:
    """Quantize the linear layers' weights to int8 with torchao."""
    with quietly():
        from torchao.quantization import Int8WeightOnlyConfig, quantize_

        quantize_(net, Int8WeightOnlyConfig())
    return net


def dynamic_per_row(net: nn.Module) -> nn.Module:
    """Quantize the linear layers' weights, and each row of what comes in by its own scale, with torchao."""
    with quietly():
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

        quantize_(net, Int8DynamicActivationInt8WeightConfig())
    return net


def dynamic_per_batch(net: nn.Module) -> nn.Module:
    """Quantize the linear layers' weights, and what comes in by one scale for the batch, with PyTorch."""
    with quietly():
        quantize: Any = torch.ao.quantization.quantize_dynamic
        made: nn.Module = quantize(net, {nn.Linear}, dtype=torch.qint8)
    return made


def fx_int8(net: nn.Module, calibration: torch.Tensor | None = None) -> nn.Module:
    """Quantize statically by PyTorch's FX graphs: packed weights and quantized tensors inside."""
    x = images() if calibration is None else calibration
    with quietly():
        from torch.ao.quantization import get_default_qconfig_mapping
        from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

        prepared = prepare_fx(net, get_default_qconfig_mapping("x86"), (x,))
        prepared(x)
        return convert_fx(prepared)


def pt2e_int8(net: nn.Module, calibration: torch.Tensor | None = None) -> nn.Module:
    """Quantize an exported program statically, with torchao."""
    x = images() if calibration is None else calibration
    with quietly():
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

        quantizer = x86.X86InductorQuantizer()
        quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
        prepared = prepare_pt2e(exported(net, x), quantizer)
        prepared(x)
        made: nn.Module = convert_pt2e(prepared)
    return made


def program(
    net: nn.Module, example: torch.Tensor | None = None, *, free: bool = True
) -> torch.export.ExportedProgram:
    """Export a module with ``torch.export``, with a free batch axis or the example's."""
    with quietly():
        x = images() if example is None else example
        axes = {0: torch.export.Dim.AUTO} if free else None
        return torch.export.export(net, (x,), dynamic_shapes=(axes,))


def exported(net: nn.Module, example: torch.Tensor | None = None) -> nn.Module:
    """Export a module, and take the program as a module."""
    return program(net, example).module()


KINDS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "torchao, weights alone": weight_only,
    "torchao, dynamic by row": dynamic_per_row,
    "FX int8": fx_int8,
    "PT2E int8": pt2e_int8,
    "torch.export": exported,
    "float16": nn.Module.half,
    "bfloat16": nn.Module.bfloat16,
    "float64": nn.Module.double,
}
"""What makes a module of a kind of a plain one."""


def import_transformers() -> Any:
    """Import transformers and its image processors."""
    define_missing_operators()
    with quietly():
        import transformers
        from transformers import AutoModelForImageClassification, BitImageProcessor, ViTImageProcessor  # noqa: F401
    transformers.utils.logging.disable_progress_bar()
    return transformers


def save_huggingface(folder: Path, processor: dict[str, Any], seed: int = 0) -> Any:
    """Save a small residual network of transformers with random weights; returns it."""
    transformers = import_transformers()
    with quietly():
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            config = transformers.ResNetConfig(
                embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=NUM_CLASSES
            )
            model = transformers.ResNetForImageClassification(config).eval()
        model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return model


def import_timm() -> Any:
    """Import timm beside whatever build of torch there is."""
    define_missing_operators()
    with quietly():
        import timm
    return timm


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let packages be imported and used that announce their own deprecations."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _DEPRECATED:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logging.disable(disabled)

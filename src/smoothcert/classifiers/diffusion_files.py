"""Diffusion models as diffusers saves them, read so that nothing of them is run or downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as parse_safetensors

from smoothcert.classifiers.quiet import in_one_line, quiet
from smoothcert.errors import CheckpointError, MissingExtraError, import_extra, reading

__all__ = ["read_diffusion"]

_CONFIG, _WEIGHTS, _SCHEDULER = "config.json", "diffusion_pytorch_model.safetensors", "scheduler_config.json"
_MAX_CONFIG, _MAX_WEIGHTS = 1 << 20, 1 << 33
_MAX_TIMESTEPS = 1_000_000


def read_diffusion(folder: Path) -> tuple[torch.nn.Module, Any]:
    """Return the UNet2DModel and the DDPMScheduler in a folder; CheckpointError says what it should hold."""
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder} is no folder, and nothing is downloaded here: put {_CONFIG}, {_WEIGHTS} and {_SCHEDULER} "
            "of the model into a folder (hf download NAME --local-dir FOLDER gets them from the Hugging Face Hub) "
            "and give its path"
        )
    unet_folder = _first_with(folder, ("unet", "."), _CONFIG)
    scheduler_folder = _first_with(folder, ("scheduler", "."), _SCHEDULER)
    config = _read_json(unet_folder / _CONFIG)
    kind = config.get("_class_name")
    if kind != "UNet2DModel":
        raise CheckpointError(
            f"{unet_folder / _CONFIG} describes a {kind}: only unconditional models of the class UNet2DModel work "
            "on images by themselves"
        )
    unet = _build_unet(config, unet_folder)
    return unet, _build_scheduler(scheduler_folder / _SCHEDULER)


def _first_with(folder: Path, places: tuple[str, ...], name: str) -> Path:
    for place in places:
        if (folder / place / name).is_file():
            return folder / place
    raise CheckpointError(
        f"{folder} holds no {name}, neither by itself nor in {places[0]}/: give a folder as "
        "DDPMPipeline.save_pretrained writes it"
    )


def _read_json(path: Path) -> dict[str, Any]:
    with reading(path, CheckpointError, "download it again"):
        content = json.loads(_read(path, _MAX_CONFIG))
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, no configuration: download it again")
    return content


def _read(path: Path, at_most: int) -> bytes:
    if (size := path.stat().st_size) > at_most:
        raise CheckpointError(f"{path} has {size} bytes, more than the {at_most} that are read here")
    return path.read_bytes()


def _build_unet(config: dict[str, Any], folder: Path) -> torch.nn.Module:
    """Build a model around the tensors of its file, in float32 and evaluation mode."""
    model = _of_diffusers("UNet2DModel")
    path = folder / _WEIGHTS
    if not path.is_file():
        raise CheckpointError(
            f"{folder} holds no {_WEIGHTS}: weights in .bin files are pickles, which could run code, and are not "
            "read; save the model again with save_pretrained(FOLDER, safe_serialization=True), in one file"
        )
    with reading(path, CheckpointError, f"give the weights that belong to {folder / _CONFIG}"):
        tensors = {name: tensor.float() for name, tensor in parse_safetensors(_read(path, _MAX_WEIGHTS)).items()}
        # On the meta device nothing is allocated, whatever sizes a configuration names; each layer has tensors.
        if config.get("layers_per_block", 0) > len(tensors):
            raise ValueError(f"layers_per_block is {config['layers_per_block']}, with {len(tensors)} tensors")
        with quiet(), torch.device("meta"):
            unet: torch.nn.Module = model.from_config(config)
        unet.load_state_dict(tensors, strict=True, assign=True)
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"{path} has NaN or infinite weights in {broken[0]}: its training diverged")
    return unet.eval()


def _build_scheduler(path: Path) -> Any:
    config = _read_json(path)
    if config.get("beta_schedule") is None:
        raise CheckpointError(
            f"{path} describes a {config.get('_class_name')} without beta_schedule: only models with the noise of "
            "a DDPM, such as those of a DDPMScheduler or DDIMScheduler, work here"
        )
    timesteps = config.get("num_train_timesteps")
    if type(timesteps) is not int or not 0 < timesteps <= _MAX_TIMESTEPS:
        raise CheckpointError(
            f"{path} has num_train_timesteps = {timesteps!r}: it should be in 1 .. {_MAX_TIMESTEPS}"
        )
    scheduler = _of_diffusers("DDPMScheduler")
    with reading(path, CheckpointError, "give the configuration of a DDPMScheduler"), quiet():
        return scheduler.from_config(config)


def _of_diffusers(name: str) -> Any:
    """Import a class of diffusers, which loads its own parts, and what they need, on first use."""
    with quiet():
        diffusers = import_extra("diffusers", "diffusers")
        try:
            return getattr(diffusers, name)
        except Exception as error:  # whatever a package that it imports raises
            raise MissingExtraError(
                f"diffusers is installed, but its {name} does not load here: {in_one_line(error)}"
            ) from error

"""Against transformers' own image processors, on images of Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kinds
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models import from_huggingface, load_model

pytest.importorskip("transformers")
Image = pytest.importorskip("PIL.Image")
transformers = kinds.import_transformers()

HALF = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}
IMAGENET = {"do_normalize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}

CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "normalized alone": ("ViTImageProcessor", {**HALF, "do_resize": False}),
    "larger, bilinear": ("ViTImageProcessor", {**HALF, "size": {"height": 24, "width": 24}, "resample": 2}),
    "larger, bicubic": ("ViTImageProcessor", {**IMAGENET, "size": {"height": 24, "width": 24}, "resample": 3}),
    "larger, nearest": ("ViTImageProcessor", {**HALF, "size": {"height": 32, "width": 32}, "resample": 0}),
    "smaller, bilinear": ("ViTImageProcessor", {**HALF, "size": {"height": 7, "width": 7}, "resample": 2}),
    "shorter side, then cut": (
        "BitImageProcessor",
        {
            **IMAGENET,
            "size": {"shortest_edge": 28},
            "resample": 3,
            "do_center_crop": True,
            "crop_size": {"height": 24, "width": 24},
        },
    ),
    "not normalized": ("ViTImageProcessor", {"do_resize": False, "do_normalize": False}),
    "levels": ("ViTImageProcessor", {"do_resize": False, "do_normalize": False, "do_rescale": False}),
    "another factor": (
        "ViTImageProcessor",
        {"do_resize": False, "do_normalize": False, "do_rescale": True, "rescale_factor": 1 / 128},
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("model")
    kinds.save_huggingface(where, {**HALF, "do_resize": False, "image_processor_type": "ViTImageProcessor"})
    return where


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    with kinds.quietly():
        return transformers.AutoModelForImageClassification.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def levels() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Smooth images, (3, 16, 16, 3), away from 0 and 255, where the processor cuts overshoots off."""
    coarse = torch.rand(3, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, (16, 16), mode="bicubic").clamp(0, 1)
    made: np.ndarray[Any, np.dtype[np.uint8]] = (64 + 127 * smooth).round().byte().permute(0, 2, 3, 1).numpy()
    return made


def as_inputs(levels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.ascontiguousarray(levels.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_layer_does_what_the_image_processor_does(name: str, model: Any, levels: Any) -> None:
    kind, settings = CONFIGURATIONS[name]
    processor = getattr(transformers, kind)(**settings)
    expected = processor([Image.fromarray(image) for image in levels], return_tensors="pt")["pixel_values"]
    classifier = from_huggingface(model, processor)
    assert classifier.preprocess is not None
    found = classifier.preprocess(torch.from_numpy(as_inputs(levels)))
    assert found.shape == expected.shape
    # The processor rounds resized images to levels, in between as well.
    level = 1 / 255 / min(settings.get("image_std", [1.0]))
    allowed = 1.6 * level if settings.get("do_resize", True) else 1e-5 * float(expected.abs().max())
    assert (found - expected).abs().max() < allowed


@pytest.mark.parametrize("name", ["normalized alone", "larger, bilinear", "shorter side, then cut"])
def test_the_classifier_is_the_model_behind_its_processor(name: str, model: Any, levels: Any) -> None:
    kind, settings = CONFIGURATIONS[name]
    processor = getattr(transformers, kind)(**settings)
    prepared = processor([Image.fromarray(image) for image in levels], return_tensors="pt")
    with torch.no_grad():
        expected = model(**prepared).logits.numpy()
    found = from_huggingface(model, processor).logits(as_inputs(levels))
    assert np.abs(found - expected).max() < 0.02 * np.ptp(expected)
    assert (found.argmax(1) == expected.argmax(1)).all()


def test_a_folder_is_the_same_as_its_model_and_processor(folder: Path, model: Any, levels: Any) -> None:
    with kinds.quietly():
        processor = transformers.ViTImageProcessor.from_pretrained(folder)
    from_folder, from_objects = load_model(f"hf:{folder}").classifier, from_huggingface(model, processor)
    assert np.array_equal(from_folder.logits(as_inputs(levels)), from_objects.logits(as_inputs(levels)))
    assert from_folder.fingerprint == from_objects.fingerprint
    assert from_folder.num_classes == kinds.NUM_CLASSES


def test_other_settings_are_another_classifier(model: Any) -> None:
    found = {
        from_huggingface(model, settings).fingerprint for settings in (HALF, IMAGENET, {**HALF, "size": 24}, {})
    }
    assert len(found) == 4


def test_what_is_not_known_is_refused(model: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"resample = 1: nearest \(0\), bilinear \(2\)"):
        from_huggingface(model, {**HALF, "size": {"height": 24, "width": 24}, "resample": 1})
    with pytest.raises(InvalidArgumentError, match=r"Linear without config.num_labels"):
        from_huggingface(torch.nn.Linear(2, 2), HALF)


def test_weights_that_are_pickled_are_not_loaded(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"no image classifier with config.json, model.safetensors"):
        load_model(f"hf:{tmp_path}")


def test_code_in_a_folder_is_not_run(folder: Path, tmp_path: Path) -> None:
    for name in ("model.safetensors", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "config.json").write_text(
        '{"model_type": "own", "auto_map": {"AutoConfig": "own.Config", '
        '"AutoModelForImageClassification": "own.Model"}}'
    )
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(CheckpointError, match="holds no image classifier"):
        load_model(f"hf:{tmp_path}")
    assert not (tmp_path / "ran").exists()


def test_an_import_that_fails_inside_transformers_names_torchvision(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("Could not import module") from RuntimeError(
            "operator torchvision::nms is missing"
        )

    monkeypatch.setattr(transformers.AutoModelForImageClassification, "from_pretrained", fail)
    with pytest.raises(InvalidArgumentError, match=r"torchvision::nms is missing.*must fit torch"):
        load_model(f"hf:{folder}")

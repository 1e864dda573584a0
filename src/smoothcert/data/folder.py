"""Folders with one subfolder of images per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smoothcert.data._decode import IMAGE_SUFFIXES, Crop
from smoothcert.data.dataset import Dataset
from smoothcert.data.inputs import FolderImages
from smoothcert.errors import DataError, reading

_SPLITS = {"test", "train", "val", "valid", "validation"}


def is_image_folder(folder: Path, split: str) -> bool:
    """Whether there are folders of images, or of splits, in `folder`."""
    names = _subfolders(folder)
    return (
        split in names or bool(_SPLITS.intersection(names)) or any(_image_files(folder / name) for name in names)
    )


def read_image_folder(folder: Path, split: str, crop: Crop) -> Dataset:
    """Read ``folder/split/class/*.jpg``, or ``folder/class/*.jpg`` where there are no splits."""
    names = _subfolders(folder)
    present = sorted(_SPLITS.intersection(names))
    root = folder
    if split in names:
        root = folder / split
    elif present:
        raise DataError(f"{folder} has no split {split!r}: give one of {', '.join(present)}")
    classes = _subfolders(root)
    if len(classes) < 2:
        raise DataError(f"{root} has {len(classes)} subfolders: give one for each of at least 2 classes")
    files = [_image_files(root / name) for name in classes]
    paths = [path for of_class in files for path in of_class]
    if not paths:
        raise DataError(f"{root} has no images in its subfolders: give {', '.join(IMAGE_SUFFIXES)} files")
    labels = np.repeat(np.arange(len(classes)), [len(of_class) for of_class in files])
    return Dataset(f"{folder.name}/{split}", FolderImages(paths, crop), labels, tuple(classes))


def _subfolders(folder: Path) -> list[str]:
    with reading(folder, DataError, "let it be readable"):
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")


def _image_files(folder: Path) -> list[Path]:
    with reading(folder, DataError, "let it be readable"):
        return sorted(
            file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
        )

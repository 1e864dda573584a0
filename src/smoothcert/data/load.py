"""Read a dataset from disk, whatever its layout."""

from __future__ import annotations

import re
from pathlib import Path

from smoothcert.data._decode import Crop
from smoothcert.data.arrays import read_npz
from smoothcert.data.cifar import PICKLED_FILE, has_binary_files, read_cifar_binary, read_cifar_parquet
from smoothcert.data.dataset import Dataset, require_limit_and_skip
from smoothcert.data.digits import read_digits
from smoothcert.data.folder import is_image_folder, read_image_folder
from smoothcert.errors import DataError, InvalidArgumentError, reading

__all__ = ["load_dataset"]

_ACCEPTED = (
    "give 'digits', a folder with CIFAR-10 as {split}-*.parquet or in its binary version (test_batch.bin, …), "
    "a folder with one subfolder of images per class, or a .npz file with arrays x and y"
)


def load_dataset(
    spec: str | Path,
    split: str = "test",
    limit: int | None = None,
    skip: int = 1,
    *,
    resize: int | None = None,
    crop: int | None = None,
) -> Dataset:
    """Read a dataset: float32 inputs in [0, 1], channels first, decoded when they are looked at.

    Parameters
    ----------
    spec : str or Path
        One of, told apart by what is there:

        - ``"digits"``: scikit-learn's 1,797 digits (1, 8, 8); 50 of each class, chosen by a hash of their
          position, are the test split. Needs the extra ``digits``.
        - a folder with ``{split}-*.parquet``: CIFAR-10 in the layout of its Hugging Face page. Needs ``images``.
        - a folder with ``data_batch_1.bin`` … ``data_batch_5.bin``, ``test_batch.bin``: CIFAR-10's binary version.
        - a folder with one subfolder of PNG, JPEG or WebP files per class, or with such folders under
          ``{split}/``; the sorted names are the classes. Needs ``images``. Without such splits, `split` changes
          nothing.
        - a ``.npz`` file with `x` (m, *shape), uint8 or float in [0, 1], and integers `y` (m,); `split`
          changes nothing.
    split : str
        Which part, usually ``"train"`` or ``"test"``.
    limit, skip : int, optional
        Take every `skip`-th input, at most `limit` of them.
    resize, crop : int, optional
        For image folders: scale the shorter side to `resize` pixels (bilinear), then cut a square of `crop` pixels
        out of the centre. ImageNet models take ``resize=256, crop=224``.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        When there is no such dataset or split, or a file is damaged or holds other values than it should.
    InvalidArgumentError
        When `limit`, `skip`, `resize`, `crop` or `split` is not as described.
    MissingExtraError
        When an optional dependency is not installed.

    Notes
    -----
    Nothing in a file is run, and what it claims to hold is checked before there is memory for it: images have at
    most 2^22 pixels, or 64 a byte of their file up to 2^26; the arrays of a ``.npz`` file 2^26 bytes each, or 64
    times the file's; the rows of a Parquet file 16 times the file's bytes, in Snappy or uncompressed.

    Images become 8-bit RGB as in torchvision's image folders: palettes and CMYK are converted, alpha is dropped,
    and an orientation in the EXIF data is not applied. Animations and levels of 16 bits are refused.

    Examples
    --------
    >>> dataset = load_dataset("digits", split="test", limit=20)
    >>> dataset.inputs.shape, dataset.num_classes
    ((20, 1, 8, 8), 10)
    """
    if not re.fullmatch(r"\w[\w-]*", split):
        raise InvalidArgumentError(f"split is {split!r}: give a name such as 'train' or 'test'")
    require_limit_and_skip(limit, skip)  # before anything is read
    return _read(spec, split, Crop(resize=resize, crop=crop)).take(limit, skip)


def _read(spec: str | Path, split: str, crop: Crop) -> Dataset:
    path = Path(spec)
    with reading(path, DataError, "give another path"):
        is_folder, is_file = path.is_dir(), path.is_file()
    if is_folder and not _holds_cifar(path):
        if not is_image_folder(path, split):
            raise DataError(f"{path} holds no dataset that is known here: {_ACCEPTED}")
        return read_image_folder(path, split, crop)
    if crop != Crop():
        raise InvalidArgumentError(f"resize and crop are for image folders, and {spec} is none: leave them out")
    if spec == "digits":
        return read_digits(split)
    if is_folder:
        return read_cifar_parquet(path, split) if any(path.glob("*.parquet")) else read_cifar_binary(path, split)
    if path.suffix == ".npz" and is_file:
        return read_npz(path)
    raise DataError(f"{spec} is no dataset that is known here: {_ACCEPTED}")


def _holds_cifar(folder: Path) -> bool:
    if any(folder.glob("*.parquet")) or has_binary_files(folder):
        return True
    if (folder / PICKLED_FILE).is_file():
        raise DataError(
            f"{folder} holds CIFAR-10's Python version, whose pickles could run code and are not read: "
            "download the binary version instead"
        )
    return False

"""Lazy inputs: correctly rounded levels, decoding only on access, indices like NumPy's."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from smoothcert.data import ArrayInputs, EncodedImages, FolderImages, LazyInputs, UInt8Images
from smoothcert.data._decode import Crop
from smoothcert.errors import DataError, InvalidArgumentError


def _png(path: Path, levels: NDArray[np.uint8]) -> Path:
    Image.fromarray(levels).save(path)
    return path


def test_every_level_is_the_float32_nearest_to_k_over_255() -> None:
    values = UInt8Images(np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1))[:].ravel()
    for k, value in enumerate(values):
        neighbours = [np.nextafter(value, np.float32(side)) for side in (-1, 2)]
        error = abs(Fraction(float(value)) - Fraction(k, 255))
        assert all(error < abs(Fraction(float(other)) - Fraction(k, 255)) for other in neighbours)


def test_images_take_one_byte_a_value_until_they_are_looked_at() -> None:
    levels = np.zeros((1000, 3, 4, 4), np.uint8)
    images = UInt8Images(levels)
    assert images.pixels(np.arange(1000)).nbytes == levels.nbytes
    assert images.dtype == images[:2].dtype == np.float32


@given(st.data())
def test_indices_mean_what_they_mean_for_an_array(data: st.DataObject) -> None:
    values = np.linspace(0, 1, 7 * 6, dtype=np.float32).reshape(7, 1, 2, 3)
    inputs = ArrayInputs(values)
    start, stop = data.draw(st.integers(-9, 9)), data.draw(st.integers(-9, 9))
    step = data.draw(st.sampled_from([-2, -1, 1, 3]))
    np.testing.assert_array_equal(inputs[start:stop:step], values[start:stop:step])
    rows = np.array(data.draw(st.lists(st.integers(-7, 6), min_size=1)))
    np.testing.assert_array_equal(inputs[rows], values[rows])
    np.testing.assert_array_equal(inputs[int(rows[0])], values[int(rows[0])])
    np.testing.assert_array_equal(inputs.select(np.arange(7)[rows])[:], values[rows])
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=7, max_size=7)))
    np.testing.assert_array_equal(inputs[mask], values[mask])


def test_inputs_are_iterated_and_an_index_outside_raises() -> None:
    inputs = ArrayInputs(np.zeros((2, 1)))
    assert len(list(inputs)) == 2
    with pytest.raises(IndexError):
        inputs[2]


def test_numpy_can_take_all_of_them() -> None:
    inputs: LazyInputs = UInt8Images(np.full((2, 1, 1, 1), 51, np.uint8))
    np.testing.assert_array_equal(np.asarray(inputs), np.full((2, 1, 1, 1), 0.2, np.float32))
    assert np.asarray(inputs, dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.0, 200.0], "divide by 255"),
        ([-1.0, 1.0], "(x + 1) / 2"),
        ([-2.1, 2.6], "look normalized"),
        ([0.5, np.nan], "nan at (1, 0)"),
        ([0.5, np.inf], "inf at (1, 0)"),
    ],
)
def test_values_outside_the_unit_range_are_refused_with_a_remedy(values: list[float], words: str) -> None:
    with pytest.raises(DataError, match="scan") as caught:
        ArrayInputs(np.array(values).reshape(2, 1), "scan.npz")
    assert words in str(caught.value)


def test_encoded_images_are_decoded_only_when_chosen(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    good = _png(tmp_path / "a.png", levels).read_bytes()
    images = EncodedImages(pa.array([b"not an image", good]), (3, 32, 32), "x.parquet")
    chosen = images.select(np.array([1]))
    np.testing.assert_array_equal(chosen[0], (levels.transpose(2, 0, 1) / np.float32(255)).astype(np.float32))
    np.testing.assert_array_equal(chosen.in_memory()[0], chosen[0])
    with pytest.raises(DataError, match=r"image 0 of x\.parquet cannot be decoded \(12 bytes\)"):
        images.in_memory()


def test_images_that_would_fill_the_memory_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    images = EncodedImages(pa.array([b"not an image"] * 2), (3, 32, 32), "x.parquet")
    monkeypatch.setattr("smoothcert.data.inputs._IN_MEMORY_BYTES", 2 * 3 * 32 * 32 - 1)
    assert images.in_memory() is images


def test_a_truncated_image_names_its_row_in_the_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    cut = (tmp_path / "a.jpg").read_bytes()[:400]
    images = EncodedImages(pa.array([b"", b"", cut]), (3, 32, 32), "x.parquet").select(np.array([2]))
    with pytest.raises(DataError, match=r"image 2 of x\.parquet cannot be read: (?i:.*truncated)"):
        images[0]


def test_an_image_of_another_shape_is_named(tmp_path: Path) -> None:
    small = _png(tmp_path / "a.png", np.zeros((16, 16, 3), np.uint8)).read_bytes()
    images = EncodedImages(pa.array([small]), (3, 32, 32), "x.parquet")
    with pytest.raises(DataError, match=r"image 0 of x\.parquet has the shape \(3, 16, 16\)"):
        images[0]


def test_a_crop_takes_the_centre_after_scaling_the_shorter_side(tmp_path: Path) -> None:
    levels = np.zeros((40, 81, 3), np.uint8)
    levels[10:30, 30:50] = 255
    path = _png(tmp_path / "a.png", levels)
    full = FolderImages([path])
    assert full.shape == (1, 3, 40, 81)
    cropped = FolderImages([path, path], Crop(resize=20, crop=10))
    assert cropped.shape == (2, 3, 10, 10)
    reference = Image.fromarray(levels).resize((40, 20), Image.Resampling.BILINEAR).crop((15, 5, 25, 15))
    np.testing.assert_array_equal(cropped.pixels(np.array([0]))[0], np.asarray(reference).transpose(2, 0, 1))


def test_grey_images_get_three_channels(tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png", np.full((4, 4), 51, np.uint8))
    np.testing.assert_array_equal(FolderImages([path])[0], np.full((3, 4, 4), 0.2, np.float32))


def test_a_crop_larger_than_the_image_is_refused(tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png", np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(DataError, match="16x16, smaller than crop=20"):
        FolderImages([path], Crop(crop=20))
    with pytest.raises(InvalidArgumentError, match="crop is 20, but the shorter side is resized to 10"):
        Crop(resize=10, crop=20)
    with pytest.raises(InvalidArgumentError, match="resize is 0"):
        Crop(resize=0)


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    images = FolderImages([path])
    path.unlink()
    with pytest.raises(DataError, match=r"a\.png cannot be read"):
        images[0]

"""Reading datasets: each layout, and what is said when it is damaged."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from smoothcert.data import EncodedImages, FolderImages, UInt8Images, load_dataset
from smoothcert.errors import DataError, InvalidArgumentError, MissingExtraError

CIFAR_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def _jpeg(path: Path, side: int = 32) -> bytes:
    levels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(levels).save(path)
    return path.read_bytes()


def _write_parquet(path: Path, images: list[bytes | None], labels: list[object]) -> None:
    rows = [{"bytes": data, "path": f"{i}.jpg"} for i, data in enumerate(images)]
    pq.write_table(pa.table({"img": rows, "label": labels}), path)


def _write_binary(path: Path, labels: list[int]) -> NDArray[np.uint8]:
    levels = np.random.default_rng(len(labels)).integers(0, 256, (len(labels), 3072), np.uint8)
    records = np.concatenate([np.array(labels, np.uint8)[:, None], levels], axis=1)
    path.write_bytes(records.tobytes())
    return levels.reshape(-1, 3, 32, 32)


def test_cifar10_from_parquet(shared: Path) -> None:
    dataset = load_dataset(shared / "data" / "cifar10", split="test", limit=50, skip=3)
    assert isinstance(dataset.inputs, EncodedImages)
    assert dataset.inputs.shape == (50, 3, 32, 32)
    assert dataset.classes == tuple(CIFAR_NAMES)
    assert dataset.indices[:3].tolist() == [0, 3, 6]
    values = dataset.inputs[:]
    assert values.dtype == np.float32
    assert values.min() >= 0.0
    assert values.max() <= 1.0
    # The published per-channel mean of CIFAR-10; 50 images of 1,024 pixels vary by a few percent.
    np.testing.assert_allclose(values.mean(axis=(0, 2, 3)), [0.491, 0.482, 0.447], atol=0.08)


def test_cifar10_has_500_test_images_a_class_named_as_their_paths_say(shared: Path) -> None:
    folder = shared / "data" / "cifar10"
    dataset = load_dataset(folder)
    assert np.bincount(dataset.labels).tolist() == [500] * 10
    table = pq.read_table(next(folder.glob("test-*.parquet")), columns=["img"])
    folders = [path.split("/")[0] for path in pa.compute.struct_field(table["img"], "path").to_pylist()]
    assert [dataset.classes[label] for label in dataset.labels] == folders


def test_loading_decodes_nothing(tmp_path: Path) -> None:
    good = _jpeg(tmp_path / "a.jpg")
    _write_parquet(tmp_path / "test-00000-of-00001.parquet", [good, b"broken"], [3, 4])
    dataset = load_dataset(tmp_path, limit=1)
    assert dataset.inputs[:].shape == (1, 3, 32, 32)
    with pytest.raises(DataError, match="image 1 of"):
        load_dataset(tmp_path).inputs[1]


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        ([b"x"], [10], "label 10 at position 0"),
        ([b"x"], [1.5], "label of type double"),
        ([b"x"], [None], "without an image or a label|label of type null"),
        ([None], [1], "without an image|img.bytes of null"),
        ([b"x", None], [1, 1], "without an image"),
    ],
)
def test_damaged_parquet_is_refused(
    tmp_path: Path, images: list[bytes | None], labels: list[object], words: str
) -> None:
    _write_parquet(tmp_path / "test-0.parquet", images, labels)
    with pytest.raises(DataError, match=words):
        load_dataset(tmp_path)


def test_truncated_and_incomplete_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test-00000-of-00002.parquet"
    _write_parquet(path, [b"x"], [1])
    with pytest.raises(DataError, match="1 of the 2 files of test"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match=r"no train-\*\.parquet: give a split that is there \(test\)"):
        load_dataset(tmp_path, "train")
    truncated = tmp_path / "train-0.parquet"
    truncated.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train-0\.parquet is damaged.*cannot be read as CIFAR-10"):
        load_dataset(tmp_path, "train")
    pq.write_table(pa.table({"image": [1], "label": [1]}), truncated)
    with pytest.raises(DataError, match="cannot be read as CIFAR-10"):
        load_dataset(tmp_path, "train")


def test_cifar10_binary_version(tmp_path: Path) -> None:
    levels = [_write_binary(tmp_path / f"data_batch_{i}.bin", [i, i - 1]) for i in range(1, 6)]
    _write_binary(tmp_path / "test_batch.bin", [9])
    dataset = load_dataset(tmp_path, "train")
    assert dataset.labels.tolist() == [1, 0, 2, 1, 3, 2, 4, 3, 5, 4]
    assert dataset.classes == tuple(CIFAR_NAMES)
    assert isinstance(dataset.inputs, UInt8Images)
    np.testing.assert_array_equal(dataset.inputs.pixels(np.arange(10)), np.concatenate(levels))
    assert load_dataset(tmp_path).labels.tolist() == [9]
    (tmp_path / "batches.meta.txt").write_text("\n".join(f"class{i}" for i in range(10)) + "\n\n")
    assert load_dataset(tmp_path).classes[9] == "class9"


def test_damaged_binary_version_is_refused(tmp_path: Path) -> None:
    _write_binary(tmp_path / "test_batch.bin", [1, 10])
    with pytest.raises(DataError, match="label 10 in record 1"):
        load_dataset(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(bytes(3072))
    with pytest.raises(DataError, match="3072 bytes, not a positive multiple of 3073"):
        load_dataset(tmp_path)
    with pytest.raises(DataError, match=r"lacks data_batch_1\.bin"):
        load_dataset(tmp_path, "train")
    with pytest.raises(DataError, match="no split 'val'"):
        load_dataset(tmp_path, "val")


def test_the_pickled_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x02.")
    with pytest.raises(DataError, match="pickles could run code"):
        load_dataset(tmp_path, "train")


def test_image_folder_with_splits(tmp_path: Path) -> None:
    for split, number in (("train", 3), ("val", 1)):
        for name in ("n02", "n01"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(number):
                _jpeg(folder / f"{i}.JPEG", side=40)
            (folder / "notes.txt").write_text("no image")
    dataset = load_dataset(tmp_path, "train", resize=36, crop=32)
    assert dataset.classes == ("n01", "n02")
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.inputs.shape == (6, 3, 32, 32)
    assert isinstance(dataset.take(2).inputs, FolderImages)
    assert dataset.take(2).inputs[:].shape == (2, 3, 32, 32)
    with pytest.raises(DataError, match="no split 'test': give one of train, val"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path / "val")) == 2


def test_image_folder_with_mixed_shapes_or_nothing_is_refused(tmp_path: Path) -> None:
    for name, side in (("a", 32), ("b", 40)):
        (tmp_path / name).mkdir()
        _jpeg(tmp_path / name / "0.jpg", side)
    dataset = load_dataset(tmp_path)
    with pytest.raises(DataError, match=r"0\.jpg has the shape \(3, 40, 40\), but the others have \(3, 32, 32\)"):
        dataset.inputs[:]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no dataset that is known here: give 'digits'"):
        load_dataset(tmp_path / "empty")
    (tmp_path / "empty" / "test" / "one").mkdir(parents=True)
    with pytest.raises(DataError, match="1 subfolders"):
        load_dataset(tmp_path / "empty")
    (tmp_path / "empty" / "test" / "two").mkdir()
    with pytest.raises(DataError, match="no images"):
        load_dataset(tmp_path / "empty")


def test_npz_of_levels_and_of_floats(tmp_path: Path) -> None:
    levels = np.array([0, 255, 51, 102], np.uint8).reshape(2, 2)
    for name, x in (("levels", levels), ("floats", levels / 255)):
        np.savez(tmp_path / f"{name}.npz", x=x, y=np.array([2, 0], np.uint8))
        dataset = load_dataset(tmp_path / f"{name}.npz")
        np.testing.assert_array_equal(dataset.inputs[:], np.array([[0, 1], [0.2, 0.4]], np.float32))
        assert dataset.labels.tolist() == [2, 0]
        assert dataset.labels.dtype == np.int64
        assert dataset.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((2, 3))}, r"without \['y'\]"),
        ({"x": np.zeros((2, 3)), "y": np.array([0])}, r"y of shape \(1,\)"),
        ({"x": np.zeros((2, 3)), "y": np.array([0.0, 1.0])}, "y of type float64"),
        ({"x": np.zeros((2, 3)), "y": np.array([-1, 0])}, "label -1"),
        ({"x": np.zeros((0, 3)), "y": np.zeros(0, np.int64)}, "no inputs"),
        ({"x": np.full((2, 3), 255.0), "y": np.array([0, 1])}, "divide by 255"),
        ({"x": np.full((2, 3), np.nan), "y": np.array([0, 1])}, "nan at"),
        ({"x": np.zeros((2, 3), np.int64), "y": np.array([0, 1])}, "x of type int64"),
        ({"x": np.zeros((2, 8, 8, 3), np.uint8), "y": np.array([0, 1])}, "channels last"),
        ({"x": np.array([[{}]]), "y": np.array([0])}, "plain arrays"),
    ],
)
def test_wrong_npz_is_refused(tmp_path: Path, arrays: dict[str, NDArray[np.generic]], words: str) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=words) as caught:
        load_dataset(path)
    assert "data" in str(caught.value)


def test_a_truncated_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((2, 3)), y=np.array([0, 1]))
    np.save(tmp_path / "x.npy", np.zeros(3))
    for content in (path.read_bytes()[:100], (tmp_path / "x.npy").read_bytes(), b"<html>", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"data\.npz is damaged"):
            load_dataset(path)


def test_digits_are_split_without_overlap() -> None:
    train, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    assert (len(train), len(test)) == (1297, 500)
    assert np.bincount(test.labels).tolist() == [50] * 10
    assert len(set(test.labels[:20].tolist())) > 5
    both = np.concatenate([train.inputs[:], test.inputs[:]])
    assert both.shape == (1797, 1, 8, 8)
    np.testing.assert_array_equal(both * 16, np.round(both * 16))
    assert (both.min(), both.max()) == (0.0, 1.0)
    # The mean level of the whole published set, so nothing was lost or taken twice.
    np.testing.assert_allclose(both.mean() * 16, 4.884164579, rtol=1e-6)
    with pytest.raises(DataError, match="no split 'val'"):
        load_dataset("digits", "val")


def test_arguments_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    missing = tmp_path / "nothing"
    with pytest.raises(InvalidArgumentError, match="limit is 0"):
        load_dataset(missing, limit=0)
    with pytest.raises(InvalidArgumentError, match="skip is 0"):
        load_dataset(missing, skip=0)
    with pytest.raises(InvalidArgumentError, match=r"split is '\.\./x'"):
        load_dataset(missing, "../x")
    with pytest.raises(InvalidArgumentError, match="resize and crop are for image folders"):
        load_dataset("digits", crop=4)
    with pytest.raises(DataError, match="nothing is no dataset that is known here: give 'digits'"):
        load_dataset(missing)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'smoothcert\[digits\]'"):
        load_dataset("digits")

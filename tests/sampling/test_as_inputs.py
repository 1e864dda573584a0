"""Inputs come in many forms and are the same float32 values in each; what is none names its own remedy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

import smoothcert as sc
from closed_form import half_space
from smoothcert.classifiers import Classifier
from smoothcert.data import Dataset, UInt8Images
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import Purpose
from smoothcert.sampling import SampleRange, as_inputs
from smoothcert.votes import Smoothed

DIGITS = load_digits()
LEVELS: NDArray[np.uint8] = (DIGITS.images[:10, None] * 15).astype(np.uint8)
X: NDArray[np.float32] = LEVELS.astype(np.float32) / np.float32(255)
Y: NDArray[np.int64] = DIGITS.target[:10].astype(np.int64)
GREY = [Image.fromarray(levels[0]) for levels in LEVELS]
COLOUR = np.random.default_rng(0).integers(0, 256, (4, 3, 6, 5)).astype(np.uint8)
TENSORS, LABELS = torch.tensor(X), torch.tensor(Y)
PIXEL = 20


class Items(torch.utils.data.Dataset[Any]):
    """A map-style data set of what a function makes."""

    def __init__(self, item: Callable[[int], Any], m: int = 10) -> None:
        self.item, self.m = item, m
        self.read = 0

    def __len__(self) -> int:
        return self.m

    def __getitem__(self, i: int) -> Any:
        self.read += 1
        return self.item(i)


def one_pixel(num_classes: int = 10) -> Classifier:
    """The half-space of one pixel, of two classes and others that get no vote."""
    f = half_space(0.4, num_classes=num_classes)
    return sc.FunctionClassifier(
        lambda batch: f.function(batch.reshape(len(batch), -1)[:, PIXEL:]), num_classes, "one pixel"
    )


def rows_of(x: Any) -> NDArray[np.float32]:
    return np.stack(list(as_inputs(x).inputs))


@pytest.fixture(scope="module")
def hf() -> Any:
    names = datasets.ClassLabel(names=[f"digit {i}" for i in range(10)])
    features = datasets.Features({"img": datasets.Image(), "label": names})
    return datasets.Dataset.from_dict({"img": GREY, "label": Y.tolist()}, features=features)


def with_pixel_values(batch: dict[str, list[Any]]) -> dict[str, Any]:
    pixels = [torch.tensor(np.asarray(image)[None]).float() / 255 for image in batch["img"]]
    return {"pixel_values": pixels, "labels": batch["label"]}


def labelled_forms(hf: Any) -> dict[str, Any]:
    with_transform = hf.with_transform(with_pixel_values)
    return {
        "pair": (X, Y),
        "batch of tensors": [TENSORS, LABELS],
        "images with labels": (GREY, Y.tolist()),
        "labels as a column": (X.astype(np.float64), Y[:, None]),
        "list of pairs": list(zip(GREY, Y.tolist(), strict=True)),
        "list of pairs of arrays": [[x, y] for x, y in zip(X, Y, strict=True)],
        "columns": {"x": X, "y": Y},
        "TensorDataset": TensorDataset(TENSORS, LABELS),
        "DataLoader": DataLoader(TensorDataset(TENSORS, LABELS), batch_size=3),
        "images of a data set": Items(lambda i: (GREY[i], int(Y[i]))),
        "as ToTensor does it": Items(lambda i: (torch.tensor(LEVELS[i]).float().div(255), LABELS[i])),
        "labels of shape (1,)": Items(lambda i: (X[i], Y[i : i + 1])),
        "dictionaries": Items(lambda i: {"image": GREY[i], "label": Y[i]}),
        "Subset": Subset(Items(lambda i: (GREY[i], int(Y[i])), 20), range(10)),
        "Hugging Face": hf,
        "Hugging Face, as arrays": hf.with_format("numpy"),
        "Hugging Face, as tensors": hf.with_format("torch"),
        "Hugging Face, transformed": with_transform,
        "Hugging Face, loaded": DataLoader(with_transform, batch_size=4),
        "Hugging Face, rows": [hf[i] for i in range(10)],
        "Hugging Face, columns": hf[:10],
        "Hugging Face, pair of columns": (hf["img"], hf["label"]),
        "smoothcert": Dataset("digits", UInt8Images(LEVELS), Y, tuple("0123456789")),
    }


def bare_forms(hf: Any) -> dict[str, Any]:
    return {
        "array": X,
        "float64": LEVELS / 255,
        "not contiguous": np.asfortranarray(X),
        "tensor": TENSORS,
        "with gradients": TENSORS.clone().requires_grad_(),
        "list of arrays": list(X),
        "tuple of tensors": tuple(TENSORS),
        "nested numbers": (LEVELS / 255).tolist(),
        "images": GREY,
        "array of images": np.array([*GREY, None], dtype=object)[:10],
        "TensorDataset": TensorDataset(TENSORS),
        "DataLoader": DataLoader(TensorDataset(TENSORS), batch_size=4),
        "data set": Items(lambda i: X[i]),
        "with a label of none": Items(lambda i: (X[i], None)),
        "unlabelled": Items(lambda i: (X[i], -1)),
        "Hugging Face, one column": hf["img"],
        "lazy inputs": UInt8Images(LEVELS),
    }


def test_every_form_has_the_same_inputs_and_so_the_same_votes_and_certificates(hf: Any) -> None:
    f = one_pixel()
    requests = [
        SampleRange(i, key, Purpose.ESTIMATION, 0, 200)
        for i, key in enumerate(Smoothed.open(f, X, sigma=0.25, seed=3, noise="auto").keys)
    ]
    known = None
    for name, form in [*labelled_forms(hf).items(), *bare_forms(hf).items()]:
        given = as_inputs(form)
        assert np.stack(list(given.inputs)).tobytes() == X.tobytes(), name
        g = Smoothed.open(one_pixel(), form, sigma=0.25, seed=3, noise="auto")
        assert g.keys == [request.key for request in requests], name
        run = sc.certify(one_pixel(), form, sigma=0.25, n0=20, n=200, seed=3)
        votes = b"".join(each.tobytes() for each in g.sample(requests))
        found = (votes, run.tally.counts.tobytes(), run.certificates.radius.tobytes(), g.noise.law)
        known = known or found
        assert found == known, name
    assert known is not None
    assert known[3] == "grid-1/255/1"


def test_labels_are_kept_where_they_came_with_the_inputs(hf: Any) -> None:
    for name, form in labelled_forms(hf).items():
        labels = as_inputs(form).labels
        assert labels is not None, name
        assert labels.dtype == np.int64, name
        np.testing.assert_array_equal(labels, Y, name)
    for name, form in bare_forms(hf).items():
        assert as_inputs(form).labels is None, name


def test_runs_have_the_labels(tmp_path: Path) -> None:
    f, pair = one_pixel(), (X, Y)
    runs = [
        sc.certify(f, pair, sigma=0.25, n=1000, cache=tmp_path / "base"),
        sc.certify_at_radius(f, pair, radius=0.05, sigma=0.25, n=1000),
        sc.certify_with_budget(f, pair, budget=50_000, sigma=0.25),
        sc.recertify(f, pair, cache=tmp_path / "base", n_p=100, bound="irs"),
        sc.recertify_at_radius(f, pair, 0.05, cache=tmp_path / "base"),
    ]
    for run in runs:
        np.testing.assert_array_equal(run.labels, Y)  # type: ignore[attr-defined]
    assert sc.certify(f, X, sigma=0.25, n=100, n0=10).labels is None
    with pytest.raises(
        InvalidArgumentError, match=r"x\[9\] has the label 10, but classifier has num_classes = 10"
    ):
        sc.recertify(f, (X, Y + 1), cache=tmp_path / "base", n_p=100)


def test_colour_images_have_their_channels_first() -> None:
    images = [Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0))) for levels in COLOUR]
    np.testing.assert_array_equal(rows_of(images), UInt8Images(COLOUR)[:])
    np.testing.assert_array_equal(rows_of(images[0]), UInt8Images(COLOUR)[:1])


def test_arrays_in_tables_and_archives_are_inputs(tmp_path: Path) -> None:
    colour = UInt8Images(COLOUR)[:]
    features = datasets.Features(
        {"x": datasets.Array3D((3, 6, 5), "float32"), "fine_label": datasets.Value("int8")}
    )
    table = datasets.Dataset.from_dict({"x": colour.tolist(), "fine_label": [3, 1, 2, 0]}, features=features)
    np.savez(tmp_path / "some.npz", x=colour, y=[3, 1, 2, 0])
    with np.load(tmp_path / "some.npz") as archive:
        for x in (table, table["x"], archive):
            np.testing.assert_array_equal(rows_of(x), colour)
        for labels in (as_inputs(table).labels, as_inputs(archive).labels):
            np.testing.assert_array_equal(labels, [3, 1, 2, 0])


def test_halves_are_taken_exactly() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        halves = TENSORS.to(dtype)
        np.testing.assert_array_equal(rows_of(halves), halves.float().numpy())
    np.testing.assert_array_equal(rows_of(X.astype(np.float16)), X.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("one", [(X[3], 3), (TENSORS[3], LABELS[3]), (GREY[3], 3), {"img": GREY[3], "label": 3}])
def test_an_input_with_its_label_is_one_input(one: Any) -> None:
    given = as_inputs(one)
    np.testing.assert_array_equal(given.inputs[0], X[3])
    assert given.inputs.shape == (1, 1, 8, 8)
    assert given.labels is not None
    assert given.labels.tolist() == [3]


def test_two_arrays_of_one_shape_are_two_inputs() -> None:
    assert as_inputs((X[0], X[1])).inputs.shape == (2, 1, 8, 8)
    assert as_inputs([[0.1, 0.2], [0.3, 0.4]]).inputs.shape == (2, 2)


def test_a_shuffled_loader_keeps_labels_beside_their_inputs() -> None:
    loader = DataLoader(TensorDataset(TENSORS, LABELS), batch_size=4, shuffle=True)
    given = as_inputs(loader)
    assert given.labels is not None
    np.testing.assert_array_equal(np.stack(list(given.inputs)), X[np.argsort(Y)][given.labels])


def test_tables_are_inputs() -> None:
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    columns = {"a": [0.25, 0.5], "b": [0.75, 1.0]}
    for table in (pd.DataFrame(columns), pl.DataFrame(columns)):
        np.testing.assert_array_equal(rows_of(table), [[0.25, 0.75], [0.5, 1.0]])


def test_data_sets_are_read_when_they_are_needed() -> None:
    items = Items(lambda i: (X[i], Y[i]))
    given = as_inputs(items)
    read = items.read
    assert read == len(items) + 1
    np.testing.assert_array_equal(given.inputs[7], X[7])
    np.testing.assert_array_equal(given.inputs[-1], X[9])
    assert items.read == read + 2
    assert as_inputs(given) is given
    assert as_inputs(given.inputs).labels is given.labels
    assert items.read == read + 2
    with pytest.raises(IndexError):
        given.inputs[10]


def test_a_data_set_that_changes_is_refused() -> None:
    readings = itertools.count()
    flips = Items(lambda i: X[i] if next(readings) < 15 else X[i][..., ::-1].copy())
    with pytest.raises(InvalidArgumentError, match=r"x\[4\] is another input each time.*random transforms"):
        sc.certify(one_pixel(), flips, sigma=0.25, n=100)


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return itertools.repeat(X[0])


class NoLength(torch.utils.data.Dataset[Any]):
    def __getitem__(self, i: int) -> Any:
        return X[i]


HALF = np.full((3, 8, 8), 0.5)
WIDE = np.linspace(-2.1, 2.6, 3 * 3 * 8 * 8).reshape(3, 3, 8, 8)

WRONG: dict[str, tuple[Any, str]] = {
    "channels last": (np.zeros((2, 32, 32, 3)), "channels last: give x.transpose(0, 3, 1, 2)"),
    "grey, channels last": (np.zeros((2, 28, 28, 1)), "channels last: give x.transpose(0, 3, 1, 2)"),
    "alpha, channels last": (np.zeros((2, 28, 28, 4)), "channels last: give x.transpose(0, 3, 1, 2)"),
    "tensor, channels last": (torch.zeros(2, 32, 32, 3), "give x.permute(0, 3, 1, 2)"),
    "one, channels last": (np.zeros((32, 32, 3)), "give x.transpose(2, 0, 1)[None]"),
    "items, channels last": (Items(lambda i: np.zeros((32, 32, 3))), "item.transpose(2, 0, 1)"),
    "levels": (LEVELS, "x has dtype uint8, levels of 8 bits it seems: give x.astype(np.float32) / 255"),
    "levels in a tensor": (torch.tensor(LEVELS), "give x.float() / 255"),
    "levels in a data set": (Items(lambda i: LEVELS[i]), "x[0] has dtype uint8"),
    "levels as int": (
        LEVELS.astype(int),
        "dtype int64, levels of 8 bits it seems: give x.astype(np.float32) / 255",
    ),
    "levels as float": (LEVELS.astype(float), "look like 8-bit levels, so divide by 255"),
    "levels of digits": (DIGITS.images, "divide by the highest there is, 16 for scikit-learn's digits"),
    "levels of 16 bits": (X * 65535, "divide by 65535"),
    "many levels": (np.array([[70000, 0]]), "values up to 70000: give floats in [0, 1]"),
    "zeros and ones": (np.eye(3, dtype=int), "dtype int64: give x.astype(np.float32)"),
    "bool": (torch.zeros(2, 3, dtype=torch.bool), "dtype bool: give x.float()"),
    "[-1, 1]": (X * 2 - 1, "(x + 1) / 2 and sigma / 2"),
    "[-1, 1] later on": (np.stack([HALF, -HALF]), "x from x[1] on has values in [-0.5, -0.5]"),
    "normalized": (WIDE, "values in [-2.1, 2.6], but inputs are in [0, 1]: they look normalized, so undo that"),
    "normalized items": (Items(lambda i: WIDE[i], 3), "x has values in [-2.1, 2.6]"),
    "resampled": (X * 1.04 - 0.02, "clip them, x.clip(0, 1)"),
    "nan": (np.array([[0.5, 0.5], [0.5, np.nan]]), "x[1] has NaN or infinite values"),
    "infinite": (np.array([[0.5, np.inf]]), "x[0] has NaN or infinite values"),
    "beyond float32": (np.array([[0.5, 1e300]]), "x[0] has NaN or infinite values"),
    "complex": (X.astype(complex), "dtype complex128: inputs are real"),
    "text": (np.array([["a", "b"]]), "which is text: give arrays of numbers"),
    "objects": ([[0.5, None]], "with a NoneType in it: give numbers alone"),
    "ragged": ([[0.5, 0.5], [0.5]], "x is ragged"),
    "ragged arrays": ([HALF, HALF[:2]], "x[1] has shape (2, 8, 8), but x[0] (3, 8, 8)"),
    "mixed sizes": ([GREY[0], GREY[1].resize((9, 9))], "x[1] has shape (1, 9, 9), but x[0] (1, 8, 8): resize or"),
    "empty": (np.zeros((0, 3)), "x has shape (0, 3): give (m, *shape) with m >= 1 inputs"),
    "empty list": ([], "x is an empty list"),
    "empty data set": (Items(lambda i: X[i], 0), "x is an empty Items"),
    "batches of many sizes": (
        DataLoader(Items(lambda i: np.zeros((1, 8 + i, 8)), 3), batch_size=1),
        "x[1] has shape (1, 9, 8), but x[0] (1, 8, 8): resize or crop",
    ),
    "empty loader": (DataLoader(TensorDataset(TENSORS[:0])), "a data loader without a batch"),
    "a number": (np.float64(0.5), "x has shape ()"),
    "one axis": (np.zeros(3), "if it is one input, x[None]"),
    "a name": ("digits", "x is 'digits': give an array or a tensor"),
    "paths": ([Path("a.png")], "smoothcert.data.load_dataset reads a folder of images"),
    "none": (None, "x is None: give an array"),
    "a module": (torch.nn.Linear(2, 2), "x is of type Linear: give an array"),
    "a generator": ((x for x in X), "read only once: give list(itertools.islice(x, m))"),
    "a stream": (Endless(), "x is of type Endless, which is read only once"),
    "no length": (NoLength(), "x is of type NoLength, without a length"),
    "three parts": (Items(lambda i: (X[i], 3, i)), "x[0] has 3 parts: give pairs of an input and a label"),
    "alpha": ([GREY[0].convert("RGBA")], "mode 'RGBA': give RGB or L, as image.convert('RGB')"),
    "16 bits": ([Image.fromarray(LEVELS[0, 0].astype(np.uint16))], "np.asarray(image) / 65535"),
    "sparse": (torch.eye(3).to_sparse(), "give x.to_dense()"),
    "other columns": ({"picture": X, "class": Y}, "x has picture, class and none of pixel_values"),
    "too few labels": ((X, Y[:9]), "labels of x have shape (9,) for 10 inputs"),
    "float labels": ((X, Y / 2), "labels are integers, so give y.astype(int)"),
    "one-hot labels": ((X, np.eye(10)), "of one-hot rows y.argmax(1)"),
    "text labels": (list(zip(X, "abcdefghij", strict=True)), "x[0] has the label 'a'"),
    "negative labels": ((X, Y - 1), "x[0] has the label -1: labels are classes 0, 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_input_is_refused_with_its_own_remedy(name: str) -> None:
    x, message = WRONG[name]
    with pytest.raises(InvalidArgumentError) as caught:
        as_inputs(x)
    assert message in str(caught.value)


def test_what_is_no_data_set_of_inputs_is_refused_with_its_own_remedy(hf: Any) -> None:
    encoded = hf.cast_column("img", datasets.Image(decode=False))
    for x, message in (
        (datasets.DatasetDict(train=hf, test=hf), "x has the splits train, test: give one of them, x['train']"),
        (hf.to_iterable_dataset(), "read only once"),
        (encoded, "x.cast_column('img', datasets.Image())"),
        (encoded["img"], "x[0] is an encoded image"),
        (hf.remove_columns("img"), "x[0] has label and none of"),
    ):
        with pytest.raises(InvalidArgumentError) as caught:
            as_inputs(x)
        assert message in str(caught.value)


CONV = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Flatten(), torch.nn.Linear(2 * 6 * 6, 2))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (
            (3, 8, 8),
            ["cannot label inputs of shape (8, 8)", "x has shape (3, 8, 8)", "a single input, give x[None]"],
        ),
        ((4, 8, 8), ["images without a channel axis, x[:, None]"]),
        ((8, 6, 3), ["one image with channels last, x.transpose(2, 0, 1)[None]"]),
        ((2, 192), ["x.reshape(m, channels, height, width)"]),
        ((2, 1, 8, 8), ["RuntimeError: Given groups=1", "np.repeat(x, 3, axis=1)"]),
        ((2, 3, 9, 9), ["mat1 and mat2", "the channels and the size that it was made for"]),
    ],
)
def test_inputs_that_a_classifier_was_not_made_for_are_refused(shape: tuple[int, ...], words: list[str]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        sc.certify(sc.TorchClassifier(CONV, 2), np.zeros(shape), sigma=0.25, n=100)
    assert all(each in str(caught.value) for each in words), caught.value
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError(), sc.SmoothcertError("own")])
def test_errors_that_say_nothing_of_the_inputs_pass(error: Exception) -> None:
    def fails(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        raise error

    with pytest.raises(type(error)) as caught:
        sc.certify(sc.FunctionClassifier(fails, 2, "fails"), X, sigma=0.25, n=100)
    assert caught.value is error


def test_labels_that_are_no_classes_are_refused() -> None:
    f = one_pixel()
    with pytest.raises(InvalidArgumentError, match=r"x\[9\] has the label 10, .* begin at 1, subtract 1"):
        sc.certify(f, (X, Y + 1), sigma=0.25, n=100)
    with pytest.raises(InvalidArgumentError, match=r"x\[2\] has the label 2, but classifier has num_classes = 2"):
        sc.predict(one_pixel(2), (X[:3], Y[:3]), sigma=0.25, n=100)

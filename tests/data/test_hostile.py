"""Data sets made to do harm: they run nothing, are refused before there is memory for them, and are named."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from smoothcert.data import load_dataset
from smoothcert.data._decode import Crop, decode_image
from smoothcert.errors import DataError

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
MIB = 1 << 20


def _folder(root: Path, content: bytes, name: str = "0.png") -> Path:
    for label in ("a", "b"):
        (root / label).mkdir(parents=True)
        (root / label / name).write_bytes(content)
    return root


def _png(width: int, height: int, *, bits: int = 8, colour: int = 0, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _encoded(tmp_path: Path, image: Image.Image, kind: str, **options: object) -> bytes:
    path = tmp_path / "encoded"
    image.save(path, kind, **options)
    return path.read_bytes()


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))


def test_no_image_starts_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker, programs = tmp_path / "it-ran", tmp_path / "bin"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(DataError, match=r"0\.png cannot be decoded .* no PNG, JPEG, WEBP"):
        load_dataset(_folder(tmp_path / "data", EPS)).inputs[:]
    rows = [{"bytes": EPS, "path": "0.png"}]
    pq.write_table(pa.table({"img": rows, "label": [0]}), tmp_path / "test-0.parquet")
    with pytest.raises(DataError, match="image 0 of"):
        load_dataset(tmp_path).inputs[:]
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO", "TGA"])
def test_other_formats_are_refused_whatever_they_are_called(tmp_path: Path, photo: Image.Image, kind: str) -> None:
    with pytest.raises(DataError, match="is no PNG, JPEG, WEBP image"):
        load_dataset(_folder(tmp_path / "data", _encoded(tmp_path, photo, kind)))


def test_webp_is_read(tmp_path: Path, photo: Image.Image) -> None:
    data = load_dataset(_folder(tmp_path / "data", _encoded(tmp_path, photo, "WEBP", lossless=True), "0.WebP"))
    np.testing.assert_array_equal(data.inputs.in_memory().pixels(np.array([0]))[0].transpose(1, 2, 0), photo)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(tmp_path: Path, photo: Image.Image, kind: str) -> None:
    data = _encoded(tmp_path, photo, kind, save_all=True, append_images=[photo.rotate(90)])
    with pytest.raises(DataError, match="animation of 2 frames"):
        decode_image(data, "a")


def test_a_photograph_with_a_second_picture_gives_its_first(tmp_path: Path, photo: Image.Image) -> None:
    data = _encoded(tmp_path, photo, "MPO", save_all=True, append_images=[photo.rotate(90)], quality=100)
    alone = decode_image(_encoded(tmp_path, photo, "JPEG", quality=100), "a")
    np.testing.assert_array_equal(decode_image(data, "a"), alone)


@pytest.mark.parametrize("colour", [0, 2])
def test_levels_of_16_bits_are_not_cut_silently(colour: int) -> None:
    row = b"\0" + bytes(2 * (1 if colour == 0 else 3) * 2)
    with pytest.raises(DataError, match="16 bits a level"):
        decode_image(_png(2, 2, bits=16, colour=colour, rows=2 * row), "a")


def test_palettes_cmyk_alpha_and_orientation_are_taken_as_usual(tmp_path: Path, photo: Image.Image) -> None:
    palette = photo.quantize(16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = decode_image(_encoded(tmp_path, palette, "PNG", transparency=bytes(range(256))), "a")
    np.testing.assert_array_equal(found.transpose(1, 2, 0), palette.convert("RGB"))
    clear = photo.copy()
    clear.putalpha(0)
    np.testing.assert_array_equal(decode_image(_encoded(tmp_path, clear, "PNG"), "a").transpose(1, 2, 0), photo)
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = photo.resize((16, 8))
    assert decode_image(_encoded(tmp_path, wide, "JPEG", exif=exif), "a").shape == (3, 8, 16)
    cmyk = photo.convert("CMYK")
    found = decode_image(_encoded(tmp_path, cmyk, "JPEG", quality=100), "a").transpose(1, 2, 0)
    assert np.abs(found - np.asarray(cmyk.convert("RGB"), np.int64)).mean() < 20


@pytest.mark.parametrize(
    ("width", "height", "crop"),
    [
        (60_000, 60_000, None),
        (9_000, 9_000, None),
        (3_000, 3_000, None),
        (1, 4_000_000, Crop(resize=256, crop=224)),
    ],
)
def test_image_bombs_are_refused_by_their_header(width: int, height: int, crop: Crop | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="pixels"):
            decode_image(_png(width, height), "a", crop)


def test_an_image_of_another_shape_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(DataError, match=r"has the shape \(3, 1000, 1000\), but the others have \(3, 8, 8\)"):
        decode_image(_png(1000, 1000), "a", shape=(3, 8, 8))  # it holds no pixels, so that decoding would fail


def test_a_huge_image_file_is_not_read(tmp_path: Path) -> None:
    root = _folder(tmp_path / "data", b"")
    with (root / "a" / "0.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="has more than"):
        load_dataset(root)


def _npz(path: Path, arrays: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)


def _npy(shape: tuple[int, ...], kind: str, data: bytes = b"") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


LABELS = _npy((2,), "<i8", bytes(16))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": _npy((2**50,), "<f4"), "y": LABELS}, "it is damaged"),
        ({"x": _npy((2**30, 2**30), "|u1"), "y": LABELS}, "it is damaged"),
        ({"x": _npy((-1, -4), "<f4", bytes(16)), "y": LABELS}, "it is damaged"),
        ({"x": _npy((2, 2), "<f4", bytes(16) + b"more"), "y": LABELS}, "it is damaged"),
        ({"x": _npy((0, 2**40), "<f4"), "y": _npy((0,), "<i8")}, "no inputs"),
        ({"x": _npy((2, 0), "<f4"), "y": LABELS}, "no inputs"),
        ({"x": _npy((2, 2), "|O", bytes(32)), "y": LABELS}, "type object"),
        ({"x": _npy((2, 2), "|V2147483647"), "y": LABELS}, "of type"),
        ({"x": _npy((2, 2), "<f4", bytes(16)), "y": _npy((2,), "<i8", struct.pack("<qq", 0, 10**8))}, "100000000"),
        (
            {"x": _npy((2, 2), "<f4", bytes(16)), "y": _npy((2,), "<u8", b"\xff" * 16)},
            "label 18446744073709551615",
        ),
        ({"x": b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "y": LABELS}, "is damaged"),
        ({"x": b"\x93NUMPY\x03\x00" + bytes(100), "y": LABELS}, r"format \(3, 0\)"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, arrays: dict[str, bytes], words: str) -> None:
    _npz(tmp_path / "a.npz", arrays)
    with pytest.raises(DataError, match=words) as caught:
        load_dataset(tmp_path / "a.npz")
    assert "a.npz" in str(caught.value)


def test_as_many_classes_as_a_vote_can_name(tmp_path: Path) -> None:
    x = np.zeros((2, 1), np.uint8)
    for last, fits in ((65533, True), (65534, False)):
        np.savez(tmp_path / "a.npz", x=x, y=np.array([0, last]))
        if fits:
            assert load_dataset(tmp_path / "a.npz").num_classes == 65534
        else:
            with pytest.raises(DataError, match=r"label 65534 in y: give classes 0 \.\. 65533"):
                load_dataset(tmp_path / "a.npz")


def _zeros(root: Path) -> Path:
    """2 MB that inflate to 2 GB."""
    path = root / "zeros.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("y.npy", LABELS)
        with archive.open("x.npy", "w", force_zip64=True) as file:
            file.write(_npy((2, 300 * MIB), "|u1"))
            for _ in range(600):
                file.write(bytes(MIB))
    return path


def _label(root: Path) -> Path:
    np.savez(root / "label.npz", x=np.zeros((2, 4), np.float32), y=np.array([0, 10**8]))
    return root / "label.npz"


def _repeated_image(root: Path) -> Path:
    """One large value in a dictionary, and twenty thousand rows that name it."""
    images = pa.DictionaryArray.from_arrays(np.zeros(20_000, np.int32), pa.array([bytes(MIB // 8)]))
    table = pa.table({"img": pa.StructArray.from_arrays([images], ["bytes"]), "label": np.zeros(20_000, np.int8)})
    path = root / "test-0.parquet"
    pq.write_table(table, path, compression="snappy", store_schema=False, dictionary_pagesize_limit=MIB)
    assert path.stat().st_size < MIB // 8
    return root


def _zstd(root: Path) -> Path:
    rows = pa.array([{"bytes": bytes(MIB), "path": ""}] * 300)
    table = pa.table({"img": rows, "label": [0] * 300})
    pq.write_table(table, root / "test-0.parquet", compression="zstd", use_dictionary=False)
    return root


def _nulls(root: Path) -> Path:
    rows = pa.nulls(5_000_000, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    labels = pa.array(np.zeros(5_000_000, np.int8))
    pq.write_table(pa.table({"img": rows, "label": labels}), root / "test-0.parquet")
    return root


def _binary(root: Path) -> Path:
    with (root / "test_batch.bin").open("wb") as file:
        file.truncate(3073 << 20)
    return root


@pytest.mark.parametrize("make", [_zeros, _label, _repeated_image, _zstd, _nulls, _binary])
def test_what_would_fill_the_memory_is_refused_before_it_does(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    code = (
        "import resource, sys, numpy, PIL.Image, pyarrow.parquet\n"
        "from smoothcert.data import load_dataset\n"
        "from smoothcert.errors import DataError\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
        "before = peak()\n"
        "try: load_dataset(sys.argv[1])\n"
        "except DataError as error: print(peak() - before)\n"
    )
    command = [sys.executable, "-c", code, str(make(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100, "MiB more than before"


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.npz").symlink_to("/proc/self/mem")
    with pytest.raises(DataError, match=r"a\.npz"):
        load_dataset(tmp_path / "a.npz")
    (tmp_path / "test-0.parquet").mkdir()
    with pytest.raises(DataError, match=r"test-0\.parquet"):
        load_dataset(tmp_path)


def test_a_name_that_is_too_long_is_an_error_of_ours() -> None:
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        load_dataset("x" * 5000)


def test_deep_class_names_in_parquet_are_left_out(tmp_path: Path) -> None:
    rows = [{"bytes": b"x", "path": ""}]
    table = pa.table({"img": rows, "label": [0]}).replace_schema_metadata({"huggingface": "[" * 10**5})
    pq.write_table(table, tmp_path / "test-0.parquet")
    assert load_dataset(tmp_path).classes[0] == "airplane"

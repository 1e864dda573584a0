"""A manifest has the values that a call can have given, and no others."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from forged_cache import manifest_of
from smoothcert._records import digest_of
from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.votes.store import CertificationCache, Manifest, RoundJournal, votes_manifest

MANIFEST = manifest_of(
    n0=100,
    num_classes=10,
    input_shape=(3, 32, 32),
    identity={"execution": "cpu", "digest": "", "logits": "0" * 16},
    classifier={"runtime": "onnx"},
    versions={"numpy": "2"},
)


@pytest.mark.parametrize(
    ("name", "legal", "illegal"),
    [
        ("sigma", [1e-300, 1e300], [0.0, -0.5, 1, float("inf"), float("nan"), "0.5"]),
        ("noise_digest", ["0" * 64], ["0" * 63, "0" * 65, "g" * 64, "A" * 64, ""]),
        ("seed", [0, (1 << 128) - 1], [-1, 1 << 128, 1.0, True, "0"]),
        ("n0", [0, (1 << 40) - 1], [-1, 1 << 40, 1.0, False]),
        ("n", [1, (1 << 40) - 1], [0, 1 << 40, 1.0, True]),
        ("alpha", [1e-100, 0.999], [0.99e-100, 0.0, 1.0, 1, float("nan")]),
        ("num_classes", [2, 65534], [1, 65535, 2.0]),
        ("input_shape", [[1], [(1 << 32) - 1], [1] * 15], [[], [1] * 16, [0], [1 << 32], [1.0], 3, "3"]),
        ("fingerprint", ["x" * 4096], ["", "x" * 4097, None]),
        ("purpose", ["estimation", "fitting"], ["selection", "prediction", "ESTIMATION", ""]),
        ("identity", [{}], [{"execution": "cpu"}, {"execution": "", "digest": "1", "logits": "0" * 8}, []]),
        ("identity", [{"execution": "", "digest": "1" * 64, "logits": "0" * 8}],
         [{"execution": "", "digest": "", "logits": ""}, {"execution": "", "digest": "", "logits": "0" * 7}]),
        ("classifier", [{}, {"a": ""}], [{"a": 1}, [], {str(i): "" for i in range(64)}]),
        ("base", ["", "1" * 64], ["1", None]),
        ("versions", [{}], [None, {"numpy": 2}]),
    ],
)  # fmt: skip
def test_values_are_held_against_what_is_legal(name: str, legal: list[Any], illegal: list[Any]) -> None:
    """With a digest that fits, so that nothing but the value is wrong."""
    header = {"format": "smoothcert-cache", "format_version": 3}
    written = json.loads(MANIFEST.to_json())
    content = {field: value for field, value in written.items() if field not in {"digest", *header}}
    for value in legal:
        made = {**content, name: value}
        found = Manifest.from_json(json.dumps({**header, **made, "digest": digest_of(made)}), "m.json")
        change: dict[str, Any] = {name: tuple(value) if name == "input_shape" else value}
        assert found == replace(MANIFEST, **change)
        assert found.digest == digest_of(made)
    for value in illegal:
        made = {**content, name: value}
        with pytest.raises(CacheCorruptError, match=f"m.json: {name} is .* not legal"):
            Manifest.from_json(json.dumps({**header, **made, "digest": digest_of(made)}), "m.json")


@pytest.mark.parametrize(
    "change",
    [
        {"sigma": 0.25}, {"noise_law": "grid-1/255/1"}, {"noise_digest": "0" * 64}, {"seed": 4}, {"n0": 99},
        {"n": 999}, {"alpha": 0.01}, {"num_classes": 9}, {"input_shape": (3, 32)}, {"fingerprint": "g"},
        {"purpose": "fitting"}, {"base": "1" * 64}, {"spread": "budget"},
        {"identity": {"execution": "cpu", "digest": "", "logits": "0" * 8 + "3f800000"}},
    ],
)  # fmt: skip
def test_a_call_that_differs_in_anything_that_decides_votes_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CacheMismatchError):
        MANIFEST.require_same(replace(MANIFEST, **change), "c")
    with pytest.raises(CacheMismatchError):
        replace(MANIFEST, **change).require_same(MANIFEST, "c")
    if "identity" not in change:
        MANIFEST.require_same(replace(MANIFEST, **change), "c", ignore=tuple(change))


def test_what_decides_no_votes_may_differ() -> None:
    MANIFEST.require_same(replace(MANIFEST, versions={}, classifier={}), "c")
    MANIFEST.require_same(replace(MANIFEST, identity={}), "c")
    replace(MANIFEST, identity={}).require_same(MANIFEST, "c")


def test_the_digest_is_of_every_field() -> None:
    other: dict[str, Any] = {
        "sigma": 0.25, "noise_law": "x", "noise_digest": "0" * 64, "seed": 4, "n0": 99, "n": 999, "alpha": 0.01,
        "num_classes": 9, "input_shape": (3, 32), "fingerprint": "g", "purpose": "fitting", "identity": {},
        "classifier": {}, "base": "1" * 64, "versions": {}, "spread": "budget",
    }  # fmt: skip
    assert {*other, "format_version"} == {field.name for field in fields(Manifest)}
    whole = replace(MANIFEST, format_version=4)
    assert len({replace(whole, **{name: value}).digest for name, value in other.items()}) == len(other)
    assert all(replace(whole, **{name: value}).digest != whole.digest for name, value in other.items())


def test_it_is_found_in_either_kind_of_folder(tmp_path: Path) -> None:
    with CertificationCache.writing(tmp_path / "c", MANIFEST):
        pass
    with RoundJournal.writing(tmp_path / "j", replace(MANIFEST, n=77), {"name": "test"}, [bytes(32)]):
        pass
    assert votes_manifest(tmp_path / "c") == MANIFEST
    assert votes_manifest(tmp_path / "j") == replace(MANIFEST, n=77)
    with pytest.raises(CacheMismatchError, match="holds no certification cache"):
        votes_manifest(tmp_path)

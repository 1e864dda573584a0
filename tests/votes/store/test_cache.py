from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import smoothcert as sc
from closed_form import recording
from folders import votes_of
from forged_cache import CALL, INPUTS, classifier
from processes import start
from smoothcert._files import locked
from smoothcert.errors import (
    CacheCorruptError,
    CacheError,
    CacheLockedError,
    CacheMismatchError,
    InvalidArgumentError,
)
from smoothcert.sampling.identity import probe_batch
from smoothcert.votes.store import CertificationCache


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("whole") / "cache"
    again(cache)
    return cache


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def again(cache: Path, **changes: object) -> sc.CertificationRun:
    return sc.certify(classifier(), INPUTS, cache=cache, **{**CALL, **changes})  # type: ignore[arg-type]


def test_cache_gives_back_what_certify_counted(whole: Path, tmp_path: Path) -> None:
    fresh = again(tmp_path / "fresh")
    cached = again(whole)
    assert cached.timing.samples == 0
    np.testing.assert_array_equal(fresh.tally.counts, cached.tally.counts)
    np.testing.assert_array_equal(fresh.tally.selection, cached.tally.selection)
    np.testing.assert_array_equal(fresh.certificates.radius, cached.certificates.radius)
    store = CertificationCache(whole)
    assert len(store) == len(INPUTS)
    for key, counts in zip(fresh.keys, fresh.tally.counts, strict=True):
        row = store[key]
        np.testing.assert_array_equal(np.bincount(row.votes, minlength=5), counts)
    assert votes_of(whole) == votes_of(tmp_path / "fresh")


def test_parts_are_readable_by_any_parquet_reader(whole: Path) -> None:
    part = sorted((whole / "parts").iterdir())[0]
    table = pq.read_table(part).to_pylist()
    assert set(table[0]) == {"key", "top_class", "selection_counts", "counts", "p_lower", "votes", "start"}
    assert len(table[0]["votes"]) == CALL["n"], "a byte for each vote"


def test_order_and_subset_find_their_votes(copy: Path) -> None:
    run = sc.certify(classifier(), INPUTS[[5, 2, 9]], cache=copy, **CALL)  # type: ignore[arg-type]
    assert run.timing.samples == 0
    np.testing.assert_array_equal(run.tally.counts, again(copy).tally.counts[[5, 2, 9]])


def test_more_inputs_extend_a_cache(tmp_path: Path, whole: Path) -> None:
    sc.certify(classifier(), INPUTS[:5], cache=tmp_path / "c", **CALL)  # type: ignore[arg-type]
    run = again(tmp_path / "c")
    assert run.timing.samples == 7 * 20_020
    np.testing.assert_array_equal(run.tally.counts, again(whole).tally.counts)


def test_a_continued_run_keeps_its_batch_size(tmp_path: Path) -> None:
    """Kernels may round by batch size, so the rest of a run has to come in the batches that it was begun with."""
    sizes: list[int] = []
    f = recording(classifier(), sizes)
    sc.certify(f, INPUTS[:2], cache=tmp_path / "c", batch_size=96, **CALL)  # type: ignore[arg-type]
    sizes.clear()
    sc.certify(f, INPUTS[:4], cache=tmp_path / "c", **CALL)  # type: ignore[arg-type]
    assert max(sizes) == 96


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("sigma", {"sigma": 0.25}),
        ("seed", {"seed": 8}),
        ("n0", {"n0": 21}),
        ("n", {"n": 10_000}),
        ("alpha", {"alpha": 0.01}),
    ],
)
def test_a_call_that_does_not_fit_is_refused(copy: Path, field: str, change: dict[str, float]) -> None:
    before = votes_of(copy)
    with pytest.raises(CacheMismatchError, match=rf"\b{field} = "):
        again(copy, **change)
    assert votes_of(copy) == before


def test_another_model_or_shape_is_refused(copy: Path) -> None:
    with pytest.raises(CacheMismatchError, match="fingerprint"):
        sc.certify(classifier(0.5), INPUTS, cache=copy, **CALL)  # type: ignore[arg-type]
    with pytest.raises(CacheMismatchError, match="input_shape"):
        sc.certify(classifier(), INPUTS.reshape(12, 4, 3), cache=copy, **CALL)  # type: ignore[arg-type]


def test_votes_that_do_not_repeat_are_refused(copy: Path) -> None:
    """The same fingerprint, another function: logits for fixed inputs tell, and where they do not, the votes."""
    liar = sc.FunctionClassifier(lambda batch: -classifier().function(batch), num_classes=5, fingerprint="W 0.0")
    with pytest.raises(CacheMismatchError, match=r"another classifier under the fingerprint 'W 0.0'"):
        sc.certify(liar, INPUTS, cache=copy, **CALL)  # type: ignore[arg-type]

    def lies_about_grey(batch: NDArray[np.float32]) -> NDArray[np.floating]:
        probed = np.isin(batch, probe_batch(INPUTS.shape[1:], CertificationCache(copy).manifest.noise())).all()
        return classifier().function(batch) if probed else -classifier().function(batch)

    liar = sc.FunctionClassifier(lies_about_grey, num_classes=5, fingerprint="W 0.0")
    with pytest.raises(CacheMismatchError, match="does not repeat"):
        sc.certify(liar, INPUTS, cache=copy, **CALL)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["manifest.json", "index.jsonl", "part"])
@pytest.mark.parametrize("where", [0.02, 0.3, 0.5, 0.77, 0.98])
def test_a_flipped_bit_is_found(copy: Path, name: str, where: float) -> None:
    path = sorted((copy / "parts").iterdir())[1] if name == "part" else copy / name
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 4
    path.write_bytes(data)
    with pytest.raises((CacheCorruptError, CacheMismatchError), match=path.name):
        again(copy)


def test_a_truncated_or_missing_part_is_named_and_repaired(copy: Path) -> None:
    before = votes_of(copy)
    first, second = sorted((copy / "parts").iterdir())[:2]
    first.write_bytes(first.read_bytes()[:-10])
    second.unlink()
    with pytest.raises(CacheCorruptError, match=r"damaged|cannot be read"):
        again(copy)
    store = CertificationCache(copy)
    damaged = store.damaged()
    assert {entry.name for entry, _ in damaged} == {first.name, second.name}
    assert {entry.name for entry in CertificationCache.repair(copy)} == {first.name, second.name}
    run = again(copy)
    assert run.timing.samples == sum(len(e.keys) for e, _ in damaged) * 20_020
    assert votes_of(copy) == before, "the index too: a digest that was pinned holds again"


def test_a_missing_manifest_is_not_replaced(copy: Path) -> None:
    (copy / "manifest.json").unlink()
    with pytest.raises(CacheCorruptError, match=r"manifest\.json is missing"):
        again(copy)


def test_a_part_of_another_cache_is_refused(copy: Path, tmp_path: Path) -> None:
    """Swapped whole files with a repaired checksum still carry the other manifest's digest."""
    other = tmp_path / "other"
    again(other, seed=8)
    part = sorted((copy / "parts").iterdir())[0]
    foreign = (other / "parts" / part.name).read_bytes()
    part.write_bytes(foreign)
    store = CertificationCache(copy)
    entry = next(e for e in store.entries if e.name == part.name)
    import hashlib

    from smoothcert.votes.store.parts import decode_part

    forged = replace(entry, sha256=hashlib.sha256(foreign).hexdigest(), size=len(foreign))
    with pytest.raises(CacheCorruptError, match="its manifest's digest"):
        decode_part(copy, forged, store.manifest)


def test_a_parquet_bomb_is_refused_before_it_unpacks(copy: Path) -> None:
    import hashlib

    from smoothcert.votes.store.parts import decode_part

    store = CertificationCache(copy)
    entry = store.entries[0]
    votes = pa.array([np.zeros(20_000_000, np.uint8)] + [np.zeros(1, np.uint8)] * (len(entry.keys) - 1))
    bomb = copy / "parts" / entry.name
    pq.write_table(pa.table({"votes": votes}), bomb, use_dictionary=False, compression="zstd")
    data = bomb.read_bytes()
    assert len(data) < 1_000_000
    forged = replace(entry, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    with pytest.raises(CacheCorruptError, match="rows in"):
        decode_part(copy, forged, store.manifest)


@pytest.mark.parametrize("change", [{"sigma": -0.5}, {"seed": "0"}, {"n": 0}, {"input_shape": []}, {"extra": 1}])
def test_an_illegal_manifest_is_refused(copy: Path, change: dict[str, object]) -> None:
    path = copy / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CacheCorruptError, match=r"manifest\.json"):
        CertificationCache(copy)


def test_two_writers_are_refused(copy: Path) -> None:
    with locked(copy, ".lock"), pytest.raises(CacheLockedError, match="another process"):
        again(copy)


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(CacheError, match="cannot write"):
        again(file / "cache")


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path) -> None:
    real, calls = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CacheError, match="No space left"):
        again(tmp_path / "c")
    monkeypatch.setattr(os, "fsync", real)
    assert 0 < len(CertificationCache(tmp_path / "c")) < len(INPUTS)
    again(tmp_path / "c")
    assert votes_of(tmp_path / "c") == votes_of(whole)


def test_no_cache_is_named(tmp_path: Path) -> None:
    with pytest.raises(CacheMismatchError, match="holds no certification cache"):
        CertificationCache(tmp_path)
    with pytest.raises(InvalidArgumentError):
        again(tmp_path, n=5)
    assert not list(tmp_path.iterdir()), "nothing is made before the arguments are checked"


def test_killed_at_random_moments_it_ends_bit_identical(tmp_path: Path, whole: Path) -> None:
    cache, kills = tmp_path / "killed", 0
    rng = np.random.default_rng(3)
    for _ in range(40):
        child = start(__file__, "again", cache)
        target = len(list((cache / "parts").glob("*"))) + 1 if cache.exists() else 0
        while child.is_alive() and kills < 4:  # wait for new work, then kill a random moment later
            if (cache / "parts").exists() and len(list((cache / "parts").glob("*"))) >= target:
                time.sleep(rng.random() * 0.02)
                child.kill()
                child.join()
                kills += child.exitcode == -signal.SIGKILL
        child.join()
        if child.exitcode == 0:
            break
    assert kills >= 2
    assert votes_of(cache) == votes_of(whole)

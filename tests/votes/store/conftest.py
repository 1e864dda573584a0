"""A small cache in three parts with a recertified candidate."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import smoothcert as sc
from forged_cache import World, X, classifier
from smoothcert.votes.store import CandidateRecord, candidate_folder, write_candidate


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = World(tmp_path_factory.mktemp("made") / "cache")
    world.certify()
    folder = candidate_folder(world.cache, "shifted")
    sc.recertify(classifier(0.01), X, cache=world.cache, n_p=1000, spread="even", n0=20, out=folder)
    record = CandidateRecord(
        spec="shifted",
        name="shifted",
        description="W",
        n_p=1000,
        alpha_zeta=0.001,
        gamma=0.99,
        identical=False,
        bound="auto",
    )
    write_candidate(world.cache, record)
    return world.cache


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    return World(Path(shutil.copytree(made, tmp_path / "cache")))

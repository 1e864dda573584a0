"""A part of `make attack`: damaged files, kills and a failing disk."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from attacks.kinds import KINDS
from attacks.verdicts import BAD

ROOT = Path(__file__).resolve().parents[2]
MUTATIONS, KILLS, INTERRUPTIONS = 136, 11, 3
SEED = 8006  # draws every kind of file four times, 54 of 60 kinds of damage and every reader but the slow report
EVERY = 40  # no multiple of three, so that each of the three errors of a disk occurs


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, str]], str]:
    """Every line of the table, and what was printed; in a process of its own, since it forks."""
    out = tmp_path_factory.mktemp("attack")
    amounts = {
        "seed": SEED,
        "mutations": MUTATIONS,
        "processes": 0,
        "kills": KILLS,
        "interruptions": INTERRUPTIONS,
        "every": EVERY,
    }
    options = [f"--{name}={amount}" for name, amount in amounts.items()]
    command = [sys.executable, "experiments/attack_all.py", "--out", str(out), *options, "--faults", "certify"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ})
    assert (out / "attack.csv").exists(), done.stderr
    with (out / "attack.csv").open() as file:
        return list(csv.DictReader(file)), done.stdout


def test_no_damage_changes_a_certificate_or_gets_anything_but_an_error_of_ours(
    attacked: tuple[list[dict[str, str]], str],
) -> None:
    lines, printed = attacked
    assert sum(int(line["attacks"]) for line in lines) > MUTATIONS
    wrong = {line["attacked"]: [name for name in BAD if line[name] != "0"] for line in lines}
    assert {kind: found for kind, found in wrong.items() if found} == {}, printed


def test_the_attacks_reach_what_they_attack(attacked: tuple[list[dict[str, str]], str]) -> None:
    """Most damage is noticed, some changes nothing, and sealed votes are another cache's."""
    lines, _ = attacked
    kinds = ("refused", "same", "another", "earlier")
    total = {name: sum(int(line[name]) for line in lines) for name in kinds}
    assert total["refused"] > MUTATIONS and total["same"] > MUTATIONS / 2 and total["another"] > MUTATIONS / 20
    assert total["earlier"] > 0 and set(KINDS) <= {line["attacked"] for line in lines}

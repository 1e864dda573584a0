from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from smoothcert.evaluation import truly_certified

GATE = "--min-certified-accuracy"


def test_confidence_accounts_for_false_certificates(run: Any, trained: Path) -> None:
    """The same gate, at what was observed: met as it is, and not shown to be met."""
    cache = trained / "cache"
    rows = json.loads(run("compare", cache, "--json")[1])["rows"]
    observed = min(row["CA@0"] for row in rows if row["by"] == "auto")
    assert 0.1 < observed < 1
    gate = (GATE, f"{observed}@0")
    assert run("compare", cache, *gate)[0] == 0
    status, out, _ = run("compare", cache, *gate, "--confidence", "0.99", "--json")
    assert status == 1
    found = json.loads(out)
    assert len(found["gates"]) == 3
    for verdict in found["gates"]:
        k = round(verdict["observed"] * 30)
        assert verdict["alone"] == truly_certified(k, 30, 0.002, confidence=0.99) / 30
        assert verdict["together"] == truly_certified(k, 30, 0.002, confidence=1 - 0.01 / 3) / 30
    assert all("is not shown to be at least" in text for text in found["failures"])
    assert run("compare", cache, GATE, f"{observed - 0.1}@0", "--confidence", "0.99")[0] == 0


def test_picking_a_winner_by_a_gate_is_warned_about(run: Any, trained: Path) -> None:
    cache = trained / "cache"
    assert "warning" not in run("compare", cache)[2]
    status, out, err = run("compare", cache, GATE, "0.1@0", "--json")
    assert status == 0
    assert "false with probability up to 0.006, not 0.002" in err
    assert "--holdout" in err
    assert "audit" in err
    assert len(json.loads(out)["warnings"]) == 1


def test_comparing_again_after_a_change_is_warned_about(run: Any, copy: Path) -> None:
    """The verdicts of one call have their confidence; those of several have less, and changed candidates none."""
    cache, gate = copy / "cache", (GATE, "0.1@0", "--confidence", "0.99")
    (cache / "comparisons.jsonl").unlink(missing_ok=True)
    first = run("compare", cache, *gate)[2]
    assert run("compare", cache, *gate)[2] == first, "the same call is the same statement"
    assert "right at once" not in first
    err = run("compare", cache, GATE, "0.1@0.1", "--confidence", "0.95")[2]
    assert "verdicts of all 2 are right at once with confidence 0.94" in err
    run("recertify", cache, "--candidate", "prune:0.2", "--n-p", "300")
    err = run("compare", cache, *gate)[2]
    assert "prune-0.2 came after a comparison of this cache" in err
    assert "confidence 0.93" in err
    (cache / "comparisons.jsonl").write_bytes((cache / "comparisons.jsonl").read_bytes().replace(b"0.95", b"0.96"))
    status, _, err = run("compare", cache, *gate)
    assert status == 2
    assert "comparisons.jsonl was changed in line 2" in err


def test_premises_and_statements_are_shown(run: Any, trained: Path) -> None:
    out = run("compare", trained / "cache")[1]
    assert "samples 0 to 299" in out
    assert "was fixed without looking at the noise" in out
    assert "each candidate alone" in out
    assert "all 3 together" in out
    assert "intervals over the draw of the inputs" in out


def test_report_writes_intervals(run: Any, trained: Path, tmp_path: Path) -> None:
    assert run("report", trained / "cache", "--out", tmp_path / "report")[0] == 0
    with (tmp_path / "report" / "intervals.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["classifier"] for row in rows} == {"base", "bf16", "int8", "prune-0.1"}
    for row in rows:
        low, value, high = float(row["low"]), float(row["value"]), float(row["high"])
        assert low <= value <= high
        assert float(row["together"]) <= float(row["alone"]) <= value


def test_a_candidate_without_paired_votes_has_no_zeta(run: Any, trained: Path, tmp_path: Path) -> None:
    """Under hardly any noise all cached votes agree, and every input starts from scratch."""
    cache, model = tmp_path / "cache", trained / "checkpoint.safetensors"
    noise = ("--sigma", "0.001", "--n", "200", "--n0", "20")
    assert run("certify", model, "--data", "digits", "--limit", "3", *noise, "--cache", cache)[0] == 0
    assert "from its own votes alone" in run("recertify", cache, "--candidate", "prune:0.2", "--n-p", "100")[1]
    rows = json.loads(run("compare", cache, "--json")[1])["rows"]
    found = next(row for row in rows if row["classifier"] == "prune-0.2")
    assert found["mean zeta"] is None
    assert found["paired"] == 0
    assert "prune-0.2 on samples beyond the cache: provided that" in run("compare", cache)[1]
    assert run("report", cache, "--out", tmp_path / "report")[0] == 0


@pytest.mark.parametrize("confidence", ["0", "1", "99", "nan"])
def test_a_confidence_outside_its_range_is_refused(run: Any, trained: Path, confidence: str) -> None:
    status, _, err = run("compare", trained / "cache", GATE, "0.1@0", "--confidence", confidence)
    assert status == 2
    assert "confidence is" in err


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 200])
def test_every_table_fits_the_terminal(
    run: Any, trained: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = run("compare", trained / "cache")[1]
    tables = out[: out.index("paired, direct, abstain:")]
    assert all(len(line) <= columns for line in tables.splitlines())
    assert "…" not in out
    words = tables.split()
    rows = json.loads(run("compare", trained / "cache", "--json")[1])["rows"]
    for row in rows:
        assert row["classifier"] in words
        assert f"{row['CA@0']:.3f}" in words
        assert str(row["samples"]) in words
    for heading in ("paired", "direct", "abstain", "speedup", "seconds", "ACR"):
        assert heading in words


def test_radii_that_were_chosen(run: Any, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    cache = trained / "cache"
    status, out, _ = run("compare", cache, "--radii", "0.3,0.1", "--json")
    found = json.loads(out)
    assert [name for name in found["rows"][0] if name.startswith("CA@")] == ["CA@0.1", "CA@0.3"]
    assert {row["metric"] for row in found["intervals"]} == {"CA@0.1", "CA@0.3", "ACR"}
    many = [r / 20 for r in range(12)]
    status, out, _ = run("compare", cache, "--radii", ",".join(map(str, many)))
    assert status == 0
    tables = out[: out.index("paired, direct, abstain:")]
    assert all(f"{r:g}" in tables for r in many), "all of them, in several tables"
    assert all(len(line) <= 80 for line in tables.splitlines())


def test_report_as_json(run: Any, trained: Path, tmp_path: Path) -> None:
    status, out, _ = run("report", trained / "cache", "--out", tmp_path / "report", "--json")
    assert status == 0
    found = json.loads(out)
    assert sorted(found["files"]) == sorted(map(str, (tmp_path / "report").iterdir()))
    assert found["rows"] == json.loads(run("compare", trained / "cache", "--json")[1])["rows"]

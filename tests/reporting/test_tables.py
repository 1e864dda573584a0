from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from smoothcert.certificate import Certificates
from smoothcert.errors import InvalidArgumentError
from smoothcert.reporting import Column, Table, cells, to_rich, write_certificates, write_csv, write_parquet

TABLE = Table(
    title="Candidates [bold]",
    columns=(Column("candidate"), Column("ACR", 3, "lower"), Column("zeta", 4, "upper"), Column("inputs")),
    rows=(
        ("base [red]", np.float64(0.48699), None, 500),
        ("int8", 0.4799, np.float32(0.00601), np.int64(500)),
        ("prune", 0.0, float("nan"), None),
    ),
)


@pytest.fixture
def certificates() -> Certificates:
    return Certificates(
        prediction=np.array([3, -1, 1]),
        radius=np.array([0.1 + 0.2, 0.0, np.nextafter(1.0, 2.0)]),
        p_lower=np.array([0.8, 0.4, 0.97]),
        top_class=np.array([3, 2, 1]),
        count=np.array([850, 450, 990]),
        n=np.array([1000, 1000, 1000]),
        reason=np.array(["", "p_lower <= 1/2, so nothing is certified", ""]),
        alpha=0.002,
        alpha_split={"zeta": 0.001, "base": 0.001},
        sigma=0.5,
        method="irs",
        noise="gaussian/1",
        guarantee="certified",
        premise="the candidate is independent of the seed",
        zeta=np.array([0.01, np.nan, 0.02]),
        branch=np.array(["zeta", "zeta", "direct"]),
    )


def test_cells_never_enlarge_a_claim() -> None:
    assert cells(TABLE) == [
        ["base [red]", "0.486", "-", "500"],
        ["int8", "0.479", "0.0061", "500"],
        ["prune", "0.000", "-", "-"],
    ]


def test_numbers_that_are_not_finite_are_shown_as_such() -> None:
    table = Table("", (Column("speedup", 2),), ((float("inf"),), (float("nan"),), (2.345,)))
    assert cells(table) == [["inf"], ["-"], ["2.34"]]


def test_rich_shows_texts_as_they_are_and_numbers_to_the_right() -> None:
    shown = to_rich(TABLE)
    assert [column.justify for column in shown.columns] == ["left", "right", "right", "right"]
    out = io.StringIO()
    Console(file=out, width=100).print(shown)
    assert "Candidates [bold]" in out.getvalue()
    assert "base [red]" in out.getvalue()


def test_csv_keeps_every_digit(tmp_path: Path) -> None:
    write_csv(tmp_path / "new folder" / "t.csv", TABLE)
    with (tmp_path / "new folder" / "t.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["candidate", "ACR", "zeta", "inputs"]
    assert rows[1] == ["base [red]", "0.48699", "", "500"]
    assert float(rows[2][2]) == float(np.float32(0.00601))


def test_parquet_keeps_types_title_and_kinds(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", TABLE)
    read = pq.read_table(tmp_path / "t.parquet")
    assert read.schema.metadata[b"title"] == b"Candidates [bold]"
    assert read.schema.field("zeta").metadata[b"kind"] == b"upper"
    assert read["ACR"].to_pylist() == [0.48699, 0.4799, 0.0]
    assert read["inputs"].to_pylist() == [500, 500, None]
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", TABLE)
    before = (tmp_path / "t.csv").read_bytes()
    with pytest.raises(UnicodeEncodeError):
        write_csv(tmp_path / "t.csv", Table("", (Column("\ud800"),), (("x",),)))
    assert (tmp_path / "t.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_tables_are_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="row 1 has 1 cells: give 2"):
        Table("", (Column("a"), Column("b")), ((1, 2), (3,)))
    with pytest.raises(InvalidArgumentError, match="each its own name"):
        Table("", (Column("a"), Column("a")), ())


def test_certificates_as_csv_stand_by_themselves(tmp_path: Path, certificates: Certificates) -> None:
    write_certificates(tmp_path / "c.csv", certificates, [3, 2, 0])
    with (tmp_path / "c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["radius"]) for row in rows] == certificates.radius.tolist()
    assert [float(row["p_lower"]) for row in rows] == certificates.p_lower.tolist()
    assert [row["label"] for row in rows] == ["3", "2", "0"]
    assert [row["reason"] for row in rows] == certificates.reason.tolist()
    assert {row["guarantee"] for row in rows} == {"certified"}
    assert {row["premise"] for row in rows} == {certificates.premise}
    assert {float(row["alpha"]) for row in rows} == {0.002}
    assert json.loads(rows[0]["alpha_split"]) == {"base": 0.001, "zeta": 0.001}


def test_certificates_as_parquet_stand_by_themselves(tmp_path: Path, certificates: Certificates) -> None:
    write_certificates(tmp_path / "c.parquet", certificates)
    read = pq.read_table(tmp_path / "c.parquet")
    for name, values in certificates.columns().items():
        np.testing.assert_array_equal(np.array(read[name].to_pylist()), values)
    assert "label" not in read.column_names
    assert read.schema.metadata[b"guarantee"] == b"certified"
    assert float(read.schema.metadata[b"alpha"]) == 0.002
    assert set(read["sigma"].to_pylist()) == {0.5}


def test_what_cannot_be_written_is_refused(tmp_path: Path, certificates: Certificates) -> None:
    with pytest.raises(InvalidArgumentError, match=r"ends in \.csv or \.parquet"):
        write_certificates(tmp_path / "c.json", certificates)
    with pytest.raises(InvalidArgumentError, match=r"y has shape \(2,\)"):
        write_certificates(tmp_path / "c.csv", certificates, [1, 2])
    assert not list(tmp_path.iterdir())

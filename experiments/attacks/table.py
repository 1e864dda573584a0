"""What came of the attacks, as lines of a table."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from attacks.kills import Outcome
from attacks.kinds import KINDS
from attacks.mutations import Result
from attacks.verdicts import BAD, OK

__all__ = ["Line", "bad_lines", "lines_of_outcomes", "lines_of_results", "table", "write_csv"]


@dataclass(frozen=True)
class Line:
    """Attacks of one kind and what came of them.

    Attributes
    ----------
    kind : str
        What was attacked, or how.
    attacks : int
        Number of attacks that changed something.
    counts : Counter of str
        Verdicts, of which an attack may have several: one of each reader.
    """

    kind: str
    attacks: int
    counts: Counter[str]

    @property
    def bad(self) -> int:
        """Verdicts that should not be."""
        return sum(self.counts[name] for name in BAD)


def bad_lines(result: Result, *, everything: bool = False) -> Iterator[str]:
    """Describe the bad verdicts of an attack, or all of them."""
    for reader, (verdict, text) in result.verdicts.items():
        if everything or verdict in BAD:
            details = " ".join(text.split())
            yield f"{verdict:10} --only {result.attack.number:<6} {result.attack.text} | {reader}: {details}"


def lines_of_results(results: Iterable[Result]) -> list[Line]:
    """Count verdicts by kind of file, in the order of the kinds."""
    attacks: Counter[str] = Counter()
    counts: dict[str, Counter[str]] = {name: Counter() for name in KINDS}
    for result in results:
        attacks[result.attack.kind] += bool(result.verdicts)
        counts[result.attack.kind].update(verdict for verdict, _ in result.verdicts.values())
    return [Line(name, attacks[name], counts[name]) for name in KINDS if attacks[name]]


def lines_of_outcomes(what: str, outcomes: Iterable[Outcome]) -> list[Line]:
    """Count verdicts by scenario."""
    counts: dict[str, Counter[str]] = {}
    for name, verdict, _ in outcomes:
        counts.setdefault(name, Counter())[verdict] += 1
    return [Line(f"{what}: {name}", found.total(), found) for name, found in counts.items()]


def table(lines: list[Line]) -> str:
    """Return the table of docs/guarantees.md."""
    text = [
        "| attacked | attacks | refused | same | another file's | earlier state | bad |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in lines:
        cells = " | ".join(f"{line.counts[name]:,}" for name in OK)
        text.append(f"| {line.kind} | {line.attacks:,} | {cells} | {_bad_cell(line)} |")
    total = sum(line.attacks for line in lines)
    return "\n".join([*text, "", f"{total:,} attacks, {sum(line.bad for line in lines):,} bad verdicts."])


def _bad_cell(line: Line) -> str:
    found = [f"{line.counts[name]:,} {name}" for name in BAD if line.counts[name]]
    return ", ".join(found) or "0"


def write_csv(path: Path, lines: list[Line]) -> None:
    """Write every count."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["attacked", "attacks", *OK, *BAD])
        writer.writerows([line.kind, line.attacks, *(line.counts[name] for name in (*OK, *BAD))] for line in lines)

"""Attack every file that smoothcert reads, and every moment at which it can be killed.

    python experiments/attack_all.py --out runs/attack

Prints every bad verdict and a table, writes attack.csv, and the table in docs/guarantees.md anew with --docs.
Exits with status 1 when there is a bad verdict. A mutation is made again by its number: --seed 0 --only 17.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from attacks.children import run_children
from attacks.commandline import prepare_process
from attacks.faults import fail_everywhere
from attacks.kills import Outcome, interrupt, kill, kill_processes
from attacks.kinds import KINDS
from attacks.mutations import Attack, run_attacks
from attacks.processes import run_processes
from attacks.readers import open_bench
from attacks.scenarios import SCENARIOS
from attacks.table import Line, bad_lines, lines_of_outcomes, lines_of_results, table, write_csv
from attacks.verdicts import BAD
from attacks.world import make_world

from smoothcert.noise import input_keys

FAILING = ["certify", "recertify, two candidates", "surrogate fit", "cache repair, certify"]
_SOME_AS_PROCESSES = 100
BEGIN, END = "<!-- attack: begin -->", "<!-- attack: end -->"


@contextmanager
def workplace() -> Iterator[Path]:
    """Make a folder for the world and its copies, in memory where that is possible."""
    memory = Path("/dev/shm")  # noqa: S108 (a folder that only we can enter is made in it)
    with tempfile.TemporaryDirectory(prefix="attack-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder).resolve()


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    seed: int
    mutations: int
    only: list[int] | None
    kinds: list[str]
    processes: int
    kills: int
    interruptions: int
    faults: list[str]
    every: int


def attack(root: Path, plan: Plan) -> Iterator[Line]:
    """Make the world and attack it; print the bad verdicts, yield lines of the table."""
    world, scratch = root / "world", root / "scratch"
    world.mkdir()
    scratch.mkdir()
    make_world(world)
    keys = list(input_keys(open_bench().x))
    yield from mutate(world, scratch, keys, plan)
    if plan.only:
        return
    yield from _shown("read by commands", run_processes(world, scratch, plan.processes, plan.seed))
    os.chdir(root)
    for what, tasks in _lives(world, root, plan).items():
        outcomes: list[Outcome] = []
        for number, ended in run_children(tasks, limit=120, batch=1):
            outcomes += [tuple(each) for each in ended.value or [(f"task {number}", "died", ended.error)]]
        yield from _shown(what, outcomes)


def _lives(world: Path, root: Path, plan: Plan) -> dict[str, list[Callable[[], list[Outcome]]]]:
    """Return what is done to running commands: tasks for children, each with a folder of its own."""

    def folder(name: str) -> Path:
        found = root / name / "life"
        found.parent.mkdir()
        return found

    def share(total: int, i: int) -> int:
        return total * (i + 1) // len(SCENARIOS) - total * i // len(SCENARIOS)

    tasks: dict[str, list[Callable[[], list[Outcome]]]] = {"killed": [], "interrupted": [], "failing disk": []}
    for i, name in enumerate(SCENARIOS):
        if kills := share(plan.kills, i):
            tasks["killed"].append(partial(kill, world, folder(f"kill-{i}"), name, kills, plan.seed))
        if count := share(plan.interruptions, i):
            tasks["interrupted"].append(partial(interrupt, world, folder(f"stop-{i}"), name, count, plan.seed))
    if plan.kills >= _SOME_AS_PROCESSES:
        count = plan.kills // 20
        tasks["killed"].append(partial(kill_processes, world, folder("kill-processes"), count, plan.seed))
    for i, name in enumerate(plan.faults):
        for fatal in (False, True):
            place = folder(f"fail-{i}-{fatal}")
            tasks["failing disk"].append(partial(fail_everywhere, world, place, name, fatal, plan.every))
    return tasks


def _shown(what: str, outcomes: Iterable[Outcome]) -> list[Line]:
    """Print the bad verdicts; return lines of the table."""
    kept = list(outcomes)
    for name, verdict, text in kept:
        if verdict in BAD:
            print(f"{verdict:10} {what}: {name} | {' '.join(text.split())}", flush=True)
    return lines_of_outcomes(what, kept)


def mutate(world: Path, scratch: Path, keys: list[bytes], plan: Plan) -> list[Line]:
    """Run the mutations."""
    numbers = plan.only or range(plan.mutations)
    drawn = (Attack.draw(i, plan.seed, world, list(KINDS)) for i in numbers)
    attacks = [each for each in drawn if any(each.kind.startswith(kind) for kind in plan.kinds)]
    results = []
    for result in run_attacks(attacks, world, scratch, keys):
        results.append(result)
        for text in bad_lines(result, everything=plan.only is not None):
            print(text, flush=True)
    return lines_of_results(results)


def main() -> int:
    """Attack, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/attack"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mutations", type=int, default=10_300)
    parser.add_argument("--only", type=int, nargs="+", help="make these mutations alone, and show every verdict")
    parser.add_argument("--kinds", nargs="+", default=[""], help="only kinds of files that begin so, as 'data'")
    parser.add_argument("--processes", type=int, default=60, help="mutations that commands read as processes")
    parser.add_argument("--kills", type=int, default=330)
    parser.add_argument("--interruptions", type=int, default=110)
    parser.add_argument("--faults", nargs="*", default=FAILING, help="commands whose every call fails")
    parser.add_argument("--every", type=int, default=1, help="let only every so many calls fail")
    parser.add_argument("--docs", type=Path, help="Markdown file whose table to renew")
    a = parser.parse_args()
    plan = Plan(**{field.name: getattr(a, field.name) for field in fields(Plan)})
    out, docs = a.out.resolve(), None if a.docs is None else a.docs.resolve()
    began = time.perf_counter()
    prepare_process()
    with workplace() as root:
        lines = list(attack(root, plan))
        os.chdir("/")
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "attack.csv", lines)
    if docs is not None:
        before, _, rest = docs.read_text().partition(BEGIN)
        docs.write_text(f"{before}{BEGIN}\n{table(lines)}\n{END}{rest.partition(END)[2]}")
    print(f"{table(lines)}\n{time.perf_counter() - began:.0f} s")
    return int(any(line.bad for line in lines))


if __name__ == "__main__":
    sys.exit(main())

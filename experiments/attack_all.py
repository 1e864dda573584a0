"""Attack every file that smoothcert reads, and every moment at which it can be killed.

    python experiments/attack_all.py --out runs/attack

Prints every bad verdict and a table, writes attack.csv, and the table in docs/guarantees.md anew with --docs. Exits
with status 1 when there is a bad verdict. An attack is made again by its seed and number: --seed 0 --only 17.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attacks.commandline import prepare_process
from attacks.kinds import KINDS
from attacks.mutations import Attack, run_attacks
from attacks.readers import open_bench
from attacks.table import Line, bad_lines, lines_of_results, table, write_csv
from attacks.world import make_world

from smoothcert.noise import input_keys

BEGIN, END = "<!-- attack: begin -->", "<!-- attack: end -->"


@contextmanager
def workplace() -> Iterator[Path]:
    """Make a folder for the world and its copies, in memory where that is possible."""
    memory = Path("/dev/shm")  # noqa: S108 (a folder that only we can enter is made in it)
    with tempfile.TemporaryDirectory(prefix="attack-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder).resolve()


def mutate(root: Path, count: int, seed: int, only: list[int] | None) -> list[Line]:
    """Run the mutations; print the bad verdicts."""
    world, scratch = root / "world", root / "scratch"
    world.mkdir()
    scratch.mkdir()
    make_world(world)
    keys = list(input_keys(open_bench().x))
    gc.collect()
    gc.freeze()
    attacks = [Attack.draw(i, seed, world, list(KINDS)) for i in (only or range(count))]
    results = []
    for result in run_attacks(attacks, world, scratch, keys):
        results.append(result)
        for text in bad_lines(result, everything=only is not None):
            print(text, flush=True)
    return lines_of_results(results)


def main() -> int:
    """Attack, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/attack"))
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="+", help="make these mutations alone, and show every verdict")
    parser.add_argument("--docs", type=Path, help="Markdown file whose table to renew")
    a = parser.parse_args()
    out, docs = a.out.resolve(), None if a.docs is None else a.docs.resolve()
    began = time.perf_counter()
    prepare_process()
    with workplace() as root:
        lines = mutate(root, a.mutations, a.seed, a.only)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "attack.csv", lines)
    if docs is not None:
        before, _, rest = docs.read_text().partition(BEGIN)
        docs.write_text(f"{before}{BEGIN}\n{table(lines)}\n{END}{rest.partition(END)[2]}")
    print(f"{table(lines)}\n{time.perf_counter() - began:.0f} s")
    return int(any(line.bad for line in lines))


if __name__ == "__main__":
    sys.exit(main())

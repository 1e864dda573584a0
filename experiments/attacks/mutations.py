"""Mutations: one file of a copy of the world is damaged, and everybody who reads it reads it."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from attacks.children import Ended, memory_growth, reset_peak, run_children, still_alive
from attacks.formats import seal
from attacks.kinds import KINDS, WRITERS, Kind
from attacks.mutate_bytes import Mutator, NotApplicableError
from attacks.mutate_places import OUTSIDE
from attacks.readers import READERS
from attacks.verdicts import Damage, Verdict, judge_answer, judge_error

__all__ = ["Attack", "Result", "copy_world", "outside_now", "run_attacks"]

_IN_CHILDREN = ("onnx",)  # it starts threads, which a fork would lose
_MORE_MEMORY = 200 << 20
_MOST_LINES = 1 << 24
_FAKE_GHOSTSCRIPT = '#!/bin/sh\necho "$0" "$@" >> "{}"\n'


@dataclass(frozen=True)
class Attack:
    """One mutation: everything about it follows from a seed and a number."""

    number: int
    seed: int
    kind: str
    file: Path
    family: int
    mutator: str
    seals: bool
    rare: bool

    @classmethod
    def draw(cls, number: int, seed: int, world: Path, kinds: list[str]) -> Attack:
        """Draw a mutation; kinds take turns."""
        random = Random(f"{seed}/{number}")  # noqa: S311 (what to damage, no secret)
        name = kinds[number % len(kinds)]
        kind = KINDS[name]
        file = random.choice(kind.paths(world))
        family = random.randrange(len(kind.mutators))
        mutator = random.choice(sorted(kind.mutators[family]))
        seals = kind.sealed and (random.random() < 0.85 if family > 1 else random.random() < 0.4)
        return cls(number, seed, name, file, family, mutator, seals, random.random() < 0.02)

    @property
    def text(self) -> str:
        """Say what is done to which file."""
        return f"{self.file}: {self.mutator}{', sealed' if self.seals else ''}"

    @property
    def readers(self) -> list[list[str]]:
        """Who reads it, in groups that can share a copy."""
        kind = KINDS[self.kind]
        wanted = [*kind.readers, *(kind.rare if self.rare else ())]
        shared = [name for name in wanted if name not in WRITERS]
        return ([shared] if shared else []) + [[name] for name in wanted if name in WRITERS]

    def apply(self) -> bool:
        """Damage the file in the current folder; tell whether its checksums were recomputed."""
        mutator: Mutator = KINDS[self.kind].mutators[self.family][self.mutator]
        mutator(self.file, Random(f"{self.seed}/{self.number}/damage"))  # noqa: S311
        if self.mutator == "renumbered lines":
            return True
        if self.seals and self.file.is_file() and not self.file.is_symlink():
            with contextlib.suppress(Exception):  # what is left may have no checksum that could be recomputed
                seal(self.file)
                return True
        return False


@dataclass(frozen=True)
class Result:
    """What came of an attack: for each reader a verdict."""

    attack: Attack
    verdicts: dict[str, Verdict]
    seconds: float


def run_attacks(
    attacks: list[Attack], world: Path, scratch: Path, keys: list[bytes], *, at_once: int = 2, limit: float = 10.0
) -> Iterator[Result]:
    """Run attacks in children; yield what came of each."""
    needed = {reader: KINDS[a.kind] for a in attacks for group in a.readers for reader in group}
    ours = [reader for reader in sorted(needed) if reader not in _IN_CHILDREN]
    undamaged = {reader: _undamaged(reader, needed[reader], world, scratch) for reader in ours}
    theirs = sorted(set(needed) - set(ours))
    for number, ended in run_children([partial(_undamaged, r, needed[r], world, scratch) for r in theirs]):
        if ended.error:
            raise RuntimeError(f"{theirs[number]} fails on undamaged files: {ended.error}")
        undamaged[theirs[number]] = ended.value
    gc.collect()
    gc.freeze()  # children need not copy what they only look at
    tasks = [partial(_attack, a, world, scratch, undamaged, keys) for a in attacks]
    for number, ended in run_children(tasks, at_once=at_once, limit=limit):
        shutil.rmtree(scratch / str(attacks[number].number), ignore_errors=True)
        yield Result(attacks[number], _verdicts(ended), ended.seconds)


def _verdicts(ended: Ended) -> dict[str, Verdict]:
    if ended.error:
        return {"all": ("hung" if ended.error == "hung" else "died", ended.error[-300:])}
    return {name: (kind, text) for name, (kind, text) in ended.value.items()}


def copy_world(world: Path, folder: Path, kind: Kind, names: Sequence[str] | None = None) -> None:
    """Put what the readers need, and what nothing may touch, into a folder of its own, and go there."""
    shutil.rmtree(folder, ignore_errors=True)
    inside, outside = folder / "inside", folder / OUTSIDE.name
    inside.mkdir(parents=True)
    (outside / "folder").mkdir(parents=True)
    (outside / "canary").write_text("must not change\n")
    (outside / "folder" / "canary").write_text("must not change\n")
    for name in names or kind.folders:
        copy = shutil.copytree if (world / name).is_dir() else shutil.copy
        copy(world / name, inside / name)
    tools = folder / "tools"
    tools.mkdir()
    (tools / "gs").write_text(_FAKE_GHOSTSCRIPT.format(outside / "ran"))
    (tools / "gs").chmod(0o755)
    os.environ["PATH"] = f"{tools}:{os.environ['PATH']}"
    os.chdir(inside)


def outside_now() -> dict[str, bytes]:
    """Return everything outside, which no attack may change."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(OUTSIDE.rglob("*"))}


def _undamaged(reader: str, kind: Kind, world: Path, scratch: Path) -> tuple[Any, int]:
    """Return a reader's answer to the undamaged files, and the memory it takes; what it loads stays loaded."""
    for _ in range(2):
        copy_world(world, scratch / "undamaged", kind)
        reset_peak()
        before, _ = memory_growth()
        answer = READERS[reader]()
    return answer, memory_growth()[1] - before


def _attack(
    attack: Attack, world: Path, scratch: Path, undamaged: dict[str, Any], keys: list[bytes]
) -> dict[str, Verdict]:
    """Apply an attack to a copy for each group of readers; return their verdicts."""
    verdicts: dict[str, Verdict] = {}
    kind = KINDS[attack.kind]
    for group in attack.readers:
        copy_world(world, scratch / str(attack.number), kind)
        before = outside_now()
        original = attack.file.read_bytes()
        try:
            sealed = attack.apply()
        except NotApplicableError:
            return {}
        still_alive()
        damage = Damage(attack.file, sealed, kind.free, _is_earlier(attack, original), keys)
        for reader in group:
            verdicts[reader] = _read(reader, undamaged[reader], damage)
            still_alive()
            if outside_now() != before:
                verdicts[reader] = (
                    "outside",
                    f"{sorted(set(outside_now().items()) ^ set(before.items()))!r:.300}",
                )
                before = outside_now()
    return verdicts


def _read(reader: str, undamaged: tuple[Any, int], damage: Damage) -> Verdict:
    """Let a reader read, and judge what it says and how much memory it takes."""
    answer, error = None, None
    reset_peak()
    before, _ = memory_growth()
    try:
        answer = READERS[reader]()
    except BaseException as raised:
        error = raised
    grown = memory_growth()[1] - before - undamaged[1]
    if grown > _MORE_MEMORY and not isinstance(error, MemoryError):
        return "memory", f"{grown >> 20} MB more than undamaged"
    if error is not None:
        return judge_error(error, damage)
    return judge_answer(reader, answer, undamaged[0], damage)


def _is_earlier(attack: Attack, original: bytes) -> bool:
    """Tell whether a file that only grows is as it was earlier, or one that comes late is not there yet."""
    if not os.path.lexists(attack.file):
        late = attack.file.suffix == ".jsonl" or attack.file.name in ("candidate.json", "calibration.json")
        return late or attack.kind == "candidate: folder"
    if attack.file.suffix != ".jsonl" or attack.file.is_symlink() or not attack.file.is_file():
        return False
    if attack.file.stat().st_size > _MOST_LINES:
        return False
    data = attack.file.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]  # what a crash tore may have become anything
    return data != original and original.startswith(whole)

"""A sample of the mutations, read by commands in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attacks.kills import Outcome
from attacks.kinds import KINDS
from attacks.mutate_bytes import NotApplicableError
from attacks.mutations import Attack, copy_world, outside_now
from attacks.world import COMMANDS

__all__ = ["run_processes"]

_LIMIT = 60
_READING = {
    "cache": ("cache verify base", "cache info base", "compare base", COMMANDS["certify"], "cache repair base"),
    "candidate": ("compare base", COMMANDS["recertify"]),
    "journal": (COMMANDS["radius"],),
    "adaptive journal": (COMMANDS["adaptive"],),
    "decision": (COMMANDS["decide"],),
    "training": (COMMANDS["train"].replace("--out model", "--out training"),),
    "checkpoint": (COMMANDS["certify"].replace("--cache base", "--cache new"),),
    "published checkpoint": (COMMANDS["certify"].replace("model/checkpoint.safetensors", "model.pth.tar"),),
}
"""Commands that read files of a kind, by the first word of the kind."""


def run_processes(world: Path, scratch: Path, count: int, seed: int) -> Iterator[Outcome]:
    """Damage files and run commands on them; yield verdicts about their exit status and their words."""
    kinds = [name for name in KINDS if name.partition(":")[0] in _READING]
    prepared = []
    for number in range(count):
        attack = Attack.draw(number, seed + 1, world, kinds)
        folder = scratch / f"process-{number}"
        names = {*KINDS[attack.kind].folders, "model", "data.npz", "train.npz"}
        copy_world(world, folder, KINDS[attack.kind], sorted(names))
        commands = _READING[attack.kind.partition(":")[0]]
        try:
            attack.apply()
        except NotApplicableError:
            continue
        prepared.append((attack, folder / "inside", commands[number // len(kinds) % len(commands)], outside_now()))
    with ThreadPoolExecutor(2) as pool:
        ended = pool.map(lambda each: _run(each[1], each[2]), prepared)
        for (attack, folder, command, before), verdict in zip(prepared, ended, strict=True):
            os.chdir(folder)
            changed = outside_now() != before
            text = f"{attack.text} | {' '.join(command.split()[:2])}: {verdict[1]}"
            yield "damaged files", "outside" if changed else verdict[0], text


def _run(folder: Path, command: str) -> tuple[str, str]:
    arguments = [sys.executable, "-m", "smoothcert.cli", *command.split()]
    try:
        done = subprocess.run(arguments, cwd=folder, capture_output=True, timeout=_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return "hung", f"after {_LIMIT} s"
    said = done.stderr.decode(errors="replace").strip()
    if b"\x1b" in done.stdout + done.stderr:
        return "escapes", repr(said[-300:])
    if done.returncode == 0:
        return "same", ""  # what it said is compared in the mutations; here only that it ended well
    if done.returncode in (1, 2) and "Traceback" not in said:
        return "refused", said[-200:]
    return "traceback", f"status {done.returncode}: {said[-300:]}"

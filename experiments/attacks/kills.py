"""Kills and interruptions at random moments: what is continued ends with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from attacks.children import still_alive
from attacks.scenarios import SCENARIOS, TOO_EARLY, Scenario, finish, start, state_of, wait_for

__all__ = ["Outcome", "compare_states", "interrupt", "kill", "kill_processes", "undisturbed"]

Outcome = tuple[str, str, str]
"""What was done, one of the verdicts, details."""

_STARTING = 0.1  # seconds in which a command finds out what it is asked for
_MESSAGE = "interrupted: what was finished is kept; run the same command again to continue"


def undisturbed(scenario: Scenario, world: Path, folder: Path) -> tuple[dict[str, bytes], float]:
    """Run a scenario once; return what it leaves and how long it took."""
    errors = folder.parent / "errors"
    scenario.prepare(world, folder)
    began = time.monotonic()
    if status := finish(scenario, errors):
        raise RuntimeError(f"{scenario.commands} ended with {status}: {errors.read_text()[-2000:]}")
    return state_of(folder), time.monotonic() - began


def kill(world: Path, folder: Path, name: str, kills: int, seed: int) -> list[Outcome]:
    """Kill a scenario's commands at random moments, continuing each time; return a verdict for each kill."""
    random = Random(f"{seed}/{name}/kills")  # noqa: S311 (moments to kill at, no secret)
    scenario, errors, found = SCENARIOS[name], folder.parent / "errors", list[Outcome]()
    whole, seconds = undisturbed(scenario, world, folder)
    while len(found) < kills:
        scenario.prepare(world, folder)
        status, lives = -signal.SIGKILL, 0
        while status == -signal.SIGKILL:
            pid = start(scenario, errors)
            lives += 1
            if len(found) + lives <= kills:
                # Most lives are short, so that a command takes several; the later ones let it end.
                time.sleep(seconds * random.random() ** 2 * (1 + lives / 10))
                os.kill(pid, signal.SIGKILL)
            status = wait_for(pid)
        verdict = _judge(status, whole, folder, errors)
        found += [(name, *verdict)] * (lives - 1)
        still_alive()
    return found


def _judge(status: int, whole: dict[str, bytes], folder: Path, errors: Path) -> tuple[str, str]:
    if status:
        return "traceback", f"status {status}: {errors.read_text()[-500:]}"
    return compare_states(whole, state_of(folder))


def compare_states(whole: dict[str, bytes], now: dict[str, bytes]) -> tuple[str, str]:
    """Judge files against those that an undisturbed run left."""
    if left := sorted(set(now) - set(whole)):
        return "left behind", f"{left[:3]}"
    changed = sorted(name for name in whole if now.get(name) != whole[name])
    return ("changed", f"{changed[:3]}") if changed else ("same", "")


def interrupt(world: Path, folder: Path, name: str, count: int, seed: int) -> list[Outcome]:
    """Press Ctrl-C at random moments: status 130, one line, and the next call ends as an undisturbed one."""
    random = Random(f"{seed}/{name}/interruptions")  # noqa: S311 (no secret)
    scenario, errors, found = SCENARIOS[name], folder.parent / "errors", list[Outcome]()
    whole, seconds = undisturbed(scenario, world, folder)
    for _ in range(count):
        scenario.prepare(world, folder)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the command begins
        pid = start(scenario, errors)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        time.sleep(random.choice((_STARTING, seconds)) * random.random())
        os.kill(pid, signal.SIGINT)
        status = wait_for(pid)
        lines = [line for line in errors.read_text().splitlines() if line.strip()]
        said = bool(lines) and lines[-1] == _MESSAGE and not any("Traceback" in line for line in lines)
        if status not in (0, TOO_EARLY) and not (status == 130 and said):
            found.append((name, "traceback", f"status {status}: {' / '.join(lines[-4:])}"))
        else:
            found.append((name, *_judge(finish(scenario, errors), whole, folder, errors)))
        still_alive()
    return found


def kill_processes(world: Path, folder: Path, kills: int, seed: int) -> list[Outcome]:
    """Kill processes of their own, from their first moment on; parts have their usual size here."""
    random, found = Random(f"{seed}/processes"), list[Outcome]()  # noqa: S311 (no secret)
    for name, output in (("certify", "base"), ("train", "model/checkpoint.safetensors")):
        scenario = SCENARIOS[name]
        command = [sys.executable, "-m", "smoothcert.cli", *scenario.commands[0].split()]
        scenario.prepare(world, folder)
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        whole, seconds = _output(folder, output), time.monotonic() - began
        scenario.prepare(world, folder)
        for _ in range(kills // 2):
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                time.sleep(seconds * random.random())
                process.kill()
            still_alive()
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        verdict = compare_states(whole, _output(folder, output))
        if done.returncode:
            verdict = "traceback", done.stderr[-500:]
        found += [(f"{name}, as a process", *verdict)] * (kills // 2)
    return found


def _output(folder: Path, output: str) -> dict[str, bytes]:
    """Return what a command is for, and the names of whatever is hidden beside it."""
    hidden = {name: b"" for name in state_of(folder) if Path(name).name.startswith(".")}
    return hidden | {name: data for name, data in state_of(folder).items() if name.startswith(output)}

"""Kills and interruptions at random moments: what is continued ends with the same bytes."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from attacks.scenarios import SCENARIOS, Scenario, finish, start, state_of, wait_for

__all__ = ["Outcome", "interrupt_all", "kill_all"]

Outcome = tuple[str, str, str]
"""Scenario, one of the verdicts, details."""

_MESSAGE = "interrupted: what was finished is kept; run the same command again to continue"


def kill_all(world: Path, folder: Path, kills: int, seed: int, names: list[str] | None = None) -> Iterator[Outcome]:
    """Kill each scenario's command at random moments, continuing each time; yield a verdict for each kill."""
    random = Random(f"{seed}/kills")  # noqa: S311 (moments to kill at, no secret)
    names = names or list(SCENARIOS)
    for i, name in enumerate(names):
        share = kills * (i + 1) // len(names) - kills * i // len(names)
        yield from ((name, *verdict) for verdict in _kill(SCENARIOS[name], world, folder, share, random))


def undisturbed(scenario: Scenario, world: Path, folder: Path) -> tuple[dict[str, bytes], float]:
    """Run a scenario once; return what it leaves and how long it took."""
    errors = folder.parent / "errors"
    scenario.prepare(world, folder)
    began = time.monotonic()
    if status := finish(scenario, errors):
        raise RuntimeError(f"{scenario.commands} ended with {status}: {errors.read_text()[-2000:]}")
    return state_of(folder), time.monotonic() - began


def _kill(scenario: Scenario, world: Path, folder: Path, kills: int, random: Random) -> Iterator[tuple[str, str]]:
    errors = folder.parent / "errors"
    whole, seconds = undisturbed(scenario, world, folder)
    done = 0
    while done < kills:
        scenario.prepare(world, folder)
        ended, lives = None, 0
        while ended is None:
            pid = start(scenario, errors)
            lives += 1
            time.sleep(seconds * random.random() ** 2 if lives < 20 else 2 * seconds)
            killed, status = os.waitpid(pid, os.WNOHANG)
            if killed:
                ended = os.waitstatus_to_exitcode(status)
            elif done + lives > kills + 20:
                ended = wait_for(pid)
            else:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        verdict = _compare(ended, whole, folder, errors)
        for _ in range(lives - 1):
            yield verdict
        done += lives - 1


def _compare(status: int, whole: dict[str, bytes], folder: Path, errors: Path) -> tuple[str, str]:
    if status:
        return "traceback", f"status {status}: {errors.read_text()[-500:]}"
    now = state_of(folder)
    if left := sorted(set(now) - set(whole)):
        return "left behind", f"{left[:3]}"
    changed = sorted(name for name in whole if now.get(name) != whole[name])
    return ("changed", f"{changed[:3]}") if changed else ("same", "")


def interrupt_all(world: Path, folder: Path, count: int, seed: int, names: list[str] | None = None) -> Iterator[Outcome]:
    """Press Ctrl-C at random moments: status 130, one line, and the next call ends as an undisturbed one."""
    random = Random(f"{seed}/interruptions")  # noqa: S311
    names = names or list(SCENARIOS)
    errors = folder.parent / "errors"
    for i, name in enumerate(names):
        scenario, share = SCENARIOS[name], count * (i + 1) // len(names) - count * i // len(names)
        whole, seconds = undisturbed(scenario, world, folder)
        for _ in range(share):
            scenario.prepare(world, folder)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            pid = start(scenario, errors)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            time.sleep(seconds * random.random())
            os.kill(pid, signal.SIGINT)
            status = wait_for(pid)
            lines = [line for line in errors.read_text().splitlines() if line.strip()]
            said = bool(lines) and lines[-1] == _MESSAGE and not any("Traceback" in line for line in lines)
            if status != 0 and not (status == 130 and said):
                yield name, "traceback", f"status {status}: {' / '.join(lines[-4:])}"
                continue
            yield name, *_compare(finish(scenario, errors), whole, folder, errors)


def tally(outcomes: list[Outcome]) -> dict[str, Counter[str]]:
    """Count verdicts by scenario."""
    found: dict[str, Counter[str]] = {}
    for name, verdict, _ in outcomes:
        found.setdefault(name, Counter())[verdict] += 1
    return found

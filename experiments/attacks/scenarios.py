"""Commands that write, each with what it starts from, and their lives in children of this process."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from attacks.world import COMMANDS, still_clock
from smoothcert.cli import main

__all__ = ["SCENARIOS", "TOO_EARLY", "Scenario", "finish", "start", "state_of", "wait_for"]


@dataclass(frozen=True)
class Scenario:
    """A command and what it starts from.

    Attributes
    ----------
    commands : tuple of str
        What a user runs, again after an interruption; one after the other.
    needs : tuple of str
        What is copied from the world.
    without : tuple of str
        Patterns of what is removed from that.
    damaged : bool
        Whether a part of the cache is damaged.
    """

    commands: tuple[str, ...]
    needs: tuple[str, ...]
    without: tuple[str, ...] = ()
    damaged: bool = False

    def prepare(self, world: Path, folder: Path) -> None:
        """Make the folder anew, as it is before the command, and go there."""
        os.chdir(world)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in self.needs:
            copy = shutil.copytree if (world / name).is_dir() else shutil.copy
            copy(world / name, folder / name)
        for path in [path for pattern in self.without for path in folder.glob(pattern)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self.damaged:
            part = min((folder / "base/parts").iterdir())
            part.write_bytes(part.read_bytes()[:-1])
        os.chdir(folder)


TOO_EARLY = 72
"""Exit status of a child that was interrupted before its command began."""

_CALL, _CACHE = ("model", "data.npz"), ("base/candidates/*", "base/holdouts.jsonl", "base/.holdouts.lock")

SCENARIOS: dict[str, Scenario] = {
    "certify": Scenario((COMMANDS["certify"],), _CALL),
    "recertify, two candidates": Scenario((COMMANDS["recertify"],), ("base", *_CALL), _CACHE),
    "recertify --holdout": Scenario((COMMANDS["holdout"],), ("base", *_CALL), _CACHE),
    "certify --radius": Scenario((COMMANDS["radius"],), _CALL),
    "recertify --radius": Scenario((COMMANDS["decide"],), ("base", *_CALL), _CACHE),
    "certify --budget": Scenario((COMMANDS["adaptive"],), _CALL),
    "train": Scenario((COMMANDS["train"],), ("train.npz",)),
    "surrogate votes": Scenario((COMMANDS["votes"],), ("model", "train.npz")),
    "surrogate fit": Scenario((COMMANDS["fit"],), ("votes", "train.npz")),
    "surrogate guided": Scenario((COMMANDS["guided"],), ("surrogate", *_CALL)),
    "cache repair, certify": Scenario(("cache repair base", COMMANDS["certify"]), ("base", *_CALL), damaged=True),
}
"""Commands by what they are called in the table."""


def state_of(folder: Path) -> dict[str, bytes]:
    """Return every file's bytes, but those of times; locks that are empty are no part of what was asked for."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timings.jsonl" and not path.name.endswith("lock")
    }


def start(scenario: Scenario, errors: Path, before: Callable[[], None] | None = None) -> int:
    """Run a scenario's commands in a child, in the current folder; return its process id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _live(scenario, errors, before)
    return pid


def _live(scenario: Scenario, errors: Path, before: Callable[[], None] | None) -> NoReturn:
    status = 70
    try:
        for descriptor, name in ((0, os.devnull), (1, os.devnull), (2, str(errors))):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        if before is not None:
            before()
        with still_clock():
            for command in scenario.commands:
                status = _run(command)
                if status:
                    break
    except KeyboardInterrupt:  # outside of main: before it, or after it had ended
        status = TOO_EARLY
    finally:
        os._exit(status)


def _run(command: str) -> int:
    sys.argv = ["smoothcert", *command.split()]
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        main()
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not _came_to_main(error):
            return TOO_EARLY
        sys.excepthook(*sys.exc_info())
        return 71
    finally:
        sys.stderr.flush()
    return 0


def _came_to_main(error: BaseException) -> bool:
    """Tell whether what was raised passed through the command line's own first function."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(frame.f_code is main.__code__ for frame in frames)


def wait_for(pid: int) -> int:
    """Return a child's exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def finish(scenario: Scenario, errors: Path) -> int:
    """Run a scenario to its end; return its exit status."""
    return wait_for(start(scenario, errors))

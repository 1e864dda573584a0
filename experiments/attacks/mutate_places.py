"""Damage to where a file is: something else stands there, or where a file will be written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

from attacks.mutate_bytes import Mutator, NotApplicableError

__all__ = ["FOLDER_MUTATORS", "OUTSIDE", "PLACE_MUTATORS"]

OUTSIDE = Path("..", "outside")
"""Folder beside the attacked one, which nothing may change."""


def _outside(path: Path, name: str) -> str:
    """Return how a link at `path` reaches a file outside."""
    return os.path.relpath(OUTSIDE / name, path.parent)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def _missing(path: Path, _: Random) -> None:
    path.unlink()


def _directory(path: Path, _: Random) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path, _: Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _link_to_canary(path: Path, _: Random) -> None:
    path.unlink()
    path.symlink_to(_outside(path, "canary"))


def _link_to_folder(path: Path, _: Random) -> None:
    path.unlink()
    path.symlink_to(_outside(path, "folder"))


def _dangling_link(path: Path, _: Random) -> None:
    path.unlink()
    path.symlink_to(_outside(path, "not-there"))


def _link_to_itself(path: Path, _: Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _link_to_device(path: Path, random: Random) -> None:
    path.unlink()
    path.symlink_to(random.choice(("/dev/zero", "/dev/null", "/dev/full")))


def _sparse(path: Path, random: Random) -> None:
    """Make the file as large as a disk, without taking room."""
    os.truncate(path, random.choice((1 << 32, 1 << 36, 1 << 40)))


def _content_of_another(path: Path, random: Random) -> None:
    others = sorted(p for p in Path().rglob("*") if p.is_file() and p != path and p.stat().st_size)
    if not others:
        raise NotApplicableError
    path.write_bytes(random.choice(others).read_bytes())


def _planted_temporary(path: Path, random: Random) -> None:
    """Wait with a link where a writer may put its temporary file, its lock or a new part."""
    names = [f".{path.name}.tmp", f"{path.name}.tmp", f".{path.name}", ".lock", ".holdouts.lock", f"{path.name}~"]
    target = path.parent / random.choice(names)
    _remove(target)
    target.symlink_to(_outside(target, random.choice(("canary", "not-there", "folder"))))
    if path.parent.name in ("parts", "rounds") or random.random() < 0.5:
        path.unlink()  # so that it is written again


def _linked_folder(path: Path, _: Random) -> None:
    """Let the file's folder be a link that leads outside, so that what is written there lands outside."""
    if path.parent.name not in ("parts", "rounds"):  # the folder that a user names may be a link
        raise NotApplicableError
    _link_outside(path.parent)


def _linked_candidates(path: Path, random: Random) -> None:
    """Let a folder of a cache's candidates be a link that leads outside."""
    _link_outside(random.choice((path.parent, path.parent.parent)))


def _link_outside(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(_outside(folder, "folder"))


FOLDER_MUTATORS: dict[str, Mutator] = {"linked folder": _linked_candidates}
PLACE_MUTATORS: dict[str, Mutator] = {
    "missing": _missing,
    "directory": _directory,
    "named pipe": _pipe,
    "link to a file": _link_to_canary,
    "link to a folder": _link_to_folder,
    "dangling link": _dangling_link,
    "link to itself": _link_to_itself,
    "link to a device": _link_to_device,
    "sparse and huge": _sparse,
    "another file's content": _content_of_another,
    "planted temporary": _planted_temporary,
    "linked folder": _linked_folder,
}

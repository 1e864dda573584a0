"""The kinds of files: where they are, what damages them, and who reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attacks.mutate_bytes import BYTE_MUTATORS, LINE_MUTATORS, Mutator
from attacks.mutate_json import JSON_MUTATORS
from attacks.mutate_parquet import PARQUET_MUTATORS
from attacks.mutate_places import FOLDER_MUTATORS, PLACE_MUTATORS
from attacks.mutate_tensors import (
    ARRAY_MUTATORS,
    IMAGE_MUTATORS,
    SAFETENSORS_MUTATORS,
    TABLE_MUTATORS,
    TORCH_MUTATORS,
    VOTES_MUTATORS,
)

__all__ = ["KINDS", "WRITERS", "Kind"]

_RECORD = {name: JSON_MUTATORS[name] for name in JSON_MUTATORS if name != "renumbered lines"}
_LINES = {**LINE_MUTATORS, **{name: JSON_MUTATORS[name] for name in JSON_MUTATORS if name != "repeated key"}}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    files : str
        Where they are, as a pattern.
    folders : sequence of str
        What readers need, to be copied before each attack.
    knowing : mapping of str to Mutator
        Damage that knows the format; damage to bytes and to places is added.
    readers : sequence of str
        Who reads them in every attack.
    rare : sequence of str
        Who reads them in a few attacks, since it takes long.
    placed : bool
        Whether nothing but `knowing` is done to them.
    sealed : bool
        Whether there are checksums that somebody who knows the format would recompute.
    free : bool
        Whether other content is simply another model or another data set.
    """

    files: str
    folders: Sequence[str]
    readers: Sequence[str]
    rare: Sequence[str] = ()
    knowing: Mapping[str, Mutator] = field(default_factory=dict)
    placed: bool = False
    sealed: bool = True
    free: bool = False

    @property
    def mutators(self) -> list[Mapping[str, Mutator]]:
        """The families of damage, each as likely as another."""
        if self.placed:
            return [self.knowing]
        knowing = [self.knowing, self.knowing] if self.knowing else []
        return [BYTE_MUTATORS, PLACE_MUTATORS, *knowing]

    def paths(self, world: Path) -> list[Path]:
        """Find the files of this kind, relative to the world."""
        return sorted(path.relative_to(world) for path in world.glob(self.files) if path.is_file())


WRITERS = {
    *("certify", "recertify_fresh", "recertify_continued", "recertify_by_paper", "recertify_on_spent_range"),
    *("repair", "audit", "report", "recertify_command", "decide_command", "radius", "adaptive", "decide"),
    *("guided", "fit", "continue_training", "calibrate"),
}
"""Readers that write, so that each works on a copy of its own."""

_BASE = ("certify", "compare", "recertify_fresh", "recertify_continued", "info", "verify", "repair")
_RARE = ("plan", "audit", "report", "compare_command", "recertify_command")
_CANDIDATE = ("compare", "recertify_continued", "recertify_by_paper", "verify_candidate")
_MODEL = ("model", "data.npz")

KINDS: dict[str, Kind] = {
    "cache: manifest": Kind(
        files="base/manifest.json", folders=("base", *_MODEL), readers=_BASE, rare=_RARE, knowing=_RECORD
    ),
    "cache: index": Kind(
        files="base/index.jsonl", folders=("base", *_MODEL), readers=_BASE, rare=_RARE, knowing=_LINES
    ),
    "cache: part": Kind(
        files="base/parts/*.parquet",
        folders=("base", *_MODEL),
        readers=_BASE,
        rare=_RARE,
        knowing=PARQUET_MUTATORS,
    ),
    "cache: timings": Kind(
        files="base/timings.jsonl",
        folders=("base", *_MODEL),
        readers=("certify", "compare", "info", "verify", "plan"),
        rare=_RARE,
        knowing=_LINES,
        sealed=False,
    ),
    "cache: recipe": Kind(
        files="base/recipe.json",
        folders=("base", *_MODEL),
        readers=("compare_command",),
        rare=("recertify_command", "report"),
        knowing=_RECORD,
    ),
    "cache: held-out ranges": Kind(
        files="base/holdouts.jsonl",
        folders=("base",),
        readers=("recertify_on_spent_range", "compare"),
        knowing=_LINES,
    ),
    "candidate: record": Kind(
        files="base/candidates/*/candidate.json",
        folders=("base", *_MODEL),
        readers=("compare", "recertify_on_spent_range"),
        rare=("compare_command", "audit", "report", "recertify_command"),
        knowing=_RECORD,
    ),
    "candidate: folder": Kind(
        files="base/candidates/*/*.json",
        folders=("base", *_MODEL),
        readers=("verify", "recertify_command", "decide_command"),
        rare=("compare_command",),
        knowing=FOLDER_MUTATORS,
        placed=True,
        sealed=False,
    ),
    "candidate: manifest": Kind(
        files="base/candidates/*/manifest.json",
        folders=("base",),
        readers=_CANDIDATE,
        rare=("audit",),
        knowing=_RECORD,
    ),
    "candidate: index": Kind(
        files="base/candidates/*/index.jsonl",
        folders=("base",),
        readers=_CANDIDATE,
        rare=("audit",),
        knowing=_LINES,
    ),
    "candidate: part": Kind(
        files="base/candidates/*/parts/*.parquet",
        folders=("base",),
        readers=_CANDIDATE,
        rare=("audit",),
        knowing=PARQUET_MUTATORS,
    ),
    "candidate: numbers": Kind(
        files="base/candidates/*/guided-plan.json",
        folders=("base",),
        readers=("recertify_continued", "verify_candidate"),
        knowing=_RECORD,
    ),
    "journal: record": Kind(
        files="at-radius/rounds.json", folders=("at-radius",), readers=("radius",), knowing=_RECORD
    ),
    "journal: index": Kind(
        files="at-radius/rounds.jsonl", folders=("at-radius",), readers=("radius",), knowing=_LINES
    ),
    "journal: votes": Kind(
        files="at-radius/rounds/*.votes", folders=("at-radius",), readers=("radius",), knowing=VOTES_MUTATORS
    ),
    "adaptive journal: record": Kind(
        files="adaptive/rounds.json", folders=("adaptive",), readers=("adaptive",), knowing=_RECORD
    ),
    "adaptive journal: votes": Kind(
        files="adaptive/rounds/*.votes", folders=("adaptive",), readers=("adaptive",), knowing=VOTES_MUTATORS
    ),
    "decision: record": Kind(
        files="base/candidates/*/rounds.json", folders=("base",), readers=("decide",), knowing=_RECORD
    ),
    "decision: index": Kind(
        files="base/candidates/*/rounds.jsonl", folders=("base",), readers=("decide",), knowing=_LINES
    ),
    "decision: votes": Kind(
        files="base/candidates/*/rounds/*.votes", folders=("base",), readers=("decide",), knowing=VOTES_MUTATORS
    ),
    "guided: plan": Kind(
        files="guided/guided-plan.json", folders=("guided", "surrogate"), readers=("guided",), knowing=_RECORD
    ),
    "guided: journal": Kind(
        files="guided/rounds.jsonl", folders=("guided", "surrogate"), readers=("guided",), knowing=_LINES
    ),
    "surrogate: record": Kind(
        files="surrogate/surrogate.json",
        folders=("surrogate", "guided"),
        readers=("by_surrogate", "guided"),
        knowing=_RECORD,
    ),
    "surrogate: weights": Kind(
        files="surrogate/surrogate.safetensors",
        folders=("surrogate", "guided"),
        readers=("by_surrogate", "guided"),
        knowing=SAFETENSORS_MUTATORS,
    ),
    "surrogate: calibration": Kind(
        files="surrogate/calibration.json", folders=("surrogate",), readers=("by_surrogate",), knowing=_RECORD
    ),
    "surrogate: votes": Kind(
        files="more/parts/*.parquet",
        folders=("more", "surrogate", "more.npz"),
        readers=("calibrate",),
        knowing=PARQUET_MUTATORS,
    ),
    "fit: state": Kind(
        files="fitting/fit-state.safetensors",
        folders=("fitting", "votes"),
        readers=("fit",),
        knowing=SAFETENSORS_MUTATORS,
    ),
    "training: state": Kind(
        files="training/training-state.safetensors",
        folders=("training", "train.npz"),
        readers=("continue_training",),
        knowing=SAFETENSORS_MUTATORS,
    ),
    "checkpoint": Kind(
        files="model/checkpoint.safetensors",
        folders=("model",),
        readers=("checkpoint",),
        knowing=SAFETENSORS_MUTATORS,
        sealed=False,
        free=True,
    ),
    "published checkpoint": Kind(
        files="model.pth.tar",
        folders=("model.pth.tar",),
        readers=("published_checkpoint",),
        knowing=TORCH_MUTATORS,
        sealed=False,
        free=True,
    ),
    "ONNX model": Kind(files="model.onnx", folders=("model.onnx",), readers=("onnx",), sealed=False, free=True),
    "data: arrays": Kind(
        files="data.npz",
        folders=("data.npz",),
        readers=("arrays",),
        knowing=ARRAY_MUTATORS,
        sealed=False,
        free=True,
    ),
    "data: image": Kind(
        files="images/*/*",
        folders=("images",),
        readers=("images",),
        knowing=IMAGE_MUTATORS,
        sealed=False,
        free=True,
    ),
    "data: CIFAR-10 table": Kind(
        files="cifar/*.parquet",
        folders=("cifar",),
        readers=("cifar_table",),
        knowing=TABLE_MUTATORS,
        sealed=False,
        free=True,
    ),
    "data: CIFAR-10 binary": Kind(
        files="binary/*",
        folders=("binary",),
        readers=("cifar_binary",),
        knowing=LINE_MUTATORS,
        sealed=False,
        free=True,
    ),
}
"""Every kind of file, by name."""

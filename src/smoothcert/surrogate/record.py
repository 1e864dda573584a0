"""The JSON beside a surrogate's weights: what it was fitted to, hence what it may be used for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smoothcert._records import Legal, RecordFormat, digest_of, is_hex, is_int, is_list, is_number, is_text
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.noise import Purpose
from smoothcert.sampling import Identity
from smoothcert.votes.store import is_identity

__all__ = ["SurrogateRecord"]

_SINCE_2: dict[str, Any] = {"seed": None, "purpose": Purpose.ESTIMATION.name.lower(), "identity": {}}
"""What version 2 says more, and what records of version 1 are taken to say."""


@dataclass(frozen=True, kw_only=True)
class SurrogateRecord:
    """What a surrogate was fitted to."""

    arch: str  # "" for a module of the user's own, whose mean and std are empty
    mean: list[float]
    std: list[float]
    num_classes: int
    outputs: int  # of the network: one more than classes where invalid votes are predicted too
    input_shape: list[int]
    sigma: float
    noise_law: str
    noise_digest: str
    fingerprint: str  # of the base classifier
    n: int  # votes per input
    inputs: int  # that gradients saw
    held_out: int
    votes: str  # digest of their manifest
    recipe: dict[str, Any]
    scale: dict[str, list[float]]  # of an ErrorScale
    weights: str  # SHA-256 of their file
    seed: int | None = None  # of the votes' noise; records of version 1 do not say
    purpose: str = _SINCE_2["purpose"]  # of the votes' noise, as their manifest says
    identity: dict[str, str] = dataclasses.field(default_factory=dict)  # of the base classifier; {} if not known

    @property
    def digest(self) -> str:
        """SHA-256 of the record, in hexadecimal; it names the surrogate."""
        return digest_of(self._fields())

    def _fields(self) -> dict[str, Any]:
        unknown = _SINCE_2 if self.seed is None else {}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in unknown}

    @classmethod
    def from_file(cls, path: Path) -> SurrogateRecord:
        """Read and check a record; CheckpointError says what is wrong."""
        return cls(**_FORMAT.read(path.parent, path.name))

    def write(self, path: Path) -> None:
        """Write the record with its own digest; CheckpointError when that fails."""
        _FORMAT.write(path.parent, path.name, self._fields())

    def require(self, source: str, **wanted: Any) -> None:
        """Refuse a use with other values of these fields; InvalidArgumentError names the first that differs."""
        for name, want in wanted.items():
            have = getattr(self, name)
            have, want = (list(have), list(want)) if name == "input_shape" else (have, want)
            if have != want:
                raise InvalidArgumentError(
                    f"the surrogate was fitted for {name} = {have!r}, not for the {want!r} of {source}: "
                    f"use what it was fitted for, or fit one to votes of this {_WHAT.get(name, name)}"
                )

    def require_identity(self, identity: Identity, source: str, description: Mapping[str, str]) -> None:
        """Refuse a classifier of the same fingerprint that computes something else, beyond how it rounds."""
        difference = Identity(**self.identity).difference(identity, description) if self.identity else ""
        if difference:
            raise InvalidArgumentError(
                f"the surrogate was fitted for another classifier than {source} under the same fingerprint: "
                f"{difference}; fit one to votes of this one"
            )


_WHAT = {"fingerprint": "classifier (same weights, runtime and dtype)", "noise_digest": "noise"}


_is_numbers = is_list(is_number(-math.inf, math.inf))

_LEGAL: dict[str, Legal] = {
    "arch": is_text,
    "mean": _is_numbers,
    "std": _is_numbers,
    "num_classes": is_int(2, 65535),
    "outputs": is_int(2, 65536),
    "input_shape": lambda v: isinstance(v, list) and 0 < len(v) < 16 and all(map(is_int(1, 1 << 32), v)),
    "sigma": lambda v: isinstance(v, float) and v > 0,
    "noise_law": is_text,
    "noise_digest": is_hex,
    "fingerprint": lambda v: is_text(v) and v != "",
    "n": is_int(1, 1 << 40),
    "inputs": is_int(1, 1 << 40),
    "held_out": is_int(1, 1 << 40),
    "votes": is_hex,
    "recipe": lambda v: isinstance(v, dict),
    "scale": lambda v: (
        isinstance(v, dict)
        and set(v) == {"mean", "std", "weights"}
        and {name: len(x) for name, x in v.items() if _is_numbers(x)} == {"mean": 4, "std": 4, "weights": 5}
    ),
    "weights": is_hex,
    "seed": is_int(0, 1 << 128),
    "purpose": lambda v: v in ("estimation", "fitting"),
    "identity": is_identity,
}
"""The exact schema: every field and its legal values."""

_FORMAT = RecordFormat(
    name="smoothcert-surrogate",
    version=2,
    legal=_LEGAL,
    optional=_SINCE_2,
    unreadable=CheckpointError,
    other=CheckpointError,
    unwritable=CheckpointError,
)

"""The JSON beside a surrogate's weights: what it was fitted to, hence what it may be used for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smoothcert.cache.manifest import is_identity
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.noise import Purpose
from smoothcert.sampling import Identity

__all__ = ["SurrogateRecord", "digest_of", "read_json_object"]

_FORMAT, _VERSION = "smoothcert-surrogate", 2
"""Version 2 says which noise the votes were drawn from, and what the classifier computes."""

_SINCE_2 = {"seed", "purpose", "identity"}
_HEX64 = re.compile(r"[0-9a-f]{64}")
_MAX_BYTES = 1 << 26


@dataclass(frozen=True, kw_only=True)
class SurrogateRecord:
    """What a surrogate was fitted to.

    Attributes
    ----------
    arch : str
        Name of the architecture; empty for a module of the user's own.
    mean, std : list of float
        Its normalization; empty for a module of the user's own.
    num_classes : int
        Classes of the base classifier.
    outputs : int
        Outputs of the network: one more than classes where invalid votes are predicted too.
    input_shape : list of int
        Shape of one input.
    sigma : float
        Standard deviation of the noise of the votes.
    noise_law, noise_digest : str
        The noise law of the votes, and a hash of what it draws.
    fingerprint : str
        The base classifier's fingerprint.
    n : int
        Votes per input.
    inputs, held_out : int
        Inputs that gradients saw, and inputs that were held out.
    votes : str
        Digest of the manifest of the votes.
    recipe : dict
        How it was fitted.
    scale : dict
        The learned error, see `ErrorScale`.
    weights : str
        SHA-256 of the file of weights.
    seed : int or None
        Seed of the noise of the votes; None in records of version 1, which do not say.
    purpose : str
        What that noise was drawn for, ``"fitting"`` or ``"estimation"``, as the manifest of the votes says.
    identity : dict of str to str
        What the base classifier computes, see `smoothcert.sampling.Identity`; empty where that is not known.
    format_version : int
        Version of the file's format.
    """

    arch: str
    mean: list[float]
    std: list[float]
    num_classes: int
    outputs: int
    input_shape: list[int]
    sigma: float
    noise_law: str
    noise_digest: str
    fingerprint: str
    n: int
    inputs: int
    held_out: int
    votes: str
    recipe: dict[str, Any]
    scale: dict[str, list[float]]
    weights: str
    seed: int | None = None
    purpose: str = Purpose.ESTIMATION.name.lower()
    identity: dict[str, str] = dataclasses.field(default_factory=dict)
    format_version: int = _VERSION

    @property
    def digest(self) -> str:
        """SHA-256 of the record, in hexadecimal; it names the surrogate."""
        return digest_of(self._fields())

    def to_json(self) -> str:
        """Return the record as JSON text that carries its own digest."""
        fields = {"format": _FORMAT, "format_version": self.format_version, **self._fields()}
        return json.dumps({**fields, "digest": self.digest}, indent=2, sort_keys=True) + "\n"

    def _fields(self) -> dict[str, Any]:
        unknown = {"format_version"} | (_SINCE_2 if self.format_version < 2 else set())
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in unknown}

    @classmethod
    def from_file(cls, path: Path) -> SurrogateRecord:
        """Read and check a record; CheckpointError says what is wrong."""
        fields, version = read_json_object(path, _FORMAT, (1, _VERSION))
        digest = fields.pop("digest", None)
        known = set(_LEGAL) if version > 1 else set(_LEGAL) - _SINCE_2
        if set(fields) != known:
            odd = ", ".join(sorted(set(fields) ^ known))
            raise CheckpointError(f"{path} has missing or unknown fields: {odd}")
        for name, value in fields.items():
            if not _LEGAL[name](value):
                raise CheckpointError(f"{path}: {name} is {value!r}, which is not legal")
        record = cls(**fields, format_version=version)
        if record.digest != digest:
            raise CheckpointError(f"{path} was changed: its digest does not match its content")
        return record

    def require(self, source: str, **wanted: Any) -> None:
        """Refuse a use that the surrogate was not fitted for.

        Parameters
        ----------
        source : str
            What is used with it, for the message.
        **wanted
            Fields that must agree, by name.

        Raises
        ------
        InvalidArgumentError
            Names the first field that differs, and both values.
        """
        for name, want in wanted.items():
            have = getattr(self, name)
            have, want = (list(have), list(want)) if name == "input_shape" else (have, want)
            if have != want:
                raise InvalidArgumentError(
                    f"the surrogate was fitted for {name} = {have!r}, not for the {want!r} of {source}: "
                    f"use what it was fitted for, or fit one to votes of this {_WHAT.get(name, name)}"
                )

    def require_identity(self, identity: Identity, source: str, description: Mapping[str, str]) -> None:
        """Refuse a classifier of the same fingerprint that computes something else.

        Parameters
        ----------
        identity : Identity
            Of the classifier.
        source : str
            What is used with the surrogate, for the message.
        description : mapping of str to str
            Of the classifier: how it rounds.

        Raises
        ------
        InvalidArgumentError
            Says how its logits differ.
        """
        difference = Identity(**self.identity).difference(identity, description) if self.identity else ""
        if difference:
            raise InvalidArgumentError(
                f"the surrogate was fitted for another classifier than {source} under the same fingerprint: "
                f"{difference}; fit one to votes of this one"
            )


_WHAT = {"fingerprint": "classifier (same weights, runtime and dtype)", "noise_digest": "noise"}


def digest_of(fields: dict[str, Any]) -> str:
    """Return the SHA-256 of JSON fields, in hexadecimal."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_json_object(path: Path, format_: str, versions: tuple[int, ...]) -> tuple[dict[str, Any], int]:
    """Read a JSON object of a format and its version; CheckpointError says what is wrong."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CheckpointError(f"{path} has more than {_MAX_BYTES} bytes: it is none of ours")
        fields = json.loads(path.read_text(encoding="utf-8"))
        header = fields.pop("format"), fields.pop("format_version")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if header[0] != format_ or header[1] not in versions:
        raise CheckpointError(f"{path} has format {header}: this version reads {format_!r}, {versions}")
    return fields, header[1]


def _is_int(low: int, high: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v < high


def _is_numbers(v: Any) -> bool:
    return isinstance(v, list) and all(isinstance(x, (int, float)) and math.isfinite(x) for x in v)


def _is_text(v: Any) -> bool:
    return isinstance(v, str) and len(v) < 4096


def _is_hex(v: Any) -> bool:
    return isinstance(v, str) and _HEX64.fullmatch(v) is not None


_LEGAL: dict[str, Callable[[Any], bool]] = {
    "arch": _is_text,
    "mean": _is_numbers,
    "std": _is_numbers,
    "num_classes": _is_int(2, 65535),
    "outputs": _is_int(2, 65536),
    "input_shape": lambda v: isinstance(v, list) and 0 < len(v) < 16 and all(map(_is_int(1, 1 << 32), v)),
    "sigma": lambda v: isinstance(v, float) and math.isfinite(v) and v > 0,
    "noise_law": _is_text,
    "noise_digest": _is_hex,
    "fingerprint": lambda v: _is_text(v) and v != "",
    "n": _is_int(1, 1 << 40),
    "inputs": _is_int(1, 1 << 40),
    "held_out": _is_int(1, 1 << 40),
    "votes": _is_hex,
    "recipe": lambda v: isinstance(v, dict),
    "scale": lambda v: (
        isinstance(v, dict)
        and {name: len(x) for name, x in v.items() if _is_numbers(x)} == {"mean": 4, "std": 4, "weights": 5}
    ),
    "weights": _is_hex,
    "seed": _is_int(0, 1 << 128),
    "purpose": lambda v: v in ("estimation", "fitting"),
    "identity": lambda v: not v or is_identity(v),
}
"""The exact schema: every field and its legal values."""

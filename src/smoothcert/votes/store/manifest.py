"""The manifest: what was sampled, and what a later call must agree with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from smoothcert.classifiers import Classifier
from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.noise import NoiseStream, Purpose, noise_of_law
from smoothcert.sampling import Identity

__all__ = ["BATCH_SIZE", "BUDGET", "EVEN", "FORMAT_VERSION", "Manifest", "is_identity", "recorded_batch_size"]

FORMAT_VERSION = 4
"""Version 2 records at which sample index each input's votes start; in version 1 all start at 0. Version 3 records
what the classifier computes and what the noise is for; before, that was estimation. Version 4 records that inputs
have different numbers of votes; where they have the same, version 3 is written."""

BATCH_SIZE = "batch_size"
"""Where a manifest keeps the batch size, among the classifier's description."""

EVEN, BUDGET = "even", "budget"
"""How votes are spread over the inputs: n of each, or n of each on average."""

_MOST = 100  # times the mean, see `allocate_paired`

_HEX64 = re.compile(r"[0-9a-f]{64}")
_LOGITS = re.compile(r"([0-9a-f]{8})+")  # of float32


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What the votes of a certification cache are votes of.

    Attributes
    ----------
    sigma : float
        Standard deviation of the noise.
    noise_law, noise_digest : str
        Name and version of the noise law, and a hash of a few of its draws.
    seed : int
        Seed of the noise stream.
    n0, n : int
        Selection and estimation samples per input; with spread ``"budget"``, n is their mean at most.
    alpha : float
        Failure probability of each certificate.
    num_classes : int
        Number of classes.
    input_shape : tuple of int
        Shape of one input.
    fingerprint : str
        The classifier's fingerprint.
    purpose : str
        What the noise of the votes is for, ``"estimation"`` or ``"fitting"``.
    identity : dict of str to str
        The classifier's `Identity`, field by field; empty in caches of older versions.
    classifier : dict of str to str
        The classifier's description: runtime, dtype, preprocessing.
    base : str
        Digest of the manifest of the cache that this one's noise is paired with; empty for none.
    versions : dict of str to str
        Versions of the libraries that made the cache.
    spread : {"even", "budget"}
        Whether every input has n estimation samples, or each a number of its own.
    format_version : int
        Version of the files' format, the oldest that can say all this by default.
    """

    sigma: float
    noise_law: str
    noise_digest: str
    seed: int
    n0: int
    n: int
    alpha: float
    num_classes: int
    input_shape: tuple[int, ...]
    fingerprint: str
    purpose: str = Purpose.ESTIMATION.name.lower()
    identity: dict[str, str] = field(default_factory=dict)
    classifier: dict[str, str]
    base: str = ""
    versions: dict[str, str]
    spread: str = EVEN
    format_version: int = 0

    def __post_init__(self) -> None:
        if not self.format_version:
            object.__setattr__(self, "format_version", 3 if self.spread == EVEN else FORMAT_VERSION)

    @property
    def size(self) -> int:
        """Coordinates of one input."""
        return math.prod(self.input_shape)

    @property
    def sizes(self) -> range:
        """Numbers of votes that an input can have."""
        return range(self.n, self.n + 1) if self.spread == EVEN else range(_MOST * self.n + 1)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest's content, in hexadecimal; pin it to recognise the cache."""
        return hashlib.sha256(_canonical(self._fields()).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the manifest as JSON text that carries its own digest."""
        fields = {"format": "smoothcert-cache", "format_version": self.format_version, **self._fields()}
        return json.dumps({**fields, "digest": self.digest}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> Manifest:
        """Parse and check what `to_json` returned; `source` names the file in messages.

        Raises
        ------
        CacheMismatchError
            When it is of another format, or of a newer version.
        CacheCorruptError
            When a field is missing, unknown, of another type or out of range, or the digest does not match.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            header = (fields.pop("format"), fields.pop("format_version"), fields.pop("digest"))
        except (ValueError, KeyError, AttributeError) as error:
            raise CacheCorruptError(f"{source} is not the manifest of a certification cache: {error}") from error
        if header[0] != "smoothcert-cache" or not _is_int(1, FORMAT_VERSION + 1)(header[1]):
            raise CacheMismatchError(
                f"{source} has format {header[:2]}: this version reads 'smoothcert-cache', 1 to {FORMAT_VERSION}"
            )
        known = set(_LEGAL) - _unknown(header[1])
        if set(fields) != known:
            odd = sorted(set(fields) ^ known)
            raise CacheCorruptError(f"{source} has missing or unknown fields: {', '.join(odd)}")
        for name in fields:
            if not _LEGAL[name](fields[name]):
                raise CacheCorruptError(f"{source}: {name} is {fields[name]!r}, which is not legal")
        manifest = cls(**{**fields, "input_shape": tuple(fields["input_shape"]), "format_version": header[1]})
        if manifest.digest != header[2]:
            raise CacheCorruptError(f"{source} was changed: its digest does not match its content")
        return manifest

    def noise(self, path: str = "the cache") -> NoiseStream:
        """Return the noise stream of the votes; `path` names the cache in messages.

        Raises
        ------
        CacheMismatchError
            When this version, or the installed libraries, cannot draw the same noise.
        """
        stream = noise_of_law(self.noise_law, self.sigma, self.seed)
        if stream is None:
            raise CacheMismatchError(f"{path} was made with noise_law = {self.noise_law!r}, which is unknown here")
        if stream.digest != self.noise_digest:
            raise CacheMismatchError(
                f"{path} was made with noise digest {self.noise_digest[:12]}, but {self.noise_law!r} gives "
                f"{stream.digest[:12]} here: NumPy draws other normals; install the version that made the cache"
            )
        return stream

    def require_same(self, wanted: Manifest, path: str, *, ignore: tuple[str, ...] = ()) -> None:
        """Refuse a call that does not fit this cache.

        Raises
        ------
        CacheMismatchError
            Names the first field that differs, both values and the remedy.
        """
        for name in _LEGAL:
            if name in ("versions", "classifier", "identity", *ignore):
                continue
            have, want = getattr(self, name), getattr(wanted, name)
            if have != want:
                raise CacheMismatchError(
                    f"{path} was made with {name} = {have!r}, but the call has {want!r}: "
                    "use the same, or another folder for the cache"
                )
        if wanted.identity:
            self.require_identity(Identity(**wanted.identity), path)

    def require_identity(self, identity: Identity, path: str) -> None:
        """Refuse a classifier of the same fingerprint that computes something else.

        Raises
        ------
        CacheMismatchError
            Says how its logits differ.
        """
        if difference := self.identity_difference(identity):
            raise CacheMismatchError(
                f"{path} holds votes of another classifier under the fingerprint {self.fingerprint!r}: "
                f"{difference}; give the one that made it, or another folder for this one"
            )

    def identity_difference(self, identity: Identity) -> str:
        """Say what a classifier computes otherwise; empty where nothing, or in caches that do not know."""
        return Identity(**self.identity).difference(identity, self.classifier) if self.identity else ""

    def is_of(self, classifier: Classifier, identity: Identity) -> bool:
        """Tell whether the votes are a classifier's: the fingerprint agrees, and what it computes where known."""
        return classifier.fingerprint == self.fingerprint and not self.identity_difference(identity)

    def _fields(self) -> dict[str, Any]:
        fields = {**dataclasses.asdict(self), "input_shape": list(self.input_shape)}
        return {
            name: v for name, v in fields.items() if name not in _unknown(self.format_version) | {"format_version"}
        }


def _unknown(version: int) -> set[str]:
    """Return the fields that a version of the format does not have."""
    return {name for name, since in _SINCE.items() if version < since}


def _canonical(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def _is_int(low: int, high: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v < high


def _is_float(low: float, high: float) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, float) and math.isfinite(v) and low < v < high


def _is_text(v: Any) -> bool:
    return isinstance(v, str) and len(v) <= 4096


def _is_text_map(v: Any) -> bool:
    return isinstance(v, dict) and len(v) < 64 and all(_is_text(k) and _is_text(t) for k, t in v.items())


def _is_hex(v: Any) -> bool:
    return isinstance(v, str) and _HEX64.fullmatch(v) is not None


def is_identity(v: Any) -> bool:
    """Tell whether a JSON value is the fields of an `Identity`, or none."""
    if not _is_text_map(v) or set(v) != {"execution", "digest", "logits"}:
        return isinstance(v, dict) and not v
    return bool((v["digest"] == "" or _is_hex(v["digest"])) and _LOGITS.fullmatch(v["logits"]))


_PURPOSES = [purpose.name.lower() for purpose in (Purpose.ESTIMATION, Purpose.FITTING)]
_SINCE = {"purpose": 3, "identity": 3, "spread": 4}
_LEGAL: dict[str, Callable[[Any], bool]] = {
    "sigma": _is_float(0, math.inf),
    "noise_law": _is_text,
    "noise_digest": _is_hex,
    "seed": _is_int(0, 1 << 128),
    "spread": lambda v: v in (EVEN, BUDGET),
    "n0": _is_int(0, 1 << 40),
    "n": _is_int(1, 1 << 40),
    "alpha": _is_float(0.999e-100, 1),  # what bounds are made for
    "num_classes": _is_int(2, 65535),
    "input_shape": lambda v: isinstance(v, (list, tuple)) and 0 < len(v) < 16 and all(map(_is_int(1, 1 << 32), v)),
    "fingerprint": lambda v: _is_text(v) and v != "",
    "purpose": lambda v: v in _PURPOSES,
    "identity": is_identity,
    "classifier": _is_text_map,
    "base": lambda v: v == "" or _is_hex(v),
    "versions": _is_text_map,
}
"""The exact schema: every field and its legal values, in the order in which a mismatch is reported."""


def recorded_batch_size(manifest: Manifest) -> int | None:
    """Return the batch size that a cache was begun with; kernels may round by it, so a continued run keeps it."""
    recorded = manifest.classifier.get(BATCH_SIZE, "")
    return int(recorded) if recorded.isdecimal() and int(recorded) else None

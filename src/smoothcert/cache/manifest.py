"""The manifest: what was sampled, and what a later call must agree with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smoothcert.errors import CacheCorruptError, CacheMismatchError
from smoothcert.noise import NoiseStream, noise_of_law

__all__ = ["FORMAT_VERSION", "Manifest"]

FORMAT_VERSION = 2
"""Version 2 records at which sample index each input's votes start; in version 1 all start at 0."""

_HEX64 = re.compile(r"[0-9a-f]{64}")


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
        Selection and estimation samples per input.
    alpha : float
        Failure probability of each certificate.
    num_classes : int
        Number of classes.
    input_shape : tuple of int
        Shape of one input.
    fingerprint : str
        The classifier's fingerprint.
    classifier : dict of str to str
        The classifier's description: runtime, dtype, preprocessing.
    base : str
        Digest of the manifest of the cache that this one's noise is paired with; empty for none.
    versions : dict of str to str
        Versions of the libraries that made the cache.
    format_version : int
        Version of the files' format.
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
    classifier: dict[str, str]
    base: str = ""
    versions: dict[str, str]
    format_version: int = FORMAT_VERSION

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
        """Parse and check a manifest.

        Parameters
        ----------
        text : str
            What `to_json` returned.
        source : str
            Name of the file, for messages.

        Raises
        ------
        CacheCorruptError
            When a field is missing, unknown, of another type or out of range, or the digest does not match.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            header = (fields.pop("format"), fields.pop("format_version"), fields.pop("digest"))
        except (ValueError, KeyError, AttributeError) as error:
            raise CacheCorruptError(f"{source} is not the manifest of a certification cache: {error}") from error
        if header[0] != "smoothcert-cache" or header[1] not in range(1, FORMAT_VERSION + 1):
            raise CacheMismatchError(
                f"{source} has format {header[:2]}: this version reads 'smoothcert-cache', 1 to {FORMAT_VERSION}"
            )
        if set(fields) != set(_LEGAL):
            odd = sorted(set(fields) ^ set(_LEGAL))
            raise CacheCorruptError(f"{source} has missing or unknown fields: {', '.join(odd)}")
        for name, legal in _LEGAL.items():
            if not legal(fields[name]):
                raise CacheCorruptError(f"{source}: {name} is {fields[name]!r}, which is not legal")
        manifest = cls(**{**fields, "input_shape": tuple(fields["input_shape"]), "format_version": header[1]})
        if manifest.digest != header[2]:
            raise CacheCorruptError(f"{source} was changed: its digest does not match its content")
        return manifest

    def noise(self) -> NoiseStream:
        """Return the noise stream of the votes.

        Raises
        ------
        CacheMismatchError
            When this version, or the installed libraries, cannot draw the same noise.
        """
        stream = noise_of_law(self.noise_law, self.sigma, self.seed)
        if stream is None:
            raise CacheMismatchError(
                f"the cache was made with noise_law = {self.noise_law!r}, which is unknown here"
            )
        if stream.digest != self.noise_digest:
            raise CacheMismatchError(
                f"the cache was made with noise digest {self.noise_digest[:12]}, but {self.noise_law!r} gives "
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
            if name in ("versions", "classifier", *ignore):
                continue
            have, want = getattr(self, name), getattr(wanted, name)
            if have != want:
                raise CacheMismatchError(
                    f"{path} was made with {name} = {have!r}, but the call has {want!r}: "
                    "use the same, or another folder for the cache"
                )

    def _fields(self) -> dict[str, Any]:
        fields = {**dataclasses.asdict(self), "input_shape": list(self.input_shape)}
        del fields["format_version"]
        return fields


def _canonical(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def _is_int(low: int, high: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v < high


def _is_float(low: float, high: float) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, float) and math.isfinite(v) and low < v < high


def _is_text(v: Any) -> bool:
    return isinstance(v, str) and len(v) < 4096


def _is_text_map(v: Any) -> bool:
    return isinstance(v, dict) and len(v) < 64 and all(_is_text(k) and _is_text(t) for k, t in v.items())


def _is_hex(v: Any) -> bool:
    return isinstance(v, str) and _HEX64.fullmatch(v) is not None


_LEGAL: dict[str, Callable[[Any], bool]] = {
    "sigma": _is_float(0, math.inf),
    "noise_law": _is_text,
    "noise_digest": _is_hex,
    "seed": _is_int(0, 1 << 128),
    "n0": _is_int(0, 1 << 40),
    "n": _is_int(1, 1 << 40),
    "alpha": _is_float(0, 1),
    "num_classes": _is_int(2, 65535),
    "input_shape": lambda v: isinstance(v, (list, tuple)) and 0 < len(v) < 16 and all(map(_is_int(1, 1 << 32), v)),
    "fingerprint": lambda v: _is_text(v) and v != "",
    "classifier": _is_text_map,
    "base": lambda v: v == "" or _is_hex(v),
    "versions": _is_text_map,
}
"""The exact schema: every field and its legal values, in the order in which a mismatch is reported."""

"""The certification cache on disk: schema, atomic append, resume, integrity check."""

from smoothcert.cache.manifest import Manifest
from smoothcert.cache.parts import CachedInput
from smoothcert.cache.store import CertificationCache, PartEntry, Timing

__all__ = ["CachedInput", "CertificationCache", "Manifest", "PartEntry", "Timing"]

"""Re-checking a classifier, its candidate and its cache without trusting the cache."""

from smoothcert.procedures.audit.consistency import Consistency
from smoothcert.procedures.audit.fresh_noise import Audit, audit

__all__ = ["Audit", "Consistency", "audit"]

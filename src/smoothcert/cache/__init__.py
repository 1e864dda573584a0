"""The certification cache on disk: schema, atomic append, resume, integrity check."""

from smoothcert.cache.candidates import open_candidate
from smoothcert.cache.comparisons import GatedComparison, note_comparison
from smoothcert.cache.holdouts import Holdout, note_seen, read_holdouts, reserve
from smoothcert.cache.index import PartEntry
from smoothcert.cache.manifest import Manifest
from smoothcert.cache.parts import CachedInput
from smoothcert.cache.records import (
    CandidateRecord,
    Recipe,
    candidate_folder,
    read_candidates,
    read_recipe,
    write_candidate,
    write_recipe,
)
from smoothcert.cache.rounds import RoundJournal, Setting
from smoothcert.cache.store import CertificationCache, votes_manifest
from smoothcert.cache.timings import Timing
from smoothcert.cache.verification import Verified, verify

__all__ = [
    "CachedInput",
    "CandidateRecord",
    "CertificationCache",
    "GatedComparison",
    "Holdout",
    "Manifest",
    "PartEntry",
    "Recipe",
    "RoundJournal",
    "Setting",
    "Timing",
    "Verified",
    "candidate_folder",
    "note_comparison",
    "note_seen",
    "open_candidate",
    "read_candidates",
    "read_holdouts",
    "read_recipe",
    "reserve",
    "verify",
    "votes_manifest",
    "write_candidate",
    "write_recipe",
]

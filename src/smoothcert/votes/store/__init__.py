"""The certification cache on disk: schema, atomic append, resume, integrity check."""

from smoothcert.votes.store.cache import CertificationCache, votes_manifest
from smoothcert.votes.store.candidates import open_candidate
from smoothcert.votes.store.comparisons import GatedComparison, note_comparison
from smoothcert.votes.store.holdouts import Holdout, note_seen, read_holdouts, reserve
from smoothcert.votes.store.index import PartEntry
from smoothcert.votes.store.journal import RoundJournal, Setting
from smoothcert.votes.store.manifest import BUDGET, EVEN, Manifest, is_identity
from smoothcert.votes.store.parts import CachedInput
from smoothcert.votes.store.records import (
    CandidateRecord,
    Provenance,
    candidate_folder,
    read_candidates,
    read_provenance,
    write_candidate,
    write_provenance,
)
from smoothcert.votes.store.sizes import kept_sizes
from smoothcert.votes.store.timings import Timing
from smoothcert.votes.store.verification import Verified, verify

__all__ = [
    "BUDGET",
    "EVEN",
    "CachedInput",
    "CandidateRecord",
    "CertificationCache",
    "GatedComparison",
    "Holdout",
    "Manifest",
    "PartEntry",
    "Provenance",
    "RoundJournal",
    "Setting",
    "Timing",
    "Verified",
    "candidate_folder",
    "is_identity",
    "kept_sizes",
    "note_comparison",
    "note_seen",
    "open_candidate",
    "read_candidates",
    "read_holdouts",
    "read_provenance",
    "reserve",
    "verify",
    "votes_manifest",
    "write_candidate",
    "write_provenance",
]

"""The certification cache on disk: schema, atomic append, resume, integrity check."""

from smoothcert.votes.store.cache import CertificationCache
from smoothcert.votes.store.candidates import open_candidate
from smoothcert.votes.store.comparisons import GatedComparison, note_comparison
from smoothcert.votes.store.folders import load_cache, manifest_in, votes_manifest
from smoothcert.votes.store.holdouts import Holdout, note_seen, read_holdouts, reserve
from smoothcert.votes.store.index import PartEntry
from smoothcert.votes.store.journal import RoundJournal, Setting
from smoothcert.votes.store.labels import keep_labels, read_labels
from smoothcert.votes.store.manifest import BATCH_SIZE, BUDGET, EVEN, Manifest, is_identity, recorded_batch_size
from smoothcert.votes.store.parts import CachedInput
from smoothcert.votes.store.provenance import (
    Provenance,
    read_provenance,
    recording_provenance,
    write_provenance,
)
from smoothcert.votes.store.records import (
    CandidateRecord,
    candidate_folder,
    read_candidates,
    write_candidate,
)
from smoothcert.votes.store.sizes import kept_sizes
from smoothcert.votes.store.timings import Timing
from smoothcert.votes.store.verification import Verified, verify

__all__ = [
    "BATCH_SIZE",
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
    "keep_labels",
    "kept_sizes",
    "load_cache",
    "manifest_in",
    "note_comparison",
    "note_seen",
    "open_candidate",
    "read_candidates",
    "read_holdouts",
    "read_labels",
    "read_provenance",
    "recorded_batch_size",
    "recording_provenance",
    "reserve",
    "verify",
    "votes_manifest",
    "write_candidate",
    "write_provenance",
]

"""Getting and keeping votes: the smoothed classifier, its votes in groups or rounds, and pairs of them."""

from smoothcert.votes.arguments import (
    require_batch_size,
    require_classifier,
    require_count,
    require_probability,
    require_radius,
)
from smoothcert.votes.collection import (
    PART_VOTES,
    REPLAY_TOLERANCE,
    REPLAYED,
    Progress,
    VotingPlan,
    collect,
    make_manifest,
    recorded_batch_size,
    replay,
)
from smoothcert.votes.pairs import PairedCounts, pair, stack_pairs
from smoothcert.votes.rounds import RoundSampler, sampling_rounds
from smoothcert.votes.smoothed import Prepared, prepare

__all__ = [
    "PART_VOTES",
    "REPLAYED",
    "REPLAY_TOLERANCE",
    "PairedCounts",
    "Prepared",
    "Progress",
    "RoundSampler",
    "VotingPlan",
    "collect",
    "make_manifest",
    "pair",
    "prepare",
    "recorded_batch_size",
    "replay",
    "require_batch_size",
    "require_classifier",
    "require_count",
    "require_probability",
    "require_radius",
    "sampling_rounds",
    "stack_pairs",
]

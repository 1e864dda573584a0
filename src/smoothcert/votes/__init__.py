"""Getting and keeping votes: the smoothed classifier, its votes in groups or rounds, and pairs of them."""

from smoothcert.votes.arguments import (
    require_batch_size,
    require_classifier,
    require_count,
    require_probability,
    require_radius,
)
from smoothcert.votes.groups import PART_VOTES, GroupSampler, sampling_groups
from smoothcert.votes.pairs import PairedCounts, pair, stack_pairs
from smoothcert.votes.progress import Progress, ShowProgress, progress_bar, reporter, showing
from smoothcert.votes.quota import Quota
from smoothcert.votes.repetition import REPEATED, REPETITION_TOLERANCE, repeat_cached
from smoothcert.votes.rounds import RoundSampler, sampling_rounds
from smoothcert.votes.running import run_as_made, run_like
from smoothcert.votes.smoothed import Smoothed
from smoothcert.votes.tally import Tally, tally_of

__all__ = [
    "PART_VOTES",
    "REPEATED",
    "REPETITION_TOLERANCE",
    "GroupSampler",
    "PairedCounts",
    "Progress",
    "Quota",
    "RoundSampler",
    "ShowProgress",
    "Smoothed",
    "Tally",
    "pair",
    "progress_bar",
    "repeat_cached",
    "reporter",
    "require_batch_size",
    "require_classifier",
    "require_count",
    "require_probability",
    "require_radius",
    "run_as_made",
    "run_like",
    "sampling_groups",
    "sampling_rounds",
    "showing",
    "stack_pairs",
    "tally_of",
]

"""Noise and a classifier make votes: batching, the door for inputs, a probe of the classifier."""

from smoothcert.sampling.calibration import calibration_batch
from smoothcert.sampling.checks import check_classifier, check_classifier_once
from smoothcert.sampling.engine import default_batch_size, device_of, sample_votes
from smoothcert.sampling.given import GivenInputs, as_inputs
from smoothcert.sampling.identity import Identity, identify, probe_batch
from smoothcert.sampling.inputs import Inputs
from smoothcert.sampling.labels import require_labels
from smoothcert.sampling.requests import SampleIndices, SampleRange, SampleRequest, pieces
from smoothcert.sampling.votes import Votes, count_votes, invalid_vote, most_voted, stored_dtype, votes_for

__all__ = [
    "GivenInputs",
    "Identity",
    "Inputs",
    "SampleIndices",
    "SampleRange",
    "SampleRequest",
    "Votes",
    "as_inputs",
    "calibration_batch",
    "check_classifier",
    "check_classifier_once",
    "count_votes",
    "default_batch_size",
    "device_of",
    "identify",
    "invalid_vote",
    "most_voted",
    "pieces",
    "probe_batch",
    "require_labels",
    "sample_votes",
    "stored_dtype",
    "votes_for",
]

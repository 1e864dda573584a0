"""The inputs that a command works on, without what runs a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smoothcert.cli.printing import doing

if TYPE_CHECKING:
    from smoothcert.data import Dataset
    from smoothcert.votes.store import Provenance

__all__ = ["open_dataset"]


def open_dataset(provenance: Provenance) -> Dataset:
    """Load the inputs and labels that a provenance names."""
    from smoothcert.data import load_dataset

    with doing(f"reading {provenance.data}"):
        return load_dataset(provenance.data, provenance.split, provenance.limit, provenance.skip)

"""Datasets: float32 inputs in [0, 1], channels first, decoded only when they are looked at."""

from smoothcert.data.dataset import Dataset
from smoothcert.data.inputs import ArrayInputs, EncodedImages, FolderImages, Images, LazyInputs, UInt8Images
from smoothcert.data.load import load_dataset

__all__ = [
    "ArrayInputs",
    "Dataset",
    "EncodedImages",
    "FolderImages",
    "Images",
    "LazyInputs",
    "UInt8Images",
    "load_dataset",
]

"""A small convolutional network for 8x8 digits."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["DigitsConv"]


class DigitsConv(nn.Module):
    """Two 3x3 convolutions and a linear layer with ReLU between them: about 10,000 parameters at (1, 8, 8)."""

    def __init__(self, num_classes: int = 10, input_shape: tuple[int, int, int] = (1, 8, 8)) -> None:
        super().__init__()
        channels, height, width = input_shape
        self.conv1 = nn.Conv2d(channels, 16, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1)
        self.fc = nn.Linear(32 * ((height + 1) // 2) * ((width + 1) // 2), num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map a normalized batch (b, c, h, w) to logits (b, num_classes)."""
        x = functional.relu(self.conv1(x))
        x = functional.relu(self.conv2(x))
        logits: torch.Tensor = self.fc(x.flatten(1))
        return logits

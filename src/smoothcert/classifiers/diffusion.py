"""A diffusion model as a denoiser: one deterministic step from a noisy image to the clean one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from smoothcert.classifiers.diffusion_files import read_diffusion
from smoothcert.errors import InvalidArgumentError

__all__ = ["DiffusionDenoiser"]

PredictionType = Literal["epsilon", "sample", "v_prediction"]


class DiffusionDenoiser(torch.nn.Module):
    """Denoise images with a diffusion model, in one step and without noise of its own.

    An image in [0, 1] with noise of standard deviation sigma is one in [-1, 1] with noise of 2 sigma. At timestep
    t the model was trained on images in [-1, 1] with noise of variance (1 - abar_t) / abar_t, scaled by
    sqrt(abar_t). The timestep whose noise is nearest to 2 sigma is taken, and its estimate of the clean image is
    what `forward` returns. There is nothing random in it: a vote stays a function of the noisy image.

    Parameters
    ----------
    unet : torch.nn.Module
        Maps scaled noisy images (b, c, h, w) and timesteps, int64 (b,), to its prediction, as a tensor or in the
        forms of diffusers. Twice as many channels are read as a prediction and its variance, which is not used.
        Models that are conditional on a class or a text are not supported.
    schedule : array of shape (timesteps,) or scheduler of diffusers
        The products abar_t of the alphas, decreasing, each in [0, 1); or what has them as ``alphas_cumprod``.
    sigma : float
        Standard deviation of the noise, in the units of images in [0, 1].
    prediction_type : {"epsilon", "sample", "v_prediction"}, optional
        What the model predicts: the noise, the image, or sqrt(abar) noise - sqrt(1 - abar) image. By default what
        the scheduler says; the noise for an array.

    Attributes
    ----------
    timestep : int
        The timestep t, counted from 0.
    timestep_sigma : float
        The noise that t was trained for, in the units of images in [0, 1]. What it is off from `sigma` makes
        estimates slightly worse, and certificates no less valid.

    Raises
    ------
    InvalidArgumentError
        When an argument is not as described, sigma is beyond the schedule's noise, the model is conditional, or
        images are not of the size that the model was made for.

    References
    ----------
    Carlini, Tramer, Dvijotham, Rice, Sun, Kolter, "(Certified!!) Adversarial robustness for free!", ICLR 2023,
    Algorithm 1. Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.

    Examples
    --------
    The linear schedule of Ho et al., and a model that finds no noise in any image, so that its estimate is the
    noisy image, clipped:

    >>> abar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    >>> class Nothing(torch.nn.Module):
    ...     def forward(self, x, t):
    ...         return torch.zeros_like(x)
    >>> denoiser = DiffusionDenoiser(Nothing(), abar, sigma=0.25)
    >>> denoiser.timestep, round(denoiser.timestep_sigma, 4)
    (144, 0.2497)
    >>> denoiser(torch.tensor([[[[-0.5, 0.25, 1.5]]]]))
    tensor([[[[0.0000, 0.2500, 1.0000]]]])
    """

    def __init__(
        self,
        unet: torch.nn.Module,
        schedule: Any,
        sigma: float,
        *,
        prediction_type: PredictionType | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(unet, torch.nn.Module):
            raise InvalidArgumentError(f"unet is a {type(unet).__qualname__}: give a torch.nn.Module")
        config = getattr(unet, "config", None)
        _refuse_conditional(config)
        self.unet = unet
        self.sigma = sigma
        self.prediction_type = _prediction_type(prediction_type, schedule)
        abar = _alphas_cumprod(schedule)
        self.timestep = _nearest_timestep(abar, sigma)
        self._signal = math.sqrt(abar[self.timestep])
        self._noise = math.sqrt(1 - abar[self.timestep])
        self.timestep_sigma = self._noise / self._signal / 2
        self._input_shape = _input_shape(config)

    @classmethod
    def from_pretrained(cls, folder: str | Path, sigma: float) -> Self:
        """Load a model of diffusers from a folder, as ``DDPMPipeline.save_pretrained`` writes it.

        Parameters
        ----------
        folder : str or Path
            Holds ``config.json`` and ``diffusion_pytorch_model.safetensors`` of an unconditional UNet2DModel, by
            themselves or in ``unet/``, and ``scheduler_config.json``, beside them or in ``scheduler/``. Nothing is
            downloaded and no code of the folder is run.
        sigma : float
            Standard deviation of the noise, in the units of images in [0, 1].

        Returns
        -------
        DiffusionDenoiser
            On the CPU, in float32 and evaluation mode.

        Raises
        ------
        CheckpointError
            When there is no such folder, a file is missing, damaged or of another model.
        InvalidArgumentError
            As for the class.
        MissingExtraError
            When diffusers is not installed: ``pip install 'smoothcert[diffusers]'``.
        """
        return cls(*read_diffusion(Path(folder)), sigma)

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """Estimate the clean images: (b, c, h, w), in [0, 1] plus noise, to the same shape, in [0, 1]."""
        self._check_shape(noisy)
        scaled = self._signal * (2 * noisy - 1)
        timesteps = torch.full((noisy.shape[0],), self.timestep, dtype=torch.int64, device=noisy.device)
        predicted = _as_tensor(self.unet(scaled, timesteps))[:, : noisy.shape[1]]
        if self.prediction_type == "epsilon":
            image = (scaled - self._noise * predicted) / self._signal
        elif self.prediction_type == "v_prediction":
            image = self._signal * scaled - self._noise * predicted
        else:
            image = predicted
        return (image.clamp(-1, 1) + 1) / 2

    def extra_repr(self) -> str:
        """Name what is computed and not in the state dict."""
        return f"prediction_type={self.prediction_type!r}, timestep={self.timestep}, noise={self._noise!r}"

    def _check_shape(self, noisy: torch.Tensor) -> None:
        if noisy.ndim != 4:
            raise InvalidArgumentError(f"images have shape {tuple(noisy.shape)}: give (b, c, h, w)")
        for name, wanted, found in zip(
            ("channels", "height", "width"), self._input_shape, noisy.shape[1:], strict=True
        ):
            if wanted not in (None, found):
                shape = " x ".join(str(length or "any") for length in self._input_shape)
                raise InvalidArgumentError(
                    f"images have {name} {found}, but the diffusion model was made for {shape}: give images of "
                    "that size (load_dataset scales and cuts with resize and crop), or a model made for theirs"
                )


def _refuse_conditional(config: Any) -> None:
    named = ("num_class_embeds", "class_embed_type", "encoder_hid_dim", "cross_attention_dim")
    found = [name for name in named if getattr(config, name, None) is not None]
    if found:
        raise InvalidArgumentError(
            f"unet is conditional ({found[0]} = {getattr(config, found[0])!r}): it wants a class or a text beside "
            "the image; give an unconditional model"
        )


def _input_shape(config: Any) -> tuple[int | None, int | None, int | None]:
    """Return channels, height and width that a model of diffusers was made for; None for what it does not say."""
    size = getattr(config, "sample_size", None)
    height, width = size if isinstance(size, tuple | list) else (size, size)
    return getattr(config, "in_channels", None), height, width


def _prediction_type(given: str | None, schedule: Any) -> str:
    found = given or getattr(getattr(schedule, "config", None), "prediction_type", "epsilon")
    if found not in get_args(PredictionType):
        raise InvalidArgumentError(
            f"prediction_type is {found!r}: give one of {', '.join(get_args(PredictionType))}"
        )
    return str(found)


def _alphas_cumprod(schedule: Any) -> NDArray[np.float64]:
    products: ArrayLike = getattr(schedule, "alphas_cumprod", schedule)
    if isinstance(products, torch.Tensor):
        products = products.detach().cpu().numpy()
    try:
        abar = np.asarray(products, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"schedule is a {type(schedule).__qualname__} without alphas_cumprod: give the scheduler of a DDPM, "
            "or its alphas_cumprod, (timesteps,)"
        ) from error
    if abar.ndim != 1 or not len(abar) or not (abar[0] < 1 and abar[-1] >= 0 and (np.diff(abar) < 0).all()):
        raise InvalidArgumentError(
            f"schedule has alphas_cumprod of shape {abar.shape} that are not decreasing within [0, 1): give the "
            "products of the alphas, (timesteps,), from the first timestep to the last"
        )
    return abar


def _nearest_timestep(abar: NDArray[np.float64], sigma: float) -> int:
    with np.errstate(divide="ignore"):
        sigmas = np.sqrt((1 - abar) / abar) / 2  # infinite at the end of schedules that end in noise alone
    low, high = sigmas[0], sigmas[np.isfinite(sigmas)][-1]
    if not low <= sigma <= high:
        raise InvalidArgumentError(
            f"sigma is {sigma}: the schedule's timesteps have noise from {low:.4g} to {high:.4g}, in the units of "
            "images in [0, 1]; give one in between"
        )
    return int(np.abs(sigmas - sigma).argmin())


def _as_tensor(output: Any) -> torch.Tensor:
    """Take the prediction out of what diffusers wraps it in."""
    found = output[0] if isinstance(output, tuple) else getattr(output, "sample", output)
    if not isinstance(found, torch.Tensor):
        raise InvalidArgumentError(f"unet returned a {type(output).__qualname__}: it should return its prediction")
    return found

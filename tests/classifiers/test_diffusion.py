"""One step of a diffusion model: the posterior mean of Gaussian data, and a small model of diffusers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import smoothcert as sc
from smoothcert.classifiers import with_runtime
from smoothcert.errors import CheckpointError, InvalidArgumentError
from torchvision_operators import define_missing_operators

ABAR = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))  # Ho et al.'s linear schedule
SIGMAS = np.sqrt((1 - ABAR) / ABAR) / 2
SHAPE = (2, 3, 3)


class Optimal(torch.nn.Module):
    """The best prediction for images in [-1, 1] that are normal with this mean and covariance."""

    def __init__(self, mean: torch.Tensor, covariance: torch.Tensor, kind: str) -> None:
        super().__init__()
        self.mean, self.covariance, self.kind = mean, covariance, kind

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> Any:
        assert t.shape == x.shape[:1]
        assert t.dtype == torch.int64
        abar = ABAR[int(t[0])]
        flat = x.double().flatten(1)
        noisy = abar * self.covariance + (1 - abar) * torch.eye(len(self.mean), dtype=torch.float64)
        whitened = torch.linalg.solve(noisy, (flat - abar**0.5 * self.mean).T).T
        noise = (1 - abar) ** 0.5 * whitened
        image = self.mean + abar**0.5 * whitened @ self.covariance
        predicted = {"epsilon": noise, "sample": image}.get(
            self.kind, abar**0.5 * noise - (1 - abar) ** 0.5 * image
        )
        whole = torch.cat([predicted.reshape(x.shape), torch.full_like(x, 7.0)], dim=1)  # and a variance
        return SimpleNamespace(sample=whole.float())


def gaussian_data() -> tuple[torch.Tensor, torch.Tensor]:
    """Images in [-1, 1], so narrow that nothing is clipped."""
    rng = np.random.default_rng(0)
    factor = rng.normal(0, 0.02, (18, 18))
    return torch.from_numpy(rng.uniform(-0.3, 0.3, 18)), torch.from_numpy(factor @ factor.T)


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("sigma", [0.25, float(SIGMAS[300])])
def test_the_step_is_the_posterior_mean_of_gaussian_data(kind: Any, sigma: float) -> None:
    mean, covariance = gaussian_data()
    denoiser = sc.DiffusionDenoiser(Optimal(mean, covariance, kind), ABAR, sigma, prediction_type=kind)
    rng = np.random.default_rng(1)
    m, c = (mean.numpy() + 1) / 2, covariance.numpy() / 4  # in [0, 1]
    clean = rng.multivariate_normal(m, c, 50)
    noisy = clean + sigma * rng.standard_normal(clean.shape)
    # E[x0 | y] for y = x0 + sigma eps, x0 ~ N(m, c).
    expected = m + np.linalg.solve(c + sigma**2 * np.eye(18), (noisy - m).T).T @ c
    found = denoiser(torch.from_numpy(noisy.astype(np.float32)).reshape(50, *SHAPE)).flatten(1).numpy()
    exact = abs(denoiser.timestep_sigma - sigma) < 1e-12
    assert exact == (sigma != 0.25)
    # The timestep next to 0.25 has 0.2497: covariances that are off by 0.3 %.
    moved = np.abs(expected - m).max()
    np.testing.assert_allclose(found, expected, atol=1e-5 if exact else 0.004 * moved)
    assert moved > 0.01


def test_estimates_are_clipped_to_the_images_range() -> None:
    denoiser = sc.DiffusionDenoiser(Constant(), ABAR, 0.25, prediction_type="sample")
    estimate = denoiser(torch.full((1, 1, 1, 1), 0.5))
    assert estimate.item() == 1.0


class Constant(torch.nn.Module):
    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x, 3.0)


@pytest.mark.parametrize("sigma", [0.12, 0.25, 0.5, 1.0])
def test_the_timestep_is_the_nearest_one(sigma: float) -> None:
    denoiser = sc.DiffusionDenoiser(Constant(), torch.from_numpy(ABAR), sigma)
    distances = {abs(((1 - a) / a) ** 0.5 - 2 * sigma): t for t, a in enumerate(ABAR)}
    assert denoiser.timestep == distances[min(distances)]
    assert denoiser.timestep_sigma == pytest.approx(SIGMAS[denoiser.timestep])


@pytest.mark.parametrize("sigma", [0.0, 0.004, 79.0, float("nan"), float("inf"), -0.25])
def test_noise_beyond_the_schedule_is_refused(sigma: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"sigma is .*from 0\.005 to 78\.7.*give one in between"):
        sc.DiffusionDenoiser(Constant(), ABAR, sigma)
    to_noise_alone = np.append(ABAR, 0.0)
    with pytest.raises(InvalidArgumentError, match=r"from 0\.005 to 78\.7"):
        sc.DiffusionDenoiser(Constant(), to_noise_alone, 79.0)


@pytest.mark.parametrize("schedule", ["linear", ABAR[::-1], ABAR[None], [1.0, 0.5], [0.5, float("nan")], [], None])
def test_what_is_no_schedule_is_refused(schedule: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"schedule .*give the"):
        sc.DiffusionDenoiser(Constant(), schedule, 0.25)


def test_other_arguments_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="prediction_type is 'noise': give one of epsilon"):
        sc.DiffusionDenoiser(Constant(), ABAR, 0.25, prediction_type="noise")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="unet is a function"):
        sc.DiffusionDenoiser(gaussian_data, ABAR, 0.25)  # type: ignore[arg-type]
    conditional = Constant()
    conditional.config = SimpleNamespace(num_class_embeds=10)  # type: ignore[assignment]
    with pytest.raises(InvalidArgumentError, match=r"unet is conditional .*num_class_embeds = 10"):
        sc.DiffusionDenoiser(conditional, ABAR, 0.25)


def test_timesteps_tell_fingerprints_apart() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(18, 3))
    found = {
        sc.Denoised(sc.DiffusionDenoiser(Constant(), ABAR, sigma), network, num_classes=3).fingerprint
        for sigma in (0.25, 0.2501, 0.5)
    }
    assert len(found) == 2  # 0.25 and 0.2501 have the same timestep


@pytest.fixture(scope="module")
def diffusers() -> Any:
    define_missing_operators()
    return pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def saved(diffusers: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model for digits with random weights, as its pipeline is saved."""
    folder = tmp_path_factory.mktemp("ddpm")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8,),
        norm_num_groups=4,
        attention_head_dim=4,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
    )
    scheduler = diffusers.DDPMScheduler(prediction_type="v_prediction")
    diffusers.DDPMPipeline(unet, scheduler).save_pretrained(folder)
    return folder


def digits_network() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))


def test_a_saved_model_computes_what_its_pipeline_would(diffusers: Any, saved: Path) -> None:
    denoiser = sc.DiffusionDenoiser.from_pretrained(saved, 0.25)
    assert (denoiser.timestep, denoiser.prediction_type) == (144, "v_prediction")
    pipeline = diffusers.DDPMPipeline.from_pretrained(saved, use_safetensors=True, local_files_only=True)
    noisy = torch.rand(4, 1, 8, 8) + 0.25 * torch.randn(4, 1, 8, 8)
    scaled = float(pipeline.scheduler.alphas_cumprod[144]) ** 0.5 * (2 * noisy - 1)
    with torch.inference_mode():
        predicted = pipeline.unet(scaled, 144).sample
        step = pipeline.scheduler.step(predicted, 144, scaled).pred_original_sample
        torch.testing.assert_close(denoiser(noisy), (step + 1) / 2, atol=1e-5, rtol=0)


def test_it_certifies_end_to_end_and_exports(saved: Path) -> None:
    f = sc.Denoised(sc.DiffusionDenoiser.from_pretrained(saved, 0.25), digits_network(), num_classes=10)
    x = np.random.default_rng(0).integers(0, 17, (3, 1, 8, 8)) / 16
    run = sc.certify(f, x, sigma=0.25, n0=10, n=50)
    again = sc.certify(f, x, sigma=0.25, n0=10, n=50)
    np.testing.assert_array_equal(run.tally.counts, again.tally.counts)
    assert (run.tally.counts.sum(1) == 50).all()
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    running = with_runtime(f, "onnx", x.astype(np.float32))
    np.testing.assert_allclose(running.logits(x.astype(np.float32)), f.logits(x.astype(np.float32)), atol=1e-4)


def test_a_flat_folder_is_read_too(saved: Path, tmp_path: Path) -> None:
    for path in (*(saved / "unet").iterdir(), *(saved / "scheduler").iterdir()):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert sc.DiffusionDenoiser.from_pretrained(tmp_path, 0.5).timestep == int(np.abs(SIGMAS - 0.5).argmin())


def test_images_of_another_size_are_refused(saved: Path) -> None:
    f = sc.Denoised(sc.DiffusionDenoiser.from_pretrained(saved, 0.25), digits_network(), num_classes=10)
    with pytest.raises(InvalidArgumentError, match=r"images have height 16, but .* made for 1 x 8 x 8: give"):
        sc.certify(f, np.zeros((1, 1, 16, 16)), sigma=0.25, n=10**9)
    with pytest.raises(InvalidArgumentError, match="images have channels 3"):
        f.logits(np.zeros((1, 3, 8, 8), np.float32))


def test_a_name_of_the_hub_says_what_to_put_where() -> None:
    with pytest.raises(
        CheckpointError, match=r"google/ddpm is no folder.*put config\.json, diffusion_pytorch.*hf"
    ):
        sc.DiffusionDenoiser.from_pretrained("google/ddpm", 0.25)


def changed(folder: Path, to: Path, name: str, **fields: Any) -> Path:
    """Copy a saved model with other entries in one of its configurations."""
    for path in folder.rglob("*.*"):
        target = to / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    config = json.loads((to / name).read_text())
    (to / name).write_text(json.dumps(config | fields))
    return to


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("unet/config.json", {"_class_name": "UNet2DConditionModel"}, "describes a UNet2DConditionModel: only"),
        ("unet/config.json", {"block_out_channels": [16]}, "give the weights that belong to"),
        ("unet/config.json", {"block_out_channels": [1 << 20]}, "in loading state_dict"),
        ("unet/config.json", {"down_block_types": ["x"]}, "give the weights that belong to"),
        ("unet/config.json", {"layers_per_block": 10**12}, "layers_per_block is 1000000000000, with"),
        ("scheduler/scheduler_config.json", {"beta_schedule": None}, "DDPMScheduler without beta_schedule"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**12}, "num_train_timesteps = 10000"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": "1000"}, "num_train_timesteps = '1000'"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "x"}, "give the configuration of a DDPMScheduler"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(
    saved: Path, tmp_path: Path, name: str, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        sc.DiffusionDenoiser.from_pretrained(changed(saved, tmp_path, name, **fields), 0.25)


def test_missing_damaged_and_pickled_files_are_named(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no config\.json, neither by itself nor in unet/"):
        sc.DiffusionDenoiser.from_pretrained(tmp_path, 0.25)
    copy = changed(saved, tmp_path / "copy", "unet/config.json")
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-8])
    with pytest.raises(CheckpointError, match=r"safetensors is damaged"):
        sc.DiffusionDenoiser.from_pretrained(copy, 0.25)
    weights.write_bytes(whole[:-4] + np.float32("nan").tobytes())
    with pytest.raises(CheckpointError, match="NaN or infinite weights"):
        sc.DiffusionDenoiser.from_pretrained(copy, 0.25)
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(CheckpointError, match=r"pickles, which could run code"):
        sc.DiffusionDenoiser.from_pretrained(copy, 0.25)
    (copy / "unet" / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="holds a list, no configuration"):
        sc.DiffusionDenoiser.from_pretrained(copy, 0.25)
    (copy / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no scheduler_config\.json, neither by itself nor in scheduler/"):
        sc.DiffusionDenoiser.from_pretrained(copy, 0.25)

"""Every kind of model as the base and as a candidate, on the same inputs.

    python experiments/every_kind.py --data cifar10 --checkpoint checkpoint.pth.tar --work runs/kinds --out runs

Where a kind can carry the weights of the checkpoint, a ResNet-20 for CIFAR-10, it does; those of Hugging Face and
timm are random. Each kind is certified by itself, and recertified from the votes of a base of another kind: of the
torch module, and that one from the votes of the exported program. Kinds that are slow on a CPU get fewer samples,
as the columns n and n_p say. Agreement is the share of equal labels on the same noisy images.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rows import print_and_write
from torch import nn

import smoothcert as sc
from smoothcert.classifiers import Classifier, export_onnx
from smoothcert.data import load_dataset
from smoothcert.models import from_huggingface, load_checkpoint, load_model

CHECKPOINT = "EVERY_KIND_CHECKPOINT"  # in the environment: a function that builds a model has no arguments
Batch = NDArray[np.float32]


@dataclass(frozen=True)
class Kind:
    """How models of a kind are named in a program or on the command line, and made here."""

    named: str
    make: Callable[[Made], Classifier]
    slow: bool = False


@dataclass(frozen=True)
class Made:
    """What the kinds are made of."""

    checkpoint: Path
    work: Path
    train: Batch
    train_labels: NDArray[np.int64]
    sigma: float
    kept: dict[str, Path] = field(default_factory=dict)

    @cached_property
    def noisy(self) -> torch.Tensor:
        """Noisy training images, to calibrate with."""
        noise = np.random.default_rng(1).normal(0, self.sigma, self.train[:128].shape)
        return torch.from_numpy(self.train[:128] + noise.astype(np.float32))

    def network(self) -> nn.Module:
        """Load the network with its normalization."""
        return load_checkpoint(self.checkpoint).module

    def path(self, name: str) -> str:
        """Name a file of a model."""
        return str(self.work / name)


def own_network() -> nn.Module:
    """Build the model, as a user's function does."""
    return load_checkpoint(os.environ[CHECKPOINT]).module


def torch_module(made: Made) -> Classifier:
    """Wrap the module."""
    return sc.TorchClassifier(made.network(), num_classes=10)


def own_function(made: Made) -> Classifier:
    """Name the function."""
    os.environ[CHECKPOINT] = str(made.checkpoint)
    return load_model("every_kind:own_network").classifier


def state_dict(made: Made) -> Classifier:
    """Save the network's weights alone."""
    network: Any = made.network()
    torch.save(network[1].state_dict(), made.path("plain.pth"))
    return load_model(made.path("plain.pth"), arch="cifar_resnet20", normalization="cifar10").classifier


def program(made: Made, network: nn.Module | None = None) -> torch.export.ExportedProgram:
    """Export with a free batch axis."""
    axes = ({0: torch.export.Dim.AUTO},)
    return torch.export.export(network or made.network(), (made.noisy[:2],), dynamic_shapes=axes)


def exported(made: Made) -> Classifier:
    """Save the exported program."""
    torch.export.save(program(made), made.path("net.pt2"))
    return load_model(made.path("net.pt2"), num_classes=10).classifier


def onnx_bytes(made: Made) -> bytes:
    """Export to ONNX."""
    return export_onnx(sc.TorchClassifier(made.network(), 10), made.train.shape[1:])


def onnx_file(made: Made) -> Classifier:
    """Save the ONNX model."""
    Path(made.path("net.onnx")).write_bytes(onnx_bytes(made))
    return load_model(made.path("net.onnx"), num_classes=10).classifier


def openvino(made: Made) -> Classifier:
    """Run the same ONNX model by OpenVINO."""
    return sc.OpenVinoClassifier(onnx_bytes(made))


def torchao_int8(made: Made, config: str) -> Classifier:
    """Quantize the linear layer, as torchao does."""
    from torchao import quantization

    network = made.network()
    quantization.quantize_(network, getattr(quantization, config)())
    return sc.TorchClassifier(network, 10)


def fx_int8(made: Made) -> Classifier:
    """Quantize all layers statically by PyTorch's FX graphs."""
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    whole: Any = made.network()
    normalize, network = whole  # which looks at its input's shape, and cannot be traced
    prepared = prepare_fx(network, get_default_qconfig_mapping("x86"), (made.noisy[:2],))
    prepared(normalize(made.noisy))
    return sc.TorchClassifier(convert_fx(prepared), 10, preprocess=normalize)


def pt2e_int8(made: Made) -> Classifier:
    """Quantize an exported program statically."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(program(made).module(), quantizer)
    prepared(made.noisy)
    return sc.TorchClassifier(convert_pt2e(prepared), 10)


def denoised(made: Made) -> Classifier:
    """Put a denoiser in front that returns what it gets; estimates are clipped to [0, 1]."""
    return sc.Denoised(nn.Identity(), made.network(), num_classes=10)


def huggingface(made: Made) -> Classifier:
    """Make a residual network of transformers with random weights."""
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], num_labels=10)
    settings = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return from_huggingface(ResNetForImageClassification(config), settings)


def timm_model(made: Made) -> Classifier:
    """Save a network of timm with random weights."""
    import timm

    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=10).state_dict(), made.path("timm.pth"))
    return load_model(f"timm:test_resnet@{made.path('timm.pth')}", num_classes=10).classifier


def fitted(made: Made) -> Any:
    """Fit a linear classifier to noisy images."""
    from sklearn.linear_model import LogisticRegression

    noise = np.random.default_rng(2).normal(0, made.sigma, made.train.shape).astype(np.float32)
    return LogisticRegression(C=1e-3, max_iter=300).fit(
        (made.train + noise).reshape(len(made.train), -1), made.train_labels
    )


def scikit_learn(made: Made) -> Classifier:
    """Wrap an estimator."""
    return sc.FunctionClassifier.from_estimator(fitted(made))


def skl2onnx_file(made: Made) -> Classifier:
    """Convert the estimator to ONNX: it takes flat inputs and has several outputs."""
    import skl2onnx

    model = skl2onnx.to_onnx(fitted(made), made.train[:1].reshape(1, -1), options={"zipmap": False})
    Path(made.path("estimator.onnx")).write_bytes(model.SerializeToString())
    return load_model(made.path("estimator.onnx"), num_classes=10).classifier


BASE, OTHER_BASE = "torch module", "torch.export"
KINDS = {
    BASE: Kind("TorchClassifier(module, 10)", torch_module),
    OTHER_BASE: Kind("net.pt2", exported),
    "own function": Kind("every_kind:own_network", own_function),
    "plain state dict": Kind("plain.pth --arch cifar_resnet20 --normalization cifar10", state_dict),
    "ONNX": Kind("net.onnx", onnx_file),
    "OpenVINO": Kind("OpenVinoClassifier('net.onnx')", openvino),
    "torchao int8, weights alone": Kind(
        "TorchClassifier(module, 10)", lambda made: torchao_int8(made, "Int8WeightOnlyConfig")
    ),
    "torchao int8, dynamic by row": Kind(
        "TorchClassifier(module, 10)", lambda made: torchao_int8(made, "Int8DynamicActivationInt8WeightConfig")
    ),
    "FX int8": Kind("TorchClassifier(module, 10, preprocess=normalize)", fx_int8),
    "PT2E int8": Kind("TorchClassifier(module, 10)", pt2e_int8),
    "float16": Kind(
        "TorchClassifier(module.half(), 10)", lambda made: sc.TorchClassifier(made.network().half(), 10), slow=True
    ),
    "bfloat16": Kind(
        "TorchClassifier(module.bfloat16(), 10)",
        lambda made: sc.TorchClassifier(made.network().bfloat16(), 10),
    ),
    "denoised": Kind("Denoised(denoiser, module, num_classes=10)", denoised),
    "Hugging Face, random weights": Kind("hf:FOLDER", huggingface),
    "timm, random weights": Kind("timm:test_resnet@timm.pth", timm_model),
    "scikit-learn": Kind("FunctionClassifier.from_estimator(estimator)", scikit_learn),
    "scikit-learn as ONNX": Kind("estimator.onnx", skl2onnx_file),
}


def machine() -> str:
    """Name the processor; whether it was shared the seconds do not say."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def row(name: str, made: Made, x: Batch, noisy: Batch, plain: NDArray[np.int64], a: argparse.Namespace) -> Any:
    """Certify and recertify with one kind."""
    kind = KINDS[name]
    n, n_p = (a.n_slow, a.n_p_slow) if kind.slow else (a.n, a.n_p)
    start = time.perf_counter()
    classifier = kind.make(made)
    sc.certify(classifier, x[:1], sigma=a.sigma, n0=1, n=16)
    first = time.perf_counter() - start
    cache = made.work / "caches" / name.replace(" ", "-")
    shutil.rmtree(cache, ignore_errors=True)
    run = sc.certify(classifier, x, sigma=a.sigma, n0=a.n0, n=n, alpha=a.alpha, cache=cache)
    made.kept[name] = cache
    against = OTHER_BASE if name == BASE else BASE
    if against not in made.kept:
        made.kept[against] = made.work / "caches" / f"base-{against.replace(' ', '-')}"
        shutil.rmtree(made.kept[against], ignore_errors=True)
        base = KINDS[against].make(made)
        sc.certify(base, x, sigma=a.sigma, n0=a.n0, n=a.n, alpha=a.alpha, cache=made.kept[against])
    again = sc.recertify(classifier, x, cache=made.kept[against], n_p=n_p)
    return {
        "kind": name,
        "named": kind.named,
        "certified": int(run.certificates.certified.sum()),
        "base of the recertification": against,
        "recertified": int(again.certificates.certified.sum()),
        "inputs": len(x),
        "agreement with the torch module": f"{float((classifier.classify(noisy) == plain).mean()):.4f}",
        "samples a second": f"{run.timing.samples / run.timing.seconds:.0f}",
        "seconds until the first batch": f"{first:.1f}",
        "n0": a.n0,
        "n": n,
        "n_p": n_p,
        "sigma": a.sigma,
        "alpha": a.alpha,
        "machine": machine(),
    }


def rows(a: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Go through the kinds."""
    a.work.mkdir(parents=True, exist_ok=True)
    test = load_dataset(str(a.data), "test")
    x = test.take(a.images, max(1, len(test) // a.images)).inputs[:]
    train = load_dataset(str(a.data), "train", limit=2000)
    made = Made(a.checkpoint, a.work, train.inputs[:], np.asarray(train.labels), a.sigma)
    noisy = np.repeat(x, a.copies, axis=0)
    noisy += np.random.default_rng(0).normal(0, a.sigma, noisy.shape).astype(np.float32)
    plain = torch_module(made).classify(noisy)
    for name in a.only or KINDS:
        yield row(name, made, x, noisy, plain, a)


def main() -> None:
    """Print and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(KINDS), metavar="KIND")
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--copies", type=int, default=50, help="noisy images of each for the agreement")
    parser.add_argument("--n0", type=int, default=100)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--n-p", type=int, default=300)
    parser.add_argument("--n-slow", type=int, default=200, help="n of kinds that are slow")
    parser.add_argument("--n-p-slow", type=int, default=100, help="n_p of kinds that are slow")
    parser.add_argument("--alpha", type=float, default=0.001)
    parser.add_argument("--work", type=Path, required=True, help="folder of the models and votes")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    warnings.filterwarnings("ignore", message="torch.ao.quantization is deprecated")
    warnings.filterwarnings("ignore", message=r"torch.quantize_per|Please use quant_min", category=UserWarning)
    print_and_write(rows(a), a.out, "every_kind.csv")


if __name__ == "__main__":
    main()

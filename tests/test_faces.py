"""Rooms are imported through their faces, and faces hold what they list, loaded on first use."""

import ast
import importlib
import inspect
import pkgutil
import pydoc
import rlcompleter
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import smoothcert

PUBLIC: list[str] = importlib.import_module("smoothcert").__all__
SOURCE = Path(smoothcert.__file__).parents[1]
FACES = [each.name for each in pkgutil.walk_packages(smoothcert.__path__, "smoothcert.") if each.ispkg]


def test_no_room_imports_inner_modules_of_another() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{line}: from {module}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line, module in imported(path)
        if module not in FACES and not lies_within(path, module.rpartition(".")[0])
    ]
    assert not found, "\n".join(found)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the modules of rooms that a file imports, each with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.startswith("smoothcert."))


def lies_within(path: Path, room: str) -> bool:
    return path.is_relative_to(SOURCE / room.replace(".", "/"))


@pytest.mark.parametrize("name", ["smoothcert", *FACES])
def test_faces_hold_what_they_list(name: str) -> None:
    face = importlib.import_module(name)
    listed = getattr(face, "__all__", [])
    missing = [each for each in listed if inspect.ismodule(getattr(face, each))]
    assert not missing, f"{name}: modules in the place of {missing}"


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, smoothcert; assert 'certify' in dir(smoothcert)\n"
        "heavy = {'torch', 'scipy', 'numpy', 'pyarrow', 'matplotlib', 'pandas', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_noise_for_the_cpu_loads_nothing_that_only_devices_or_kernels_need() -> None:
    code = (
        "import sys\n"
        "from smoothcert.noise import GaussianNoise, GridNoise, choose_noise, input_keys\n"
        "GridNoise(0.5, 0), GaussianNoise(0.5, 0)\n"
        "heavy = {'numba', 'torch', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_shows_its_public_names_and_its_version() -> None:
    shown = dir(smoothcert)
    assert set(shown) == {*PUBLIC, "__version__"}
    assert all(name == "__version__" or not name.startswith("_") for name in shown)
    assert "lazy_loader" not in shown
    assert smoothcert.__version__ == version("smoothcert")
    completer = rlcompleter.Completer({"sc": smoothcert})
    found = [completer.complete("sc.recert", i) for i in range(3)]
    assert found == ["sc.recertify(", "sc.recertify_at_radius(", None]


def test_help_names_everything_by_group() -> None:
    text = pydoc.plain(pydoc.render_doc(smoothcert))
    for name in PUBLIC:
        assert name in text
    described = smoothcert.__doc__ or ""
    functions = [name for name in PUBLIC if name.islower()]
    assert not [name for name in functions if f"`{name}`" not in described]


def test_the_command_line_says_its_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "smoothcert", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"smoothcert {version('smoothcert')}\n"

"""The wheel: what git tracks below the package, nothing else, and it runs where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tollkeeper import __version__

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = "src/tollkeeper/"
COMPILED = {".so", ".pyd", ".dylib", ".dll", ".a", ".o", ".pyc", ".pth", ".exe"}

_BUILD = """
import sys
from hatchling.build import build_wheel
print(build_wheel(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as pip does, from this tree, and without the network."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, folder], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.strip().splitlines()[-1]


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tracked() -> dict[str, bytes]:
    """Give what git tracks below the package, by its path in the wheel."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", SOURCE], cwd=ROOT, capture_output=True, text=True
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listing.stdout.split("\0") if name]
    return {
        name.removeprefix("src/"): (ROOT / name).read_bytes()
        for name in names
        if (ROOT / name).exists()
    }


def untracked() -> set[str]:
    """Give what lies there and git neither tracks nor ignores: work that is not committed yet."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-standard", "--", SOURCE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.removeprefix("src/") for name in listing.stdout.split("\0") if name}


def test_the_package_is_what_git_tracks(wheel: Path) -> None:
    expected = tracked()
    packed = {name: data for name, data in content(wheel).items() if ".dist-info/" not in name}
    assert set(packed) - untracked() == set(expected)
    assert all(packed[name] == data for name, data in expected.items())
    endings = {Path(name).suffix for name in packed}
    assert {".py", ".html", ".css", ".js", ".jsonl"} <= endings
    assert "tollkeeper/py.typed" in packed


def test_nothing_in_it_is_compiled_or_runs_by_itself(wheel: Path) -> None:
    assert wheel.name == f"tollkeeper-{__version__}-py3-none-any.whl"
    for name, data in content(wheel).items():
        assert Path(name).suffix not in COMPILED, name
        assert not data.startswith((b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe")), name


def test_it_says_what_it_is(wheel: Path) -> None:
    files = content(wheel)
    info = f"tollkeeper-{__version__}.dist-info"
    metadata = message_from_bytes(files[f"{info}/METADATA"])
    assert (metadata["Name"], metadata["Version"]) == ("tollkeeper", __version__)
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert b"tollkeeper = tollkeeper.__main__:main" in files[f"{info}/entry_points.txt"]
    for name in ("LICENSE", "NOTICE"):
        assert files[f"{info}/licenses/{name}"] == (ROOT / name).read_bytes()


@pytest.mark.slow
def test_it_runs_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    """Install it alone into a fresh environment that borrows the dependencies of this one."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}  # noqa: TID251
    venv = tmp_path / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", venv], environment, tmp_path)
    installed = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    pip = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python"]
    run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], environment, tmp_path)
    assert (installed / "tollkeeper" / "__init__.py").is_file()
    # Path files may not run code here: the dependencies are named as a plain folder.
    (installed / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    tollkeeper = venv / "bin" / "tollkeeper"
    assert run([tollkeeper, "--version"], environment, tmp_path) == f"tollkeeper {__version__}\n"
    where = [venv / "bin" / "python", "-c", "import tollkeeper; print(tollkeeper.__file__)"]
    assert run(where, environment, tmp_path).startswith(str(installed))
    assert "$0.40" in run([tollkeeper, "prices", "show", "gpt-4.1-mini"], environment, tmp_path)
    assert "Added team core." in run([tollkeeper, "teams", "add", "core"], environment, tmp_path)


def run(command: list[str | Path], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

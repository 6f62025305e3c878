"""The pinned dependencies: every one with hashes, none with an address, all in agreement."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = sorted((ROOT / "requirements").glob("*.txt"))

_PIN = re.compile(
    r"([A-Za-z0-9._-]+)(?:\[[a-z0-9,_-]+\])?==([^ ;\\]+)(?: ; [^\\]+?)?((?: --hash=\S+)*)"
)


def entries(file: Path) -> list[str]:
    """Give the entries, each on one line, without comments."""
    text = re.sub(r"^\s*#.*$", "", file.read_text("utf-8"), flags=re.MULTILINE)
    joined = re.sub(r"\\\n\s*", "", text)
    return [re.sub(r"\s+", " ", line).strip() for line in joined.splitlines() if line.strip()]


def pins(file: Path) -> dict[str, str]:
    found = {}
    for entry in entries(file):
        match = _PIN.fullmatch(entry)
        assert match, f"{file.name}: not a pin with hashes: {entry[:80]}"
        found[normal(match[1])] = match[2]
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_there_are_four_of_them() -> None:
    assert [file.stem for file in FILES] == ["build", "check", "run", "test"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_entry_is_pinned_with_hashes(file: Path) -> None:
    for entry in entries(file):
        match = _PIN.fullmatch(entry)
        assert match, f"not a pin: {entry[:80]}"
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})(?= |$)", match[3])
        assert hashes, f"{match[1]} has no hash"
        assert len(hashes) == match[3].count("--hash=")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_address_of_an_index_is_in_it(file: Path) -> None:
    text = file.read_text("utf-8")
    assert "://" not in text
    for option in ("--index-url", "--extra-index-url", "--find-links", "--trusted-host", " @ "):
        assert option not in text


def test_the_files_agree_on_every_version() -> None:
    versions: dict[str, set[str]] = {}
    for file in FILES:
        for name, version in pins(file).items():
            versions.setdefault(name, set()).add(version)
    assert not {name: found for name, found in versions.items() if len(found) > 1}


def test_every_dependency_of_the_package_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = project["project"]["dependencies"] + project["build-system"]["requires"]
    pinned = pins(ROOT / "requirements" / "run.txt") | pins(ROOT / "requirements" / "build.txt")
    for requirement in wanted:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name
        assert normal(name[0]) in pinned, requirement

"""What the documentation says of the code is true: files, names and links exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tollkeeper"
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

_MODULE = re.compile(r"`((?:[a-z0-9_]+/)*[a-z0-9_]+\.py)`((?: `[A-Za-z_]+`(?!\.))*)")
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def _names_in(module: Path) -> set[str]:
    tree = ast.parse(module.read_text("utf-8"))
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_the_path_of_a_call_names_what_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    mentioned = _MODULE.findall(text)
    assert len(mentioned) > 20
    for file, names in mentioned:
        module = SOURCE / file
        assert module.is_file(), f"docs/architecture.md names {file}, which is not there"
        for name in re.findall(r"`([A-Za-z_]+)`", names):
            assert name in _names_in(module), f"{file} has no {name}"


def test_security_tests_exist_and_every_case_has_some() -> None:
    text = (ROOT / "docs" / "security-tests.md").read_text("utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| W")]
    assert [cells[1].strip() for cells in rows] == [f"W{number}" for number in range(1, 26)]
    for cells in rows:
        named = re.findall(r"`([a-z0-9_/]+)(\.py)?`", cells[4])
        assert named[0][1], "first the file, then its tests"
        known: set[str] = set()
        for name, ending in named:
            if ending:
                known = _names_in(ROOT / "tests" / f"{name}.py")
            else:
                assert name in known, f"{cells[1].strip()}: there is no test {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text("utf-8")):
        assert (document.parent / target).exists(), f"{target} is not there"

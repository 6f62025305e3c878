"""Rules for the tree itself: sizes, names, docstrings, and what must never be committed."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tollkeeper"
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
DECISION_LINES_MAX = 40
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}

PYTHON_FILES = sorted(SOURCE.rglob("*.py")) + sorted((ROOT / "tools").glob("*.py"))


def _tracked() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name]


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_small_named_well_and_introduced(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= FILE_LINES_MAX, "split it: it has grown a second purpose"
    assert path.stem not in NO_NAMES, "name it after what it holds"
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module opens with one sentence: what lives here"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Global), f"line {node.lineno}: no mutable module state"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name}() has {lines} lines"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "compile", "__import__"}, (
                f"line {node.lineno}: no feature runs code from data"
            )
            if node.func.id == "print":
                assert "cli" in path.parts or "tools" in path.parts, "only the cli prints"


def test_decisions_fit_on_a_page() -> None:
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        assert path.read_text("utf-8").count("\n") <= DECISION_LINES_MAX, path.name


def test_nothing_forbidden_is_committed() -> None:
    # Written in pieces so that this file does not contain them itself.
    hosts = ["py" + "pi.org", "python" + "hosted.org", "registry.npm" + "js", "deb.deb" + "ian"]
    for path in _tracked():
        if not path.is_file() or path.suffix in {".png", ".gz", ".woff2"}:
            continue
        text = path.read_text("utf-8")
        for host in hosts:
            assert host not in text, f"{path.relative_to(ROOT)} names a package registry's host"
        assert not path.name.endswith((".min.js", ".min.css")), f"{path.name} is third-party"

"""Calls that must stand nowhere in the product: each is a way in that some tool was broken by.

No feature runs code from data, no document is read by a reader that makes objects, no
command goes through a shell, no certificate goes unchecked, no page takes HTML as it came.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "tollkeeper"
FILES = [
    *sorted(SOURCE.rglob("*.py")),
    *sorted((ROOT / "tools").glob("*.py")),
    *sorted((ROOT / "benchmarks").glob("*.py")),
]

CALLS = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__"), "runs code from data"),
    **dict.fromkeys(
        ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
        "goes through a shell",
    ),
    "asyncio.create_subprocess_shell": "goes through a shell",
    **dict.fromkeys(
        ("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"),
        "makes objects from a document",
    ),
    "tempfile.mktemp": "names a file that somebody else may make first",
    "ssl._create_unverified_context": "checks no certificate",
    "markupsafe.Markup": "takes HTML as it came",
    "Markup": "takes HTML as it came",
}
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"}
PICTURES = SOURCE / "console" / "charts"
"""Pictures are drawn as SVG from numbers; each place says so where it is written."""
ARGUMENTS = {
    ("shell", True): "goes through a shell",
    ("verify", False): "checks no certificate",
    ("check_hostname", False): "checks no certificate",
    ("autoescape", False): "takes HTML as it came",
}
NAMES = {"CERT_NONE": "checks no certificate", "CERT_OPTIONAL": "checks no certificate"}
HTML_AS_IT_CAME = re.compile(r"\|\s*safe\b|\{%-?\s*autoescape\s+false")


def faults(text: str) -> Iterator[str]:
    """Say what is forbidden in a piece of Python, and on which line."""
    for node in ast.walk(ast.parse(text)):
        for what in _faults_of(node):
            yield f"line {getattr(node, 'lineno', 0)}: {what}"


def _faults_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            for alias in names:
                if alias.name.partition(".")[0] in MODULES:
                    yield f"import {alias.name} makes objects from a document"
        case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in MODULES:
            yield f"import {module} makes objects from a document"
        case ast.Call(func=func, keywords=keywords):
            name = ast.unparse(func)
            if name in CALLS:
                yield f"{name}() {CALLS[name]}"
            for keyword in keywords:
                value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                reason = ARGUMENTS.get((keyword.arg or "", value))  # type: ignore[arg-type]
                if reason and isinstance(value, bool):
                    yield f"{keyword.arg}={value} {reason}"
        case ast.Assign(targets=targets, value=ast.Constant(value=False)):
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == "check_hostname":
                    yield "check_hostname = False checks no certificate"
        case ast.Attribute(attr=attr) if attr in NAMES:
            yield f"{attr} {NAMES[attr]}"
        case ast.Name(id=name) if name in NAMES:
            yield f"{name} {NAMES[name]}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_forbidden_is_called(path: Path) -> None:
    found = list(faults(path.read_text("utf-8")))
    if PICTURES in path.parents:
        found = [fault for fault in found if "Markup()" not in fault]
    assert not found


def test_no_template_takes_html_as_it_came() -> None:
    templates = sorted(SOURCE.rglob("*.html"))
    assert templates
    for path in templates:
        assert not HTML_AS_IT_CAME.search(path.read_text("utf-8")), path.name


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "exec(data)",
        "import pickle",
        "from marshal import loads",
        "yaml.load(text)",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "client.get(url, verify=False)",
        "context.verify_mode = ssl.CERT_NONE",
        "context.check_hostname = False",
        "await asyncio.create_subprocess_shell('ls')",
        "Environment(autoescape=False)",
        "Markup(text)",
    ],
)
def test_each_of_them_would_be_found(text: str) -> None:
    assert list(faults(text))


@pytest.mark.parametrize(
    "text",
    [
        "yaml.safe_load(text)",
        "run(['ls'], shell=False)",
        "re.compile('x')",
        "get(url, verify=True)",
    ],
)
def test_what_only_looks_like_it_is_let_through(text: str) -> None:
    assert not list(faults(text))

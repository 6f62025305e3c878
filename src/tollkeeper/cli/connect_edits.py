"""Changes the text of a tool's settings, and loses nothing that stands there besides.

JSON is read and written again, in its order and indentation. TOML, YAML and files of variables
are changed line by line, so that comments stay; then the result is read again, and has to mean
what it meant before plus the change. What cannot be changed so is refused with CannotEdit, whose
message says why and never shows what the file holds.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import yaml

Place: TypeAlias = tuple[str, ...]
Table: TypeAlias = Mapping[str, str | int | bool | Mapping[str, str]]

_BARE: Final = re.compile(r"[A-Za-z0-9_./:@+-]+")
_SETS: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)
_INDENT: Final = re.compile(r"\{\r?\n([ \t]+)\"")
_QUOTES: Final = "'\"`"


class CannotEdit(ValueError):
    """A text that cannot be changed without losing something."""


# ---------------------------------------------------------------------------------- JSON


def edit_json(text: str, change: Callable[[dict[str, Any]], None]) -> str:
    """Change an object. ``text`` is "" where there is no file yet. Raises CannotEdit."""
    content: Any = {}
    if text.strip():
        try:
            content = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        except (RecursionError, json.JSONDecodeError) as error:
            raise CannotEdit(
                f"it is not plain JSON{_place(error)}; comments count as that"
            ) from None
    if not isinstance(content, dict):
        raise CannotEdit("it holds no JSON object")
    change(content)
    found = _INDENT.search(text)
    indent = (found[1] if found else "  ") if text.count("\n") > 1 or not text.strip() else None
    try:
        written = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
        written.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair can only be written as an escape
        written = json.dumps(content, indent=indent)
    except ValueError:
        raise CannotEdit("it holds a number that is too large to be kept") from None
    end = "\n" if text.endswith("\n") or not text.strip() else ""
    return written + end


def inner(content: dict[str, Any], *names: str) -> dict[str, Any]:
    """Give the object at a place, made if it is not there. Raises CannotEdit."""
    for name in names:
        content = content.setdefault(name, {})
        if not isinstance(content, dict):
            raise CannotEdit(f"its {name!r} is no object")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise CannotEdit("a name stands twice in one object, and one of them would be lost")
    return made


def _no_number(text: str) -> float:
    raise CannotEdit(f"{text} is no number in JSON")


def _place(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f" (line {error.lineno}; comments are none either)"
    return ""


# ---------------------------------------------------------------------------------- TOML


def edit_toml(text: str, root: Table, tables: Mapping[Place, Table]) -> str:
    """Set values at the top, and whole tables. Comments and order stay. Raises CannotEdit."""
    try:
        wanted = _read_toml(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CannotEdit(f"it is not TOML: {str(error).partition(' (')[0]}") from None
    targets = [*((name,) for name in root), *tables]
    for path, value in [*(((name,), root[name]) for name in root), *tables.items()]:
        try:
            inner(wanted, *path[:-1])[path[-1]] = copy.deepcopy(value)
        except ValueError as error:
            raise CannotEdit(f"{error}, so nothing can be added there") from None
    newline = "\r\n" if "\r\n" in text else "\n"
    kept = _without(text, targets)
    head = "".join(f"{name} = {_toml(value)}{newline}" for name, value in root.items())
    if root and kept and not kept.startswith(("\n", "\r\n")) and kept.lstrip().startswith("["):
        head += newline
    written = head + kept
    for path, table in tables.items():
        if written and not written.endswith("\n"):
            written += newline
        lines = [f"[{'.'.join(_name(part) for part in path)}]"]
        lines += [f"{_name(name)} = {_toml(value)}" for name, value in table.items()]
        if written and not written.endswith(("\n\n", "\n\r\n")):
            written += newline
        written += "".join(line + newline for line in lines)
    try:
        same = _read_toml(written) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise CannotEdit("it is written in a way that cannot be changed safely; add it by hand")
    return written


def _read_toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text, parse_float=str)  # their text: nan is then equal to itself


def _without(text: str, targets: list[Place]) -> str:
    """Leave out the statements that set something at or below a target."""
    kept: list[str] = []
    table: Place = ()
    leaving = False
    waiting: list[str] = []  # comments and blank lines below a table that is left out
    for statement in _statements(text):
        content = tomllib.loads(statement)
        is_header = statement.lstrip().startswith("[")
        if is_header:
            table = _path_of(content)
            leaving = _is_ours(table, targets)
        if not content and leaving:
            waiting.append(statement)
        elif leaving or (
            not is_header and content and _is_ours(table + _path_of(content), targets)
        ):
            waiting.clear()
        else:
            kept += [*waiting, statement]
            waiting.clear()
    return "".join([*kept, *waiting])


def _statements(text: str) -> Iterable[str]:
    """Cut a text that is TOML into its statements: what ends a line and is whole by itself."""
    pending = ""
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):  # other ends of lines are none in TOML
        pending += line
        try:
            tomllib.loads(pending)
        except tomllib.TOMLDecodeError:
            continue  # within an array or a text of several lines
        yield pending
        pending = ""


def _path_of(content: Mapping[str, Any]) -> Place:
    """Give the path to where a statement's content branches or ends."""
    path: list[str] = []
    value: Any = content
    while isinstance(value, Mapping) and len(value) == 1:
        ((name, value),) = value.items()
        path.append(name)
    return tuple(path)


def _is_ours(path: Place, targets: list[Place]) -> bool:
    return any(path[: len(target)] == target for target in targets)


def _name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: str | int | bool | Mapping[str, str]) -> str:
    if isinstance(value, Mapping):
        return (
            f"{{ {', '.join(f'{_toml(name)} = {_toml(each)}' for name, each in value.items())} }}"
        )
    return json.dumps(value, ensure_ascii=False)


# ---------------------------------------------------------------- variables, and YAML


def edit_variables(text: str, variables: Mapping[str, str]) -> str:
    """Set variables in a file of ``NAME=value`` lines. Raises CannotEdit."""
    left = dict(variables)
    lines: list[str] = []
    for statement in _settings(text):
        found = _SETS.match(statement)
        name = found[1] if found else ""
        if name not in variables:
            lines.append(statement)
        elif name in left:  # a second line of the same name would win over ours
            lines.append(f"{name}={_value(left.pop(name))}\n")
    return _ended(lines) + "".join(f"{name}={_value(value)}\n" for name, value in left.items())


def _settings(text: str) -> Iterable[str]:
    """Cut a file of variables into its settings; a quoted value may have several lines."""
    pending, quote = "", ""
    for line in text.splitlines(keepends=True):
        pending += line
        found = None if quote else _SETS.match(line)
        rest = line if quote else (found[2] if found else "")
        if found and rest[:1] in _QUOTES:
            quote, rest = rest[:1], rest[1:]
        if quote and quote not in rest.replace(f"\\{quote}", ""):
            continue
        yield pending
        pending, quote = "", ""
    if pending:
        raise CannotEdit("a quoted value in it does not end")


def _value(value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    if "'" in value or not value.isprintable():
        raise CannotEdit("a value cannot be quoted")
    return f"'{value}'"


def edit_yaml(text: str, values: Mapping[str, str]) -> str:
    """Set texts at the top of a mapping. Comments and order stay. Raises CannotEdit."""
    try:
        before = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise CannotEdit("it is not YAML") from None
    if before is not None and not isinstance(before, dict):
        raise CannotEdit("it holds no YAML mapping")
    lines = text.splitlines(keepends=True)
    named = re.compile(rf"(?:{'|'.join(re.escape(name) for name in values)})\s*:")
    kept = [line for line in lines if not named.match(line)]
    written = _ended(kept) + "".join(
        f"{name}: {json.dumps(value)}\n" for name, value in values.items()
    )
    try:
        after = yaml.safe_load(written)
    except (yaml.YAMLError, ValueError):
        after = None
    if repr(_sorted(after)) != repr(_sorted({**(before or {}), **values})):
        raise CannotEdit("it is written in a way that cannot be changed safely; add it by hand")
    return written


def _sorted(content: Any) -> Any:
    return sorted(content.items(), key=repr) if isinstance(content, dict) else content


def _ended(lines: list[str]) -> str:
    text = "".join(lines)
    return text if not text or text.endswith("\n") else text + "\n"

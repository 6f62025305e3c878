"""Reads a YAML file and remembers on which line each value stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tollkeeper.domain.errors import ConfigError

Path = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}\n]*))?\}")
_OPEN, _CLOSE = "\ue000", "\ue001"  # of no script: what stands for ${NAME} while YAML reads
_STAND_IN = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_DEPTH_MAX = 20
_VALUES_MAX = 20_000


class Document:
    """The content of one file, as plain data, and the line of every value in it."""

    def __init__(self, file: str, data: dict[str, Any], lines: dict[Path, int]) -> None:
        self.file = file
        self.data = data
        self._lines = lines

    def line(self, path: Path) -> int:
        """Give the line of a value, or of the nearest thing around it that has one."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def error(self, path: Path, message: str, hint: str = "") -> ConfigError:
        """Make an error that names the file, the line and the option."""
        option = ".".join(str(step) for step in path)
        text = f"{option}: {message}" if option else message
        line = self.line(path) if self._lines else 0
        return ConfigError(text, file=self.file, line=line, hint=hint)


def parse(text: str, file: str, environment: Mapping[str, str], *, only: str = "") -> Document:
    """Read a document; ``${NAME}`` and ``${NAME:-default}`` come from the environment.

    They may stand anywhere in a value, also bare within ``{…}``, where YAML itself would take
    their braces for its own. ``only`` names the one option that is looked at, if not all are.
    """
    if _OPEN in text:
        raise ConfigError("a character for private use (U+E000) cannot stand here", file=file)
    variables: list[re.Match[str]] = []

    def stand_in(match: re.Match[str]) -> str:
        variables.append(match)
        return f"{_OPEN}{len(variables) - 1}{_CLOSE}"

    try:
        root = yaml.compose(_VARIABLE.sub(stand_in, text), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise ConfigError(
            f"not readable as YAML: {error.problem or 'syntax error'}",
            file=file,
            line=mark.line + 1 if mark else 0,
        ) from None
    except yaml.YAMLError:
        raise ConfigError("not readable as YAML", file=file) from None
    if root is None:
        return Document(file, {}, {})
    reader = _Reader(file, environment, variables, only)
    data = reader.value(root, ())
    if not isinstance(data, dict):
        raise ConfigError("the file must hold options as `name: value`", file=file, line=1)
    return Document(file, data, reader.lines)


class _Reader:
    def __init__(
        self,
        file: str,
        environment: Mapping[str, str],
        variables: Sequence[re.Match[str]],
        only: str,
    ) -> None:
        self._only = only
        self._file = file
        self._environment = environment
        self._variables = variables
        self.lines: dict[Path, int] = {}

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines[path] = line
        if len(path) > _DEPTH_MAX or len(self.lines) > _VALUES_MAX:
            raise ConfigError("nested too deeply, or too large", file=self._file, line=line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _STAND_IN.sub(lambda found: self._variable(found)[0], str(key_node.value))
            if self._only and not path and key != self._only:
                continue
            if key in values:
                raise ConfigError(
                    f"{'.'.join(map(str, (*path, key)))}: given twice",
                    file=self._file,
                    line=key_node.start_mark.line + 1,
                )
            values[key] = self.value(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        tag = node.tag.rpartition(":")[2]
        text = str(node.value)
        if tag == "str":
            return self._expanded(text, path)
        try:
            # The safe loader's own reading of numbers, booleans and null.
            return yaml.safe_load(yaml.serialize(node))
        except (yaml.YAMLError, ValueError):
            raise ConfigError(
                f"{'.'.join(map(str, path))}: cannot be read as {tag}",
                file=self._file,
                line=self.lines[path],
            ) from None

    def _expanded(self, text: str, path: Path) -> str:
        def replace(match: re.Match[str]) -> str:
            name, default = self._variable(match).groups()
            found = self._environment.get(name, default)
            if found is None:
                raise ConfigError(
                    f"{'.'.join(map(str, path))}: environment variable {name} is not set",
                    file=self._file,
                    line=self.lines[path],
                    hint=f"set it, or write ${{{name}:-default}}",
                )
            return found

        return _STAND_IN.sub(replace, text)

    def _variable(self, stand_in: re.Match[str]) -> re.Match[str]:
        """Give what a stand-in stands for."""
        return self._variables[int(stand_in[1])]

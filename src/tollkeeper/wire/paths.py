"""Request paths that every server reads alike, and the model ids inside them."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from tollkeeper.domain.errors import BadRequest
from tollkeeper.wire.model_names import require_model_name

# Segments that climb, separators that some servers fold, and escapes of either. An escaped
# percent sign would become one of them when somebody decodes twice.
_AMBIGUOUS: Final = re.compile(
    r"//|[^!-~]|[\\;?#<>\"^`{|}]|/\.{1,2}(?:/|$)"
    r"|%(?:[01][0-9a-f]|2[ef]|5c|25|3b|3f|23|7f)|%(?![0-9a-f]{2})",
    re.IGNORECASE,
)


_CLIMBING: Final = frozenset({"", ".", ".."})


def require_clean_path(path: str) -> None:
    """Raise BadRequest for a path that two servers could take for different ones."""
    if _AMBIGUOUS.search(path) is not None:
        raise BadRequest(
            "the path contains a sequence that different servers read differently",
            code="path_ambiguous",
        )


def model_in_path(segment: str) -> str:
    """Decode the model id of a clean path. Raises BadRequest when it is no name."""
    try:
        model = unquote(segment, errors="strict") if "%" in segment else segment
    except UnicodeDecodeError:
        raise BadRequest("the model id in the path is not UTF-8", code="model_invalid") from None
    if not _CLIMBING.isdisjoint(model.split("/")):
        raise BadRequest("the model id in the path is no name", code="model_invalid")
    return require_model_name(model)


def split_path_key(path: str) -> tuple[str, str]:
    """Take our key off the front of a path: ``/k/<key>/rest`` gives the key and ``/rest``.

    The key is "" when the path carries none.
    """
    if not path.startswith("/k/"):
        return "", path
    key, slash, rest = path[3:].partition("/")
    return key, slash + rest


def query_without(query: str, names: tuple[str, ...] | frozenset[str]) -> str:
    """Drop parameters from a query string; every other one stays as it was written."""
    if not query or not names:
        return query
    kept = [part for part in query.split("&") if parameter_name(part) not in names]
    return "&".join(kept)


def parameter_name(part: str) -> str:
    """Give the decoded name of one ``name=value`` of a query string."""
    name = part.partition("=")[0]
    return unquote(name.replace("+", " ")) if "%" in name or "+" in name else name

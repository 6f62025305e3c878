"""Curl lines of LiteLLM's documentation, as requests, and answers that leave ids open."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

ADMIN = "sk-1234"
"""The master key of LiteLLM's own examples; ours takes its place."""
_OPEN = re.compile(r"<[a-z ]+>")
_HEADER = {"-H", "--header"}
_BODY = {"-d", "--data", "--data-raw", "--data-binary"}
_ALONE = {"--location", "-L", "-s", "--silent"}


class Asked(NamedTuple):
    """A request, without its address."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


def parse_curl(line: str) -> Asked:
    """Read a curl command as curl itself does, as far as these lines go."""
    words = iter(shlex.split(line.replace("\\\n", " ")))
    assert next(words) == "curl"
    method, url, headers, body = "", "", {}, None
    for word in words:
        if word in {"-X", "--request"}:
            method = next(words)
        elif word in _HEADER:
            name, _, value = next(words).partition(":")
            headers[name.strip().lower()] = value.strip()
        elif word in _BODY:
            body = next(words).encode()
        elif word not in _ALONE:
            assert not word.startswith("-"), word
            url = word
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return Asked(method or ("GET" if body is None else "POST"), target, headers, body)


def filled(text: str, known: Mapping[str, str]) -> str:
    """Put what earlier answers said in the places that are open for it."""
    return _OPEN.sub(lambda found: known.get(found[0], found[0]), text)


def difference(expected: Any, found: Any, known: dict[str, str], place: str = "") -> str:
    """Say where an answer is another one than expected, "" where it is not.

    ``<name>`` stands for anything the first time, and for the same ever after.
    """
    if isinstance(expected, str) and _OPEN.fullmatch(expected) and isinstance(found, str):
        return _same(known.setdefault(expected, found), found, place)
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() != found.keys():
            return f"{place}: {sorted(expected.keys() ^ found.keys())}"
        parts = [difference(expected[it], found[it], known, f"{place}.{it}") for it in expected]
        return next(filter(None, parts), "")
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        parts = [
            difference(one, other, known, f"{place}[{number}]")
            for number, (one, other) in enumerate(zip(expected, found, strict=True))
        ]
        return next(filter(None, parts), "")
    return _same(expected, found, place)


def _same(expected: Any, found: Any, place: str) -> str:
    return "" if expected == found else f"{place}: {expected!r} is {found!r}"

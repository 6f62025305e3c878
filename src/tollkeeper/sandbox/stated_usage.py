"""Puts usage into replies: as it is, or in one of the wrong ways that were seen in the wild."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tollkeeper.sandbox.behaviour import UsageStyle

_HUGE: Final = 1 << 63
_TIMES_AT_END: Final[Mapping[UsageStyle, int]] = {
    UsageStyle.NONE: 0,
    UsageStyle.WRONG_CHUNK: 0,
    UsageStyle.TWICE: 2,
}


def put_usage(
    target: dict[str, Any], usage: Mapping[str, Any], style: UsageStyle, name: str = "usage"
) -> dict[str, Any]:
    """Put a usage object into another object, which is given back."""
    if style is UsageStyle.NONE:
        return target
    if style is UsageStyle.NULL:
        target[name] = None
    elif style is UsageStyle.NEGATIVE:
        target[name] = _counts_changed(usage, lambda count: -count - 1)
    elif style is UsageStyle.HUGE:
        target[name] = _counts_changed(usage, lambda _: _HUGE)
    else:
        target[name] = usage
    return target


def is_stated_at_piece(style: UsageStyle, piece: int) -> bool:
    """Tell whether a stream states usage together with a piece, counted from 1."""
    if style is UsageStyle.CUMULATIVE:
        return True
    return style is UsageStyle.WRONG_CHUNK and piece == 1


def times_at_end(style: UsageStyle) -> int:
    """Say how many times a stream states its usage at its end."""
    return _TIMES_AT_END.get(style, 1)


def _counts_changed(value: Any, change: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _counts_changed(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_counts_changed(inner, change) for inner in value]
    return change(value) if isinstance(value, int) and not isinstance(value, bool) else value

"""What entries can be grouped and filtered by: a closed list, and the tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from tollkeeper.ports import Ledger
from tollkeeper.reports.questions import BadQuestion, one_of, quoted

if TYPE_CHECKING:
    import ibis.expr.types as ir

TAG_PREFIX: Final = "tag:"
TAG_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
HOUR_OF_DAY: Final = "hour_of_day"
WEEKDAY: Final = "weekday"
TIMES: Final = ("hour", "day", "week", "month", HOUR_OF_DAY, WEEKDAY)

COLUMNS: Final[Mapping[str, str]] = {
    "team": "team",
    "user": "user_id",
    "key": "key_id",
    "customer": "end_customer",
    "session": "session_id",
    "tool": "tool",
    "tool_version": "tool_version",
    "provider": "provider",
    "model": "",  # the one that answered, or the one asked for where none did
    "model_requested": "model_requested",
    "model_served": "model_served",
    "endpoint": "endpoint",
    "wire": "wire",
    "streamed": "streamed",
    "status": "status",
    "outcome": "outcome",
    "error_code": "error_code",
    "basis": "basis",
    "unpriced_reason": "unpriced_reason",
    "tier": "tier",
    "source": "source",
    "call": "call_id",
}
"""Dimension and its column."""

SUMMED: Final = frozenset(COLUMNS) - {"customer", "session", "call"}
"""Dimensions that sums by the quarter-hour have; they have no tags either."""

FINELY: Final = frozenset(COLUMNS) - {"call"}
"""Dimensions that finer sums have, and all tags."""

NAMES: Final[Mapping[str, str]] = {"user": "user_name", "key": "key_name"}
"""Dimensions that are ids, and the column with the name that people know them by."""


def check_dimension(parameter: str, name: str) -> str:
    """Give the name back. Raises BadQuestion unless it is a dimension or ``tag:<key>``."""
    if name in COLUMNS:
        return name
    if name.startswith(TAG_PREFIX):
        if TAG_KEY.fullmatch(name.removeprefix(TAG_PREFIX)):
            return name
        raise BadQuestion(
            parameter, "a tag's key is 1 to 64 letters, digits, '_', '.' or '-': tag:feature"
        )
    raise BadQuestion(
        parameter, f"{quoted(name)} is no dimension; {one_of([*COLUMNS, 'tag:<key>'])}"
    )


def dimension(ledger: Ledger, table: ir.Table, name: str) -> ir.Value:
    """Give the value of a checked dimension for each entry; NULL where a tag is absent."""
    if name.startswith(TAG_PREFIX):
        return ledger.tag(table, name.removeprefix(TAG_PREFIX))
    if name == "model":
        return (table.model_served == "").ifelse(table.model_requested, table.model_served)
    return table[COLUMNS[name]]

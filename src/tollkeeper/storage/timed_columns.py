"""The columns of requests by the quarter-hour with how long each took, the same in every engine.

Such a row stands for all requests of one quarter-hour that are alike in every column of ``ALIKE``;
``started_at`` is when the quarter-hour begins. Corrections of requests are no requests.
"""

from __future__ import annotations

from typing import Final

from tollkeeper.request_times import TIMED
from tollkeeper.storage.columns import COLUMNS, Column, Kind

_ALIKE: Final = (
    "source",
    "org",
    "team",
    "user_id",
    "user_name",
    "key_id",
    "tool",
    "tool_version",
    "provider",
    "model_requested",
    "model_served",
    "endpoint",
    "wire",
    "streamed",
    "status",
    "outcome",
    "error_code",
    "basis",
    "unpriced_reason",
    "tier",
)
_BY_NAME: Final = {column.name: column for column in COLUMNS}

ALIKE: Final[tuple[Column, ...]] = tuple(_BY_NAME[name] for name in _ALIKE)
"""What the requests of a row have in common: all that sums can be filtered and grouped by."""

VALUES: Final[tuple[Column, ...]] = tuple(
    Column(several, Kind.NUMBERS, nullable=True) for several in TIMED.values()
)
"""The milliseconds of each request of a row, NULL where none has any."""

ROW: Final[tuple[Column, ...]] = (_BY_NAME["started_at"], *ALIKE, *VALUES)

"""Names of what sums of entries have, and entries have not, for whoever makes or reads them."""

from __future__ import annotations

from typing import Final

LAST_AT: Final = "last_at"
"""The column of sums that says when the newest of their entries started."""

SESSION_NUMBER: Final = "session_number"
"""The column of finer sums that has a number of a row's session, NULL where there is none."""

SESSION_ALONE: Final = "session_alone"
"""The column that says that no other row is of a row's session."""

SESSION_KEY: Final = "session_key"
"""What finer sums of other engines have in its place: numbers in no order, so that the sessions of
a group are its different ones. NULL where there is no session."""

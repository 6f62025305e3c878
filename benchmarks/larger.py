"""The section of docs/benchmarks.md that repeats how docs/ledger-speed.md grows with a ledger."""

from __future__ import annotations

import re
from typing import Final

_HEADING: Final = "## How it grows\n"
_SECTION: Final = """\
## Larger ledgers

`make bench-ledger` measures ledgers of more entries than the run above, and writes
[ledger-speed.md](ledger-speed.md), which has every figure. Of its run on {date}:

{figures}
"""


def larger_ledgers(ledger_speed: str) -> str:
    """Give the section, from the text of docs/ledger-speed.md; "" where nothing is measured."""
    date = re.search(r"which measured this on (.+?)\.\n", ledger_speed)
    _, _, after = ledger_speed.partition(_HEADING)
    figures = after.partition("\n## ")[0].strip()
    if date is None or not figures:
        return ""
    return _SECTION.format(date=date[1], figures=figures)

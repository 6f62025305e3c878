"""The recorded replies, read and priced once for all tests of metering."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded_replies import Both, billed_records


@pytest.fixture(scope="session")
def billed(shared: Path) -> Both:
    return billed_records(shared)

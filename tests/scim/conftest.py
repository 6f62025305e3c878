"""A console with a SCIM token, asked as an identity provider asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consoles import RunningConsole, running_console
from scim_clients import ScimClient


@pytest.fixture
def console(tmp_path: Path) -> Iterator[RunningConsole]:
    with running_console(tmp_path) as made:
        yield made


@pytest.fixture
def scim(console: RunningConsole) -> ScimClient:
    return ScimClient(console)

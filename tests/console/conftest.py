"""One console for the tests of a module; those that change it make what they need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consoles import RunningConsole, running_console


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """A running console with people, keys and some calls."""
    with running_console(tmp_path_factory.mktemp("console")) as made:
        made.load(
            made.entry_of("member", entry_id="call-alice", call_id="call-alice"),
            made.entry_of("other member", entry_id="call-mallory", call_id="call-mallory"),
            made.entry_of("member", entry_id="foreign", call_id="foreign", org="elsewhere"),
        )
        yield made

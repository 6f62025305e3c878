"""A wicked provider, and a desk that signs people in there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sso_desk import Desk
from stores import NOW, SECOND, open_folder
from wicked_provider import WickedProvider


@pytest.fixture
def wicked() -> Iterator[WickedProvider]:
    with WickedProvider().running() as made:
        made.now_s = NOW // SECOND
        yield made


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store once: copies of it are quicker than its migrations."""
    root = tmp_path_factory.mktemp("empty") / "data"
    folder = open_folder(root)
    folder.store.set_org_name("acme")
    folder.store.close()
    return root


@pytest.fixture
def desk(tmp_path: Path, empty_folder: Path, wicked: WickedProvider) -> Iterator[Desk]:
    folder = open_folder(Path(shutil.copytree(empty_folder, tmp_path / "data")))
    yield Desk(folder, wicked)
    folder.store.close()

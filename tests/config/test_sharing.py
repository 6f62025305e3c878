"""The section ``statements`` of tollkeeper.yaml: what is shared, and by what it is split."""

from __future__ import annotations

from pathlib import Path

import pytest

from tollkeeper import config
from tollkeeper.domain.errors import ConfigError
from tollkeeper.domain.sharing import Sharing, Split


def sharing(folder: Path, text: str) -> Sharing:
    file = folder / "tollkeeper.yaml"
    file.write_text(text)
    return config.load(file, {}).sharing


def test_without_a_section_the_cost_of_no_team_is_split_by_usage(tmp_path: Path) -> None:
    assert sharing(tmp_path, "timezone: UTC\n") == Sharing()


def test_all_of_it_is_read(tmp_path: Path) -> None:
    text = (
        "statements:\n  split: fixed\n  shared_teams: [platform]\n"
        "  shared_tags: [cost=shared, 'owner=a=b']\n  weights: {core: 3, search: 1}\n"
    )
    assert sharing(tmp_path, text) == Sharing(
        Split.FIXED,
        frozenset({"platform"}),
        (("cost", "shared"), ("owner", "a=b")),
        {"core": 3, "search": 1},
    )


@pytest.mark.parametrize(
    ("section", "word"),
    [
        ("{split: fixed}", "weights"),
        ("{split: fixed, weights: {core: 0}}", "weights"),
        ("{weights: {core: 1}}", "weights"),
        ("{shared_tags: [shared]}", "shared_tags"),
        ("{shared_tags: ['a b=c']}", "shared_tags"),
        ("{split: size}", "split"),
        ("{weights: {core: -1}, split: fixed}", "weights"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    tmp_path: Path, section: str, word: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        sharing(tmp_path, f"statements: {section}\n")
    assert word in str(caught.value)

"""What can be asked of Explore: a metric, up to three groups, steps of time, a view, an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tollkeeper.reports.dimensions import check_dimension
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.measures import ADDITIVE, MEASURES, Kind, check_measure
from tollkeeper.reports.period import Period
from tollkeeper.reports.questions import BadQuestion, one_of, quoted
from tollkeeper.reports.steps import usual_grain

VIEWS: Final = ("bars", "table", "sankey", "heat")
GRAINS: Final = ("hour", "day", "week", "month", "none")
SORTS: Final = ("value", "change", "requests", "name")
DIMENSIONS_MAX: Final = 3
ROWS: Final = 50
ROWS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class ExploreQuestion:
    """What is asked. Raises BadQuestion when a name or a number is not allowed.

    ``grain`` is "" for steps that suit the period. ``sort`` is "" for the usual order: by value,
    and by requests where a value says nothing of how much it is of (percentiles and ratios).
    ``compare`` asks for the period before as well.
    """

    period: Period
    metric: str = "cost_usd"
    group_by: tuple[str, ...] = ("model",)
    filters: tuple[Filter, ...] = ()
    grain: str = ""
    view: str = "bars"
    compare: bool = True
    sort: str = ""
    limit: int = ROWS

    def __post_init__(self) -> None:
        check_measure("metric", self.metric)
        for name in self.group_by:
            check_dimension("group_by", name)
        if len(self.group_by) > DIMENSIONS_MAX:
            raise BadQuestion("group_by", f"at most {DIMENSIONS_MAX} groups")
        if len(set(self.group_by)) < len(self.group_by):
            raise BadQuestion("group_by", "each name once")
        for parameter, value, allowed in (
            ("view", self.view, VIEWS),
            ("grain", self.grain or "none", GRAINS),
            ("sort", self.sort or "value", SORTS),
        ):
            if value not in allowed:
                raise BadQuestion(parameter, f"{quoted(value)} is none; {one_of(allowed)}")
        if not 1 <= self.limit <= ROWS_MAX:
            raise BadQuestion("limit", f"a number from 1 to {ROWS_MAX}")

    @property
    def kind(self) -> Kind:
        """Say what the metric's values are."""
        return MEASURES[self.metric].kind

    @property
    def adds_up(self) -> bool:
        """Tell whether the values of parts add up to that of the whole."""
        return self.kind in ADDITIVE

    @property
    def step(self) -> str:
        """Give the steps to show, "" for none."""
        if self.view != "bars" or self.grain == "none":
            return ""
        return self.grain or usual_grain(self.period)

    @property
    def order(self) -> str:
        """Give the order of the rows."""
        by_weight = self.kind in {Kind.MILLISECONDS, Kind.RATIO, Kind.MONEY_RATIO}
        return self.sort or ("requests" if by_weight else "value")

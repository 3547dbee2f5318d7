"""Totals of the account and each media: counts, counts by day, and the heat map."""

import math
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import cached_property
from itertools import accumulate
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.wistia.catalogue import Catalogue
from sandbox.wistia.players import ASKS_FOR_ADDRESS, call_to_action
from sandbox.wistia.requests import Row, Served, day_of, is_modern, release_of
from sandbox.world import World

MEDIA_TOTALS: Final = """
select
    hashed_id,
    sum(load_count)::bigint as load_count,
    count(*) as play_count,
    coalesce(sum(percent_viewed * duration_seconds), 0) / 3600 as hours_watched,
    coalesce(avg(percent_viewed), 0) as engagement,
    count(distinct visitor_no) as players,
    count(*) filter (where conversion_type = 'turnstile') as turnstiles,
    count(*) filter (where conversion_type = 'call to action') as calls_to_action
from viewing_sessions
inner join medias using (hashed_id)
group by hashed_id
"""

MOST_CELLS: Final = 1000  # an engagement curve has a cell per second, scaled to this number if longer
# The number of cells of each session, and of each visitor's longest one: all start at the beginning.
CELLS_COVERED: Final = f"""
with covered as (
    select
        hashed_id, visitor_no,
        ceil(coalesce(percent_viewed, 0) * least({MOST_CELLS}, ceil(duration_seconds)))::bigint as cells
    from viewing_sessions inner join medias using (hashed_id)
),
longest as (
    select hashed_id, max(cells) as cells from covered group by hashed_id, visitor_no
)
select hashed_id, 'session', cells, count(*) from covered group by all
union all
select hashed_id, 'visitor', cells, count(*) from longest group by all
"""

DAYS_COUNTED: Final = """
select hashed_id, received_at::date, sum(load_count)::bigint, count(*)
from viewing_sessions
group by all
"""


class Totals(NamedTuple):
    """The lifetime totals of a media: every session is a play, with one or more loads of its page."""

    load_count: int
    play_count: int
    hours_watched: float
    engagement: float
    players: int
    turnstiles: int
    calls_to_action: int


class Statistics:
    """Endpoints of counts of the account and of each media."""

    def __init__(self, world: World, catalogue: Catalogue) -> None:
        self._world, self._catalogue = world, catalogue
        self.routes: Sequence[Served] = [
            Served("/stats/account", self._account_stats),
            Served("/stats/account/by_date", self._account_by_date),
            Served("/stats/medias/{key}", self._media_stats),
            Served("/stats/medias/{key}/by_date", self._media_by_date),
            Served("/stats/medias/{key}/engagement", self._media_engagement),
        ]

    def _media_stats(self, request: Request) -> Response:
        media = self._catalogue.find(request.path_params["key"])
        totals = self._totals.get(media["hashed_id"], Totals(0, 0, 0.0, 0.0, 0, 0, 0))
        plays = totals.play_count
        # A visitor who loads a page and plays nothing loads it three times on average.
        visitors = totals.players + (totals.load_count - plays) // 3
        actions = {"Turnstile": totals.turnstiles, "Call to Action": totals.calls_to_action}
        shown = {"Turnstile": (None, ASKS_FOR_ADDRESS), "Call to Action": call_to_action(media)}
        has_words = is_modern(request) and release_of(request) >= "2026-05"
        return JSONResponse(
            {
                "load_count": totals.load_count,
                "play_count": plays,
                "play_rate": totals.players / max(1, visitors),
                "hours_watched": totals.hours_watched,
                "engagement": totals.engagement,
                "visitors": visitors,
                "actions": [
                    {"type": kind, "action_count": count, "impression_count": plays, "rate": count / plays}
                    | (dict(zip(("url", "text"), shown[kind], strict=True)) if has_words else {})
                    for kind, count in actions.items()
                    if count
                ],
            }
        )

    def _account_stats(self, request: Request) -> Response:  # noqa: ARG002
        """The deleted media's plays still count for the account."""
        medias = self._totals.values()
        return JSONResponse(
            {
                "load_count": sum(totals.load_count for totals in medias),
                "play_count": sum(totals.play_count for totals in medias),
                "hours_watched": sum(totals.hours_watched for totals in medias),
            }
        )

    def _account_by_date(self, request: Request) -> Response:
        return JSONResponse(self._by_date(request, self._totals))

    def _media_by_date(self, request: Request) -> Response:
        media = self._catalogue.find(request.path_params["key"])
        return JSONResponse(self._by_date(request, [media["hashed_id"]]))

    def _by_date(self, request: Request, hashed_ids: Iterable[str]) -> list[Row]:
        """Return a row for each of the requested days, both ends included, even if nothing happened.

        Live hours were observed to be a media's plays times a constant; so are these.
        """
        last = day_of(request, "end_date") or self._world.as_of
        first = day_of(request, "start_date") or last - timedelta(days=1)
        days = {
            first + timedelta(days=n): {"load_count": 0, "play_count": 0, "hours_watched": 0.0}
            for n in range((last - first).days + 1)
        }
        for hashed_id in hashed_ids:
            totals = self._totals.get(hashed_id)
            for day, load_count, play_count in self._daily_counts.get(hashed_id, ()):
                if totals and day in days:
                    days[day]["load_count"] += load_count
                    days[day]["play_count"] += play_count
                    days[day]["hours_watched"] += play_count * totals.hours_watched / totals.play_count
        return [{"date": f"{day}"} | counts for day, counts in days.items()]

    @cached_property
    def _daily_counts(self) -> dict[str, list[tuple[date, int, int]]]:
        counts: dict[str, list[tuple[date, int, int]]] = {}
        for hashed_id, *of_day in self._world.sql(DAYS_COUNTED):
            counts.setdefault(hashed_id, []).append((of_day[0], of_day[1], of_day[2]))
        return counts

    def _media_engagement(self, request: Request) -> Response:
        """Return the heat map: the sessions that covered each cell, and those of them that were repeats."""
        media = self._catalogue.find(request.path_params["key"])
        hashed_id = media["hashed_id"]
        count = min(MOST_CELLS, math.ceil(media["duration_seconds"]))
        sessions, visitors = (self._curve(hashed_id, kind, count) for kind in ("session", "visitor"))
        return JSONResponse(
            {
                "engagement": self._totals[hashed_id].engagement if hashed_id in self._totals else 0.0,
                "engagement_data": sessions,
                "rewatch_data": [plays - once for plays, once in zip(sessions, visitors, strict=True)],
            }
        )

    def _curve(self, hashed_id: str, kind: str, count: int) -> list[int]:
        """Return the count of one kind for each of a media's cells."""
        ended = self._covered.get((hashed_id, kind), {})
        return list(accumulate(ended.get(cells, 0) for cells in range(count, 0, -1)))[::-1]

    @cached_property
    def _covered(self) -> dict[tuple[str, str], dict[int, int]]:
        covered: dict[tuple[str, str], dict[int, int]] = {}
        for hashed_id, kind, cells, count in self._world.sql(CELLS_COVERED):
            covered.setdefault((hashed_id, kind), {})[cells] = count
        return covered

    @cached_property
    def _totals(self) -> dict[str, Totals]:
        return {hashed_id: Totals(*totals) for hashed_id, *totals in self._world.sql(MEDIA_TOTALS)}

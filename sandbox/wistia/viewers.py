"""Visitors and their viewing sessions."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from itertools import chain
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sandbox.wistia.requests import Refusal, Served, day_of, page_of
from sandbox.world import World

JSON: Final = "application/json"
RETENTION: Final = timedelta(days=730)  # of single events; counts are kept forever

MACROS: Final = """
create or replace macro wistia_time(moment, key) as case
    when draw('milliseconds', key, 0) < 0.5 then strftime(moment, '%Y-%m-%dT%H:%M:%S.%gZ')
    else strftime(moment, '%Y-%m-%dT%H:%M:%SZ')
end;
create or replace macro wistia_coordinate(degrees, key) as case
    when draw('coordinate', key, 0) < 0.1 then 'null'::json
    when draw('coordinate', key, 0) < 0.2 then to_json(degrees::varchar)
    else to_json(degrees)
end;
-- The number that the world puts in front of a visitor's and an event's key.
create or replace macro wistia_visitor_no(key) as try_cast(split_part(key, '_', 1) as bigint) - 1700000000;
"""

# DuckDB writes the JSON text of a whole page, so that no row becomes a Python object. In a merge patch, null
# removes a key.
VISITORS: Final = """
select coalesce(concat('[', string_agg(json_merge_patch(
    to_json({
        'visitor_key': visitor_key,
        'created_at': wistia_time(created_at, visitor_key),
        'last_active_at': wistia_time(last_active_at, visitor_key),
        'last_event_key': last_event_key,
        'load_count': load_count,
        'play_count': play_count,
        'identifying_event_key': identifying_event_key,
        'visitor_identity': {
            'name': case when name is null and draw('blank name', visitor_key, 0) < 0.3 then '' else name end,
            'email': email,
            'org': {'name': null, 'title': null}
        },
        'user_agent_details': {
            'browser': browser, 'browser_version': browser_version, 'platform': platform, 'mobile': mobile
        }
    }),
    case
        when rough() and email is null and draw('no identity', visitor_key, 0) < 0.02
            then '{"visitor_identity": null}'
        when draw('no org', visitor_key, 0) < 0.2 then '{"visitor_identity": {"org": null}}'
        else '{}'
    end
), ',' order by position), ']'), '[]')
from page
"""
EVENTS: Final = """
select coalesce(concat('[', string_agg(json_merge_patch(
    to_json({
        'received_at': wistia_time(received_at, event_key),
        'event_key': event_key,
        'visitor_key': visitor_key,
        'media_id': hashed_id,
        'media_name': media_name,
        'media_url': concat('https://sandbox.wistia.com/medias/', hashed_id),
        'percent_viewed': percent_as_served,
        'embed_url': embed_url,
        'email': case when email is null and draw('blank email', event_key, 0) < 0.1 then '' else email end,
        'ip': concat('203.0.113.', visitor_no % 254 + 1),
        'org': org,
        'country': country,
        'region': region,
        'city': city,
        'lat': wistia_coordinate(latitude, event_key),
        'lon': wistia_coordinate(longitude, event_key),
        'conversion_type': case
            when conversion_type = '' and draw('conversion as number', event_key, 0) < 0.1 then to_json(0)
            else to_json(conversion_type)
        end,
        'conversion_data': json_merge_patch('{}', conversion_data),  -- without what the viewer did not give
        'iframe_heatmap_url': concat('https://api.wistia.com/v1/stats/events/', event_key, '/iframe.html'),
        'user_agent_details': {
            'browser': browser, 'browser_version': browser_version, 'platform': platform, 'mobile': mobile
        },
        'thumbnail': {
            'url': concat('https://embed.wistia.com/', hashed_id, '.jpg'), 'width': 640, 'height': 360,
            'fileSize': 32720, 'contentType': 'image/jpeg', 'type': 'StillImageFile'
        }
    }),
    case
        when draw('key missing', event_key, 0) < 0.05 then '{"thumbnail": null}'
        when draw('key missing', event_key, 0) < 0.08 then '{"user_agent_details": null}'
        else '{}'
    end
), ',' order by position), ']'), '[]')
from page
"""


class Viewers:
    """Endpoints of visitors and of viewing sessions, which Wistia calls events."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.cursor().execute(MACROS)
        self.routes: Sequence[Served] = [
            Served("/stats/visitors", self._visitors),
            Served("/stats/visitors/{key}", self._visitor),
            Served("/stats/events", self._events),
            Served("/stats/events/{key}", self._event),
        ]

    def _visitors(self, request: Request) -> Response:
        asked = request.query_params
        filters = {
            "has_name": "name <> ''",
            "has_email": "email <> ''",
            "identified_by_email_gate": "identifying_event_key is not null",
        }
        conditions: dict[str, list[object]] = {}
        if "filter" in asked:
            if asked["filter"] not in filters:
                raise Refusal(400, f"filter must be one of {', '.join(filters)}")
            conditions[filters[asked["filter"]]] = []
        if "search" in asked:
            conditions["contains(lower(concat_ws(chr(10), name, email)), lower(?))"] = [asked["search"]]
        return self._page(request, "visitors", VISITORS, (0, self._visitor_count), conditions)

    def _visitor(self, request: Request) -> Response:
        key = request.path_params["key"]
        conditions = {"visitor_no = wistia_visitor_no(?)": [key], "visitor_key = ?": [key]}
        return self._single("visitors", VISITORS, (0, self._visitor_count), conditions)

    def _events(self, request: Request) -> Response:
        asked = request.query_params
        conditions: dict[str, list[object]] = {}
        if "media_id" in asked:
            conditions["hashed_id = ?"] = [asked["media_id"]]
        if key := asked.get("visitor_key"):
            conditions |= {"visitor_no = wistia_visitor_no(?)": [key], "visitor_key = ?": [key]}
        span = self._span(day_of(request, "start_date"), day_of(request, "end_date"))
        return self._page(request, "viewing_sessions", EVENTS, span, conditions)

    def _event(self, request: Request) -> Response:
        key = request.path_params["key"]
        conditions = {"visitor_no = wistia_visitor_no(?)": [key], "event_key = ?": [key]}
        return self._single("viewing_sessions", EVENTS, self._span(None, None), conditions)

    @cached_property
    def _visitor_count(self) -> int:
        ((count,),) = self._world.sql("select count(*) from visitors")
        return int(count)

    @cached_property
    def _days(self) -> dict[date, tuple[int, int]]:
        """Return the first and last position of the sessions of each UTC day."""
        rows = self._world.sql(
            "select received_at::date, min(position), max(position) + 1 from viewing_sessions group by all"
        )
        return {day: (low, high) for day, low, high in rows}

    def _span(self, first: date | None, last: date | None) -> tuple[int, int]:
        """Return the positions of the sessions of some days, both included, within Wistia's retention."""
        oldest = self._world.as_of - RETENTION
        first, last = max(first or oldest, oldest), last or self._world.as_of
        spans = [span for day, span in self._days.items() if first <= day <= last]
        return min((low for low, _ in spans), default=0), max((high for _, high in spans), default=0)

    def _page(
        self,
        request: Request,
        table: str,
        rows: str,
        span: tuple[int, int],
        conditions: Mapping[str, Sequence[object]],
    ) -> Response:
        """Return the requested page of rows in `span` that meet `conditions`; without any, a range."""
        (low, high), (start, count) = span, page_of(request)
        if not conditions:
            low, high, start = low + start, min(high, low + start + count), 0
        return Response(self._json(table, rows, (low, high), conditions, start, count), media_type=JSON)

    def _single(
        self, table: str, rows: str, span: tuple[int, int], conditions: Mapping[str, Sequence[object]]
    ) -> Response:
        text = self._json(table, rows, span, conditions, 0, 1)
        if text == "[]":
            raise Refusal(404)
        return Response(text[1:-1], media_type=JSON)

    def _json(
        self,
        table: str,
        rows: str,
        span: tuple[int, int],
        conditions: Mapping[str, Sequence[object]],
        start: int,
        count: int,
    ) -> str:
        where = " and ".join(["position >= ? and position < ?", *conditions])
        page = f"select * from {table} where {where} order by position limit ? offset ?"
        values = [*span, *chain.from_iterable(conditions.values()), count, start]
        ((text,),) = self._world.sql(f"with page as ({page}) {rows}", values)
        return str(text)

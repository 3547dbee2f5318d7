"""Wistia: the frozen v1 and the modern track over the world's medias, visitors and viewing sessions.

Both tracks answer alike, but for projects (v1), which are folders (modern), and for what a release of the
modern track added; v1 paths may end in `.json`.
What live answers do out of line is done here to a fixed part of the rows: names and addresses that are empty
or null, times with and without milliseconds, coordinates as text, keys left out, medias only events know.
"""

import math
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import accumulate, chain
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.vendor import Limit, Standing
from sandbox.world import World

KEY: Final = "wistia-sandbox"
INACTIVE_KEY: Final = "wistia-inactive"
NARROW_KEY: Final = "wistia-narrow"  # may read medias, not statistics

REQUESTS_A_MINUTE: Final = 600
RETRY_AFTER_SECONDS: Final = 10
MOST_ROWS: Final = 100  # a larger page is cut to this without a word
USUAL_ROWS: Final = 10  # as documented of old: a client that asks for no size must not count on more
JSON: Final = "application/json"
RETENTION: Final = timedelta(days=730)  # of single events; counts are for ever

# The reference's list of values leaves `id` out; its text does not, and live users send it.
SORTS: Final = {
    "name": "name",
    "created": "created_at",
    "updated": "updated_at",
    "position": "position",
    "id": "media_id",
}

FOLDER_SORTS: Final = {
    "name": "name",
    "created": "created_at",
    "updated": "updated_at",
    "mediaCount": "media_count",
    "id": "project_id",
}
RELEASES: Final = ("2026-01", "2026-03", "2026-05")  # of the modern track, each a month

Row = dict[str, Any]
Handler = Callable[[Request], Response]
Track = tuple[str, str]  # what a path begins and ends with
V1: Final[Sequence[Track]] = (("/v1", ".json"), ("/v1", ""))
MODERN: Final[Sequence[Track]] = (("/modern", ""),)

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
# takes a key away.
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

MOST_CELLS: Final = 1000  # an engagement curve has a cell per second; a longer media's is scaled to these
# How many cells each session covers, and each visitor's longest one: everybody watches from the start.
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

CUE_SECONDS: Final = 5
CUES: Final = (
    "Let us look at {topic} step by step.",
    "You need less than you think to begin with {topic}.",
    "Here is what most people get wrong.",
    "Watch how the second attempt goes better than the first.",
    "Keep this in mind; we will come back to it.",
    "That is the whole trick, and it takes ten minutes a week.",
)
ASKS_FOR_ADDRESS: Final = "Where may we send the rest?"
TEDIOUS_CUE: Final = "But first, a word about our company and its history."


class Totals(NamedTuple):
    """What a media came to in its life: every session is a play, with one or more loads of its page."""

    load_count: int
    play_count: int
    hours_watched: float
    engagement: float
    players: int
    turnstiles: int
    calls_to_action: int


class Refusal(Exception):
    """A request that is answered with `status` and a line of text, or without a body when there is none."""

    def __init__(self, status: int, text: str | None = None) -> None:
        super().__init__(text)
        self.response = JSONResponse({"error": text}, status) if text else Response(status_code=status)


class Wistia:
    """The API below /v1 and /modern."""

    name = "wistia"

    def __init__(self, world: World) -> None:
        self._world = world
        world.cursor().execute(MACROS)
        self.routes: Sequence[Route] = [
            *self._route("/account", self._account),
            *self._route("/medias", self._medias),
            *self._route("/medias/{key}/captions", self._captions),
            *self._route("/medias/{key}/customizations", self._customizations),
            *self._route("/medias/{key}", self._media),
            *self._route("/stats/account", self._account_stats),
            *self._route("/stats/account/by_date", self._account_by_date),
            *self._route("/stats/medias/{key}", self._media_stats),
            *self._route("/stats/medias/{key}/by_date", self._media_by_date),
            *self._route("/stats/medias/{key}/engagement", self._media_engagement),
            *self._route("/stats/visitors", self._visitors),
            *self._route("/stats/visitors/{key}", self._visitor),
            *self._route("/stats/events", self._events),
            *self._route("/stats/events/{key}", self._event),
            *self._route("/projects", self._projects, V1),
            *self._route("/projects/{key}", self._project, V1),
            *self._route("/folders", self._projects, MODERN),
            *self._route("/folders/{key}", self._project, MODERN),
            *self._route("/token", self._token, MODERN),
        ]

    def _route(self, path: str, handler: Handler, tracks: Sequence[Track] = (*V1, *MODERN)) -> list[Route]:
        def answer(request: Request) -> Response:
            try:
                release_of(request)
                return handler(request)
            except Refusal as refusal:
                return refusal.response

        return [Route(f"{start}{path}{end}", answer) for start, end in tracks]

    def authorize(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if {"access_token", "api_password"} & request.query_params.keys():
            return unauthorized("unauthorized_params", "A token in the address is no longer accepted.")
        if scheme.lower() != "bearer" or key not in {KEY, INACTIVE_KEY, NARROW_KEY}:
            return unauthorized("unauthorized_credentials", "Invalid credentials.")
        if key == INACTIVE_KEY:
            return unauthorized("account_inactive", "The account is not active.")
        if key == NARROW_KEY and "/stats" in request.scope["path"]:
            return unauthorized("unauthorized_scope", "The token may not read detailed stats.")
        return None

    def limits(self, request: Request) -> Sequence[Limit]:  # noqa: ARG002
        return [Limit("account", REQUESTS_A_MINUTE, 60)]

    def limit_headers(self, standing: Sequence[Standing]) -> dict[str, str]:  # noqa: ARG002
        return {}  # Wistia tells nothing until it refuses

    def error(self, status: int, request: Request, standing: Sequence[Standing] = ()) -> Response:  # noqa: ARG002
        if status == 429:
            now = datetime.now(UTC).timestamp()
            seconds = max((math.ceil(reset - now) for _, _, reset in standing), default=RETRY_AFTER_SECONDS)
            headers = {"Retry-After": str(max(1, seconds))}
            return PlainTextResponse("Too many requests", status, headers=headers)
        texts = {500: "Internal server error", 503: "Service unavailable"}
        return Refusal(status, texts.get(status)).response

    def _token(self, request: Request) -> Response:  # noqa: ARG002
        scopes = ["all_folders_and_medias:read", "detailed_stats:read"]
        return JSONResponse(
            {
                "type": "permanent",
                "application": None,
                "scopes": scopes,
                "name": "Sandbox",
                "expires_at": None,
            }
        )

    def _account(self, request: Request) -> Response:  # noqa: ARG002
        medias = self._catalogue
        return JSONResponse(
            {
                "id": 70000,
                "name": "Sandbox",
                "url": "https://sandbox.wistia.com",
                "media_count": len(medias),
                "video_limit": None,
                "folder_count": len({media["project_id"] for media in medias}),
                "channel_count": 0,
            }
        )

    def _medias(self, request: Request) -> Response:
        """All medias but the deleted one."""
        asked = request.query_params
        rows = self._catalogue
        for name in {"name", "type", "hashed_id"} & asked.keys():
            rows = [media for media in rows if media[name] == asked[name]]
        group = asked.get("folder_id" if is_modern(request) else "project_id")
        if group is not None:
            ids = ("project_hashed_id", "project_id")
            rows = [media for media in rows if group in {str(media[name]) for name in ids}]
        return listing(request, rows, SORTS, "position", described)

    def _projects(self, request: Request) -> Response:
        return listing(request, self._groups, FOLDER_SORTS, "project_id", described_group)

    def _project(self, request: Request) -> Response:
        for group in self._groups:
            if request.path_params["key"] in (group["hashed_id"], str(group["project_id"])):
                return JSONResponse(described_group(group, request))
        raise Refusal(404)

    @cached_property
    def _groups(self) -> list[Row]:
        """The projects, or folders, that the medias are in; as old and as new as these are."""
        groups: dict[int, list[Row]] = {}
        for media in self._catalogue:
            groups.setdefault(media["project_id"], []).append(media)
        return [
            {
                "project_id": project_id,
                "hashed_id": medias[0]["project_hashed_id"],
                "name": medias[0]["project_name"],
                "media_count": len(medias),
                "created_at": min(media["created_at"] for media in medias),
                "updated_at": max(media["updated_at"] for media in medias),
            }
            for project_id, medias in groups.items()
        ]

    def _media(self, request: Request) -> Response:
        return JSONResponse(described(self._find_media(request.path_params["key"]), request))

    def _find_media(self, key: str) -> Row:
        """A media by its hashed id or its number; raises Refusal (404) for the deleted one too."""
        for media in self._catalogue:
            if key in (media["hashed_id"], str(media["media_id"])):
                return media
        raise Refusal(404)

    @property
    def _catalogue(self) -> list[Row]:
        """The medias that were not deleted, a few dozen whatever the world's size."""
        cursor = self._world.cursor().execute("from medias where not is_deleted order by position")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _media_stats(self, request: Request) -> Response:
        media = self._find_media(request.path_params["key"])
        totals = self._totals.get(media["hashed_id"], Totals(0, 0, 0.0, 0.0, 0, 0, 0))
        plays = totals.play_count
        # Of those who load a page and play nothing, a visitor loads it three times in the mean.
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
        """The deleted media's plays are still the account's."""
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
        media = self._find_media(request.path_params["key"])
        return JSONResponse(self._by_date(request, [media["hashed_id"]]))

    def _by_date(self, request: Request, hashed_ids: Iterable[str]) -> list[Row]:
        """A row for each day of the asked ones, both included, also where nothing happened.

        Live hours were seen to be a media's plays times a constant; so are these.
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
        """The heat map: the sessions that covered each cell, and those of them that were a repetition."""
        media = self._find_media(request.path_params["key"])
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
        """How many of a kind came to each of a media's cells."""
        ended = self._covered.get((hashed_id, kind), {})
        return list(accumulate(ended.get(cells, 0) for cells in range(count, 0, -1)))[::-1]

    @cached_property
    def _covered(self) -> dict[tuple[str, str], dict[int, int]]:
        covered: dict[tuple[str, str], dict[int, int]] = {}
        for hashed_id, kind, cells, count in self._world.sql(CELLS_COVERED):
            covered.setdefault((hashed_id, kind), {})[cells] = count
        return covered

    def _spelled(self, srt: str, media: Row) -> str:
        """The same captions as people upload them: in a rough account each media in a spelling of its own."""
        if "rough" not in self._world.anomalies:
            return srt
        spellings = (
            as_webvtt,
            without_milliseconds,
            with_lone_returns,
            with_single_arrows,
            without_gaps,
            styled,
        )
        return spellings[media["media_no"] % len(spellings)](srt.replace("\r\n", "\n"))

    def _captions(self, request: Request) -> Response:
        """What is said in a media, by language; the last of each project has none."""
        media = self._find_media(request.path_params["key"])
        languages = {"eng": ("English", "English")}
        if media["media_no"] % 8 == 1:
            languages |= {"deu": ("German", "Deutsch")}
        if media["media_no"] % 4 == 3 and media["type"] == "Video":
            languages = {}
        return JSONResponse(
            [
                {
                    "english_name": english_name,
                    "native_name": native_name,
                    "language": language,
                    "text": self._spelled(subtitles(media), media),
                    "is_draft": False,
                    "id": f"{media['hashed_id'][::-1]}{language}",
                }
                for language, (english_name, native_name) in languages.items()
            ]
        )

    def _customizations(self, request: Request) -> Response:
        """What somebody set for a media's player, every value as text; of the last of each project nothing.

        A form asks for an address before the media or in it, a call to action lies in it or follows it;
        without a `time` the form comes before, the call at the end.
        """
        media = self._find_media(request.path_params["key"])
        number, duration = media["media_no"], media["duration_seconds"]
        if number % 4 == 3:
            return JSONResponse({})
        link, text = call_to_action(media)
        post_roll = {"text": text, "link": link, "ctaType": "text", "autoSize": "true", "on": "true"}
        post_roll |= ({"time": "end"}, {"time": f"{duration * 0.5:.1f}"}, {})[number % 3]
        form = {"topText": ASKS_FOR_ADDRESS, "on": "true"}
        form |= ({}, {"time": f"{duration * 0.3:.0f}"})[number % 2]
        return JSONResponse(
            {
                "playerColor": "2f6f4f",
                "autoPlay": "false",
                "playbar": "true",
                "email": "",
                "plugin": {
                    "postRoll-v1": post_roll,
                    "requireEmail-v1": form,
                    "captions-v1": {"on": "true", "onByDefault": "false"},
                },
            }
        )

    @cached_property
    def _totals(self) -> dict[str, Totals]:
        return {hashed_id: Totals(*totals) for hashed_id, *totals in self._world.sql(MEDIA_TOTALS)}

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
        """From which position on, and up to which, the sessions of each UTC day lie."""
        rows = self._world.sql(
            "select received_at::date, min(position), max(position) + 1 from viewing_sessions group by all"
        )
        return {day: (low, high) for day, low, high in rows}

    def _span(self, first: date | None, last: date | None) -> tuple[int, int]:
        """The positions of the sessions of some days, both included, as far back as Wistia remembers."""
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
        """The asked page of what lies in `span` and fits `conditions`; without any, it is a range itself."""
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


def is_modern(request: Request) -> bool:
    return "/modern/" in request.scope["path"]


def release_of(request: Request) -> str:
    """The release of the modern track that answers: the newest not after the month that was asked for.

    Raises Refusal (400) for what is no month, and for one before them all.
    """
    asked = request.headers.get("x-wistia-api-version", RELEASES[-1])
    released = [release for release in RELEASES if release <= asked]
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", asked) or not released:
        raise Refusal(400, f"X-Wistia-API-Version must be a month like {RELEASES[-1]}, from {RELEASES[0]} on")
    return released[-1]


def listing(
    request: Request,
    rows: Sequence[Row],
    sorts: Mapping[str, str],
    usual: str,
    describe: Callable[[Row, Request], Row],
) -> Response:
    """The asked page of a catalogue: by number, or after a cursor where one is asked for."""
    asked = request.query_params
    column = sorts.get(asked["sort_by"]) if "sort_by" in asked else usual
    if column is None:
        raise Refusal(400, f"sort_by must be one of {', '.join(sorts)}")
    rows = sorted(rows, key=lambda row: row[column], reverse=asked.get("sort_direction") == "0")
    start, count = page_of(request)
    after = asked.get("cursor[after]")
    has_cursor = after is not None or asked.get("cursor[enabled]") == "1"
    if after is not None:
        cursors = [cursor_of(row) for row in rows]
        if after not in cursors:
            raise Refusal(400, "The cursor is not valid.")
        start = cursors.index(after) + 1
    return JSONResponse(
        [
            describe(row, request) | ({"cursor": cursor_of(row)} if has_cursor else {})
            for row in rows[start : start + count]
        ]
    )


def unauthorized(code: str, text: str) -> Response:
    return JSONResponse({"code": code, "error": text}, 401)


def page_of(request: Request) -> tuple[int, int]:
    """Where the asked page starts, and how many rows it has at most; a page fault moves or empties it."""
    page, count = whole_number(request, "page", 1), whole_number(request, "per_page", USUAL_ROWS)
    count = min(count, MOST_ROWS)
    match request.state.page_fault:
        case "empty":
            return (page - 1) * count, 0
        case "repeat":
            page = max(1, page - 1)
        case "again" | "skip" as moved if page > 1:
            return (page - 1) * count + (1 if moved == "skip" else -1), count
    return (page - 1) * count, count


def whole_number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise Refusal(400, f"{name} must be a whole number above 0")
    return int(text)


def day_of(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise Refusal(422, f"{name} must be a date like 2026-01-31") from None


def described(media: Row, request: Request) -> Row:
    """A media as its track shows it; v1 spells a project's hashed id in both of the ways that were seen."""
    hashed_id, is_v1 = media["hashed_id"], not is_modern(request)
    group = {"id": media["project_id"], "name": media["project_name"]}
    if is_v1:
        spelling = "hashedId" if media["media_id"] % 2 else "hashed_id"
        groups = {"project": group | {spelling: media["project_hashed_id"]}}
    else:
        groups = {"folder": group | {"hashed_id": media["project_hashed_id"]}}
    size, kind = ("fileSize", "contentType") if is_v1 else ("file_size", "content_type")
    is_audio = media["type"] == "Audio"
    return {
        "id": media["media_id"],
        "name": media["name_as_served"],
        "type": media["type"],
        "archived": False,
        "created": media["created_at"].isoformat(timespec="seconds"),
        "updated": media["updated_at"].isoformat(timespec="seconds"),
        "duration": media["duration_as_served"],
        "hashed_id": hashed_id,
        "description": f"<p>All about {media['topic']}.</p>",
        "progress": 1.0,
        "status": "ready",
        "thumbnail": {"url": f"https://embed.wistia.com/{hashed_id}.jpg", "width": 200, "height": 120},
        **(groups if media["has_project"] else dict.fromkeys(groups)),
        "assets": [
            {
                "url": f"https://embed.wistia.com/{hashed_id}.bin",
                "width": None if is_audio else 1280,
                "height": None if is_audio else 720,
                size: int(media["duration_seconds"] * 125_000),
                kind: "audio/mpeg" if is_audio else "video/mp4",
                "type": "Mp3AudioFile" if is_audio else "HdMp4VideoFile",
            }
        ],
        "tags": [{"name": media["topic"]}],
    }


def described_group(group: Row, request: Request) -> Row:
    """A project of v1, or the same as a folder."""
    named = {
        "media_count": group["media_count"],
        "hashed_id": group["hashed_id"],
        "public_id": None,
        "anonymous_can_upload": False,
        "anonymous_can_download": False,
    }
    if is_modern(request):
        address = f"https://api.wistia.com/modern/medias?folder_id={group['hashed_id']}"
        named |= {"kind": "shared", "personal_library": False, "medias": {"url": address}}
    else:
        named = {re.sub("_(.)", lambda found: found[1].upper(), name): value for name, value in named.items()}
    return {
        "id": group["project_id"],
        "name": group["name"],
        "description": None,
        "created": group["created_at"].isoformat(timespec="seconds"),
        "updated": group["updated_at"].isoformat(timespec="seconds"),
        "public": False,
        **named,
    }


def call_to_action(media: Row) -> tuple[str, str]:
    """Where a media's call to action leads, and what it says."""
    return f"https://shop.example/{media['topic']}", f"Get the {media['topic']} kit"


def subtitles(media: Row) -> str:
    """A media's captions in the SRT format; the one at the tedious place says so."""
    duration = media["duration_seconds"]
    tedious = math.floor((media["tedious_share"] or 2) * duration / CUE_SECONDS)
    cues = []
    for cue in range(math.ceil(duration / CUE_SECONDS)):
        text = TEDIOUS_CUE if cue == tedious else CUES[cue % len(CUES)].format(topic=media["topic"])
        times = (srt_time(seconds) for seconds in (cue * CUE_SECONDS, min((cue + 1) * CUE_SECONDS, duration)))
        cues.append(f"{cue + 1}\r\n{' --> '.join(times)}\r\n{text}\r\n")
    return "\r\n".join(cues)


def as_webvtt(srt: str) -> str:
    return "WEBVTT\n\nNOTE made by hand\n\n" + re.sub(
        r"(?m)^\d+\n|(?<=\d),(?=\d{3}\b)|\b00:(?=\d\d:\d\d,)", _dotted, srt
    )


def _dotted(found: re.Match[str]) -> str:
    return "." if found[0] == "," else ""


def without_milliseconds(srt: str) -> str:
    return re.sub(r",\d{3}\b", "", srt)


def with_lone_returns(srt: str) -> str:
    return srt.replace("\n", "\r")


def with_single_arrows(srt: str) -> str:
    return srt.replace(" --> ", "\t->\t")


def without_gaps(srt: str) -> str:
    return srt.replace("\n\n", "\n")


def styled(srt: str) -> str:
    """With tags and a position, a line of one blank between cues, and an empty line after the times."""
    return re.sub(r"(?m)^(.* --> .*)\n(.*)$", r"\1\n\n{\\an8}<i>\2</i>", srt).replace("\n\n", "\n \n")


def srt_time(seconds: float) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{milliseconds:03}"


def cursor_of(row: Row) -> str:
    return urlsafe_b64encode(row["hashed_id"].encode()).decode()

"""People who get no mail, the reasons, and the groups that can be left."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request

from sandbox.sendgrid.requests import LAST_SECOND, Refusal, Served, moved_start, rows_of, whole_number
from sandbox.world import World

MOST_SUPPRESSIONS: Final = 500
INVALID_DAYS: Final = 30  # the vendor forgets older invalid addresses

# Columns of each list of suppressions; status is empty if the other server gave none.
SUPPRESSIONS: Final = {
    "bounces": ("bounce", "created, email, reason, status"),
    "blocks": ("block", "created, email, reason, status"),
    "spam_reports": ("spam_report", "created, email, '192.0.2.25' as ip"),
    "invalid_emails": ("invalid_email", "created, email, reason"),
    "unsubscribes": ("unsubscribe", "created, email"),
}


class Suppressions:
    """Endpoints of suppressions and of unsubscribe groups."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.routes: Sequence[Served] = [
            ("/v3/suppression/{kind}", self._list_suppressions),
            ("/v3/asm/groups", self._list_unsubscribe_groups),
            ("/v3/asm/suppressions", self._list_group_suppressions),
        ]

    def _list_suppressions(self, request: Request) -> Any:
        if request.path_params["kind"] not in SUPPRESSIONS:
            raise Refusal(404)
        kind, columns = SUPPRESSIONS[request.path_params["kind"]]
        return rows_of(
            self._world,
            f"""
            select {columns.replace("created", "listed as created")}
            from sendgrid_suppressions
            where kind = $kind and listed between $start and $end and starts_with(email, $email)
                and (kind <> 'invalid_email' or listed >= until() - 86400 * {INVALID_DAYS})
            order by position limit $limit offset $offset
            """,
            {
                "kind": kind,
                "start": whole_number(request, "start_time", 0, 0, LAST_SECOND),
                "end": whole_number(request, "end_time", LAST_SECOND, 0, LAST_SECOND),
                "email": request.query_params.get("email", ""),
                "limit": whole_number(request, "limit", MOST_SUPPRESSIONS, 1, MOST_SUPPRESSIONS),
                "offset": moved_start(request, whole_number(request, "offset", 0, 0, LAST_SECOND)),
            },
        )

    def _list_unsubscribe_groups(self, request: Request) -> Any:
        wanted = request.query_params.getlist("id")
        return rows_of(
            self._world,
            """
            select
                group_id as id, name, description, is_default,
                (select count(*) from sendgrid_suppressions as listed where listed.group_id = groups.group_id)
                    as unsubscribes
            from sendgrid_unsubscribe_groups as groups
            where len($wanted) = 0 or list_contains($wanted, group_id::varchar) order by position
            """,
            {"wanted": wanted},
        )

    def _list_group_suppressions(self, request: Request) -> Any:
        """Return everybody who left a group; its paging is undocumented, but connectors page it."""
        return rows_of(
            self._world,
            """
            select email, group_id, name as group_name, listed as created_at
            from sendgrid_suppressions as listed join sendgrid_unsubscribe_groups using (group_id)
            order by listed.position limit ? offset ?
            """,
            [
                whole_number(request, "limit", LAST_SECOND, 1, LAST_SECOND),
                moved_start(request, whole_number(request, "offset", 0, 0, LAST_SECOND)),
            ],
        )

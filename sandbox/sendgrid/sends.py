"""Single sends, automations and their results."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request

from sandbox.sendgrid.requests import (
    MOST_IDS,
    Refusal,
    Served,
    day_of,
    grouping_of,
    metadata_of,
    names_in,
    page_of,
    results_of,
    rows_of,
    wrong,
)
from sandbox.sendgrid.sums import SEND_METRICS, figures_of
from sandbox.world import World

LINK: Final = (
    "concat('https://shop.example/', ['news', 'offers', 'films'][1 + link_position], '?utm_source=letter')"
)
MOST_STATS_ROWS: Final = 50  # 100 was allowed once; more than 50 is refused today


class Sends:
    """Endpoints of single sends."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.routes: Sequence[Served] = [
            ("/v3/marketing/singlesends", self._list_single_sends),
            ("/v3/marketing/singlesends/{id}", self._get_single_send),
            ("/v3/marketing/stats/singlesends", self._list_send_stats),
            ("/v3/marketing/stats/singlesends/{id}", self._get_send_stats),
            ("/v3/marketing/stats/singlesends/{id}/links", self._get_link_stats),
        ]

    def _list_single_sends(self, request: Request) -> Any:
        page = page_of(request, usual=100, most=100)
        rows = rows_of(
            self._world,
            """
            select
                single_send_id as id, name, status, categories, send_at, is_abtest, abtest::json as abtest,
                created_at, updated_at
            from single_sends where position >= ? and position < ? order by position
            """,
            [page.served_from, page.served_from + page.served],
        )
        ((count,),) = self._world.sql("select count(*) from single_sends")
        return {"result": rows, "_metadata": metadata_of(request, page, count)}

    def _get_single_send(self, request: Request) -> Any:
        rows = rows_of(
            self._world,
            """
            select single_send_id as id, name, status, categories, send_at, is_abtest, created_at, updated_at
            from single_sends where single_send_id = ?
            """,
            [request.path_params["id"]],
        )
        if not rows:
            raise Refusal(404)
        variations = rows_of(
            self._world,
            "select variation_id as id, subject, plain_content from single_send_variations"
            " where single_send_id = ? order by variation",
            [request.path_params["id"]],
        )
        first = variations[0] if variations else {"subject": rows[0]["name"], "plain_content": "…"}
        words = {name: first[name] for name in ("subject", "plain_content")} | {"html_content": "<p>…</p>"}
        return rows[0] | {
            "send_to": {"list_ids": [], "segment_ids": [], "all": True},
            "email_config": words | {"generate_plain_content": True, "editor": "code"},
            "warnings": [],
            # Undocumented. In live answers without a test it is null; the rest is inferred.
            "ab_test": {"variations": variations} if variations else None,
        }

    def _list_send_stats(self, request: Request) -> Any:
        page = page_of(request, usual=25, most=MOST_STATS_ROWS)
        ids = names_in(request.query_params.get("singlesend_ids"))
        if len(ids) > MOST_IDS:
            raise wrong("singlesend_ids", f"at most {MOST_IDS} ids")
        rows = rows_of(
            self._world,
            f"""
            select
                single_send_id as id, 'all' as ab_variation, 'all' as ab_phase, 'total' as aggregation,
                {figures_of(SEND_METRICS, "first_of_all")} as stats
            from single_sends left join sendgrid_sums using (send_no)
            where status = 'triggered' and (len($ids) = 0 or list_contains($ids, single_send_id))
            group by position, single_send_id order by position
            """,
            {"ids": ids},
        )
        return results_of(request, page, rows)

    def _send_no(self, request: Request) -> int:
        """Return the number of the single send in the path. Raises Refusal if there is none."""
        query = "select send_no from single_sends where single_send_id = ?"
        sends = self._world.sql(query, [request.path_params["id"]])
        if not sends:
            raise Refusal(404)
        return int(sends[0][0])

    def _get_send_stats(self, request: Request) -> Any:
        page = page_of(request, usual=25, most=MOST_STATS_ROWS)
        by, is_daily = grouping_of(request, {"ab_variation", "ab_phase"})
        send_no = self._send_no(request)
        variation, phase = "'all'", "'all'"
        if "ab_variation" in by:
            variation = "if(variation is null, 'all', uuid_of('variation', send_no, variation))"
        if "ab_phase" in by:
            phase = "coalesce(ab_phase, 'send')"
        rows = rows_of(
            self._world,
            f"""
            select
                $id as id,
                {variation} as ab_variation,
                {phase} as ab_phase,
                {"day::varchar" if is_daily else "'total'"} as aggregation,
                {figures_of(SEND_METRICS, "first_of_day" if is_daily else "first_of_all")} as stats
            from sendgrid_sums
            where send_no = $send_no and day between $first and $last
            group by all order by aggregation, ab_variation, ab_phase
            """,
            {
                "id": request.path_params["id"],
                "send_no": send_no,
                "first": day_of(request, "start_date", self._world.since),
                "last": day_of(request, "end_date", self._world.as_of),
            },
        )
        return results_of(request, page, rows)

    def _get_link_stats(self, request: Request) -> Any:
        page = page_of(request, usual=25, most=MOST_STATS_ROWS)
        by, _ = grouping_of(request, {"ab_variation", "ab_phase"})
        send_no = self._send_no(request)
        rows = rows_of(
            self._world,
            f"""
            select
                {LINK} as url, link_position as url_location,
                {"coalesce(ab_variation, 'all')" if "ab_variation" in by else "'all'"} as ab_variation,
                {"coalesce(ab_phase, 'send')" if "ab_phase" in by else "'all'"} as ab_phase,
                count(*) as clicks
            from email_activity
            where send_no = ? and kind = 'click'
            group by all order by url_location, ab_variation, ab_phase
            """,
            [send_no],
        )
        return results_of(request, page, rows) | {"total_clicks": sum(row["clicks"] for row in rows)}


class Automations:
    """Endpoints of the statistics of automations."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.routes: Sequence[Served] = [
            ("/v3/marketing/stats/automations", self._list_automation_stats),
            ("/v3/marketing/stats/automations/{id}", self._get_automation_stats),
        ]

    def _list_automation_stats(self, request: Request) -> Any:
        page = page_of(request, usual=25, most=MOST_STATS_ROWS)
        ids = names_in(request.query_params.get("automation_ids"))
        if len(ids) > MOST_IDS:
            raise wrong("automation_ids", f"at most {MOST_IDS} ids")
        rows = self._automations("len($ids) = 0 or list_contains($ids, automation_id)", {"ids": ids})
        return results_of(request, page, rows)

    def _get_automation_stats(self, request: Request) -> Any:
        page = page_of(request, usual=25, most=MOST_STATS_ROWS)
        by, is_daily = grouping_of(request, {"step_id"})
        id_ = request.path_params["id"]
        if not self._world.sql("select 1 from automation_activity where automation_id = ? limit 1", [id_]):
            raise Refusal(404)
        rows = self._automations(
            "automation_id = $id and happened_at::date between $first and $last"
            " and (len($steps) = 0 or list_contains($steps, step_id))",
            {
                "id": id_,
                "first": day_of(request, "start_date", self._world.since),
                "last": day_of(request, "end_date", self._world.as_of),
                "steps": names_in(request.query_params.get("step_ids")),
            },
            step="step_id" if by else "'all'",
            aggregation="happened_at::date::varchar" if is_daily else "'total'",
        )
        return results_of(request, page, rows)

    def _automations(
        self, condition: str, params: dict[str, Any], step: str = "'all'", aggregation: str = "'total'"
    ) -> list[dict[str, Any]]:
        """Return the results of the automations' mail; a mail opened twice is one unique open."""
        figures = figures_of(SEND_METRICS, "is_first::integer")
        return rows_of(
            self._world,
            f"""
            with told as (
                select
                    automation_id, {step} as step_id, {aggregation} as aggregation, kind, 1 as all_times,
                    row_number() over (
                        partition by message_id, kind, {aggregation} order by happened_at
                    ) = 1 as is_first
                from automation_activity where {condition}
            )
            select automation_id as id, aggregation, step_id, {figures} as stats
            from told group by all order by id, aggregation, step_id
            """,
            params,
        )

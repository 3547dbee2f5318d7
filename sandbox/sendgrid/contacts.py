"""Contacts, their lists, segments and fields, and the exports of them."""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sandbox.sendgrid.exports import Export, Exports
from sandbox.sendgrid.requests import (
    STORAGE,
    Refusal,
    Served,
    errors_response,
    json_response,
    metadata_of,
    page_of,
    refused_by_storage,
    rows_of,
    time_text,
    usual_errors,
)
from sandbox.world import World

EXPORTS: Final = "/v3/marketing/contacts/exports"
MOST_LISTS: Final = 1000

RESERVED_FIELDS: Final = {
    "Text": "first_name last_name email address_line_1 address_line_2 city state_province_region postal_code "
    "country phone_number unique_name contact_id",
    "Date": "last_clicked last_opened last_emailed created_at updated_at",
}
READ_ONLY: Final = "last_clicked last_opened last_emailed created_at updated_at contact_id"
CUSTOM_FIELDS: Final = ("custom_role", "custom_industry", "signup_source")


class Contacts:
    """Endpoints of contacts, their lists, segments and fields, and of exports."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._exports = Exports(world)
        self.routes: Sequence[Served] = [
            ("/v3/marketing/lists", self._list_lists),
            ("/v3/marketing/segments/2.0", self._list_segments),
            ("/v3/marketing/field_definitions", self._list_fields),
            ("/v3/marketing/contacts/count", self._count_contacts),
            (EXPORTS, self._list_exports),
            (EXPORTS + "/{id}", self._get_export),
        ]

    def _list_lists(self, request: Request) -> Any:
        page = page_of(request, usual=100, most=MOST_LISTS)
        rows = rows_of(
            self._world,
            """
            select
                list_id as id, name,
                (select count(*) from sendgrid_contacts where list_contains(list_ids, list_id))
                    as contact_count
            from sendgrid_lists order by position
            """,
            [],
        )
        for row in rows:
            row["_metadata"] = {"self": f"{request.url.replace(query='')}/{row['id']}"}
        served = rows[page.served_from : page.served_from + page.served]
        return {"result": served, "_metadata": metadata_of(request, page, len(rows))}

    def _list_segments(self, request: Request) -> Any:
        """Return every segment in one reply, whatever the page, in an envelope unlike the specification."""
        rows = rows_of(
            self._world,
            """
            select
                segment_id as id, name,
                (select count(*) from sendgrid_contacts where list_contains(segment_ids, segment_id))
                    as contacts_count,
                created_at, updated_at, updated_at as sample_updated_at,
                updated_at + interval 1 hour as next_sample_update,
                parent_list_ids, '2' as query_version, {'query_validation': 'VALID'}::json as status
            from sendgrid_segments order by position
            """,
            [],
        )
        return {"results": rows, "_metadata": {"self": str(request.url)}}

    def _list_fields(self, request: Request) -> Any:
        reserved = [(kind, name) for kind, names in RESERVED_FIELDS.items() for name in names.split()]
        return {
            "custom_fields": [
                {"id": f"e{n}_T", "name": name, "field_type": "Text"}
                for n, name in enumerate(CUSTOM_FIELDS, 1)
            ],
            "reserved_fields": [
                {"id": f"_rf{n}_{kind[0]}", "name": name, "field_type": kind}
                | ({"read_only": True} if name in READ_ONLY.split() else {})
                for n, (kind, name) in enumerate(reserved)
            ],
            "_metadata": {"self": str(request.url)},
        }

    def _count_contacts(self, _: Request) -> Any:
        ((count,),) = self._world.sql("select count(*) from sendgrid_contacts")
        return {"contact_count": count, "billable_count": count}

    async def begin_export(self, request: Request) -> Response:
        body = orjson.loads(await request.body() or b"{}")
        file_type = body.get("file_type", "csv")
        if file_type not in ("csv", "json"):
            return errors_response(400, "file_type", "file_type: must be csv or json")
        job = self._exports.begin(file_type, body.get("list_ids", []), body.get("segment_ids", []))
        if job is None:
            return usual_errors(429)
        return json_response({"id": job.id, "_metadata": {"self": f"{request.url}/{job.id}"}}, 202)

    def _list_exports(self, request: Request) -> Any:
        """Return every job; unlike elsewhere in the API, nested lists and segments have capitalized keys."""
        names = dict(
            self._world.sql(
                "select list_id, name from sendgrid_lists"
                " union all select segment_id, name from sendgrid_segments"
            )
        )

        def named(ids: Sequence[str]) -> list[dict[str, str]]:
            return [{"ID": id_, "Name": names[id_]} for id_ in ids if id_ in names]

        kinds = {(False, False): "contacts_export", (True, False): "list_export"}
        rows = [
            self._told(request, job)
            | {
                "export_type": kinds.get((bool(job.list_ids), bool(job.segment_ids)), "segment_export"),
                "lists": named(job.list_ids),
                "segments": named(job.segment_ids),
            }
            for job in self._exports.all()
        ]
        return {"result": rows, "_metadata": {"self": str(request.url)}}

    def _get_export(self, request: Request) -> Any:
        job = self._exports.get(request.path_params["id"])
        if job is None:
            raise Refusal(404)
        told = self._told(request, job)
        if job.is_ready:
            told |= {"contact_count": job.contact_count}
        return told | {"updated_at": time_text(job.begun), "_metadata": {"self": str(request.url)}}

    def _told(self, request: Request, job: Export) -> dict[str, Any]:
        """Return the fields common to both answers about a job; links to its files only once they exist."""
        told = {
            "id": job.id,
            "status": "pending",
            "created_at": time_text(job.begun),
            "expires_at": time_text(job.expires),
        }
        if not job.is_ready:
            return told
        storage = str(request.base_url).rstrip("/") + STORAGE
        links = [f"{storage}/{link}" for link in self._exports.links(job)]
        return told | {"status": "ready", "completed_at": time_text(job.completed), "urls": links}

    def get_file(self, request: Request) -> Response:
        content = self._exports.file(
            request.path_params["id"],
            request.path_params["number"],
            request.query_params.get("signature", ""),
        )
        return (
            refused_by_storage(403)
            if content is None
            else Response(content, media_type="binary/octet-stream")
        )

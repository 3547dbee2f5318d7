"""The workspaces of an account."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.mavera.account import WORKSPACES, Account
from sandbox.mavera.requests import Refusal, Row, Served, page_by_cursor


class Workspaces:
    """Endpoints of workspaces."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.routes: Sequence[Served] = [
            Served("GET", "/workspaces", self._list),
            Served("GET", "/workspaces/{id}", self._get),
        ]

    async def _list(self, request: Request) -> Response:
        return JSONResponse(page_by_cursor(request, [self._workspace(*row) for row in WORKSPACES]))

    async def _get(self, request: Request) -> Response:
        for workspace in WORKSPACES:
            if workspace.workspace_id == request.path_params["id"]:
                return JSONResponse(self._workspace(*workspace))
        raise Refusal(404)

    def _workspace(self, workspace_id: str, name: str, usage_limit: int | None) -> Row:
        return {
            "id": workspace_id,
            "object": "workspace",
            "name": name,
            "image": None,
            "type": "enterprise",
            "role": "owner",
            "is_owner": True,
            "member_count": 1,
            "project_count": 0,
            "thread_count": self._count_threads(workspace_id),
            "budget_alert": None,
            "usage_limit": usage_limit,
            "billing_email": None,
            "created_at": "2025-01-01T00:00:00.000Z",
            "updated_at": "2025-01-01T00:00:00.000Z",
        }

    def _count_threads(self, workspace_id: str | None) -> int:
        ((count,),) = self._account.query(
            """
            select count(*) from objects
            where kind = 'thread' and coalesce(body ->> 'workspace_id' = ?, true)
            """,
            workspace_id,
        )
        return int(count)

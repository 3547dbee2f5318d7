"""The catalog of an account: its medias and their projects, or folders."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.wistia.requests import MODERN, V1, Refusal, Row, Served, is_modern, listing
from sandbox.world import World

# The reference's list of values omits `id`; its text does not, and live users send it.
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


class Catalogue:
    """Endpoints of the account, its medias and their projects, or folders."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.routes: Sequence[Served] = [
            Served("/account", self._account),
            Served("/medias", self._medias),
            Served("/medias/{key}", self._media),
            Served("/projects", self._projects, V1),
            Served("/projects/{key}", self._project, V1),
            Served("/folders", self._projects, MODERN),
            Served("/folders/{key}", self._project, MODERN),
        ]

    def _account(self, request: Request) -> Response:  # noqa: ARG002
        medias = self.medias
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
        """Return all medias except the deleted one."""
        asked = request.query_params
        rows = self.medias
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
        """Return the projects, or folders, of the medias; as old and as new as these are."""
        groups: dict[int, list[Row]] = {}
        for media in self.medias:
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
        return JSONResponse(described(self.find(request.path_params["key"]), request))

    def find(self, key: str) -> Row:
        """Return a media by its hashed id or its number; raises Refusal (404) for the deleted one too."""
        for media in self.medias:
            if key in (media["hashed_id"], str(media["media_id"])):
                return media
        raise Refusal(404)

    @property
    def medias(self) -> list[Row]:
        """Return the medias that were not deleted, a few dozen whatever the world's size."""
        cursor = self._world.cursor().execute("from medias where not is_deleted order by position")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def described(media: Row, request: Request) -> Row:
    """Return a media as its track shows it; v1 spells a project's hashed id in both of the known ways."""
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
    """Return a project of v1, or the same as a folder."""
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

"""Files and the storage that keeps them, a separate host at Mavera."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.mavera.account import Account, require_workspace
from sandbox.mavera.requests import Row, Served, body_of, invalid, iso, missing, names, new_id

FILE_FIELDS: Final = {
    "/files/upload-url": (names("file_name file_type file_size workspace_id"), names("checksum folder_id")),
    "/files": (names("name type url workspace_id file_size"), names("folder_id metadata")),
}
FILE_BYTES: Final = 10 * 2**20
VIDEO_BYTES: Final = 2 * 2**30
UPLOAD_SECONDS: Final = 3_600
STORAGE: Final = "/storage"  # a separate host at Mavera: it knows no keys, and refuses a request with one


class Files:
    """Endpoints of files: request a place, upload to the storage, then register."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.routes: Sequence[Served] = [
            Served("POST", "/files/upload-url", self._create_upload),
            Served("PUT", f"{STORAGE}/{{key:path}}", self._put_upload, below=""),
            Served("GET", f"{STORAGE}/{{key:path}}", self._get_upload, below=""),
            Served("POST", "/files", self._create),
        ]

    async def _create_upload(self, request: Request) -> Response:
        """Return where to upload a file, and the URL from which anybody can read it."""
        fields = self._fields("/files/upload-url", await body_of(request))
        check_size("file_size", fields["file_size"], fields["file_type"])
        if "/" in fields["file_name"]:
            raise invalid("file_name", "must not hold a slash")
        if not re.fullmatch(r"[0-9a-f]{64}", fields.get("checksum") or "0" * 64):
            raise invalid("checksum", "must be a SHA-256 in hexadecimal digits")
        key = f"{fields['workspace_id']}/{secrets.token_hex(12)}/{fields['file_name']}"
        signature, expires = secrets.token_hex(16), self._account.now() + timedelta(seconds=UPLOAD_SECONDS)
        described = (fields["file_type"], fields["file_size"], fields.get("checksum"))
        with self._account.state:
            self._account.state.execute(
                "insert into uploads values (?, ?, ?, ?, ?, ?, null)",
                (key, signature, *described, iso(expires)),
            )
        public_url = f"{str(request.base_url).rstrip('/')}{STORAGE}/{quote(key)}"
        return JSONResponse(
            {
                "upload_url": f"{public_url}?signature={signature}",
                "public_url": public_url,
                "key": key,
                "expires_in": UPLOAD_SECONDS,
                "method": "PUT",
                "headers": {"Content-Type": fields["file_type"]},
                "next_step": "PUT the bytes to upload_url, then POST /files with url = public_url.",
            }
        )

    async def _put_upload(self, request: Request) -> Response:
        key, content = request.path_params["key"], await request.body()
        signature = request.query_params.get("signature", "")
        found = self._account.query(
            "select file_type, file_size, checksum, expires_at from uploads where key = ? and signature = ?",
            *(key, signature),
        )
        if not found or found[0][3] < iso(self._account.now()):
            return refused_by_storage(403)
        file_type, file_size, checksum, _ = found[0]
        if request.headers.get("content-type") != file_type:
            return refused_by_storage(403)  # the signature includes the type
        if len(content) != file_size or checksum not in {None, hashlib.sha256(content).hexdigest()}:
            return refused_by_storage(400)
        with self._account.state:
            self._account.state.execute("update uploads set content = ? where key = ?", (content, key))
        return Response(status_code=200)

    async def _get_upload(self, request: Request) -> Response:
        """Return the file to any client: that is the meaning of public."""
        content = self.uploaded(request.path_params["key"])
        return refused_by_storage(404) if content is None else Response(content)

    async def _create(self, request: Request) -> Response:
        fields = self._fields("/files", await body_of(request))
        content = self.uploaded(key_of(fields["url"]))
        if content is None:
            raise invalid("url", "is not the public_url of a file that was uploaded")
        if len(content) != fields["file_size"]:
            raise invalid("file_size", "is not that of the file that was uploaded")
        now = iso(self._account.now())
        record: Row = {"id": new_id("file"), "object": "file", "folder_id": None, "metadata": {}, **fields}
        record |= {"created_at": now, "updated_at": now}
        with self._account.state:
            self._account.save("file", record)
        return JSONResponse(record, 201)

    def _fields(self, path: str, sent: Row) -> Row:
        required, optional = FILE_FIELDS[path]
        fields = self._account.known(sent, required | optional)
        for field in sorted(required):
            if field not in fields:
                raise missing(field)
            if field != "file_size" and not (isinstance(fields[field], str) and fields[field].strip()):
                raise invalid(field, "must be a text")
        if type(fields["file_size"]) is not int or fields["file_size"] < 1:
            raise invalid("file_size", "must be a number of bytes")
        require_workspace(fields["workspace_id"])
        return fields

    def uploaded(self, key: str) -> bytes | None:
        rows = self._account.query("select content from uploads where key = ?", key)
        return rows[0][0] if rows else None


def is_storage(request: Request) -> bool:
    return request.url.path.startswith(f"{request.scope.get('root_path', '')}{STORAGE}/")


def refused_by_storage(status: int) -> Response:
    """Return a refusal in the words of the file storage, which differ from Mavera's."""
    codes = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchKey"}
    return Response(f"<Error><Code>{codes[status]}</Code></Error>", status, media_type="application/xml")


def key_of(url: str) -> str:
    """Return the key of the uploaded file behind a public URL."""
    return unquote(urlsplit(url).path.partition(f"{STORAGE}/")[2])


def check_size(field: str, size: int, file_type: str) -> None:
    most = VIDEO_BYTES if file_type.startswith("video/") else FILE_BYTES
    if size > most:
        raise invalid(field, f"must be at most {most:,} bytes")

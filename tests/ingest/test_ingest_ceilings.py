"""A vendor that sends endlessly, slowly, too deeply nested, or links to this network, is refused."""

import gzip
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from common.pace import Pace, reset_in
from ingest.ceilings import DEEPEST_NESTING, MEGABYTE, Ceilings, TooMuchError, check_depth, check_link
from ingest.errors import SourceError
from ingest.http import Client, Tally, Vendor
from ingest.paging import Whole
from ingest.typed import Column, Table

TABLE = Table("raw_acme", "things", ("id",), [Column("id", "text")])
VENDOR = "https://api.acme.example/v9"
pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")
Send = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Send], str]]:
    """Give a function that serves answers written by hand and returns the server's address."""
    servers: list[ThreadingHTTPServer] = []

    def start(send: Send) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    send(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/v9"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def client(url: str, **ceilings: float) -> Client:
    vendor = Vendor(url, "Bearer secret", is_near=True)
    vendor.ceilings = Ceilings(**ceilings)  # type: ignore[arg-type]
    return Client(vendor, datetime.now(UTC))


def read(url: str, **ceilings: float) -> list[str]:
    pages = client(url, **ceilings).pages("things", TABLE, Whole())
    return [id_ for page in pages for id_ in page.column("id").to_pylist()]


def packed(plain_bytes: int) -> bytes:
    return gzip.compress(b'[{"id": "' + b"a" * plain_bytes + b'"}]')


def answering(body: bytes, **headers: str) -> Send:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


def test_a_small_packed_answer_that_unpacks_to_very_much_is_refused_and_fills_no_memory(
    serve: Callable[[Send], str],
) -> None:
    url = serve(answering(packed(300 * MEGABYTE), Content_Encoding="gzip"))
    tracemalloc.start()
    with pytest.raises(SourceError, match=r"is larger than 5 MB \(LARGEST_ANSWER_MB\)"):
        read(url, answer_bytes=5 * MEGABYTE)
    assert tracemalloc.get_traced_memory()[1] < 30 * MEGABYTE
    tracemalloc.stop()


def test_an_error_without_end_is_refused_as_well(serve: Callable[[Send], str]) -> None:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(404)
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * MEGABYTE)

    with pytest.raises(SourceError, match="LARGEST_ANSWER_MB"):
        read(serve(send), answer_bytes=5 * MEGABYTE)


@pytest.mark.parametrize("is_chunked", [True, False])
def test_an_answer_that_drips_ends_at_the_time_allowed(
    serve: Callable[[Send], str], is_chunked: bool
) -> None:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        name, value = ("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", "1000000")
        handler.send_header(name, value)
        handler.end_headers()
        while True:
            handler.wfile.write(b"1\r\n \r\n" if is_chunked else b" ")
            handler.wfile.flush()
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(SourceError, match="LONGEST_REQUEST_SECONDS"):
        read(serve(send), seconds=1)
    assert time.monotonic() - started < 10


def test_what_is_within_the_ceilings_is_read_packed_or_not(serve: Callable[[Send], str]) -> None:
    assert read(serve(answering(gzip.compress(b'[{"id": "a"}]'), Content_Encoding="gzip"))) == ["a"]
    assert read(serve(answering(b'[{"id": "a"}]')), answer_bytes=13, seconds=30) == ["a"]


@pytest.mark.parametrize("level", [b"[%s]", b'{"a":%s}', b'[{"a":[%s]}]'])
def test_json_is_nested_so_deep_and_no_deeper(level: bytes) -> None:
    def nested(times: int) -> bytes:
        body = b"1"
        for _ in range(times):
            body = level % body
        return body

    each = level.count(b"[") + level.count(b"{")
    check_depth(nested(DEEPEST_NESTING // each))
    with pytest.raises(TooMuchError, match="nested deeper"):
        check_depth(nested(DEEPEST_NESTING // each + 1))


def test_brackets_within_texts_are_no_depth() -> None:
    check_depth(b'{"a": "' + b"[" * 10_000 + b'", "b": "\\"' + b"{" * 10_000 + b'"}')


def test_an_answer_nested_too_deep_is_refused(serve: Callable[[Send], str]) -> None:
    body = b'[{"id": "a", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}]"
    with pytest.raises(SourceError, match="nested deeper"):
        read(serve(answering(body)))


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("http://files.example/x", "not https"),
        ("ftp://files.example/x", "not https"),
        ("file:///etc/passwd", "not https"),
        ("//files.example/x", "not https"),
        ("https://user:secret@files.example/x", "names a user"),
        ("https://127.0.0.1/x", "private network"),
        ("https://2130706433/x", "private network"),
        ("https://0x7f.0.0.1/x", "private network"),
        ("https://127.1/x", "private network"),
        ("https://[::1]/x", "private network"),
        ("https://[::ffff:10.1.2.3]/x", "private network"),
        ("https://[fd00::1]/x", "private network"),
        ("https://10.1.2.3/x", "private network"),
        ("https://169.254.169.254/latest", "private network"),
        ("https://localhost/x", "private network"),
        ("https://LOCALHOST./x", "private network"),
        ("https://metadata.google.internal/x", "private network"),
        ("https://files.example:port/x", "no address"),
    ],
)
def test_a_link_to_a_file_leads_to_no_place_that_the_vendor_could_not_reach(link: str, reason: str) -> None:
    with pytest.raises(TooMuchError, match=reason):
        check_link(link, VENDOR)


def test_a_link_to_storage_is_followed_and_one_to_this_machine_where_the_vendor_is_here() -> None:
    check_link("https://bucket.s3.example.com/x?signature=1", VENDOR)
    check_link("http://127.0.0.1:8790/x", "http://127.0.0.1:8790/sendgrid/v3")


def test_a_refused_link_is_never_asked(serve: Callable[[Send], str]) -> None:
    asked: list[str] = []

    def send(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        answering(b"id\na\n")(handler)

    inside = serve(send)
    with pytest.raises(SourceError, match="not fetched: the link to its file is not https"):
        Vendor(VENDOR, "Bearer secret").fetch(inside, lambda _: [], Tally())
    assert asked == []


def test_a_file_that_unpacks_to_very_much_is_refused(serve: Callable[[Send], str]) -> None:
    url = serve(answering(packed(50 * MEGABYTE), Content_Encoding="gzip"))
    with pytest.raises(SourceError, match="LARGEST_EXPORT_MB"):
        client(url, export_bytes=MEGABYTE).file(f"{url}/export.csv", TABLE)


def test_a_window_of_a_week_in_a_header_is_not_slept_out() -> None:
    pace = Pace()
    told = {"RateLimit-Limit": "2, 2;w=604800, 99999999999999999999;w=1", "RateLimit-Remaining": "1"}
    for _ in range(3):
        assert pace.turn("things").seconds <= 0
        pace.learn("things", told)


def test_when_to_come_back_is_understood_as_seconds_a_fraction_or_a_date() -> None:
    assert reset_in({"Retry-After": "2"}) == 2
    assert reset_in({"Retry-After": "0.25"}) == 0.25
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < (reset_in({"Retry-After": later}) or 0) <= 30
    assert reset_in({"Retry-After": "inf"}) is None
    assert reset_in({"Retry-After": "soon"}) is None

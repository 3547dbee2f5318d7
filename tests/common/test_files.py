"""File rights: only the owner reads personal data and money; published files follow the umask."""

import subprocess
import sys
from pathlib import Path

import pytest

from common import settings, terminal, warehouse

WRITER = """
import sys
from common import terminal, warehouse
from pathlib import Path
def command(prog_name=None):
    home = Path(sys.argv[1])
    (home / "data").mkdir()
    warehouse.connect(home / "data" / "w.duckdb", create=True).close()
    (home / "data" / "salt").write_text("x")
    with warehouse.beside(home / "shown" / "below" / "page.html", is_shared=True) as draft:
        draft.write_text("page")
    with warehouse.beside(home / "data" / "kept.json") as draft:
        draft.write_text("kept")
terminal.run(command, stopped="stopped")
"""


def rights(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.mark.parametrize(("umask", "file", "folder"), [("022", 0o644, 0o755), ("027", 0o640, 0o750)])
def test_what_is_published_follows_the_umask_and_all_else_is_its_owners_alone(
    tmp_path: Path, umask: str, file: int, folder: int
) -> None:
    command = f'umask {umask} && exec "$0" -c "$1" "$2"'
    subprocess.run(
        ["sh", "-c", command, sys.executable, WRITER, str(tmp_path)], cwd=settings.ROOT, check=True
    )
    for name in ("w.duckdb", "salt", "kept.json"):
        assert rights(tmp_path / "data" / name) == oct(0o600)
    assert rights(tmp_path / "data") == oct(0o700)
    assert rights(tmp_path / "shown" / "below" / "page.html") == oct(file)
    assert rights(tmp_path / "shown") == rights(tmp_path / "shown" / "below") == oct(folder)


def test_files_of_an_earlier_version_are_closed_to_others(tmp_path: Path) -> None:
    kept, closed = tmp_path / "ledger.sqlite", tmp_path / "salt"
    for path, mode in ((kept, 0o644), (closed, 0o600)):
        path.write_text("x", encoding="utf-8")
        path.chmod(mode)
    assert warehouse.open_to_others([kept, closed, tmp_path / "none"]) == [kept]
    warehouse.keep_private([kept, closed, tmp_path / "none"])
    assert warehouse.open_to_others([kept, closed]) == []


def test_every_file_with_people_or_money_is_among_the_private_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("WAREHOUSE", "PUBLISHED", "PIPELINES", "FORGOTTEN", "RUNS"):
        monkeypatch.delenv(f"{name}_PATH")
    monkeypatch.delenv("LEDGER_URL")
    ours = settings.Settings(_env_file=None)
    names = {path.name for path in ours.private_paths}
    assert names == {
        "warehouse.duckdb", "pipelines", "forgotten.json", "salt", "runs.jsonl", "ledger.sqlite", "data"
    }  # fmt: skip
    assert ours.published_path not in ours.private_paths
    assert not ours.published_path.is_relative_to(settings.ROOT / "data")


def test_the_copy_reaches_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "published.duckdb"
    warehouse.connect(path, create=True).close()
    (tmp_path / "secret.csv").write_text("a\n1\n", encoding="utf-8")
    with warehouse.read_copy(path) as connection:
        for statement in (
            f"from '{tmp_path / 'secret.csv'}'",
            f"attach '{tmp_path / 'other.duckdb'}'",
            f"copy (select 1) to '{tmp_path / 'out.csv'}'",
            "set enable_external_access = true",
        ):
            with pytest.raises(Exception, match=r"disabled|locked|cannot|Cannot"):
                connection.execute(statement)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["published.duckdb", "secret.csv"]


def test_a_text_is_quoted_for_sql_whatever_is_in_it() -> None:
    assert warehouse.quoted(Path("/home/o'brien/w.duckdb")) == "'/home/o''brien/w.duckdb'"


def test_terminal_gives_a_folder_back_the_rights_it_had(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir(mode=0o700)
    terminal.make_shared_folder(tmp_path / "own")
    assert rights(tmp_path / "own") == oct(0o700)

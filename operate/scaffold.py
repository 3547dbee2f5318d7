"""Write the files of a new job or a new vendor, with a TODO at each place to fill in.

`make new-job NAME=… KIND=…`, `make new-vendor NAME=…`. The result builds and passes every structural test
immediately. A new job is off, so that nothing is sent before somebody switches it on.
"""

from common import terminal  # isort: split

import re
from collections.abc import Mapping
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import jinja2
import typer

from activate.kinds import KINDS
from activate.records import JOBS
from common.settings import ROOT, Settings

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NAME_CHARACTERS: Final = 40
MODELS: Final = ROOT / "dbt_project" / "models"
VARS: Final = ROOT / "dbt_project" / "dbt_project.yml"
TABLE: Final = ROOT / "docs" / "jobs.md"
EXPOSURES: Final = re.compile(r"^exposures:\n(?:(?:[ #].*)?\n)+", re.MULTILINE)
# A job's lines are inserted after these: the last switch in the vars, the last row of the table of jobs.
SWITCHES: Final = re.compile(r"^ +jobs:\n(?: +(?:#|[\w-]+: \{enabled: ).*\n)+", re.MULTILINE)
ROWS: Final = re.compile(r"^## All jobs\n(?:.*\n)*?(?:\| `.*\n)+", re.MULTILINE)

README: Final = ROOT / "README.md"
VENDOR_CHARACTERS: Final = 20
VENDOR: Final = re.compile(rf"[a-z][a-z0-9]{{0,{VENDOR_CHARACTERS - 1}}}")
VENDORS: Final = ROOT / "ingest" / "vendors"
REGISTRY: Final = VENDORS / "__init__.py"
SETTINGS: Final = ROOT / "common" / "settings.py"
EXAMPLE: Final = ROOT / ".env.example"
# A vendor's lines are inserted after these.
KEYS: Final = re.compile(r"^(?:    \w+_api_(?:key|token): SecretStr.*\n)+", re.MULTILINE)
URLS: Final = re.compile(r"^(?:    \w+_base_url: BaseUrl.*\n)+", re.MULTILINE)
BEFORE_MONEY: Final = re.compile(r"\A(?:.*\n)*?(?=\n# --- Money )")
EXAMPLE_URLS: Final = re.compile(r"^(?:#\w+_BASE_URL=.*\n)+", re.MULTILINE)
VENDOR_ROWS: Final = re.compile(r"^\| Vendor \|.*\n(?:\|.*\n)+", re.MULTILINE)
VENDOR_IMPORTS: Final = re.compile(r"^(?:from ingest\.vendors\.\w+ import \w+\n)+", re.MULTILINE)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class ScaffoldError(Exception):
    """Nothing was written; the text says why."""


class Shown(NamedTuple):
    """Our word for a kind of object, the page of Mavera's app with it, and the mart of its results."""

    word: str
    page: str
    result: str


SHOWN: Final = {
    "personas": Shown("persona", "personas", "dim_personas"),
    "brand-voices": Shown("brand voice", "brand-voices", "dim_brand_voices"),
    "analyses": Shown("analysis", "mave", "fct_analyses"),
    "focus-groups": Shown("focus group", "focus-groups", "fct_question_results"),
    "generations": Shown("generation", "generations", "fct_generations"),
}


def rendered(folder: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the files in a folder of `scaffolds` by name, with `[[ … ]]` and `[% … %]` filled in."""
    environment = jinja2.Environment(  # noqa: S701 - no HTML
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "scaffolds" / folder),
        undefined=jinja2.StrictUndefined,
        variable_start_string="[[ ",
        variable_end_string=" ]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return {name: environment.get_template(name).render(values) for name in environment.list_templates()}


def checked(name: str, example: str) -> str:
    """Return a valid name. Raises ScaffoldError if it is invalid or belongs to an exposure."""
    if not NAME.fullmatch(name) or len(name) > NAME_CHARACTERS:
        raise ScaffoldError(
            f"NAME must be at most {NAME_CHARACTERS} lower-case letters and digits, in words"
            f" joined by hyphens, for example NAME={example}"
        )
    for file in sorted(MODELS.rglob("*.yml")):
        exposures = EXPOSURES.search(file.read_text(encoding="utf-8"))
        if exposures and f"- name: {name.replace('-', '_')}\n" in exposures[0]:
            raise ScaffoldError(f"NAME={name} is taken: {file.relative_to(ROOT)} has it. Choose another one")
    return name


def after(file: Path, lines: re.Pattern[str], line: str, text: str = "") -> str:
    """Return the text of a file, or `text` instead, with a line after those that `lines` finds.

    Its indentation is that of the last of them.
    """
    text = text or file.read_text(encoding="utf-8")
    found = lines.search(text)
    if not found:
        raise ScaffoldError(f"{file.relative_to(ROOT)} has no place for it: no lines like {lines.pattern}")
    last = found[0].splitlines()[-1]
    indent = last[: len(last) - len(last.lstrip())]
    return f"{text[: found.end()]}{indent}{line}\n{text[found.end() :]}"


def write(files: Mapping[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        typer.echo(path.relative_to(ROOT))


@app.callback()
def main() -> None:
    """Write what a new part of the project needs."""


@app.command(epilog=terminal.DEBUG_HELP)
def job(
    name: Annotated[str, typer.Argument(help="Of the job, such as segment-members.")],
    kind: Annotated[str, typer.Argument(help="Of the Mavera objects that it sends.")],
) -> None:
    """Write the folder of a job that sends one kind of Mavera object."""
    if kind not in SHOWN:
        raise ScaffoldError(f"KIND must be one of {', '.join(SHOWN)}, for example KIND=personas")
    folder = checked(name, "segment-members").replace("-", "_")
    if (JOBS / folder).exists():
        raise ScaffoldError(
            f"NAME={name} is taken: {(JOBS / folder).relative_to(ROOT)} is there. Choose another one"
        )
    is_voice, shown = kind == "brand-voices", SHOWN[kind]
    mart = "dim_media_transcripts" if is_voice else "dim_segments"
    texts = rendered(
        "job",
        {
            **shown._asdict(),
            "kind": kind,
            "folder": folder,
            "model": f"{folder}__{kind.replace('-', '_')}",
            "title": name.replace("-", " ").capitalize(),
            "thing": "video" if is_voice else "segment",
            "mart": mart,
            "vendor": "wistia" if is_voice else "klaviyo",
        },
    )
    price = KINDS[kind].terms.create
    data = "Wistia's `captions`" if is_voice else "Klaviyo's `segments`"
    row = f"| `{name}` | {data} | `{mart}` | {shown.word}: TODO | {price} each | `{shown.result}` |"
    switch = f"{name}: {{enabled: false, sends: [{kind}]}}  # TODO: switch it on"
    write(
        {
            JOBS / folder / f"{folder}__{kind.replace('-', '_')}.sql": texts["records.sql"],
            JOBS / folder / f"{folder}__finding.sql": texts["finding.sql"],
            JOBS / folder / f"_{folder}.yml": texts["job.yml"],
            JOBS / folder / KINDS[kind].words_file: texts[KINDS[kind].words_file],
            VARS: after(VARS, SWITCHES, switch),
            TABLE: after(TABLE, ROWS, row),
        }
    )
    typer.echo(
        f"Fill in each TODO, then switch {name} on in {VARS.relative_to(ROOT)} and run make transform plan"
    )


@app.command(epilog=terminal.DEBUG_HELP)
def vendor(name: Annotated[str, typer.Argument(help="Of the vendor, such as acme.")]) -> None:
    """Write the folder of a vendor, its staging model, its settings and its rows in the docs."""
    if not VENDOR.fullmatch(name) or iskeyword(name):
        raise ScaffoldError(
            f"NAME must be at most {VENDOR_CHARACTERS} lower-case letters and digits, for example NAME=acme"
        )
    folder, staging = VENDORS / name, MODELS / "staging" / name
    taken = [f"{path.relative_to(ROOT)} is there" for path in (folder, staging) if path.exists()]
    taken += [f"{each.upper()} is a setting" for each in Settings.model_fields if each.startswith(f"{name}_")]
    taken += ["raw_ops is a schema of our own"] if name == "ops" else []
    if taken:
        raise ScaffoldError(f"NAME={name} is taken: {taken[0]}. Choose another one")
    title, constant = name.capitalize(), name.upper()
    rule = "-" * (93 - len(title))
    texts = rendered("vendor", {"name": name, "title": title, "constant": constant, "rule": rule})
    settings = after(SETTINGS, KEYS, f"{name}_api_key: SecretStr | None = None")
    settings = after(SETTINGS, URLS, f'{name}_base_url: BaseUrl = "https://api.{name}.example/v1"', settings)
    example = after(EXAMPLE, BEFORE_MONEY, texts["example.j2"].rstrip("\n"))
    example = after(EXAMPLE, EXAMPLE_URLS, f"#{constant}_BASE_URL=https://api.{name}.example/v1", example)
    write(
        {
            folder / "__init__.py": texts["declaration.py.j2"],
            folder / "tables.py": texts["tables.py.j2"],
            folder / "reads.py": texts["reads.py.j2"],
            folder / "README.md": texts["page.md.j2"],
            staging / f"stg_{name}__people.sql": texts["staging.sql.j2"],
            staging / f"_{name}.yml": texts["staging.yml.j2"],
            REGISTRY: registered(name, constant),
            SETTINGS: settings,
            EXAMPLE: example,
            README: after(README, VENDOR_ROWS, f"| {title} | TODO | TODO: people, read only |"),
        }
    )
    typer.echo(f"Fill in each TODO, set {constant}_API_KEY in .env, and run make doctor ingest transform")


def registered(name: str, constant: str) -> str:
    """Return the registry with one more vendor, its imports in order."""
    text = REGISTRY.read_text(encoding="utf-8")
    imports = VENDOR_IMPORTS.search(text)
    if not imports:
        raise ScaffoldError(f"{REGISTRY.relative_to(ROOT)} imports no vendors")
    lines = sorted([*imports[0].splitlines(), f"from ingest.vendors.{name} import {constant}"])
    text = text.replace(imports[0], "".join(f"{line}\n" for line in lines))
    return re.sub(r"^SOURCES = \((.*)\)$", rf"SOURCES = (\1, {constant})", text, flags=re.MULTILINE)


if __name__ == "__main__":
    terminal.run(app, ScaffoldError, stopped="stopped")

"""Draw the plan at 80 columns, the report and the docs page of the demo, for the docs folder."""

import os
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

from common import settings
from tests import needs

COLUMNS = 80
ENV_FILE = settings.ROOT / "build" / "demo.env"
CONTAINED = ["--no-sandbox", "--disable-dev-shm-usage"]  # as root, and with a small /dev/shm
SIZES = {"report": (1180, 1000), "docs": (1240, 860)}
"""The pages of build/ that are drawn, each with its width and height in pixels."""


def run(*command: str) -> str:
    """Return what a command prints on a terminal of 80 columns with color."""
    environment = os.environ | {"ENV_FILE": str(ENV_FILE), "COLUMNS": str(COLUMNS), "FORCE_COLOR": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=settings.ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode not in (0, 2):  # 2: there is something to send
        sys.exit(ran.stderr or f"error: {' '.join(command)} ended with {ran.returncode}")
    return ran.stdout


def terminal(text: str, folder: Path) -> Path:
    """Write a picture of a terminal with this text."""
    with (folder / "null").open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(f"$ make plan\n{text}"))
        path = folder / "plan.svg"
        console.save_svg(str(path), title="make plan")
    (folder / "null").unlink()
    return path


def main() -> None:
    chromium = needs.program("chromium", "chromium-browser", "google-chrome")
    if chromium is None:
        print("nothing drawn: it needs Chromium (apt-get install chromium)")  # noqa: T201 - a command
        return
    if not ENV_FILE.exists():
        sys.exit("error: build/demo.env is not there yet. Run make demo, then repeat this command")
    build, docs = settings.ROOT / "build", settings.ROOT / "docs"
    picture = terminal(run("activate", "plan"), build)
    run("report")
    run("transform", "docs")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=CONTAINED)
        for name, (width, height) in SIZES.items():
            tab = browser.new_page(viewport={"width": width, "height": height})
            tab.goto((build / f"{name}.html").as_uri())
            tab.screenshot(path=docs / f"{name}.png")
        tab = browser.new_page(viewport={"width": 1000, "height": 600})
        tab.goto(picture.as_uri())
        tab.locator("svg").first.screenshot(path=docs / "plan.png")
        browser.close()
    for path in (docs / f"{name}.png" for name in ("plan", *SIZES)):
        print(f"{path.relative_to(settings.ROOT)}: {path.stat().st_size / 1000:,.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()

"""Take the pictures of `docs/img/` from the real UI and the real pages: `make screenshots`, after `make demo`.

Starts Dagster's UI and `backlinks serve` on the demo's history, opens each page in headless Chromium, waits until it is
drawn and saves what it shows. Nothing of the project is drawn here.
"""

import argparse
import datetime as dt
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dagster as dg
import duckdb
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.paths import target_page_name
from backlinks_assets.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
STARTS_WITHIN_S = 120
DRAWN_WITHIN_MS = 60_000
SETTLE_MS = 1_500
"""The UI lays out its graphs and plots after its queries have ended, and moves them into place."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: an address, what stands on it once it is drawn, and what is clicked before."""

    path: str
    shows: str
    click: tuple[str, ...] = ()
    width: int = 1440
    height: int = 900
    scheme: Literal["light", "dark"] = "light"
    scroll_to: str = ""
    left: int = 0
    """Pixels left out at the left."""


def ui_pictures(day: dt.date, target: str, metric: str, run_id: str) -> dict[str, Picture]:
    """Return the UI's pictures by name, about a day, a target and metric flagged on it, and a run that collected."""
    groups = ",".join(f"global@global:{group}" for group in ("collection", "tables", "flags"))
    return {
        "lineage": Picture(f"/asset-groups?expanded={groups}", "flags_report", width=2000, height=1180, left=540),
        "answers": Picture(f"/assets/summary_responses?view=partitions&partition={day}%7C{target}", "live_backlinks"),
        "flags": Picture(f"/assets/backlinks_flags?view=partitions&partition={day}", "flags_table", height=1060),
        "plots": Picture("/assets/backlinks_flags", "Plots", click=("Plots",), scroll_to="Metadata", height=1000),
        "columns": Picture("/assets/backlinks_summary", "backlinks_spam_score"),
        "checks": Picture(
            f"/assets/backlinks_flags?view=checks&checkDetail={metric}_did_not_change_sharply",
            "Latest execution",
            height=690,
        ),
        "runs": Picture("/runs", "collect_job", width=1800, height=820),
        "run": Picture(f"/runs/{run_id}", "RUN_SUCCESS", width=1680),
        "automation": Picture("/automation", "targets_sensor", height=900),
    }


def page_pictures(day: dt.date, target: str, reports: Path) -> dict[str, Picture]:
    """Return the pictures of the project's own pages by name."""
    page = (reports / f"flags-{day}.html").as_uri()
    return {
        "page-light": Picture(page, "Coverage and spend", width=1100, height=980),
        "page-dark": Picture(page, "Coverage and spend", width=1100, height=980, scheme="dark"),
        "page-phone": Picture(page, "Coverage and spend", width=360, height=780),
        "page-index": Picture((reports / "index.html").as_uri(), "Flags by day", width=1100),
        "page-targets": Picture((reports / "targets" / "index.html").as_uri(), "All targets", width=1440, height=1300),
        "page-target": Picture(
            (reports / "targets" / target_page_name(target)).as_uri(), "Whole history", width=1100, height=1900
        ),
    }


SERVED_PICTURES = {
    "page-incidents": Picture("/incidents", "Not resolved", width=1100, height=980),
    "page-incidents-phone": Picture("/incidents", "Not resolved", width=360, height=980),
}
"""Pictures of `backlinks serve` by name."""

UI = ("dagster", "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p")
SERVE = ("backlinks", "serve", "--port")


@contextmanager
def running(command: Sequence[str], data: Path, ready: str) -> Iterator[str]:
    """Run a server over the demo under a data folder; yield its address once the page `ready` is there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith("DATAFORSEO_")}
    server = subprocess.Popen(
        [Path(sys.executable).parent / command[0], *command[1:], str(port)],
        cwd=ROOT,
        env={**env, "DAGSTER_HOME": str(ROOT), "BACKLINKS_DATA_DIR": str(data)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}{ready}", server, command)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _wait_for(page: str, server: "subprocess.Popen[bytes]", command: Sequence[str]) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(page, timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(1)
        else:
            return
    sys.exit(f"`{' '.join(command[:2])}` did not start: run it to see why.")


def latest_flag(data: Path) -> tuple[dt.date, str, str]:
    """Return the newest day with a flagged domain, the domain and the metric."""
    file = data / "demo" / "backlinks.duckdb"
    query = (
        "SELECT date, target, metric FROM backlinks_flags WHERE target <> '*' AND target NOT LIKE 'http%' "
        "AND metric <> 'target_down' ORDER BY date DESC"
    )
    if file.exists():
        with duckdb.connect(str(file), read_only=True) as connection:
            if row := connection.execute(query).fetchone():
                return row
    sys.exit("The demo has no flags yet: make demo, then make screenshots.")


def latest_collecting_run(data: Path) -> str:
    """Return the id of the newest run that collected."""
    settings = Settings.from_env({"BACKLINKS_DATA_DIR": str(data)}, demo=True)
    with open_instance(settings) as instance:
        return instance.get_runs(dg.RunsFilter(job_name="collect_job"), limit=1)[0].run_id


def shoot(browser: Browser, picture: Picture, address: str, file: Path) -> None:
    """Open a page, wait until it shows what it has to show and nothing is loading, and save it."""
    page = browser.new_page(
        viewport={"width": picture.width, "height": picture.height}, color_scheme=picture.scheme, locale="en-GB"
    )
    page.goto(address + picture.path)
    _drawn(page, picture.shows)
    for label in picture.click:
        page.get_by_text(label, exact=True).click()
        _drawn(page, picture.shows)
    if picture.scroll_to:
        page.get_by_text(picture.scroll_to, exact=True).first.evaluate("node => node.scrollIntoView()")
    page.mouse.move(0, 0)
    page.wait_for_timeout(SETTLE_MS)
    width = picture.width - picture.left
    save(page.screenshot(clip={"x": picture.left, "y": 0, "width": width, "height": picture.height}), file)
    page.close()
    print(f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}: {file.stat().st_size / 1000:,.0f} kB")


def _drawn(page: Page, text: str) -> None:
    page.wait_for_load_state("networkidle")
    page.get_by_text(text).first.wait_for(state="attached", timeout=DRAWN_WITHIN_MS)
    page.get_by_text(re.compile(r"^Loading\b.*…")).first.wait_for(state="hidden", timeout=DRAWN_WITHIN_MS)
    page.wait_for_timeout(SETTLE_MS)


def save(png: bytes, file: Path) -> None:
    """Save a picture of the screen with 256 colours, a third of the size."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE).save(file, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("BACKLINKS_DATA_DIR", ROOT / "data")),
        help="the data folder that the demo was made in",
    )
    parser.add_argument("--only", nargs="*", default=None, help="names of pictures")
    options = parser.parse_args()
    data = options.data.absolute()
    day, target, metric = latest_flag(data)
    of_ui = ui_pictures(day, target, metric, latest_collecting_run(data))
    of_pages = page_pictures(day, target, data / "demo" / "reports")

    def wanted(name: str) -> bool:
        return options.only is None or name in options.only

    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        for name in filter(wanted, of_pages):
            shoot(browser, of_pages[name], "", options.out / f"{name}.png")
        servers = [(SERVE, "/incidents", SERVED_PICTURES), (UI, "/server_info", of_ui)]
        for command, ready, pictures in servers:
            if any(map(wanted, pictures)):
                with running(command, data, ready) as address:
                    for name in filter(wanted, pictures):
                        shoot(browser, pictures[name], address, options.out / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()

"""Take the pictures of `docs/img/` from the real UI: `make screenshots`, after `make demo`.

Starts Dagster's UI on the demo's history, opens each page in headless Chromium and saves what it shows. Nothing of the
project is drawn here.
"""

import argparse
import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
PORT = 3939


def pages(day: dt.date, target: str) -> dict[str, str]:
    """Return the UI's path for each picture's name."""
    return {
        "lineage": "/asset-groups?expanded=backlinks_assets:collection,backlinks_assets:tables,backlinks_assets:flags",
        "matrix": "/assets/summary_responses?view=partitions",
        "partition": f"/assets/summary_responses?view=partitions&partition={day}%7C{target}",
        "flags": f"/assets/backlinks_flags?view=partitions&partition={day}",
        "checks": "/assets/backlinks_flags?view=checks",
        "columns": "/assets/backlinks_summary",
        "runs": "/runs",
        "automation": "/automation",
    }


@contextmanager
def ui() -> Iterator[str]:
    """Run the UI on the demo's instance; yield its address."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("DATAFORSEO_")}
    command = [Path(sys.executable).parent / "dagster", "dev", "-w", "workspace.yaml", "-p", str(PORT)]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**env, "DAGSTER_HOME": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{PORT}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/server_info", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(1)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def latest_flag(data: Path) -> tuple[dt.date, str]:
    """Return the day and target of the newest flag of one target, for pages about one partition."""
    with duckdb.connect(str(data / "demo" / "backlinks.duckdb"), read_only=True) as connection:
        row = connection.execute(
            "SELECT date, target FROM backlinks_flags WHERE target <> '*' AND target NOT LIKE 'http%' ORDER BY date DESC"
        ).fetchone()
    if row is None:
        sys.exit("The demo has no flags yet: make demo, then make screenshots.")
    return row[0], row[1]


def shoot(page: Page, address: str, path: str, file: Path) -> None:
    page.goto(address + path)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(2500)  # the UI draws its graph after its queries have ended
    page.screenshot(path=file)
    print(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img")
    parser.add_argument("--only", nargs="*", default=None, help="names of pictures")
    options = parser.parse_args()
    data = Path(os.environ.get("BACKLINKS_DATA_DIR", ROOT / "data"))
    day, target = latest_flag(data)
    options.out.mkdir(parents=True, exist_ok=True)
    with ui() as address, sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        for name, path in pages(day, target).items():
            if options.only is None or name in options.only:
                shoot(page, address, path, options.out / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()

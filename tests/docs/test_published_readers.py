"""Every recipe that reads from object storage, and the notebook: run against a real server, on a machine without tables."""

import os
from pathlib import Path
from typing import Any

import pages
import pandas as pd
import pytest
from machines import Machines, done
from table_days import after

from backlinks_assets.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.ci]

PREFIX = "a/prefix"
ACCOUNT = {"DATAFORSEO_LOGIN": "a", "DATAFORSEO_PASSWORD": "b"}


@pytest.fixture
def published(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three days of two targets in a bucket, and an environment of a machine that has nothing."""
    url = f"{bucket}/{PREFIX}"
    for name, value in {**ACCOUNT, "BACKLINKS_TABLES_URL": url}.items():
        monkeypatch.setenv(name, value)
    place = Settings.from_env().tables_url
    assert place is not None
    for number in range(3):
        done(Machines(tmp_path, place)("publisher"), number, "a.example", "b.example", links=number)
    return url


@pages.blocks("published")
def test_every_recipe_reads_all_flags_from_the_bucket(published: str, block: pages.Block) -> None:
    text = block.text.replace("s3://bucket/prefix", published).replace(
        'flags = days.filter(pl.col("severity").is_not_null()).collect()', "flags = days.collect().to_pandas()"
    )
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(text, str(block), "exec"), names)
    flags: pd.DataFrame = names["flags"]
    assert sorted(flags["target"]) == ["a.example"] * 3 + ["b.example"] * 3
    assert {str(day)[:10] for day in flags["date"]} == {str(after(number)) for number in range(3)}


def test_each_kind_of_reader_has_a_recipe() -> None:
    text = "\n".join(block.text for block in pages.of_kind("published"))
    assert all(
        f"import {name}" in text for name in ("load_table", "pandas", "polars", "pyarrow.dataset", "duckdb", "s3fs")
    )


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::ResourceWarning"
)
def test_the_notebook_of_object_storage_runs_from_top_to_bottom(published: str, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    assert published == os.environ["BACKLINKS_TABLES_URL"]
    notebook = nbformat.read(pages.ROOT / "examples" / "published.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # kept clean in the repository
    # By itself it waits a minute for the kernel, and four seconds for what a cell shows.
    patient = {"timeout": 200, "startup_timeout": 200, "iopub_timeout": 200}
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}, **patient).execute()
    shown = [cell["outputs"][0]["data"]["text/plain"] for cell in notebook.cells if cell["cell_type"] == "code"]
    assert "b.example" in shown[0]
    assert str(after(2)) in shown[1]

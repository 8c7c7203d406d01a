"""The declarations: the columns promised, the vendor's fields, words for each, and the document drawn from them."""

import hashlib
from pathlib import Path

import duckdb
import pytest

from backlinks_assets.tables.markdown import tables_markdown
from backlinks_assets.tables.schemas import DIMENSIONS, SCHEMA_VERSION, TABLES, TableSchema

# The vendor's page of the endpoint: "Description of the fields in the results array", from `target` on.
_VENDOR_FIELDS = """
    target first_seen lost_date rank backlinks backlinks_spam_score crawled_pages info.server info.cms
    info.platform_type info.ip_address info.country info.is_ip info.target_spam_score internal_links_count
    external_links_count broken_backlinks broken_pages referring_domains referring_domains_nofollow
    referring_main_domains referring_main_domains_nofollow referring_ips referring_subnets referring_pages
    referring_links_tld referring_links_types referring_links_attributes referring_links_platform_types
    referring_links_semantic_locations referring_links_countries referring_pages_nofollow
"""
VENDOR_FIELDS = _VENDOR_FIELDS.split()

CHANGE_COLUMNS = (
    "date target metric value previous previous_date baseline usual_low usual_high change score direction kind severity "
    "reason instrument simulated"
)
PROMISED = {
    "referring_links": "date target status_type dimension key links simulated",
    "backlinks_changes": CHANGE_COLUMNS,
    "backlinks_bulk": "date target has_data first_seen lost_date rank backlinks backlinks_spam_score broken_backlinks "
    "broken_pages "
    "referring_domains referring_domains_nofollow referring_main_domains referring_main_domains_nofollow referring_ips "
    "referring_subnets referring_pages referring_pages_nofollow main_domain_rank new_backlinks lost_backlinks "
    "new_referring_domains lost_referring_domains new_referring_main_domains lost_referring_main_domains lost_since lost_level "
    "level_start is_missing captured_at task_id cost_usd simulated",
    "backlinks_flags": CHANGE_COLUMNS.replace("simulated", "incident simulated"),
    "backlinks_incidents": "date incident target metric direction group owner severity state opened last_flag critical_since "
    "resolved reason by note snoozed_until baseline usual_low usual_high change back_readings level_readings simulated",
    "flag_evidence": "date target question position since domain_from url_from url_to anchor item_type dofollow "
    "backlink_spam_score domain_from_rank page_from_rank rank page_from_status_code url_to_status_code first_seen last_seen "
    "is_lost group_count total_count rows_requested cost_usd captured_at task_id simulated",
    "lost_history": "date target lost_on_day new_on_day live_backlinks counted_on captured_at cost_usd simulated",
    "api_costs": "date calls answers cost_usd charged_without_answer simulated",
}


def test_every_field_of_the_vendors_page_has_its_place() -> None:
    columns = set(TABLES["backlinks_summary"].arrow.names)
    scalars = {field.replace("info.", "info_") for field in VENDOR_FIELDS if field not in DIMENSIONS}
    ours = {"date", "status_type", "has_data", "captured_at", "task_id", "cost_usd", "attempts"}
    ours |= {"request_key", "request_parameters", "simulated"}
    assert columns - ours == scalars
    assert set(DIMENSIONS) == {field for field in VENDOR_FIELDS if field.startswith("referring_links_")}


def test_the_summary_begins_with_its_key_and_ends_with_what_is_known_of_the_call() -> None:
    names = TABLES["backlinks_summary"].arrow.names
    assert names[:4] == ["date", "target", "status_type", "has_data"]
    assert names[-7:-4] == ["captured_at", "task_id", "cost_usd"]
    assert names[-4:] == ["attempts", "request_key", "request_parameters", "simulated"]


@pytest.mark.parametrize(("table", "columns"), PROMISED.items(), ids=PROMISED)
def test_the_promised_columns_stand_in_the_promised_order(table: str, columns: str) -> None:
    assert TABLES[table].arrow.names == columns.split()


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_column_is_described_and_the_key_is_never_null(table: TableSchema) -> None:
    for name, _, text in table.columns():
        assert len(text) > 10, name
        assert "|" not in text  # it would break the Markdown table
    assert not any(table.arrow.field(name).nullable for name in table.primary_key)
    assert "date" not in table.parquet_schema.names
    assert ["date", *table.parquet_schema.names] == table.arrow.names


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_duckdb_takes_the_declaration_and_its_comments(table: TableSchema) -> None:
    with duckdb.connect() as connection:
        connection.execute(table.duckdb_ddl())
        for statement in table.duckdb_comments():
            connection.execute(statement)
        rows = connection.execute(
            "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = ?", [table.name]
        ).fetchall()
        assert rows == table.columns()


def test_a_changed_declaration_raises_the_version() -> None:
    declared = "\n".join("\n".join([table.duckdb_ddl(), *table.duckdb_comments()]) for table in TABLES.values())
    digest = hashlib.sha256(declared.encode()).hexdigest()[:12]
    assert (SCHEMA_VERSION, digest) == (3, "79320ebe70b0"), (
        "a table changed: raise SCHEMA_VERSION if a version has been released since, and write the digest here"
    )


def test_the_document_is_current() -> None:
    path = Path(__file__).parents[2] / "docs" / "tables.md"
    assert path.read_text(encoding="utf-8") == tables_markdown(), (
        "run: python -m backlinks_assets.tables.markdown > docs/tables.md"
    )

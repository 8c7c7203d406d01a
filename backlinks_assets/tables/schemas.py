"""Declares every table: its columns in order, their types, units and descriptions.

The parquet files, the DuckDB tables, the column descriptions in the UI and `docs/tables.md` are made from these declarations.
"""

from dataclasses import dataclass

import pyarrow as pa

from backlinks_assets.detection.metrics import METRICS

SCHEMA_VERSION = 2
"""Raised by one with each change of a column's name, type, position or description.

A DuckDB file of another version is built anew from the parquet files; `evolution.py` rewrites those of older days.
"""

TIMESTAMP = pa.timestamp("us", "UTC")
TEXTS = pa.list_(pa.string())
CODED = pa.dictionary(pa.int32(), pa.string())
"""Each text once in a dictionary, and its index for each row."""

_DUCKDB_TYPES: dict[pa.DataType, str] = {
    pa.bool_(): "BOOLEAN",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.date32(): "DATE",
    TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    TEXTS: "VARCHAR[]",
}


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table. `arrow` holds its columns; each field's metadata has `description` and, where apt, `unit`.

    `primary_key` names the columns that together are unique and never NULL.
    """

    name: str
    description: str
    primary_key: tuple[str, ...]
    arrow: pa.Schema

    @property
    def parquet_schema(self) -> pa.Schema:
        """The columns of a parquet file: all but `date`, which is in the path."""
        fields = [field for field in self.arrow if field.name != "date"]
        return pa.schema(fields, metadata={"table": self.name, "schema_version": str(SCHEMA_VERSION)})

    def duckdb_ddl(self) -> str:
        columns = ",\n".join(
            f"    {_identifier(field.name)} {duckdb_type(field.type)}{'' if field.nullable else ' NOT NULL'}"
            for field in self.arrow
        )
        return f"CREATE TABLE {_identifier(self.name)} (\n{columns}\n)"

    def duckdb_comments(self) -> list[str]:
        """Return the `COMMENT ON` statements that give the table and its columns their descriptions."""
        table = _identifier(self.name)
        return [
            f"COMMENT ON TABLE {table} IS {_literal(self.description)}",
            *(
                f"COMMENT ON COLUMN {table}.{_identifier(column)} IS {_literal(text)}"
                for column, _, text in self.columns()
            ),
        ]

    def columns(self) -> list[tuple[str, str, str]]:
        """Return (name, DuckDB type, description with its unit) of each column, in order."""
        return [(field.name, duckdb_type(field.type), describe(field)) for field in self.arrow]


def coded(schema: pa.Schema) -> pa.Schema:
    """Return columns with texts as dictionaries, which is how parquet stores them: they are quicker to write."""
    return pa.schema(
        [field.with_type(CODED) if field.type == pa.string() else field for field in schema], metadata=schema.metadata
    )


def duckdb_type(data_type: pa.DataType) -> str:
    return _DUCKDB_TYPES[data_type]


def describe(field: pa.Field) -> str:
    """Return a field's description, its unit in brackets where it has one."""
    metadata: dict[bytes, bytes] = field.metadata or {}
    unit = metadata.get(b"unit")
    return metadata[b"description"].decode() + (f" [{unit.decode()}]" if unit else "")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _column(name: str, kind: pa.DataType, description: str, unit: str = "", *, key: bool = False) -> pa.Field:
    metadata = {"description": description} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, nullable=not key, metadata=metadata)


def _text(name: str, description: str, *, key: bool = False) -> pa.Field:
    return _column(name, pa.string(), description, key=key)


def _count(name: str, description: str, unit: str) -> pa.Field:
    return _column(name, pa.int64(), description, unit)


def _number(name: str, description: str, unit: str = "") -> pa.Field:
    return _column(name, pa.float64(), description, unit)


_DATE = _column("date", pa.date32(), "UTC day of the row; of a parquet file, in its path.", key=True)
_TARGET = _text("target", "Domain, subdomain or page watched, as the targets file has it.", key=True)
_STATUS_TYPE = _text("status_type", "Links counted: `live` (found at the last check), `lost`, or `all`.", key=True)
_SIMULATED = _column("simulated", pa.bool_(), "True if the bundled simulator answered and not the API.")

# The API's scalar fields, in the order of the vendor's page of the endpoint (Backlinks Summary, live).
_RESULT_FIELDS = [
    _column("first_seen", TIMESTAMP, "When the vendor's crawler first found a link to the target.", "UTC"),
    _column(
        "lost_date",
        TIMESTAMP,
        "When the target was found answering 4xx or 5xx, or lost its last link; NULL while it is alive.",
        "UTC",
    ),
    _count("rank", "Rank of the target, on the scale asked for.", "0-1000 or 0-100"),
    _count("backlinks", "Links to the target, of this status type.", "links"),
    _count("backlinks_spam_score", "Average spam score of the links to the target.", "0-100"),
    _count("crawled_pages", "Pages of the target that were crawled.", "pages"),
    _text("info_server", "Web server software of the target."),
    _text("info_cms", "Content management system of the target."),
    _column("info_platform_type", TEXTS, "Kinds of site that the target is taken for."),
    _text("info_ip_address", "IP address of the target."),
    _text("info_country", "Country code that the target is taken to belong to."),
    _column("info_is_ip", pa.bool_(), "True if the target is an IP address without a domain name."),
    _count("info_target_spam_score", "Spam score of the target: of a domain, its pages' average.", "0-100"),
    _count("internal_links_count", "Internal links on the target's pages.", "links"),
    _count("external_links_count", "External links on the target's pages.", "links"),
    _count("broken_backlinks", "Links that point to broken pages of the target.", "links"),
    _count("broken_pages", "Pages of the target that answer 4xx or 5xx.", "pages"),
    _count("referring_domains", "Domains with a link to the target; subdomains count apart.", "domains"),
    _count("referring_domains_nofollow", "Those of them with a nofollow link.", "domains"),
    _count("referring_main_domains", "Main domains with a link to the target.", "domains"),
    _count("referring_main_domains_nofollow", "Those of them with a nofollow link.", "domains"),
    _count("referring_ips", "IP addresses with a link to the target.", "addresses"),
    _count("referring_subnets", "Subnets with a link to the target.", "subnets"),
    _count("referring_pages", "Pages with a link to the target.", "pages"),
    _count("referring_pages_nofollow", "Those of them with a nofollow link.", "pages"),
]

DIMENSIONS = (
    "referring_links_attributes",
    "referring_links_countries",
    "referring_links_platform_types",
    "referring_links_semantic_locations",
    "referring_links_tld",
    "referring_links_types",
)
"""The answer's breakdowns, by name, which is the order of their rows."""

_SUMMARY = TableSchema(
    name="backlinks_summary",
    description=(
        "A row per target and status type: every scalar field of the day's answer, under the API's name. "
        "A field that is absent or null is NULL, never 0."
    ),
    primary_key=("date", "target", "status_type"),
    arrow=pa.schema(
        [
            _DATE,
            _TARGET,
            _STATUS_TYPE,
            _column(
                "has_data",
                pa.bool_(),
                "False if the API answered, and charged, but knows nothing of the target.",
                key=True,
            ),
            *_RESULT_FIELDS,
            _column("captured_at", TIMESTAMP, "When the answer had been read.", "UTC"),
            _text("task_id", "The API's id of the task."),
            _number("cost_usd", "What the answer cost, by its own account.", "USD"),
            _count("attempts", "Calls it took to get the answer.", "calls"),
            _text("request_key", "Hash of the request parameters: equal if, and only if, they are."),
            _text("request_parameters", "The request parameters, as JSON."),
            _SIMULATED,
        ]
    ),
)

_LINKS = TableSchema(
    name="referring_links",
    description="A row per target, status type, dimension and key: the six `referring_links_*` breakdowns.",
    primary_key=("date", "target", "status_type", "dimension", "key"),
    arrow=pa.schema(
        [
            _DATE,
            _TARGET,
            _STATUS_TYPE,
            _text("dimension", "The breakdown, by the API's name, e.g. `referring_links_tld`.", key=True),
            _text("key", "What is counted, e.g. `com`; may be the empty string (unknown).", key=True),
            _count("links", "Links counted under the key.", "links"),
            _SIMULATED,
        ]
    ),
)


def _change_columns() -> pa.Schema:
    unit = " or ".join(dict.fromkeys(metric.unit for metric in METRICS.values()))
    return pa.schema(
        [
            _DATE,
            _text("target", "The target; `*` is a move of the whole index.", key=True),
            _text("metric", f"{' or '.join(f'`{name}`' for name in METRICS)}.", key=True),
            _number("value", "The day's reading.", unit),
            _number("previous", "The reading before it.", unit),
            _column("previous_date", pa.date32(), "Day of the reading before it."),
            _number("baseline", "What was usual until then.", unit),
            _number(
                "usual_low", "Lower end of the usual range that the day was judged against: a step lies outside.", unit
            ),
            _number("usual_high", "Upper end of the usual range. Both are NULL where `score` is.", unit),
            _number("change", "`value` less `baseline`.", unit),
            _number("score", "How unusual the change is: its robust z, multiples of the target's robust scale."),
            _text("direction", "`up` or `down`."),
            _text("kind", "Shape of the change, as detection names it."),
            _text("severity", "NULL, `warning` or `critical`."),
            _text("reason", "One sentence for a person."),
            _SIMULATED,
        ]
    )


_CHANGES = TableSchema(
    name="backlinks_changes",
    description="A row per target and watched metric: the day against its baseline, and how unusual that is.",
    primary_key=("date", "target", "metric"),
    arrow=_change_columns(),
)

_FLAGS = TableSchema(
    name="backlinks_flags",
    description="The rows of `backlinks_changes` that changed sharply, and moves of the whole index.",
    primary_key=("date", "target", "metric"),
    arrow=_change_columns(),
)

_COSTS = TableSchema(
    name="api_costs",
    description="A row per day: what was asked of the API and what it cost.",
    primary_key=("date",),
    arrow=pa.schema(
        [
            _DATE,
            _count("calls", "Calls sent, retries included.", "calls"),
            _count("answers", "Answers kept.", "answers"),
            _number("cost_usd", "Money spent, by the answers' own account.", "USD"),
            _count("charged_without_answer", "Calls that may have been charged, without an answer.", "calls"),
            _SIMULATED,
        ]
    ),
)

TABLES: dict[str, TableSchema] = {table.name: table for table in (_SUMMARY, _LINKS, _CHANGES, _FLAGS, _COSTS)}
"""All tables by name, in the order that documents list them."""

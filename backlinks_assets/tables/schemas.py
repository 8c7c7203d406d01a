"""Declares every table: its columns in order, their types, units and descriptions.

The parquet files, the DuckDB tables, the column descriptions in the UI and `docs/tables.md` are made from these declarations.
"""

import pyarrow as pa

from backlinks_assets.detection.metrics import METRICS
from backlinks_assets.tables.declaring import (
    CODED as CODED,  # noqa: PLC0414 - importers take tables and their types from here
    SCHEMA_VERSION as SCHEMA_VERSION,  # noqa: PLC0414
    TEXTS as TEXTS,  # noqa: PLC0414
    TIMESTAMP as TIMESTAMP,  # noqa: PLC0414
    TableSchema as TableSchema,  # noqa: PLC0414
    coded as coded,  # noqa: PLC0414
    column as _column,
    count as _count,
    describe as describe,  # noqa: PLC0414
    duckdb_type as duckdb_type,  # noqa: PLC0414
    number as _number,
    text as _text,
)

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


_NOT_IN_BULK = ("info_", "crawled_pages", "internal_links_count", "external_links_count")  # begin so
_COUNTED = {"backlinks": "links", "referring_domains": "referring domains", "referring_main_domains": "main domains"}

_BULK = TableSchema(
    name="backlinks_bulk",
    description="A row per target watched in bulk, and the level of its lost links. A missing or null item's columns are NULL.",
    primary_key=("date", "target"),
    arrow=pa.schema(
        [
            _DATE,
            _TARGET,
            _column("has_data", pa.bool_(), "False if no endpoint knows anything of the target.", key=True),
            *[field for field in _RESULT_FIELDS if not field.name.startswith(_NOT_IN_BULK)],
            _count("main_domain_rank", "Rank of the target's main domain, on the same scale.", "0-1000 or 0-100"),
            *[
                _count(f"{way}_{name}", f"{of[0].upper()}{of[1:]} that {did} since `lost_since`.", of.split()[-1])
                for name, of in _COUNTED.items()
                for way, did in (("new", "came"), ("lost", "went"))
            ],
            _column("lost_since", pa.date32(), "Day from which they were counted, the same all month."),
            _count("lost_level", "Lost links as a level that goes on over the months; what is judged.", "links"),
            _column("level_start", pa.date32(), "Day on which the level began; another one starts the history anew."),
            _column("is_missing", pa.bool_(), "True where a count that was there the last time is missing."),
            _column("captured_at", TIMESTAMP, "When the last of the answers had been read.", "UTC"),
            _text("task_id", "The API's id of the task with the live counts."),
            _number("cost_usd", "The target's even share of its calls' cost.", "USD"),
            _SIMULATED,
        ]
    ),
)


def _change_columns(*more: pa.Field) -> pa.Schema:
    unit = " or ".join(dict.fromkeys(metric.unit for metric in METRICS.values()))
    return pa.schema(
        [
            _DATE,
            _text("target", "The target; `*` is all: a move of the whole index, or the vendor's fault.", key=True),
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
            _text("kind", "NULL, `step`, `confirmed_loss` or `down`; of target `*` `index_move` or `vendor_fault`."),
            _text("severity", "NULL, `warning` or `critical`."),
            _text("reason", "One sentence for a person."),
            _text("instrument", "`summary` or `bulk`: how the target was read that day; NULL of target `*`."),
            *more,
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
    description="The rows of `backlinks_changes` that changed sharply, targets that went down or came back, moves of the whole "
    "index and the vendor's faults.",
    primary_key=("date", "target", "metric"),
    arrow=_change_columns(_text("incident", "ID of the incident that the flag opened or joined; NULL of target `*`.")),
)

_INCIDENTS = TableSchema(
    name="backlinks_incidents",
    description="A row per incident as it stood at the end of the day: what is not resolved, and what was within 90 days. An "
    "incident is a target's metric that moved one way; a flag opens it, later ones join it.",
    primary_key=("date", "incident"),
    arrow=pa.schema(
        [
            _DATE,
            _text("incident", "Its ID, of its target, metric, direction and the day of its first flag.", key=True),
            _TARGET,
            _text("metric", "As in `backlinks_flags`.", key=True),
            _text("direction", "`up` or `down`.", key=True),
            _text("group", "The target's group in the targets file, when the table was built."),
            _text("owner", "Who looks after the target, by the same file."),
            _text("severity", "`warning` or `critical`: that of its worst flag.", key=True),
            _text("state", "`open`, `acknowledged`, `snoozed` or `resolved`.", key=True),
            _column("opened", pa.date32(), "Day of its first flag.", key=True),
            _column("last_flag", pa.date32(), "Day of its last flag.", key=True),
            _column("critical_since", pa.date32(), "Day of its first critical flag."),
            _column("resolved", pa.date32(), "Day on which it was resolved."),
            _text(
                "reason",
                "Why: a person's `real`, `expected`, `false`, `vendor` or `duplicate`; by itself `back` (three readings in a row "
                "were usual) or `new_level` (the baseline moved there).",
            ),
            _text("by", "Who said something of it last."),
            _text("note", "What was noted last."),
            _column("snoozed_until", pa.date32(), "Day on which its snooze ends."),
            _number("baseline", "What was usual before its first flag.", "points or links"),
            _number(
                "usual_low", "Lower end of the usual range that its first flag was judged against.", "points or links"
            ),
            _number("usual_high", "Upper end of that range.", "points or links"),
            _number("change", "Value of its last flag less `baseline`.", "points or links"),
            _count("back_readings", "Readings in a row in that range, up to the day.", "readings"),
            _count("level_readings", "Readings in a row at a level to which the baseline has moved.", "readings"),
            _SIMULATED,
        ]
    ),
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

_EVIDENCE = TableSchema(
    name="flag_evidence",
    description="A row per flagged target, question and referring domain: the links that a flag is about, as the vendor lists "
    "them. A question to which nothing was found has one row, with position 0.",
    primary_key=("date", "target", "question", "position"),
    arrow=pa.schema(
        [
            _DATE,
            _TARGET,
            _text("question", "What was asked: `lost_domains`, `new_spam` or `lost_spam`.", key=True),
            _column(
                "position", pa.int64(), "Place in the answer, from 1, strongest or worst first; 0: none.", key=True
            ),
            _column("since", pa.date32(), "Links that went, or came, since this day were asked about."),
            _text("domain_from", "Domain that the link is on; one row a domain."),
            _text("url_from", "Page that the link is on."),
            _text("url_to", "Page of the target that the link points to."),
            _text("anchor", "Text of the link. Strangers wrote it: show it as text only."),
            _text("item_type", "Kind of link, such as `anchor` or `image`."),
            _column("dofollow", pa.bool_(), "False for a nofollow link."),
            _count("backlink_spam_score", "Spam score of the link.", "0-100"),
            _count("domain_from_rank", "Rank of the domain, on the scale asked for.", "0-1000 or 0-100"),
            _count("page_from_rank", "Rank of the page, on the scale asked for.", "0-1000 or 0-100"),
            _count("rank", "Rank of the link, on the scale asked for.", "0-1000 or 0-100"),
            _count("page_from_status_code", "HTTP status of the page at the last visit.", "HTTP status"),
            _count("url_to_status_code", "HTTP status of the target's page at the last visit.", "HTTP status"),
            _column("first_seen", TIMESTAMP, "When the crawler first found the link.", "UTC"),
            _column("last_seen", TIMESTAMP, "When the crawler last visited the page.", "UTC"),
            _column("is_lost", pa.bool_(), "True if the link or the whole page was removed."),
            _count("group_count", "Links from the domain that the row stands for.", "links"),
            _count("total_count", "Domains that there are in all.", "domains"),
            _count("rows_requested", "Rows that were asked for.", "rows"),
            _number("cost_usd", "What the answer cost, shared evenly by its rows.", "USD"),
            _column("captured_at", TIMESTAMP, "When the answer had been read.", "UTC"),
            _text("task_id", "The API's id of the task."),
            _SIMULATED,
        ]
    ),
)

_LOST_HISTORY = TableSchema(
    name="lost_history",
    description="A row per target and day before its first reading, back-filled: what went and came that day, as the "
    "vendor counted it later. No row is a reading, and none is flagged.",
    primary_key=("date", "target"),
    arrow=pa.schema(
        [
            _DATE,
            _TARGET,
            _count("lost_on_day", "Links that went on the day.", "links"),
            _count("new_on_day", "Links that came on the day and were still there on `counted_on`.", "links"),
            _count("live_backlinks", "Live links at the day's end; NULL without a reading on `counted_on`.", "links"),
            _column("counted_on", pa.date32(), "Day on which it was counted: the past as it was known then.", key=True),
            _column("captured_at", TIMESTAMP, "When the last of the answers had been read.", "UTC"),
            _number("cost_usd", "The target's even share of its calls' cost, shared evenly by its rows.", "USD"),
            _SIMULATED,
        ]
    ),
)

_ALL = (_SUMMARY, _LINKS, _BULK, _CHANGES, _FLAGS, _INCIDENTS, _COSTS, _EVIDENCE, _LOST_HISTORY)
TABLES: dict[str, TableSchema] = {table.name: table for table in _ALL}
"""All tables by name, in the order that documents list them."""

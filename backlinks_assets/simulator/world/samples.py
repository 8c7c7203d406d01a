"""The sample targets: names that exist only in the simulator, and the vendor page's own answer.

Both are files of the package; nothing is read at import.
"""

from __future__ import annotations

import csv
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

import idna

VENDOR_TARGET = "explodingtopics.com"


def sample_targets_csv() -> str:
    """The sample targets as the text of a targets file (columns `target`, `group`, `owner`, `note`)."""
    return (files(__package__) / "sample_targets.csv").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def scheduled_targets() -> dict[str, int]:
    """Each sample target with a scheduled history, as the API spells it, and its number in the schedule.

    `empty.example` is left out: it has no history.
    """
    lines = [line for line in sample_targets_csv().splitlines() if line and not line.startswith("#")]
    names = [row["target"] for row in csv.DictReader(lines)]
    return {as_requested(name): number for number, name in enumerate(n for n in names if n != "empty.example")}


def as_requested(target: str) -> str:
    """Return a target as a request spells it: an IDN in its ASCII form, pages unchanged."""
    return target if target.isascii() else idna.encode(target, uts46=True).decode()


@lru_cache(maxsize=1)
def _vendor_sample() -> str:
    return (files(__package__) / "vendor_sample.json").read_text(encoding="utf-8")


def vendor_sample() -> dict[str, Any]:
    """A fresh copy of the answer printed on the vendor's page: envelope, task and result."""
    answer: dict[str, Any] = json.loads(_vendor_sample())
    return answer


def is_vendor_sample_request(parameters: dict[str, Any]) -> bool:
    """Whether the request is the one the vendor's page answers (defaults may be left out)."""
    wanted = {
        "target": VENDOR_TARGET,
        "internal_list_limit": 10,
        "include_subdomains": True,
        "include_indirect_links": True,
        "exclude_internal_backlinks": True,
        "backlinks_filters": ["dofollow", "=", True],
        "backlinks_status_type": "all",
        "rank_scale": "one_thousand",
    }
    required = ("target", "backlinks_filters", "backlinks_status_type")
    return all(
        parameters.get(name) == value if name in required else parameters.get(name) in (value, None)
        for name, value in wanted.items()
    )

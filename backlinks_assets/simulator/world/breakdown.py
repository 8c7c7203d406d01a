"""How referring pages divide over top-level domains, countries, link types and the like, by population.

The shares are in `breakdown.csv` (per thousand; attributes and platforms need not add up, hubs have one TLD
and one country each). A spam attack comes from other domains and countries than a target's usual links: the
breakdowns tell what happened. Weights are whole millionths and pages whole numbers: sums are exact on every
machine.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from backlinks_assets.simulator.world.noise import draws

Counts = npt.NDArray[np.int64]

_MILLION = 1_000_000
_TLD, _TYPES, _COUNTRIES = "referring_links_tld", "referring_links_types", "referring_links_countries"
# A page has one of these, so the counts add up to the pages; attributes may be none, platforms several.
_PARTITIONS = {_TLD, _TYPES, _COUNTRIES, "referring_links_semantic_locations"}
_OF_A_HUB = {_TLD: ("com", "org", "net", "de", "co.uk", "io"), _COUNTRIES: ("US", "GB", "DE", "FR", "CA", "")}
_INDIRECT_TYPES = ("redirect", "canonical")


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, tuple[int, ...]]]:
    """Dimension -> key -> shares per thousand by population kind."""
    text = (files(__package__) / "breakdown.csv").read_text(encoding="utf-8")
    tables: dict[str, dict[str, tuple[int, ...]]] = {}
    for dimension, key, *shares in list(csv.reader(text.splitlines()))[1:]:
        tables.setdefault(dimension, {})[key] = tuple(map(int, shares))
    return tables


@lru_cache(maxsize=4096)
def _weights(target: str) -> Counts:
    """Millionths, shape (population kinds, keys of all dimensions); the tail's mix is the target's own."""
    blocks = []
    for dimension, table in _tables().items():
        weights = np.array(list(table.values()), dtype=np.int64).T.copy()
        u = [x for part in range(-(-len(table) // 16)) for x in draws(target, dimension, part)]
        weights *= 1000
        weights[0] = weights[0] // 1000 * np.array([int(600 + 800 * x) for x in u[: len(table)]], dtype=np.int64)
        if dimension in _PARTITIONS:
            weights = weights * _MILLION // np.maximum(weights.sum(axis=1, keepdims=True), 1)
        blocks.append(weights)
    return np.concatenate(blocks, axis=1)


def breakdowns(
    target: str, pages: list[int], hub_pages: list[int], *, indirect: bool
) -> tuple[dict[str, dict[str, int]], int]:
    """The six `referring_links_*` objects, and the referring pages, which are the sum over link types.

    `pages` are referring pages by population kind, `hub_pages` those of each hub (they are in `pages` too).
    Without `indirect`, links by redirect and canonical are left out.
    """
    split = (np.array(pages, dtype=np.int64)[:, None] * _weights(target)).sum(axis=0) // _MILLION
    values = iter(split.tolist())
    answer, total = {}, sum(pages)
    for dimension, table in _tables().items():
        counts = dict(zip(table, values, strict=False))
        if dimension == _TYPES and not indirect:
            total -= sum(counts.pop(name) for name in _INDIRECT_TYPES)
        if names := _OF_A_HUB.get(dimension):
            for chance, links in zip(draws(target, "hub", dimension), hub_pages, strict=False):
                counts[names[int(chance * len(names))]] += links
        if dimension in _PARTITIONS:
            first = next(iter(counts))
            counts[first] = max(0, counts[first] + total - sum(counts.values()))
        answer[dimension] = counts
    return answer, total


def largest(counts: dict[str, int], limit: int) -> dict[str, int]:
    """The `limit` largest counts above zero, largest first."""
    largest_first = sorted(((key, links) for key, links in counts.items() if links > 0), key=lambda item: -item[1])
    return dict(largest_first[:limit])

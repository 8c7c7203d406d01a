"""The doctor's check of the place where tables are published: it is read, and written under a condition."""

import uuid

from backlinks_assets.cli.console import STOPPED
from backlinks_assets.cli.doctor.finding import Finding
from backlinks_assets.formatting import counted
from backlinks_assets.published.publication import DUCKDB
from backlinks_assets.settings import Settings


def published(settings: Settings) -> Finding:
    """Make, exchange and remove a file of its own in the place, and count the days in the list."""
    if settings.tables_url is None:
        return Finding(
            "tables and pages are in the data folder only; BACKLINKS_TABLES_URL names a place for other machines"
        )
    from backlinks_assets.published.listing import read_listing
    from backlinks_assets.published.place import LostError, open_place

    place = open_place(settings.tables_url)
    listing = read_listing(place)
    name = f"doctor-{uuid.uuid4().hex}.json"
    etag = place.exchange(name, b"{}", None)
    try:
        place.exchange(name, b"{ }", etag)
        for no_longer in (None, etag):
            try:
                place.exchange(name, b"{}", no_longer)
            except LostError:
                continue
            return Finding(
                f"{place.shown} writes a file although another has changed it, so that two machines could lose each other's "
                "days. Use a store that has conditional writes (If-Match, If-None-Match).",
                STOPPED,
            )
    finally:
        place.remove(name)
    days = listing.days("backlinks_summary")
    says = f"{place.shown} can be read and written; " + (
        f"{counted(len(days), 'day')} published, {days[0]} to {days[-1]}" if days else "nothing is published yet"
    )
    newest = max((entry.generation for name, entry in listing.files.items() if name.startswith("parquet/")), default=0)
    duckdb = listing.files.get(DUCKDB)
    if newest > (duckdb.holds or 0 if duckdb else 0):
        return Finding(
            f"{says}. {DUCKDB} there lacks the newest of them: the next publication makes it anew.", note=True
        )
    return Finding(says)

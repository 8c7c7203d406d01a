"""The steps' two hooks: before a step, bring what it reads up to date; after it, publish what it changed.

Without BACKLINKS_TABLES_URL nothing happens, and nothing is imported that only publishing needs.
"""

import datetime as dt
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

from backlinks_assets.settings import Settings
from backlinks_assets.tables.atomic import TablesError

if TYPE_CHECKING:
    from backlinks_assets.published.listing import Listing
    from backlinks_assets.published.place import Place

DUCKDB: Final = "backlinks.duckdb"
PAGES: Final = "reports/"
INDEX: Final = "reports/index.html"
LOOK_WAITS_S: Final = 15.0
"""How long a look at what is to be built waits for a publisher. Dagster ends a sensor's tick at 60 s."""


def bring(settings: Settings, wanted: Callable[[str], bool] | None = None, built_here: Collection[str] = ()) -> None:
    """Fetch what is published and the data folder lacks or has in an older version; all of it, or the names `wanted`.

    The DuckDB file is fetched only where it is missing, or wanted: a step makes it from the parquet files.

    Raises:
        TablesError: the place can't be reached, or a file in it is not the listed one; the message has the next step.
    """
    if settings.tables_url is None:
        return
    from backlinks_assets.published.local_copy import LocalCopy
    from backlinks_assets.published.place import open_place

    copy = LocalCopy(settings.root, open_place(settings.tables_url))
    if wanted is None:
        copy.bring(_of_steps(settings), [*built_here, DUCKDB])
    else:
        copy.bring(wanted)


def bring_recent(settings: Settings, first: dt.date) -> None:
    """Fetch the tables and pages of a day and those after it, for a look at what is to be built.

    What a publisher has replaced and, for a quarter of a minute, not listed, is removed here: so its day is built again.
    """
    if settings.tables_url is None:
        return
    from backlinks_assets.published.listing import day_of
    from backlinks_assets.published.local_copy import LocalCopy
    from backlinks_assets.published.place import open_place

    copy = LocalCopy(settings.root, open_place(settings.tables_url))
    copy.bring(lambda name: (day_of(name) or "") >= str(first), waits_s=LOOK_WAITS_S, gives_way=True)


def files_of(table: str, dates: Collection[dt.date]) -> list[str]:
    """Return the names of a table's files of some days."""
    return [f"parquet/{table}/date={date}/{table}.parquet" for date in dates]


def table_between(table: str, first: dt.date | None, last: dt.date | None) -> Callable[[str], bool]:
    """Return the names to bring for a table's days from `first` to `last`, both included."""
    begin = f"parquet/{table}/date="

    def wanted(name: str) -> bool:
        day = name[len(begin) : len(begin) + 10]
        return name.startswith(begin) and (first is None or str(first) <= day) and (last is None or day <= str(last))

    return wanted


def bring_duckdb(settings: Settings) -> None:
    """Fetch the published DuckDB file if it is another than the one here. Raises as `bring`."""
    bring(settings, lambda name: name == DUCKDB)


def where_real_ones_are(settings: Settings) -> str:
    """Return, for an error, how a machine without credentials names the tables of real answers; "" where it need not."""
    if settings.tables_url is None or settings.base_url is not None:
        return ""
    return (
        f" Without credentials the simulated answers are looked for, in {settings.tables_url.text}; to read the real ones set "
        "DATAFORSEO_BASE_URL to the API's address, https://api.dataforseo.com."
    )


def publish_tables(settings: Settings, dates: Collection[dt.date]) -> None:
    """Bring the DuckDB file up to date; then publish the days' files, all else that was changed, and that file.

    Raises:
        TablesError: as `sync`, or the place can't be reached or written; what was built is here and is published later.
    """
    from backlinks_assets.tables.duckdb_sync import sync

    publish(settings, dates, lambda: sync(settings.root), DUCKDB)


def publishing_tables(settings: Settings, dates: Collection[dt.date]) -> AbstractContextManager[None]:
    """Do `publish_tables` at the end of a block, as `afterwards` does."""
    from backlinks_assets.tables.duckdb_sync import afterwards

    return afterwards(lambda: publish_tables(settings, dates))


def publish_pages(settings: Settings, dates: Collection[dt.date], derive: Callable[[], object]) -> None:
    """Publish the pages that were changed here, with the list and the links that `derive` makes. Raises as `publish_tables`."""
    publish(settings, dates, derive, PAGES)


def publish(settings: Settings, dates: Collection[dt.date], derive: Callable[[], object], derived: str) -> None:
    """Publish what was changed here: first the files, then those that `derive` makes of all days.

    The names of these begin with `derived`. They are made again, of the other's days too, if another machine publishes
    meanwhile: the last one that publishes has all days. Of days that are not `dates` and are not judged yet nothing is
    published, since another run is building them.
    """
    if settings.tables_url is None:
        derive()
        return
    from backlinks_assets.published.listing import ATTEMPTS, exchange, read_listing
    from backlinks_assets.published.local_copy import LocalCopy
    from backlinks_assets.published.place import open_place

    place = open_place(settings.tables_url)
    copy = LocalCopy(settings.root, place)
    everything = _of_steps(settings)
    if copy.is_new():  # what others have published counts, and not what is here from before
        copy.bring(everything, [DUCKDB])
    listing = read_listing(place)
    changed = [name for name in copy.changed(listing) if name.startswith("parquet/")]
    if mine := copy.put(_ready(settings, changed, dates, listing.files), listing):
        copy.note(mine, exchange(place, mine) or listing)
    for _ in range(ATTEMPTS):
        listing = copy.bring(everything, [DUCKDB])
        derive()
        names = {name for name in copy.changed(listing) if name.startswith(derived)}
        names.update(name for name in (DUCKDB, INDEX) if name.startswith(derived) and _is_another(place, name, listing))
        if not (mine := copy.put(sorted(names), listing)):
            return
        if (new := exchange(place, mine, holds=listing)) is not None:
            copy.note(mine, new)
            return
    raise TablesError(
        f"Other machines have been publishing to {place.shown} all the time. Nothing is lost: run again when they are done."
    )


def _of_steps(settings: Settings) -> Callable[[str], bool]:
    """Return the names that a step brings: the DuckDB file only where there is none, since it is made from the others."""
    return lambda name: name != DUCKDB or not settings.duckdb_file.exists()


def _ready(
    settings: Settings, changed: Collection[str], dates: Collection[dt.date], listed: Collection[str]
) -> list[str]:
    """Return the files of the days that this run has built, that are published, or that are judged."""
    published = {name.split("/")[2] for name in listed if name.startswith("parquet/")}
    days = {f"date={date}" for date in dates} | published
    return [
        name
        for name in changed
        if (day := name.split("/")[2]) in days
        or (settings.root / f"parquet/backlinks_flags/{day}/backlinks_flags.parquet").exists()
    ]


def _is_another(place: "Place", name: str, listing: "Listing") -> bool:
    """Whether the place has another file than the listed one: its publisher was ended, or is at work."""
    return name in listing.files and place.etag(name) != listing.files[name].etag

"""Templates into files: autoescape on, unprintable characters made visible, files replaced in one step.

The templates are in `templates/`; what they are given comes from `page.py` and `index.py`.
"""

import datetime as dt
import functools
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from backlinks_assets.formatting import day_of_month, dollars, long_day, number, short_day, signed, visible
from backlinks_assets.paths import TEMPORARY, group_page_name, page_name, target_page_name
from backlinks_assets.tables.atomic import replacing, sweep

SNOOZE_DAYS: Final = 14
"""For so long a snooze is in the command that a page shows."""

_TEMPLATES: Final = Path(__file__).parent / "templates"


def render(template: str, folder: Path | None = None, **content: Any) -> str:
    """Return a page or a picture. What comes from `content` is escaped, unless it is `Markup` already.

    `folder` has more templates, which are looked for there first and may use these ones.
    """
    return _environment(folder).get_template(template).render(**content)


def write_page(path: Path, html: bytes) -> Path:
    """Replace a page in one step, and return its path.

    Raises:
        TablesError: the disk would not take it; the page that was there is untouched.
    """
    temporary_folder = path.parent / TEMPORARY
    sweep(temporary_folder)
    with replacing(path, temporary_folder) as temporary:
        temporary.write_bytes(html)
    return path


def write_pages(pages: Iterable[tuple[Path, str]]) -> None:
    """Replace many pages, each in one step, without waiting for the disk. Raises as `write_page`.

    One that is there with the same content stays, so that it is not published again. What a loss of power leaves unwhole
    has another content, and is written anew.
    """
    swept = set[Path]()
    for path, text in pages:
        html = text.encode()
        with suppress(OSError):
            if path.read_bytes() == html:
                continue
        temporary_folder = path.parent / TEMPORARY
        if temporary_folder not in swept:
            swept.add(temporary_folder)
            sweep(temporary_folder)
        with replacing(path, temporary_folder, durably=False) as temporary:
            temporary.write_bytes(html)


@functools.cache
def templates_digest() -> str:
    """Return a short text that is another if any template or style is."""
    digest = hashlib.sha256()
    for path in sorted(_TEMPLATES.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _environment(folder: Path | None) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _TEMPLATES] if folder else [_TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_spelled,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,  # a look at each template's file for each of thousands of pages
    )
    functions = (number, signed, dollars, long_day, short_day, day_of_month, page_name)
    environment.filters |= {function.__name__: function for function in functions}
    environment.filters |= {"target_page": lambda name: quote(target_page_name(name))}
    environment.filters |= {"group_page": lambda name: quote(group_page_name(name))}
    environment.filters |= {"snoozed_to": lambda day: day + dt.timedelta(days=SNOOZE_DAYS)}
    return environment


def _spelled(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

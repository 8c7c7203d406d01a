"""Templates into files: autoescape on, unprintable characters made visible, files replaced in one step.

The templates are in `templates/`; what they are given comes from `page.py` and `index.py`.
"""

import functools
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from backlinks_assets.formatting import day_of_month, dollars, long_day, number, short_day, signed, visible
from backlinks_assets.paths import TEMPORARY, page_name
from backlinks_assets.tables.atomic import replacing, sweep

_TEMPLATES: Final = Path(__file__).parent / "templates"


def render(template: str, **content: Any) -> str:
    """Return a page or a picture. What comes from `content` is escaped, unless it is `Markup` already."""
    return _environment().get_template(template).render(**content)


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


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_spelled,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    functions = (number, signed, dollars, long_day, short_day, day_of_month, page_name)
    environment.filters |= {function.__name__: function for function in functions}
    return environment


def _spelled(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

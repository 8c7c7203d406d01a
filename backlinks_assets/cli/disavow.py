"""`backlinks evidence TARGET --disavow FILE`: writes a proposal from stored evidence. Spends nothing, sends nothing.

What the file holds is `evidence/disavow.py`.
"""

import datetime as dt
from pathlib import Path

from rich.markup import escape

from backlinks_assets.cli.console import UsageError, err, out, settings_and_notices, shown
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.evidence.disavow import MARK, MAX_BYTES, proposal
from backlinks_assets.evidence.files import TABLE, rows_of
from backlinks_assets.formatting import counted, visible
from backlinks_assets.published.publication import bring
from backlinks_assets.tables.parquet import days

MAX_NAMED = 10


def write_proposal(target: str | None, date: dt.date | None, file: Path, merge: Path | None, score: int) -> int:
    """Write a proposal from all evidence up to a day (all for None); return the exit status.

    Raises:
        UsageError: no target is named, nothing is stored, or a file is not one that may be read or replaced.
        DisavowError: the file would be longer than Google takes.
    """
    settings = settings_and_notices()
    if target is None:
        raise UsageError(
            "A disavow file is about one site: name the target, as in `backlinks evidence example.com --disavow FILE`."
        )
    bring(settings)
    name = target.strip().lower().removeprefix("www.")
    held = [day for day in days(settings.root, TABLE) if date is None or day <= date]
    rows = [row for row in rows_of(settings.root, held[0], held[-1]) if row["target"] == name] if held else []
    if not rows:
        raise UsageError(
            f"No evidence about {visible(name)} is stored. `backlinks evidence {visible(name)}` buys that of its flags."
        )
    own = [one.target for one in watched_targets(settings)]
    old = _old(merge)
    _check(file, merge)
    made = proposal(name, rows, own, score=score, day=utc_now().date(), old=old, simulated=settings.simulated)
    temporary = file.with_name(file.name + ".tmp")
    temporary.write_text(made.text, encoding="utf-8", newline="\n")
    temporary.replace(file)
    if made.passed_over:
        named = ", ".join(f"{visible(one)} ({why})" for one, why in list(made.passed_over.items())[:MAX_NAMED])
        more = len(made.passed_over) - MAX_NAMED
        err().print(escape(f"Passed over: {named}{f' and {more:,} more' if more > 0 else ''}."))
    out().print(
        f"{counted(made.domains, 'domain')} proposed in {escape(shown(file.absolute()))}. It is a proposal: read it before you "
        "upload anything."
    )
    return 0


def _old(merge: Path | None) -> str:
    if merge is None:
        return ""
    try:
        if merge.stat().st_size > MAX_BYTES:
            raise UsageError(f"{merge} is larger than the 2 MB that Google takes: it is not a disavow file.")
        return merge.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{merge} does not exist: name the disavow file in use.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{merge} is not text in UTF-8: save it as such, or download it from Google again.") from None


def _check(file: Path, merge: Path | None) -> None:
    """Refuse to replace a file that is neither an earlier proposal nor the one that is merged."""
    if not file.exists() or (merge is not None and file.resolve() == merge.resolve()):
        return
    if not file.is_file() or MARK not in file.read_text(encoding="utf-8", errors="replace"):
        raise UsageError(f"{file} exists and is no proposal of this command: name another file.")

"""`backlinks cost`: what a day costs in each way of watching, before anyone decides. Free.

Here belong the sums and how they are shown. Which calls a day in bulk has is `collect/chunks.py`, prices `collect/prices.py`.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.markup import escape

from backlinks_assets.cli.console import UsageError, err, out, shown, table
from backlinks_assets.collect.chunks import Calls, bulk_calls
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.collect.prices import USED, Prices, read_prices
from backlinks_assets.dataforseo.endpoints import single_links, summary
from backlinks_assets.formatting import counted, dollars
from backlinks_assets.host import main_domain
from backlinks_assets.settings import TARGETS_PER_SAMPLE, Settings
from backlinks_assets.targets.watch import only_full_because

FLAGS_PER_THOUSAND: Final = 8
"""Assumed flags a day: what the detector finds in its benchmark histories."""

DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Watched:
    """What is to be watched: groups of targets that may share bulk calls, and those that can only be read in full."""

    groups: tuple[tuple[str, ...], ...]
    only_full: tuple[str, ...] = ()

    @property
    def in_bulk(self) -> int:
        return sum(map(len, self.groups))

    @property
    def targets(self) -> int:
        return self.in_bulk + len(self.only_full)

    @property
    def main_domains(self) -> int:
        return len({main_domain(target) for group in (*self.groups, self.only_full) for target in group})


def show_cost(targets: int | None, *, as_json: bool) -> int:
    """Print what a day costs, as a table, as tab-separated lines in a pipe, or as JSON; return the exit status."""
    settings = Settings.from_env()
    watched = _watched(settings) if targets is None else Watched((tuple(f"{n}.example" for n in range(targets)),))
    prices = read_prices(settings)
    sums = costs(watched, prices, settings)
    if as_json:
        print(json.dumps(sums))
        return 0
    _print(sums, "" if targets is not None else f" in {shown(settings.targets_file)}")
    return 0


def _watched(settings: Settings) -> Watched:
    today = utc_now().date()
    active = [target for target in watched_targets(settings) if target.active_on(today)]
    if not active:
        raise UsageError(
            f"None of {shown(settings.targets_file)} is active. Add one with `backlinks targets add`, or give a number with "
            "--targets."
        )
    groups: dict[str, list[str]] = {}
    for one in active:
        if only_full_because(one.overrides) is None:
            groups.setdefault(one.overrides.rank_scale or "", []).append(one.target)
    return Watched(
        tuple(map(tuple, groups.values())), tuple(one.target for one in active if only_full_because(one.overrides))
    )


def costs(watched: Watched, prices: Prices, settings: Settings) -> dict[str, Any]:
    """Return what a day of each way of watching comes to, in calls and US dollars; `usd_30_days` has one first of a month.

    The control sample, the rows of evidence and its cap are those that are set.
    """
    full = [Calls(summary.NAME, 2 * watched.targets, 2 * watched.targets)]
    rest = [Calls(summary.NAME, 2 * len(watched.only_full), 2 * len(watched.only_full))]
    bulk = [each for group in watched.groups for each in bulk_calls(group)] + rest
    first = [each for group in watched.groups for each in bulk_calls(group, first_of_month=True)] + rest
    sample = round(settings.control_targets * watched.in_bulk / TARGETS_PER_SAMPLE)
    control = [Calls(summary.NAME, 2 * sample, 2 * sample)]
    a_flag = prices.of(single_links.NAME).price_usd(settings.evidence_rows)
    flags = max(1, round(FLAGS_PER_THOUSAND * watched.targets / 1000))
    shown_flags = min(flags, int(settings.evidence_usd_per_day / a_flag + 1e-9)) if a_flag else flags
    evidence = [Calls(single_links.NAME, shown_flags, shown_flags * settings.evidence_rows)]
    more_on_first = prices.sum_usd(first) - prices.sum_usd(bulk)

    def day(*parts: list[Calls], once_usd: float = 0.0) -> dict[str, Any]:
        usd = sum(map(prices.sum_usd, parts))
        calls = sum(each.calls for part in parts for each in part)
        return {"calls": calls, "usd": round(usd, 6), "usd_30_days": round(DAYS * usd + once_usd, 6)}

    return {
        "targets": watched.targets,
        "main_domains": watched.main_domains,
        "in_bulk": watched.in_bulk,
        "only_full": len(watched.only_full),
        "control_targets": sample,
        "flags_assumed": flags,
        "flags_with_evidence": shown_flags,
        "evidence_usd_per_flag": round(a_flag, 6),
        "evidence_rows": settings.evidence_rows,
        "evidence_usd_per_day": settings.evidence_usd_per_day,
        "full": day(full),
        "full_with_evidence": day(full, evidence),
        "bulk": day(bulk, once_usd=more_on_first),
        "bulk_first_of_month": {name: value for name, value in day(first).items() if name != "usd_30_days"},
        "bulk_with_control": day(bulk, control, once_usd=more_on_first),
        "bulk_with_control_and_evidence": day(bulk, control, evidence, once_usd=more_on_first),
        "prices": {
            "source": prices.source,
            "why": prices.why,
            "built_in_for": prices.missing,
            "endpoints": {
                name: {"call_usd": prices.of(name).call_usd, "row_usd": prices.of(name).row_usd} for name in USED
            },
        },
    }


def _rows(sums: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    flags, control = counted(sums["flags_with_evidence"], "flag"), sums["control_targets"]
    rows = [
        ("full: two summaries a target", sums["full"]),
        (f"  with evidence for {flags}", sums["full_with_evidence"]),
        ("bulk", sums["bulk"]),
        ("  on a month's first run", sums["bulk_first_of_month"]),
    ]
    if control:
        rows.append((f"  with {counted(control, 'control target')} in full", sums["bulk_with_control"]))
    return [*rows, (f"  {'and ' if control else ''}with evidence for {flags}", sums["bulk_with_control_and_evidence"])]


def _print(sums: Mapping[str, Any], where: str) -> None:
    rows = [
        (name, f"{one['calls']:,}", dollars(one["usd"]), dollars(one["usd_30_days"]) if "usd_30_days" in one else "")
        for name, one in _rows(sums)
    ]
    if not sys.stdout.isatty():
        print("way\tcalls\tday\t30 days")
        for row in rows:
            print("\t".join(cell.strip() for cell in row))
    else:
        of = f"{counted(sums['targets'], 'target')} of {counted(sums['main_domains'], 'main domain')}{where}"
        costs_table = table(f"What a day costs for {escape(of)}")
        costs_table.add_column("Watched", no_wrap=True)
        for name in ("Calls", "A day", f"{DAYS} days"):
            costs_table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            costs_table.add_row(*map(escape, row))
        out().print(costs_table)
    console = out() if sys.stdout.isatty() else err()  # a table in a pipe has nothing after it
    for sentence in _sentences(sums):
        console.print(escape(sentence))


def _sentences(sums: Mapping[str, Any]) -> list[str]:
    prices = sums["prices"]
    tariffs = {(each["call_usd"], each["row_usd"]) for each in prices["endpoints"].values()}
    each = ", one for each endpoint"
    if len(tariffs) == 1:
        call_usd, row_usd = tariffs.pop()
        each = f": {_price(call_usd)} a call and {_price(row_usd)} a row"
    source = {
        "account": "The prices are your account's own",
        "simulator": "The prices are the simulator's",
        "built-in": f"The prices are the built-in ones of November 2026 ({prices['why'].rstrip('.')})",
    }[prices["source"]]
    said = [f"{source}{each}."]
    if prices["built_in_for"]:
        said.append(f"Built-in ones stand for what the list lacks: {', '.join(prices['built_in_for'])}.")
    flags = counted(sums["flags_assumed"], "flag")
    assumed = f"{flags} a day {'is' if sums['flags_assumed'] == 1 else 'are'} assumed"
    said.append(
        f"Evidence is {dollars(sums['evidence_usd_per_flag'])} a flag for {sums['evidence_rows']:,} rows, "
        f"{dollars(sums['evidence_usd_per_day'])} a day at most; {assumed}."
    )
    if sums["only_full"]:
        one = sums["only_full"] == 1
        said.append(
            f"{counted(sums['only_full'], 'target')} {'has' if one else 'have'} request parameters that bulk calls do not know "
            f"and {'is' if one else 'are'} read in full either way."
        )
    return said


def _price(usd: float) -> str:
    """Return a price as exactly as it is, which is to a millionth of a dollar or less."""
    return "$" + f"{usd:.9f}".rstrip("0").rstrip(".")

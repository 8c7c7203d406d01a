"""`backlinks doctor`: free checks of everything a run needs, each fine or with what to do."""

import json
import sys
from typing import Final

from rich.markup import escape

from backlinks_assets.cli.console import me, out, settings_and_notices, table
from backlinks_assets.cli.doctor import account, instance, machine
from backlinks_assets.cli.doctor.bulk import bulk
from backlinks_assets.cli.doctor.finding import Check, Finding, tried
from backlinks_assets.cli.doctor.published import published

CHECKS: Final[dict[str, Check]] = {
    "settings": machine.anchor,
    "account": account.account,
    "folder": machine.folder,
    "store": machine.store,
    "readers": machine.readers,
    "targets": account.targets,
    "schedule": account.schedule,
    "limits": account.limits,
    "tables": machine.tables,
    "published": published,
    "announcements": machine.announcements,
    "dagster": instance.instance,
    "runs": instance.runs,
    "bulk": bulk,
    "versions": machine.versions,
}
_STYLES: Final = {"fine": "green", "note": "yellow", "to do": "bold red"}


def examine(*, as_json: bool = False) -> int:
    """Print what each check found; return 0 where nothing is to be done, else the gravest exit status."""
    settings = settings_and_notices()
    findings = {what: tried(check, settings) for what, check in CHECKS.items()}
    status = max(finding.status for finding in findings.values())
    if as_json:
        checks = [
            {"check": what, "state": one.mark, "status": one.status, "says": one.says} for what, one in findings.items()
        ]
        print(json.dumps({"status": status, "simulated": settings.simulated, "checks": checks}))
    elif sys.stdout.isatty():
        _print_table(findings)
    else:
        for what, finding in findings.items():
            print(finding.mark, what, " ".join(finding.says.split()), sep="\t")
    return status


def _print_table(findings: dict[str, Finding]) -> None:
    listed = table("What a run needs")
    listed.show_header = False
    listed.add_column(no_wrap=True)
    listed.add_column(no_wrap=True)
    listed.add_column(overflow="fold", ratio=1)
    for what, finding in findings.items():
        listed.add_row(f"[{_STYLES[finding.mark]}]{finding.mark}[/]", what, escape(finding.says))
    out().print(listed)
    if todo := [what for what, finding in findings.items() if finding.status]:
        out().print(f"\n[bold red]To do before a run:[/] {', '.join(todo)}.")
    else:
        out().print(f"\n[green]All that a run needs is there.[/] Next: [bold]{escape(me())} run[/]")

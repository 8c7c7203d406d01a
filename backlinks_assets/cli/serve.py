"""`backlinks serve`: the pages over HTTP, until somebody ends it. What it answers is the room `serve`."""

from backlinks_assets.cli.console import out, settings_and_notices, shown
from backlinks_assets.formatting import visible
from backlinks_assets.paths import reports_dir
from backlinks_assets.serve.run import serve
from backlinks_assets.settings import Settings


def serve_pages(host: str, port: int) -> int:
    """Serve the reports until SIGINT or SIGTERM; return the exit status. Raises as `serve`."""
    settings = settings_and_notices()

    def started(address: str) -> None:
        out().print(_said(settings, address), markup=False)

    serve(settings, host, port, started)
    out().print("Ended.")
    return 0


def _said(settings: Settings, address: str) -> str:
    folder = visible(shown(reports_dir(settings.root)))
    if settings.serve_user_header:
        who = f"Who presses a button is whom the header {settings.serve_user_header} names; a request without it is refused."
    else:
        who = "Only this machine reaches it."
    return f"{address} shows {folder}, and {address}incidents what is open. {who} Ctrl-C ends it."

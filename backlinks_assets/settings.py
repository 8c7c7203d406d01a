"""The project's environment variables: credentials, folders, limits, and whether answers are real or simulated.

Nothing is read at import and nothing is created on disk. Which folder relative paths and `.env` belong to is `anchor.py`;
request parameters are fields of the API resource (`defs/resources.py`), thresholds are `detection/settings.py`.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from backlinks_assets import paths
from backlinks_assets.anchor import Anchor, AnchorError
from backlinks_assets.cron import HOW, Cron
from backlinks_assets.errors import BacklinksError

VENDOR_URL = "https://api.dataforseo.com"
SIMULATOR_PATH = "/simulator"
"""Path of the bundled simulator: a base URL with it gives simulated answers."""

DAILY = Cron.parse("0 6 * * *")
"""The default of BACKLINKS_SCHEDULE."""

SIMULATED_CALLS_PER_MINUTE = 60_000
"""The simulator has no limit; with this one the rate limiter is in use all the same."""


class SettingsError(BacklinksError, ValueError):
    """An environment variable, or two together, can't be used; the message names them and the next step."""

    exit_status = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment, read once and checked. `root` is the folder that everything is stored under."""

    data_dir: Path
    targets_file: Path
    base_url: str | None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    simulated: bool = False
    calls_per_minute: int = 2000
    calls_at_once: int = 30
    budget_usd_per_day: float | None = None
    expected_price_usd: float = 0.0
    read_timeout_s: float = 120.0
    notify_urls: tuple[str, ...] = field(default=(), repr=False)  # each may hold a password or a token
    low_balance_usd: float | None = None
    reports_url: str | None = None
    schedule: Cron = DAILY
    notices: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, *, demo: bool = False) -> "Settings":
        """Read the variables; `demo` means the embedded simulator, even with credentials.

        `env` replaces the process's environment; what it does not name may be in the anchor's `.env`. The demo has targets
        of its own, which are also watched on the embedded simulator as long as the user has no targets file.

        Raises:
            SettingsError: naming the variable, what is wrong with it and what to do.
        """
        try:
            return cls._read(Anchor.of(os.environ if env is None else env), demo=demo)
        except AnchorError as error:
            raise SettingsError(str(error)) from None

    @classmethod
    def _read(cls, anchor: Anchor, *, demo: bool) -> "Settings":
        env = anchor.env
        login, password = _text(env, "DATAFORSEO_LOGIN"), _text(env, "DATAFORSEO_PASSWORD")
        base_url = _base_url(_text(env, "DATAFORSEO_BASE_URL"))
        if demo:
            login = password = base_url = None
        if (login is None) != (password is None):
            missing = "DATAFORSEO_PASSWORD" if password is None else "DATAFORSEO_LOGIN"
            raise SettingsError(
                f"{missing} is not set, though its counterpart is. Set both (the API password is on the vendor's "
                "API access page and is not the dashboard's), or neither to use the bundled simulator."
            )
        simulated = (login is None and base_url is None) or (base_url is not None and is_simulator_url(base_url))
        if base_url is not None and login is None and not _is_loopback(base_url):
            raise SettingsError(
                f"DATAFORSEO_BASE_URL is {base_url}, which needs credentials. Set DATAFORSEO_LOGIN and "
                "DATAFORSEO_PASSWORD, or unset all three to use the bundled simulator."
            )
        if _text(env, "BACKLINKS_DATABASE_URL"):
            raise SettingsError(
                "BACKLINKS_DATABASE_URL is set, but a shared database is not supported yet: the response store and "
                "the account's limits are under BACKLINKS_DATA_DIR, for one machine. Unset it to go on."
            )
        notify_urls = _notify_urls(_text(env, "BACKLINKS_NOTIFY_URLS"))
        notice = (
            "BACKLINKS_NOTIFY_URLS is set: a Dagster daemon over this folder sends what is flagged there too, and says "
            "that the numbers are simulated."
        )
        data_dir = anchor.data_dir(simulated=simulated)
        targets_file = _text(env, "BACKLINKS_TARGETS_FILE")
        targets = anchor.path("BACKLINKS_TARGETS_FILE", targets_file) if targets_file else paths.targets_path(data_dir)
        demo_targets = paths.targets_path(data_dir / paths.DEMO)
        embedded = simulated and base_url is None
        if demo or (embedded and not targets_file and not targets.exists() and demo_targets.exists()):
            targets = demo_targets
        return cls(
            data_dir=data_dir,
            targets_file=targets,
            base_url=None if embedded else (base_url or VENDOR_URL),
            login=login,
            password=password,
            simulated=simulated,
            calls_per_minute=_whole(
                env, "BACKLINKS_CALLS_PER_MINUTE", SIMULATED_CALLS_PER_MINUTE if simulated else 2000, 1_000_000
            ),
            calls_at_once=_whole(env, "BACKLINKS_CALLS_AT_ONCE", 30, 1000),
            budget_usd_per_day=_dollars(env, "BACKLINKS_BUDGET_USD_PER_DAY"),
            # The vendor's price for a request of one row since July 2026, until answers have said what calls cost.
            expected_price_usd=_dollars(env, "BACKLINKS_EXPECTED_PRICE_USD") or 0.024036,
            # The vendor's own limit on a Live call is 120 s: waiting less could abandon an answer that is paid for.
            read_timeout_s=_whole(env, "BACKLINKS_READ_TIMEOUT_S", 120, 500),
            notify_urls=notify_urls,
            low_balance_usd=_dollars(env, "BACKLINKS_LOW_BALANCE_USD"),
            reports_url=_reports_url(_text(env, "BACKLINKS_REPORTS_URL")),
            schedule=_schedule(env),
            notices=(notice,) if notify_urls and simulated else (),
        )

    @property
    def root(self) -> Path:
        """The folder of this kind of answers: simulated ones are in `demo`, apart from real ones."""
        return self.data_dir / paths.DEMO if self.simulated else self.data_dir

    @property
    def demo_targets_file(self) -> Path:
        return paths.targets_path(self.data_dir / paths.DEMO)

    @property
    def own_targets_file(self) -> Path:
        """The user's targets file, which `backlinks targets add` and `retire` change, also while the demo's is watched."""
        of_demo = self.targets_file == self.demo_targets_file
        return paths.targets_path(self.data_dir) if of_demo else self.targets_file

    @property
    def store_file(self) -> Path:
        return paths.store_path(self.root)

    @property
    def duckdb_file(self) -> Path:
        return paths.duckdb_path(self.root)

    def report_address(self, page: Path) -> str:
        """Return the web address of a page of the folder `reports`, or its path where it is not served."""
        return f"{self.reports_url}/{page.name}" if self.reports_url else str(page)

    @property
    def limits_dir(self) -> Path:
        """The folder of the account's pace and slots, shared by every process that uses this root."""
        return paths.account_dir(self.root)

    @property
    def dagster_dir(self) -> Path:
        return paths.dagster_dir(self.root)

    @property
    def origin(self) -> str:
        """The origin of answers: `simulator`, `loopback`, or the API's host. A store holds those of one origin."""
        if self.simulated or self.base_url is None:
            return "simulator"
        return "loopback" if _is_loopback(self.base_url) else urlsplit(self.base_url).netloc.lower()

    @property
    def accepts_example_targets(self) -> bool:
        """Whether targets under the reserved `.example` and `.test` may be requested: not from the real API."""
        return self.base_url is None or _is_loopback(self.base_url)


def schedule_from_env() -> Cron:
    """Return the daily schedule, without the other settings; raises as `Settings.from_env`."""
    try:
        return _schedule(Anchor.of(os.environ).env)
    except AnchorError as error:
        raise SettingsError(str(error)) from None


def _schedule(env: Mapping[str, str]) -> Cron:
    text = _text(env, "BACKLINKS_SCHEDULE")
    if text is None:
        return DAILY
    try:
        return Cron.parse(text)
    except ValueError as error:
        raise SettingsError(f"BACKLINKS_SCHEDULE is {text!r}, which is not a usable cron: {error}. {HOW}") from None


def is_simulator_url(base_url: str) -> bool:
    """Whether a base URL is the bundled simulator's: on loopback, under its path."""
    return _is_loopback(base_url) and urlsplit(base_url).path.rstrip("/") == SIMULATOR_PATH


def _text(env: Mapping[str, str], name: str) -> str | None:
    return env.get(name, "").strip() or None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _web_address(variable: str, text: str, what: str, how: str, on_credentials: str) -> SplitResult:
    """Return the parts of an http(s) address with a host, without query and fragment; raises SettingsError."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise SettingsError(f"{variable} is not a valid URL: {error}. {how}") from None
    if "@" in parts.netloc:
        raise SettingsError(f"{variable} holds credentials{on_credentials}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"{variable} is {text!r}, which is not a valid {what}. {how}")
    return parts


def _base_url(text: str | None) -> str | None:
    if text is None:
        return None
    elsewhere = ". Take them out and set DATAFORSEO_LOGIN and DATAFORSEO_PASSWORD."
    parts = _web_address("DATAFORSEO_BASE_URL", text, "base URL", f"Write it as {VENDOR_URL}.", elsewhere)
    if parts.scheme == "http" and not _is_loopback(text):
        raise SettingsError(
            f"DATAFORSEO_BASE_URL is {text!r}: plain http would send the credentials readable over the network. "
            "Use https; http is for loopback only."
        )
    return text.rstrip("/").removesuffix("/v3")


def _reports_url(text: str | None) -> str | None:
    """Return the web address of the folder of reports, without a slash at its end."""
    if text is None:
        return None
    variable, what = "BACKLINKS_REPORTS_URL", "address of a web folder"
    how = "Write the address under which the folder `reports` is served, such as https://intranet.example/backlinks."
    _web_address(variable, text, what, how, f", which every message would show. {how}")
    if not _WEB_ADDRESS.fullmatch(text):
        raise SettingsError(f"{variable} is {text!r}, which is not a valid {what}. {how}")
    return text.removesuffix("/index.html").rstrip("/")


_WEB_ADDRESS = re.compile(r"[A-Za-z0-9._~:/%@!$&'*+,;=\[\]-]+")
"""Characters of an address that need no percent-encoding."""
_URL_START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def _notify_urls(text: str | None) -> tuple[str, ...]:
    """Return the URLs, separated by white space, or by commas before a scheme: a URL may have commas.

    Errors never quote a URL, since most hold a secret.
    """
    urls = re.split(rf"\s+|,(?={_URL_START.pattern})", text or "")
    urls = [url.strip(",") for url in urls if url.strip(",")]
    for number, url in enumerate(urls, start=1):
        start = _URL_START.match(url)
        if start is None or start.end() == len(url):
            raise SettingsError(
                f"BACKLINKS_NOTIFY_URLS: number {number} of {len(urls)} is not a URL with a scheme, such as "
                "mailto:// or slack:// (it is not shown here, since it may hold a secret). Separate several by spaces."
            )
    return tuple(urls)


def _whole(env: Mapping[str, str], name: str, default: int, highest: int) -> int:
    text = _text(env, name)
    if text is None:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise SettingsError(f"{name} is {text!r}; it must be a whole number from 1 to {highest:,}.")
    return int(text)


def _dollars(env: Mapping[str, str], name: str) -> float | None:
    text = _text(env, name)
    if text is None:
        return None
    try:
        value = float(text.removeprefix("$"))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise SettingsError(f"{name} is {text!r}; it must be an amount in US dollars, such as 25 or 0.5.")
    return value

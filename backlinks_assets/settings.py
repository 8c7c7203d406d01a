"""The project's environment variables: credentials, folders, limits, and whether answers are real or simulated.

Nothing is read at import and nothing is created on disk. Which folder relative paths and `.env` belong to is `anchor.py`;
request parameters are fields of the API resource (`defs/resources.py`), thresholds are `detection/settings.py`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from backlinks_assets import env_values as values, paths
from backlinks_assets.anchor import Anchor, AnchorError
from backlinks_assets.cron import HOW, Cron
from backlinks_assets.env_values import VENDOR_URL, SettingsError
from backlinks_assets.postgres_url import PostgresUrl
from backlinks_assets.tables_url import TablesUrl

SIMULATOR_PATH = "/simulator"
"""Path of the bundled simulator: a base URL with it gives simulated answers."""

DAILY = Cron.parse("0 6 * * *")
"""The default of BACKLINKS_SCHEDULE."""

PARTITION_DAYS, MAX_PARTITION_DAYS = 60, 3650

CONTROL_TARGETS, TARGETS_PER_SAMPLE = 3, 1000
"""Of so many targets watched in bulk, so many are read in full too."""
EVIDENCE = ("off", "critical", "all")
"""For which flags evidence is bought; the first is the default."""
EVIDENCE_ROWS, EVIDENCE_USD_PER_DAY = 100, 1.0

SIMULATED_CALLS_PER_MINUTE = 60_000
"""The simulator has no limit; with this one the rate limiter is in use all the same."""


_NOT_SHARED = (
    "BACKLINKS_DATABASE_URL has no effect: what the bundled simulator answers is stored on this machine, apart from real "
    "answers. Set DATAFORSEO_LOGIN and DATAFORSEO_PASSWORD to share a store."
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment, read once and checked. `root` is the folder that everything is stored under."""

    data_dir: Path
    targets_file: Path
    base_url: str | None
    channels_file: Path
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
    database_url: PostgresUrl | None = None
    tables_url: TablesUrl | None = None
    partition_days: int = PARTITION_DAYS
    evidence: str = "off"
    evidence_rows: int = EVIDENCE_ROWS
    evidence_usd_per_day: float = EVIDENCE_USD_PER_DAY
    instance_url: PostgresUrl | None = None
    watch: Literal["full", "bulk"] = "full"
    control_targets: int = CONTROL_TARGETS
    serve_user_header: str | None = None
    notices: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """The environment and `.env` together, for the variables that `channels.toml` names; it holds secrets."""

    @classmethod
    def from_env(
        cls, env: Mapping[str, str] | None = None, *, demo: bool = False, only_reads: bool = False
    ) -> "Settings":
        """Read the variables; `demo` means the embedded simulator, even with credentials.

        `only_reads` is for what makes no call: then a base URL needs no credentials, and says whose answers are read.

        `env` replaces the process's environment; what it does not name may be in the anchor's `.env`. The demo has targets
        of its own, which are also watched on the embedded simulator as long as the user has no targets file.

        Raises:
            SettingsError: naming the variable, what is wrong with it and what to do.
        """
        try:
            return cls._read(Anchor.of(os.environ if env is None else env), demo=demo, only_reads=only_reads)
        except AnchorError as error:
            raise SettingsError(str(error)) from None

    @classmethod
    def _read(cls, anchor: Anchor, *, demo: bool, only_reads: bool) -> "Settings":
        env = anchor.env
        login, password = values.text_of(env, "DATAFORSEO_LOGIN"), values.text_of(env, "DATAFORSEO_PASSWORD")
        base_url = values.base_url(values.text_of(env, "DATAFORSEO_BASE_URL"))
        if demo:
            login = password = base_url = None
        if (login is None) != (password is None):
            missing = "DATAFORSEO_PASSWORD" if password is None else "DATAFORSEO_LOGIN"
            raise SettingsError(
                f"{missing} is not set, though its counterpart is. Set both (the API password is on the vendor's "
                "API access page and is not the dashboard's), or neither to use the bundled simulator."
            )
        simulated = (login is None and base_url is None) or (base_url is not None and is_simulator_url(base_url))
        if base_url is not None and login is None and not only_reads and not values.is_loopback(base_url):
            raise SettingsError(
                f"DATAFORSEO_BASE_URL is {base_url}, which needs credentials. Set DATAFORSEO_LOGIN and "
                "DATAFORSEO_PASSWORD, or unset all three to use the bundled simulator. Without credentials only "
                "`backlinks flags` and `load_table` read its answers."
            )
        database_url = values.database_url(env, "BACKLINKS_DATABASE_URL")
        instance_url = values.database_url(env, "BACKLINKS_INSTANCE_URL")
        if database_url is not None and instance_url is not None and database_url.place == instance_url.place:
            raise SettingsError(
                "BACKLINKS_INSTANCE_URL and BACKLINKS_DATABASE_URL name the same database. The two may share a server: make a "
                "database of its own for Dagster (createdb dagster) and name it in BACKLINKS_INSTANCE_URL."
            )
        notify_urls = values.notify_urls(values.text_of(env, "BACKLINKS_NOTIFY_URLS"))
        embedded = simulated and base_url is None
        data_dir = anchor.data_dir(simulated=simulated, has_store=embedded or database_url is None)
        channels_text = values.text_of(env, "BACKLINKS_CHANNELS_FILE")
        channels = anchor.path("BACKLINKS_CHANNELS_FILE", channels_text) if channels_text else None
        channels_file = channels or paths.channels_path(data_dir)
        named = ["BACKLINKS_NOTIFY_URLS is set"] if notify_urls else []
        named += [f"{channels_file.name} is there"] if channels_file.exists() else []
        notice = (
            f"{' and '.join(named)}: a Dagster daemon over this folder sends what is flagged there too, and says that the "
            "numbers are simulated."
        )
        targets_file = values.text_of(env, "BACKLINKS_TARGETS_FILE")
        targets = anchor.path("BACKLINKS_TARGETS_FILE", targets_file) if targets_file else paths.targets_path(data_dir)
        demo_targets = paths.targets_path(data_dir / paths.DEMO)
        if demo or (embedded and not targets_file and not targets.exists() and demo_targets.exists()):
            targets = demo_targets
        return cls(
            data_dir=data_dir,
            targets_file=targets,
            base_url=None if embedded else (base_url or VENDOR_URL),
            channels_file=channels_file,
            login=login,
            password=password,
            simulated=simulated,
            calls_per_minute=values.whole(
                env, "BACKLINKS_CALLS_PER_MINUTE", SIMULATED_CALLS_PER_MINUTE if simulated else 2000, 1_000_000
            ),
            calls_at_once=values.whole(env, "BACKLINKS_CALLS_AT_ONCE", 30, 1000),
            budget_usd_per_day=values.dollars(env, "BACKLINKS_BUDGET_USD_PER_DAY"),
            # The vendor's price for a request of one row since July 2026, until answers have said what calls cost.
            expected_price_usd=values.dollars(env, "BACKLINKS_EXPECTED_PRICE_USD") or 0.024036,
            # The vendor's own limit on a Live call is 120 s: waiting less could abandon an answer that is paid for.
            read_timeout_s=values.whole(env, "BACKLINKS_READ_TIMEOUT_S", 120, 500),
            notify_urls=notify_urls,
            low_balance_usd=values.dollars(env, "BACKLINKS_LOW_BALANCE_USD"),
            reports_url=values.reports_url(values.text_of(env, "BACKLINKS_REPORTS_URL")),
            schedule=_schedule(env),
            database_url=None if embedded else database_url,
            tables_url=None if demo else _tables_url(anchor, simulated=simulated),
            notices=((notice,) if named and simulated else ()) + ((_NOT_SHARED,) if embedded and database_url else ()),
            env=dict(env),
            evidence=values.one_of(env, "BACKLINKS_EVIDENCE", EVIDENCE),
            evidence_rows=values.whole(env, "BACKLINKS_EVIDENCE_ROWS", EVIDENCE_ROWS, 1000, lowest=10),
            evidence_usd_per_day=_or(values.dollars(env, "BACKLINKS_EVIDENCE_USD_PER_DAY"), EVIDENCE_USD_PER_DAY),
            partition_days=values.whole(env, "BACKLINKS_PARTITION_DAYS", PARTITION_DAYS, MAX_PARTITION_DAYS),
            instance_url=instance_url,
            watch=values.watch(env, "BACKLINKS_WATCH"),
            control_targets=values.whole(
                env, "BACKLINKS_CONTROL_TARGETS", CONTROL_TARGETS, TARGETS_PER_SAMPLE, lowest=0
            ),
            serve_user_header=values.header_name(env, "BACKLINKS_SERVE_USER_HEADER"),
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
        """The embedded store; `store` is the one in use."""
        return paths.store_path(self.root)

    @property
    def store(self) -> Path | PostgresUrl:
        """Where answers, claims and the ledger are: the file under `root`, or the database that machines share.

        What the simulator inside this process answers is in the file, whatever the environment names.
        """
        return self.database_url or self.store_file

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
        return "loopback" if values.is_loopback(self.base_url) else urlsplit(self.base_url).netloc.lower()

    @property
    def accepts_example_targets(self) -> bool:
        """Whether targets under the reserved `.example` and `.test` may be requested: not from the real API."""
        return self.base_url is None or values.is_loopback(self.base_url)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _tables_url(anchor: Anchor, *, simulated: bool) -> TablesUrl | None:
    """Return where tables are published; like the data folder, it has simulated ones apart, in `demo`."""
    text = values.text_of(anchor.env, "BACKLINKS_TABLES_URL")
    if text is None:
        return None
    try:
        url = TablesUrl.parse(text, anchor)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return url.below(paths.DEMO) if simulated else url


def schedule_from_env() -> Cron:
    """Return the daily schedule, without the other settings; raises as `Settings.from_env`."""
    try:
        return _schedule(Anchor.of(os.environ).env)
    except AnchorError as error:
        raise SettingsError(str(error)) from None


def _schedule(env: Mapping[str, str]) -> Cron:
    text = values.text_of(env, "BACKLINKS_SCHEDULE")
    if text is None:
        return DAILY
    try:
        return Cron.parse(text)
    except ValueError as error:
        raise SettingsError(f"BACKLINKS_SCHEDULE is {text!r}, which is not a usable cron: {error}. {HOW}") from None


def is_simulator_url(base_url: str) -> bool:
    """Whether a base URL is the bundled simulator's: on loopback, under its path."""
    return values.is_loopback(base_url) and urlsplit(base_url).path.rstrip("/") == SIMULATOR_PATH

"""What the environment may say, and what is refused with a sentence."""

from pathlib import Path

import pytest

from backlinks_assets.env_values import VENDOR_URL, SettingsError
from backlinks_assets.postgres_url import PostgresUrl
from backlinks_assets.settings import Settings

CREDENTIALS = {"DATAFORSEO_LOGIN": "someone@example.com", "DATAFORSEO_PASSWORD": "s3cret-passphrase"}


def test_with_nothing_set_the_simulator_answers_and_keeps_apart(tmp_path: Path) -> None:
    settings = Settings.from_env({"BACKLINKS_DATA_DIR": str(tmp_path)})
    assert settings.simulated
    assert settings.base_url is None
    assert settings.root == tmp_path / "demo"
    assert settings.origin == "simulator"


def test_with_credentials_the_vendor_is_asked_and_answers_are_kept_in_the_data_folder(tmp_path: Path) -> None:
    settings = Settings.from_env({"BACKLINKS_DATA_DIR": str(tmp_path), **CREDENTIALS})
    assert not settings.simulated
    assert settings.base_url == VENDOR_URL
    assert settings.root == tmp_path
    assert (settings.calls_per_minute, settings.calls_at_once, settings.budget_usd_per_day) == (2000, 30, None)


def test_the_simulator_as_a_server_is_known_by_its_url(tmp_path: Path) -> None:
    settings = Settings.from_env(
        {"BACKLINKS_DATA_DIR": str(tmp_path), "DATAFORSEO_BASE_URL": "http://127.0.0.1:8765/simulator/", **CREDENTIALS}
    )
    assert settings.simulated
    assert settings.root == tmp_path / "demo"


def test_the_demo_uses_the_simulator_whatever_the_credentials(tmp_path: Path) -> None:
    settings = Settings.from_env({"BACKLINKS_DATA_DIR": str(tmp_path), **CREDENTIALS}, demo=True)
    assert settings.simulated
    assert settings.password is None


def test_the_targets_file_is_in_the_data_folder_unless_named(tmp_path: Path) -> None:
    assert Settings.from_env({"BACKLINKS_DATA_DIR": str(tmp_path)}).targets_file == tmp_path / "targets.csv"
    named = Settings.from_env({"BACKLINKS_TARGETS_FILE": str(tmp_path / "mine.csv")})
    assert named.targets_file == tmp_path / "mine.csv"


def test_the_password_is_in_no_repr() -> None:
    assert "s3cret-passphrase" not in repr(Settings.from_env(CREDENTIALS))


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"DATAFORSEO_LOGIN": "x"}, "DATAFORSEO_PASSWORD is not set"),
        ({"DATAFORSEO_PASSWORD": "x"}, "DATAFORSEO_LOGIN is not set"),
        ({**CREDENTIALS, "DATAFORSEO_BASE_URL": "http://api.dataforseo.com"}, "plain http"),
        ({**CREDENTIALS, "DATAFORSEO_BASE_URL": "http://127.0.0.1.evil.com"}, "plain http"),
        ({**CREDENTIALS, "DATAFORSEO_BASE_URL": "ftp://x"}, "not a valid base URL"),
        ({**CREDENTIALS, "DATAFORSEO_BASE_URL": "https://me:pw@x.com"}, "holds credentials"),
        ({**CREDENTIALS, "DATAFORSEO_BASE_URL": "https://x.com:port"}, "not a valid URL"),
        ({"DATAFORSEO_BASE_URL": "https://sandbox.dataforseo.com"}, "needs credentials"),
        ({"BACKLINKS_CALLS_PER_MINUTE": "0"}, "BACKLINKS_CALLS_PER_MINUTE"),
        (
            {"BACKLINKS_PARTITION_DAYS": "3651"},
            "BACKLINKS_PARTITION_DAYS is '3651'; it must be a whole number from 1 to",
        ),
        ({"BACKLINKS_CALLS_AT_ONCE": "thirty"}, "BACKLINKS_CALLS_AT_ONCE"),
        ({"BACKLINKS_BUDGET_USD_PER_DAY": "-1"}, "BACKLINKS_BUDGET_USD_PER_DAY"),
        ({"BACKLINKS_BUDGET_USD_PER_DAY": "nan"}, "BACKLINKS_BUDGET_USD_PER_DAY"),
        ({"BACKLINKS_LOW_BALANCE_USD": "some"}, "BACKLINKS_LOW_BALANCE_USD"),
        (
            {"BACKLINKS_REPORTS_URL": "/srv/reports"},
            "BACKLINKS_REPORTS_URL is '/srv/reports', which is not a valid address",
        ),
        ({"BACKLINKS_REPORTS_URL": "file:///srv/reports"}, "not a valid address of a web folder"),
        ({"BACKLINKS_REPORTS_URL": "javascript://x.example/%0aalert(1)"}, "not a valid address of a web folder"),
        ({"BACKLINKS_REPORTS_URL": "https://x.example/a b"}, "not a valid address of a web folder"),
        ({"BACKLINKS_REPORTS_URL": 'https://x.example/"><b>'}, "not a valid address of a web folder"),
        ({"BACKLINKS_REPORTS_URL": "https://x.example/?day=1"}, "not a valid address of a web folder"),
        ({"BACKLINKS_REPORTS_URL": "https:///reports"}, "not a valid address of a web folder"),
        ({"BACKLINKS_REPORTS_URL": "https://x.example:port"}, "BACKLINKS_REPORTS_URL is not a valid URL"),
        ({"BACKLINKS_REPORTS_URL": "https://me:pw@x.example"}, "BACKLINKS_REPORTS_URL holds credentials"),
        (
            {"BACKLINKS_DATABASE_URL": "postgresql://me:pw@x"},
            "BACKLINKS_DATABASE_URL does not name a host and a database",
        ),
        ({"BACKLINKS_DATABASE_URL": "mysql://me:pw@x/y"}, "does not begin with postgresql://"),
        ({"BACKLINKS_DATABASE_URL": "postgresql://me:s3cret/passphrase@x/y"}, "percent-encoded"),
        ({"BACKLINKS_DATABASE_URL": "postgresql://me:12/s3cret-passphrase@x/y"}, "percent-encoded"),
        ({"BACKLINKS_DATABASE_URL": "postgresql://me:12#s3cret-passphrase@x/y"}, "percent-encoded"),
    ],
)
def test_what_cannot_be_used_is_named(env: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        Settings.from_env(env)
    assert "s3cret-passphrase" not in str(refused.value)
    assert ":pw@" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://me:t0ken@db.example/backlinks", "the database backlinks on db.example:5432"),
        ("postgres://me:t0ken%40@db.example:6432/a%20b?sslmode=require", "the database a b on db.example:6432"),
        ("postgresql://me:t0ken@[::1]:5433/x", "the database x on [::1]:5433"),
        ("postgresql:///x?host=/run/postgresql", "the database x on /run/postgresql"),
    ],
)
def test_the_store_may_be_a_database_whose_password_is_in_no_words_for_it(url: str, place: str, tmp_path: Path) -> None:
    env = {"BACKLINKS_DATABASE_URL": url, "BACKLINKS_DATA_DIR": str(tmp_path)}
    settings = Settings.from_env({**env, **CREDENTIALS})
    assert isinstance(settings.store, PostgresUrl)
    assert (str(settings.store), settings.store.secret) == (place, url.replace("postgres://", "postgresql://"))
    assert "t0ken" not in f"{settings!r} {settings.store!r} {settings.store}"
    assert Settings.from_env(env).store == tmp_path / "demo" / "responses.sqlite"  # of the simulator in this process
    assert settings.notices == ()
    (notice,) = Settings.from_env(env).notices
    assert "BACKLINKS_DATABASE_URL has no effect" in notice


@pytest.mark.parametrize("end", ["", "/", "/index.html"])
def test_a_page_is_at_its_path_or_at_the_address_that_is_set(end: str) -> None:
    page = Path("/data/reports/flags-2026-11-24.html")
    assert Settings.from_env({}).report_address(page) == str(page)
    settings = Settings.from_env({"BACKLINKS_REPORTS_URL": f" https://x.example:8443/seo/reports{end} "})
    assert settings.report_address(page) == "https://x.example:8443/seo/reports/flags-2026-11-24.html"


def test_where_to_announce_may_be_one_url_or_several_and_a_url_may_hold_commas() -> None:
    text = " mailto://me:pw@mail.example?to=a@x.example,b@x.example, json://hook.example/a,b\n tgram://1:abc/2 "
    assert Settings.from_env({"BACKLINKS_NOTIFY_URLS": text}).notify_urls == (
        "mailto://me:pw@mail.example?to=a@x.example,b@x.example",
        "json://hook.example/a,b",
        "tgram://1:abc/2",
    )
    assert Settings.from_env({}).notify_urls == ()


@pytest.mark.parametrize("bad", ["s3cret-t0ken", "://s3cret-t0ken", "s3cret-t0ken://"])
def test_a_url_that_is_none_is_named_by_its_place_and_never_by_its_text(bad: str) -> None:
    with pytest.raises(SettingsError, match="number 2 of 3") as refused:
        Settings.from_env({"BACKLINKS_NOTIFY_URLS": f"json://a.example {bad} json://b.example"})
    assert "s3cret-t0ken" not in str(refused.value)


def test_the_urls_are_in_no_repr() -> None:
    assert "t0ken" not in repr(Settings.from_env({"BACKLINKS_NOTIFY_URLS": "json://me:t0ken@hook.example"}))


def test_announcing_simulated_numbers_is_told() -> None:
    url = {"BACKLINKS_NOTIFY_URLS": "json://hook.example"}
    (notice,) = Settings.from_env(url).notices
    assert "simulated" in notice
    assert Settings.from_env({**url, **CREDENTIALS}).notices == ()


@pytest.mark.parametrize(
    "url", ["https://api.dataforseo.com/", "https://api.dataforseo.com/v3", "https://api.dataforseo.com/v3/"]
)
def test_a_base_url_may_be_written_as_people_write_it(url: str) -> None:
    assert Settings.from_env({**CREDENTIALS, "DATAFORSEO_BASE_URL": url}).base_url == VENDOR_URL


def test_examples_may_be_asked_for_on_loopback_only() -> None:
    assert not Settings.from_env(CREDENTIALS).accepts_example_targets
    assert Settings.from_env({}).accepts_example_targets
    assert Settings.from_env({"DATAFORSEO_BASE_URL": "http://127.0.0.1:9"}).accepts_example_targets


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_dagsters_database_is_written_as_everywhere_and_shown_nowhere(tmp_path: Path, scheme: str) -> None:
    settings = Settings.from_env(
        {"BACKLINKS_DATA_DIR": str(tmp_path), "BACKLINKS_INSTANCE_URL": f"{scheme}://user:pa%24s@db.example/dagster"}
    )
    assert settings.instance_url is not None
    assert settings.instance_url.secret == "postgresql://user:pa%24s@db.example/dagster"
    assert "pa%24s" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "db.example/dagster",
        "mysql://user:pa$s@db/dagster",
        "postgresql://user:pa$s@db",
        "postgresql://user:pa$s@db:x/d",
    ],
)
def test_a_database_that_is_no_postgres_url_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"^BACKLINKS_INSTANCE_URL (is not a valid URL|does not )") as refused:
        Settings.from_env({"BACKLINKS_DATA_DIR": str(tmp_path), "BACKLINKS_INSTANCE_URL": url})
    assert "pa$s" not in str(refused.value)


def test_the_store_and_dagster_may_share_a_server_and_not_a_database(tmp_path: Path) -> None:
    env = {
        "BACKLINKS_DATA_DIR": str(tmp_path),
        "BACKLINKS_INSTANCE_URL": "postgresql://dagster:secret@db.example:5432/backlinks",
        "BACKLINKS_DATABASE_URL": "postgresql+psycopg://store@DB.example/backlinks?sslmode=require",
    }
    with pytest.raises(SettingsError, match="name the same database") as refused:
        Settings.from_env(env)
    assert "secret" not in str(refused.value)

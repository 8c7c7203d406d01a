"""The password is nowhere: in no file, no output, no record of Dagster's, no process list, no repr, no traceback."""

import base64
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import commands
import faults
import pytest
import zstandard
from faults import Fault

from backlinks_assets.collect.factory import open_collector
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import Request
from backlinks_assets.dataforseo.endpoints.summary import SUMMARY, RequestParameters
from backlinks_assets.dataforseo.errors import ApiError
from backlinks_assets.defs.partitions import day_range_tags, range_tags
from backlinks_assets.defs.resources import BacklinksApi, BacklinksData
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.env_values import SettingsError
from backlinks_assets.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

LOGIN, PASSWORD = "someone@example.com", "pa:ss/wörd 7$[x]%41"
"""With what could be cut, quoted, escaped or read as markup on its way."""


def forms(text: str) -> list[bytes]:
    """The ways in which a secret could be written."""
    raw, encoded = text.encode(), base64.b64encode(text.encode())
    pair = base64.b64encode(f"{LOGIN}:{text}".encode())
    written = [quote(text, safe=""), repr(text)[1:-1], ascii(text)[1:-1]]
    return [raw, encoded, pair, pair.rstrip(b"=")[:-1], *(form.encode() for form in written)]


SECRETS = forms(PASSWORD)


def told_in(data: bytes) -> bool:
    return any(secret in data for secret in SECRETS)


def everything_written(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            yield file, str(file).encode() + file.read_bytes()


@pytest.fixture
def real(api, monkeypatch):
    """A server that stands for the API, and the password of this module."""

    def start(*faults: Fault, **knobs: object):
        server = api(*faults, credentials=(LOGIN, PASSWORD), **knobs)
        monkeypatch.setenv("DATAFORSEO_LOGIN", LOGIN)
        monkeypatch.setenv("DATAFORSEO_PASSWORD", PASSWORD)
        monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
        return server

    return start


def test_the_search_finds_each_form_of_a_secret() -> None:
    for form in SECRETS:
        assert told_in(b"before " + form + b" after")
    assert not told_in(b"someone@example.com")


@pytest.mark.ci
def test_nothing_that_a_day_leaves_behind_holds_the_password(real, write_targets, tmp_path: Path) -> None:
    refused = f"Invalid credentials {LOGIN}:{PASSWORD}"  # a server that repeats what it was sent
    server = real(
        Fault(faults.code(50100, refused), target="repeats.example"),
        Fault(faults.code(40501), target="refused.example"),
        Fault(faults.reset(), target="reset.example", status_type="live", first_of_each_target=1),
    )
    names = ["shop.example", "refused.example", "reset.example"]
    write_targets(*names)
    today, settings = str(commands.today()), Settings.from_env()
    said = [commands.script("run"), commands.command("doctor"), commands.command("flags")]
    with open_instance(settings) as instance:
        add_missing_targets(instance, [*names, "repeats.example"])
    write_targets(*names, "repeats.example", "https://shop.example/page")
    runs = [
        commands.dagster_run("collect_job", range_tags(today, today, "shop.example", "repeats.example")),
        commands.start("run", "--json"),
        commands.dagster_run("publish_job", day_range_tags(today, today)),
    ]
    said += [run.end() for run in runs]
    assert any("repeats.example" in ended.out + ended.err for ended in said)  # it was told, without the password
    assert any(call.status_code == 50100 for call in server.calls)

    for ended in said:
        assert not told_in((ended.out + ended.err).encode())
    files = list(everything_written(tmp_path))
    assert len(files) > 20
    assert [str(file) for file, data in files if told_in(data)] == []
    store = sqlite3.connect(settings.store_file)
    for (body,) in store.execute("SELECT body FROM responses"):
        assert not told_in(zstandard.decompress(body))
    store.close()


@pytest.mark.ci
def test_no_process_list_shows_the_password(real, write_targets) -> None:
    server = real(latency_s=1.0)
    write_targets("shop.example")
    run = commands.start("run")
    commands.wait_for(lambda: len(server.calls) == 2)
    shown = [
        line for process in Path("/proc").iterdir() if process.name.isdigit() and b"python" in (line := _line(process))
    ]
    assert len(shown) > 1
    assert not any(map(told_in, shown))
    assert run.end().status == 0


def _line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # over in the meantime
        return b""


def test_no_repr_shows_the_password(real) -> None:
    real()
    settings = Settings.from_env()
    with open_collector(settings) as collector, Client(settings.base_url or "", LOGIN, PASSWORD) as client:
        resources = [BacklinksApi(), BacklinksData()]
        for each in [settings, client, collector, *resources, *(resource.model_dump() for resource in resources)]:
            assert not told_in(repr(each).encode())
            assert not told_in(str(each).encode())
    assert settings.password == PASSWORD


@pytest.mark.parametrize(
    "effect",
    [
        faults.reset(),
        faults.half(),
        faults.html(),
        faults.silence(9),
        faults.redirect("https://elsewhere.example/"),
        faults.http(401),
    ],
    ids=lambda effect: effect.kind + str(effect.number or ""),
)
def test_no_traceback_shows_the_password_nor_what_it_was_raised_from(real, effect) -> None:
    server = real(Fault(effect))
    client = Client(server.url, LOGIN, PASSWORD, read_timeout_s=0.3)
    with client, pytest.raises(ApiError) as caught:
        client.send(SUMMARY, Request("shop.example", RequestParameters(), "live"))
    error: BaseException | None = caught.value
    while error is not None:  # also the errors that a traceback does not show
        assert not told_in("".join(traceback.format_exception(error)).encode())
        assert not told_in(repr(error).encode() + repr(vars(error)).encode())
        error = error.__cause__ or error.__context__


def test_a_password_in_the_address_is_refused_and_not_repeated(monkeypatch) -> None:
    monkeypatch.setenv("DATAFORSEO_BASE_URL", f"https://me:{quote(PASSWORD, safe='')}@api.example.com")
    with pytest.raises(SettingsError) as refused:
        Settings.from_env()
    assert not told_in(str(refused.value).encode())
    ended = commands.command("run")
    assert ended.status == 2
    assert not told_in((ended.out + ended.err).encode())

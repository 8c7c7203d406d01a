"""The announcing sensor on a real instance with `channels.toml`, and `backlinks announce --test`, to real receivers."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import commands
import dagster as dg
import pytest
from looks import definitions
from notify_places import PATIENTLY, Webhook, mail_server, webhook
from team import THREE

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs import announce
from backlinks_assets.defs.partitions import day_range_tags, range_tags
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.sensors import add_missing_targets

pytestmark = pytest.mark.slow

TARGETS = ["a.example", "b.example"]


@pytest.fixture
def channels(
    clean_environment: Path, hook: Webhook, write_targets: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The file of three channels, whose URLs hold a secret; a target of Acme and one of Bolt."""
    write_targets("a.example,Acme", "b.example,Bolt", header="target,group")
    for name in ("acme", "bolt", "team"):
        monkeypatch.setenv(f"{name.upper()}_URL", hook.url(f"{name}-t0ken{PATIENTLY}", "me:s3cret"))
    file = clean_environment / "channels.toml"
    file.write_text(THREE)
    return file


def sensor(name: str, instance: dg.DagsterInstance, cursor: str | None) -> tuple[str | None, str]:
    """Evaluate a sensor as the daemon does; return its cursor and what the tick says."""
    repository = definitions().get_repository_def()
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=repository, resources={"backlinks_data": BacklinksData()}
    )
    data = repository.get_sensor_def(name).evaluate_tick(context)
    return data.cursor, data.skip_message or ""


@pytest.mark.ci
def test_a_day_of_real_runs_is_told_to_who_wants_to_know_that_it_was_quiet(
    instance: dg.DagsterInstance, channels: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = utc_now()
    monkeypatch.setattr(announce, "utc_now", lambda: now)
    cursor, said = sensor("announce_sensor", instance, None)
    assert said == "Nothing new to announce."
    day = str(now.date())
    add_missing_targets(instance, TARGETS)
    for job, tags in (("collect_job", range_tags(day, day, *TARGETS)), ("publish_job", day_range_tags(day, day))):
        assert definitions().resolve_job_def(job).execute_in_process(instance=instance, tags=tags).success
    now += dt.timedelta(minutes=10)
    cursor, said = sensor("announce_sensor", instance, cursor)
    sent = [post for post in hook.posts if "week to" not in post["title"]]  # on a Monday
    (post,) = sent
    assert post["path"] == "/team-t0ken"
    assert post["title"].endswith(": nothing moved")
    assert "2 watched, nothing moved." in post["message"]
    assert "2 of 2 collected" in post["message"]
    for secret in ("t0ken", "s3cret", "127.0.0.1"):
        assert secret not in (cursor or "") + said
    now += dt.timedelta(hours=2)
    sensor("announce_sensor", instance, cursor)
    assert len([post for post in hook.posts if "week to" not in post["title"]]) == 1


def test_a_file_that_cannot_be_read_is_said_by_each_tick(instance: dg.DagsterInstance, channels: Path) -> None:
    channels.write_text("[[channel]]\nname =\n")
    _, said = sensor("announce_sensor", instance, None)
    assert "is not valid TOML: line 2" in said


def test_a_test_message_goes_to_each_place_and_each_is_told_what_it_gets(channels: Path, hook: Webhook) -> None:
    done = commands.command("announce", "--test", BACKLINKS_NOTIFY_URLS=hook.url(f"every{PATIENTLY}"))
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        "sent    number 1 of BACKLINKS_NOTIFY_URLS (json): flags, and what failed, each day.",
        "sent    the channel 'acme' (json): critical flags of Acme, each day.",
        "sent    the channel 'bolt' (json): flags of Bolt, once a week, on Mondays.",
        "sent    the channel 'team' (json): flags, and what failed, each day; also that nothing moved.",
    ]
    assert [post["path"] for post in hook.posts] == ["/every", "/acme-t0ken", "/bolt-t0ken", "/team-t0ken"]
    assert hook.titles == ["Backlinks: a test message"] * 4
    assert "This place gets: critical flags of Acme, each day." in hook.posts[1]["message"]


@pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning", "ignore:Session.login_data:DeprecationWarning")
def test_a_place_that_got_nothing_is_named_with_the_reason_and_no_secret(channels: Path) -> None:
    with webhook(401) as refuses, mail_server() as (inbox, port):
        mail = f"mailto://me:right@127.0.0.1:{port}?mode=insecure&from=seo@x.example&to=a@x.example"
        wrong = refuses.url(f"t0ken{PATIENTLY}")
        done = commands.command("announce", "--test", ACME_URL=wrong, BOLT_URL=mail, TEAM_URL="")
    assert done.status == 1
    assert "failed  the channel 'acme' (json): it answered with HTTP 401." in done.out
    assert "sent    the channel 'bolt' (mailto)" in done.out
    assert "channel 'team': the variable TEAM_URL is not set" in done.err
    assert "2 places got nothing." in done.err
    assert [message["Subject"] for message in inbox.mails] == ["Backlinks: a test message"]
    for secret in ("t0ken", "right@", "s3cret"):
        assert secret not in done.out + done.err


def test_without_any_place_it_says_how_to_name_one(clean_environment: Path, channels: Path) -> None:
    channels.unlink()
    done = commands.command("announce", "--test")
    assert done.status == 2
    assert "There is no place to send to." in done.err
    channels.write_text("[[channel]\n")
    done = commands.command("announce", "--test")
    assert done.status == 2
    assert "is not valid TOML" in done.err
    assert commands.command("announce").status == 2


@pytest.mark.ci
def test_doctor_names_the_channels_and_what_is_wrong_with_the_file(channels: Path) -> None:
    fine = commands.command("doctor").out
    assert "3 channels (the channel 'acme' (json), the channel 'bolt' (json), the channel 'team' (json))" in fine
    channels.write_text(THREE.replace('"Bolt"', '"Blot"'))
    assert "no target of the targets file is in the group 'Blot', so nothing is sent for it. Did you mean Bolt?" in (
        commands.command("doctor").out
    )
    channels.write_text(THREE.replace('"week"', '"weak"'))
    done = commands.command("doctor")
    assert done.status == 2
    assert "channel 'bolt': when can't be read" in done.out

"""`channels.toml`: what it may hold, and each mistake as a sentence that names the channel and the next step."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backlinks_assets.notify.channel_file import ChannelFile, described, read_channels
from backlinks_assets.notify.channels import channels_of, has_places, places_of
from backlinks_assets.settings import Settings

SECRET = "t0ken-s3cret"
URL = f"jsons://hook.example/{SECRET}"
GOOD = '[[channel]]\nname = "good"\nurl_env = "GOOD_URL"\n'

Read = Callable[..., ChannelFile]


@pytest.fixture
def read(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Write the file and read it, with Acme and Bolt as the groups of the targets file."""
    monkeypatch.setenv("GOOD_URL", URL)
    monkeypatch.setenv("TWO_URLS", f"{URL} {URL}")

    def once(text: str | bytes) -> ChannelFile:
        clean_environment.mkdir(parents=True, exist_ok=True)
        (clean_environment / "channels.toml").write_bytes(text.encode() if isinstance(text, str) else text)
        return read_channels(Settings.from_env(), ["Acme", "Bolt"])

    return once


def channel(**keys: str) -> str:
    return "[[channel]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


def test_a_channel_has_a_name_the_variable_of_its_url_and_what_it_gets(read: Read) -> None:
    found = read(
        GOOD
        + channel(
            name='"acme"',
            url_env='"GOOD_URL"',
            groups='["Acme", "bolt"]',
            severity='"critical"',
            when='"week"',
            quiet="true",
        )
    )
    assert (found.problems, found.warnings) == ([], [])
    everything, some = found.entries
    assert (everything.name, everything.url) == ("good", URL)
    assert described(everything.rule) == "flags, and what failed, each day"
    assert described(some.rule) == "critical flags of Acme, bolt, once a week, on Mondays; also that nothing moved"
    assert SECRET not in repr(found)


def test_without_a_file_there_are_no_channels_and_no_problem(settings: Settings) -> None:
    assert read_channels(settings) == ChannelFile()
    assert not has_places(settings)


def test_the_file_may_be_elsewhere_and_its_variables_in_the_env_file(
    clean_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours.toml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"BACKLINKS_CHANNELS_FILE=ours.toml\nGOOD_URL={URL}\n")
    settings = Settings.from_env({name: value for name, value in os.environ.items() if name != "GOOD_URL"})
    assert [entry.url for entry in read_channels(settings).entries] == [URL]
    assert SECRET not in repr(settings)
    (tmp_path / "ours.toml").unlink()
    assert "is not there: make it" in read_channels(settings).problems[0]
    assert has_places(settings)  # it is said, not silent


MISTAKES = {
    "not TOML": ("[[channel]]\nname = nobody\n", "is not valid TOML: line 2, column 8: invalid value. Mend that line."),
    "a bare URL": (f"[[channel]]\nurl_env = {URL}\n", "line 2, column 11"),
    "another table": ("[[chanel]]\n", "'chanel' is not a key of this file. Did you mean channel?"),
    "one bracket": ('[channel]\nname = "x"\n', "each channel begins with [[channel]], in two brackets"),
    "no name": (channel(url_env='"GOOD_URL"'), "channel 1: it has no name: write a short one"),
    "a URL as name": (channel(name=f'"{URL}"', url_env='"GOOD_URL"'), "channel 1: its name can't be used"),
    "the same name": (GOOD + GOOD.replace("good", "Good"), "channel 'Good': another channel above has this name"),
    "a key of its own": (channel(name='"x"', severty='"critical"'), "is not a key of a channel. Did you mean severity?"),
    "the URL itself": (channel(name='"x"', url=f'"{URL}"'), "channel 'x': a URL is a secret. Put it into .env"),
    "a URL as variable": (channel(name='"x"', url_env=f'"{URL}"'), "url_env is not the name of a variable"),
    "no variable": (channel(name='"x"'), "it has no url_env: name the variable"),
    "an unset variable": (channel(name='"x"', url_env='"NO_URL"'), "the variable NO_URL is not set: put the channel's URL"),
    "two URLs": (channel(name='"x"', url_env='"TWO_URLS"'), "holds no single URL with a scheme"),
    "a word as groups": (channel(name='"x"', groups='"Acme"'), 'write groups = ["Acme"]'),
    "no groups": (channel(name='"x"', groups="[]"), "groups names no group, so nothing would be sent"),
    "another severity": (channel(name='"x"', severity='"high"'), 'write severity = "critical" or severity = "warning"'),
    "another time": (channel(name='"x"', when='"month"'), 'write when = "day" or when = "week"'),
    "quiet in quotes": (channel(name='"x"', quiet='"true"'), "quiet must be true or false, without quotes"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_a_sentence_with_the_next_step_and_without_any_secret(read: Read, text: str, says: str) -> None:
    found = read(text)
    assert len(found.problems) == 1
    assert says in found.problems[0]
    assert SECRET not in found.problems[0]


def test_a_bad_channel_stops_no_good_one(read: Read) -> None:
    found = read(channel(name='"bad"', url_env='"NO_URL"') + GOOD)
    assert [entry.name for entry in found.entries] == ["good"]
    assert "channel 'bad'" in found.problems[0]


def test_a_group_that_no_target_has_is_a_warning_and_the_channel_is_used(read: Read) -> None:
    found = read(GOOD + 'groups = ["ACME", "Blot"]\n')
    assert len(found.entries) == 1
    (warning,) = found.warnings
    assert "channel 'good': no target of the targets file is in the group 'Blot'" in warning
    assert "Did you mean Bolt?" in warning


@pytest.mark.parametrize("data", [b"\xff\xfe[\x00", "é".encode("latin-1")])
def test_a_file_that_is_not_text_is_named(read: Read, data: bytes) -> None:
    assert "not UTF-8 text: save it as UTF-8" in read(data).problems[0]


def test_a_url_that_is_none_of_apprises_is_named_by_its_channel(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOD_URL", f"nosuch://{SECRET}")
    read(GOOD)
    places = places_of(Settings.from_env(), None)
    assert (places.channels, places.is_file_whole) == ([], False)
    assert "channel 'good': its variable holds no valid URL for apprise" in places.problems[0]
    assert SECRET not in places.problems[0]


def test_a_channel_is_the_same_one_when_its_url_is_corrected_and_no_place_shows_a_url(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(GOOD)
    (before,) = places_of(Settings.from_env(), None).channels
    monkeypatch.setenv("GOOD_URL", "jsons://other.example/x")
    (after,) = places_of(Settings.from_env(), None).channels
    assert before.key == after.key
    assert str(before) == "the channel 'good' (jsons)"
    assert SECRET not in repr(before)
    ((of_url,), _) = channels_of([URL])
    assert of_url.key != before.key

"""The place that BACKLINKS_TABLES_URL names: what may be written there, and a sentence for each way in which it can't be used."""

import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest
from machines import done

from backlinks_assets.cli.console import describe
from backlinks_assets.cli.doctor.finding import tried
from backlinks_assets.cli.doctor.published import published
from backlinks_assets.env_values import SettingsError
from backlinks_assets.published.place import open_place
from backlinks_assets.published.publication import bring
from backlinks_assets.settings import Settings
from backlinks_assets.tables.atomic import TablesError

REAL = {"DATAFORSEO_LOGIN": "someone@example.com", "DATAFORSEO_PASSWORD": "s3cret-passphrase"}
KEYS = {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "s3cret-k3y", "AWS_REGION": "us-east-1"}
FIRST_DAY = 0


def placed(url: str, **env: str) -> Settings:
    return Settings.from_env({**os.environ, **REAL, "BACKLINKS_TABLES_URL": url, **env})


@pytest.mark.parametrize("url", ["s3://bucket/a/prefix", "gs://bucket", "az://container/prefix"])
def test_the_kinds_of_object_storage_are_told_by_their_scheme(url: str) -> None:
    found = placed(url + "/").tables_url
    assert found is not None
    assert (found.text, found.scheme) == (url, url[:2])


def test_simulated_answers_are_published_apart_and_those_of_the_demo_nowhere(tmp_path: Path) -> None:
    env = {"BACKLINKS_TABLES_URL": "shared", "BACKLINKS_DATA_DIR": str(tmp_path / "data")}
    real, simulated = Settings.from_env({**env, **REAL}).tables_url, Settings.from_env(env).tables_url
    assert real is not None
    assert simulated is not None
    assert real.text == str(tmp_path / "shared")
    assert simulated.text == str(tmp_path / "shared" / "demo")
    assert Settings.from_env(env, demo=True).tables_url is None


def test_keys_come_from_the_environment_and_from_dotenv_and_are_in_no_repr(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AWS_SECRET_ACCESS_KEY=s3cret-k3y\nBACKLINKS_TABLES_URL=s3://bucket\n")
    settings = Settings.from_env({**REAL, "AWS_ACCESS_KEY_ID": "the-key", "BACKLINKS_DATA_DIR": str(tmp_path)})
    assert settings.tables_url is not None
    assert dict(settings.tables_url.options) == {"AWS_ACCESS_KEY_ID": "the-key", "AWS_SECRET_ACCESS_KEY": "s3cret-k3y"}
    assert "s3cret-k3y" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://key:s3cret-k3y@bucket", "more than a bucket and a prefix"),
        ("az://container?sig=s3cret-k3y", "more than a bucket and a prefix"),
        ("https://bucket.s3.amazonaws.com", "names no place to publish to. Write it as s3://bucket/prefix"),
        ("s3://", "names no place"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_secret(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        placed(url)
    assert "s3cret-k3y" not in str(caught.value)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    settings = placed(str(tmp_path / "not" / "mounted"))
    with pytest.raises(
        TablesError, match=r"names the folder .*not/mounted, which is not there. Make it, or mount the share"
    ):
        done(settings, FIRST_DAY)
    assert not (tmp_path / "not").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="modes do not stop root")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir(mode=0o555)
    with pytest.raises(TablesError, match=r"BACKLINKS_TABLES_URL\): Permission denied. Give this user"):
        done(placed(str(share)), FIRST_DAY)


def test_a_file_in_the_place_of_a_folder_is_named_with_the_variable(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (share / "parquet").write_text("a file")
    with pytest.raises(TablesError, match="move it, or set BACKLINKS_TABLES_URL to another folder"):
        done(placed(str(share)), FIRST_DAY)


def test_without_the_extra_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "backlinks_assets.published.objects", raising=False)
    monkeypatch.setitem(sys.modules, "obstore", None)
    open_place.cache_clear()
    settings = placed("s3://bucket", **KEYS)
    with pytest.raises(TablesError, match=r"package obstore is missing. Install the extra `s3`: docs/deploy.md"):
        bring(settings)
    assert tried(published, settings).status == 1


def test_nobody_at_the_endpoint_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from backlinks_assets.published import objects

    monkeypatch.setitem(objects._RETRIES, "max_retries", 0)
    settings = placed("s3://bucket", **KEYS, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    with pytest.raises(
        TablesError, match=r"Could not read in s3://bucket \(BACKLINKS_TABLES_URL\): HTTP error"
    ) as caught:
        bring(settings)
    assert describe(caught.value) == (str(caught.value), 1)
    assert "127.0.0.1" not in str(caught.value)


def test_plain_http_is_refused_where_the_network_may_be_anybodys() -> None:
    settings = placed("s3://bucket", **KEYS, AWS_ENDPOINT_URL="http://store.example:9000")
    with pytest.raises(TablesError, match=r"plain http.*set AWS_ALLOW_HTTP=true if that network is yours"):
        bring(settings)


def test_variables_of_other_programs_are_passed_over() -> None:
    settings = placed(
        "s3://bucket", **KEYS, AWS_PROFILE="mine", AWS_PAGER="less", AWS_TIMEOUT="9", AWS_CONNECT_TIMEOUT="9"
    )
    assert settings.tables_url is not None
    assert open_place(settings.tables_url).shown == "s3://bucket"


class _Refusing(BaseHTTPRequestHandler):
    """Answers as S3 does when it refuses."""

    status, code = 404, "NoSuchBucket"

    def _answer(self) -> None:
        body = (
            f"<Error><Code>{self.code}</Code><Message>No.</Message><AWSAccessKeyId>the-key</AWSAccessKeyId>"
            "<StringToSign>s3cret-k3y</StringToSign></Error>"
        ).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = _answer

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def refusing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "NoSuchBucket", r"s3://bucket \(BACKLINKS_TABLES_URL\) names a bucket that does not exist. Make it"),
        (
            403,
            "SignatureDoesNotMatch",
            r"does not let these keys read there. Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        (403, "AccessDenied", r"may list, read and write the bucket"),
        (400, "ExpiredToken", r"Could not read in s3://bucket .*: status code: 400"),
    ],
)
def test_what_the_server_refuses_is_a_sentence_without_keys(
    refusing: str, monkeypatch: pytest.MonkeyPatch, status: int, code: str, words: str
) -> None:
    monkeypatch.setattr(_Refusing, "status", status)
    monkeypatch.setattr(_Refusing, "code", code)
    settings = placed("s3://bucket", **KEYS, AWS_ENDPOINT_URL=refusing)
    for step in (lambda: bring(settings), lambda: done(settings, FIRST_DAY)):
        with pytest.raises(TablesError, match=words) as caught:
            step()
        assert "the-key" not in str(caught.value)
        assert "s3cret-k3y" not in str(caught.value)
    assert tried(published, settings).status == 1


# --- the doctor -----------------------------------------------------------------------------------------------------


def test_the_doctor_says_that_nothing_is_published_elsewhere() -> None:
    assert published(Settings.from_env(REAL)).says.startswith("tables and pages are in the data folder only")


def test_the_doctor_writes_under_a_condition_and_counts_the_days(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    settings = placed(str(tmp_path / "share"))
    assert "nothing is published yet" in published(settings).says
    done(settings, 0)
    done(settings, 1)
    found = published(settings)
    assert (found.status, found.note) == (0, False)
    assert found.says.endswith("share can be read and written; 2 days published, 2026-03-14 to 2026-03-15")
    assert list((tmp_path / "share").glob("doctor-*")) == []


def test_the_doctor_finds_a_store_that_heeds_no_condition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backlinks_assets.published.place import Folder

    (tmp_path / "share").mkdir()
    kept = Folder.exchange

    def careless(self: Folder, name: str, content: bytes, _etag: str | None) -> str:
        found = self.read(name)
        return kept(self, name, content, found[1] if found else None)

    monkeypatch.setattr(Folder, "exchange", careless)
    found = published(placed(str(tmp_path / "share")))
    assert found.status == 1
    assert "Use a store that has conditional writes" in found.says
    assert list((tmp_path / "share").glob("doctor-*")) == []


def test_the_doctor_notes_a_duckdb_file_that_a_killed_publisher_left_behind(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    settings = placed(str(tmp_path / "share"))
    done(settings, 0)
    listed = tmp_path / "share" / "published.json"
    content = orjson.loads(listed.read_bytes())
    content["files"]["backlinks.duckdb"]["holds"] = 0
    listed.write_bytes(orjson.dumps(content))
    assert published(settings).note

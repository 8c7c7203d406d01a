"""`backlinks serve` as a process: it says where it is, ends tidily, and refuses what can't be used with a sentence."""

import http.client
import re
import signal
import socket
from pathlib import Path

import commands
import pytest
from serving import put_incidents

from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow


def said_by(folder: Path) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in folder.glob("said/*.out"))


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.ci)])
def test_it_says_where_it_is_and_ends_tidily(settings: Settings, tmp_path: Path, number: int) -> None:
    (one,) = put_incidents(settings, "shop.example")
    process = commands.start("serve", "--port", "0")
    commands.wait_for(lambda: "Ctrl-C ends it." in said_by(tmp_path))
    address = re.search(r"http://127\.0\.0\.1:(\d+)/incidents", said_by(tmp_path))
    assert address is not None
    open_to_the_end = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=60)
    open_to_the_end.request("GET", "/incidents")
    assert one in open_to_the_end.getresponse().read().decode()
    process.signal(number)
    ended = process.end()
    open_to_the_end.close()
    assert (ended.status, ended.out.splitlines()[-1]) == (0, "Ended.")
    assert "Traceback" not in ended.err


def test_what_can_t_be_used_is_a_sentence(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for options, status, sentence in (
            (["--port", port], 1, f"Port {port} is taken: another program"),
            (["--host", "0.0.0.0"], 2, "would be reached from other machines"),
            (["--host", ""], 2, "would be reached from other machines"),
            (["--host", "127.0.0.1.evil.example"], 2, "would be reached from other machines"),
            (["--port", "99999"], 2, "65535"),
        ):
            out = commands.command("serve", *options)
            assert (out.status, sentence in " ".join(out.err.split())) == (status, True), out.err
        out = commands.command("serve", "--host", "192.0.2.1", BACKLINKS_SERVE_USER_HEADER="X-User")
        assert (out.status, "is no address of this machine" in out.err) == (2, True), out.err
        out = commands.command("serve", BACKLINKS_SERVE_USER_HEADER="X User:")
        assert (out.status, "must be the name of an HTTP header" in out.err) == (2, True), out.err

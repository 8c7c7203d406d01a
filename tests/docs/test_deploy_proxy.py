"""The site of nginx that the docs put before `backlinks serve`, in a real nginx: it asks who is there, and says so."""

import base64
import http.client
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import commands
import pytest
from pages import Block, blocks
from servers import free_port, missing
from serving import Answer, Site, put_incidents, said, serving

from backlinks_assets.settings import Settings

HOST = "backlinks.intranet.example"
ANN = base64.b64encode(b"ann:a-passphrase").decode()
AROUND = """error_log {folder}/error.log; pid {folder}/pid; daemon off; master_process off; events {{}}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{server}
}}
"""


class Proxied(Site):
    """The same server as it is reached through the proxy."""

    origin = f"https://{HOST}"

    def send(self, method: str, path: str, body: str = "", **headers: str | None) -> Answer:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)
        given = {"Host": HOST} | {name.replace("_", "-"): value for name, value in headers.items() if value}
        try:
            connection.request(method, path, body.encode(), given)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read().decode())
        finally:
            connection.close()


@pytest.fixture
def proxied(settings: Settings, tmp_path: Path, block: Block) -> Iterator[tuple[Proxied, str]]:
    """The docs' site, with its ports and files here, before a server that shows an incident."""
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        missing("nginx or openssl")
    (incident,) = put_incidents(settings, "shop.example")
    folder, port = tmp_path / "nginx", free_port()
    folder.mkdir()
    (folder / "backlinks.htpasswd").write_text("ann:{PLAIN}a-passphrase\n", encoding="utf-8")
    key, certificate = folder / "backlinks.key", folder / "backlinks.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}", "-keyout", key,
         "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    behind = replace(settings, serve_user_header="X-Forwarded-User", reports_url=f"https://{HOST}")
    with serving(behind) as site:
        server = block.text.replace("/etc/nginx", str(folder)).replace(" 443 ", f" {port} ")
        server = server.replace("127.0.0.1:8787", f"127.0.0.1:{site.port}")
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder, server=server), encoding="utf-8")
        nginx = subprocess.Popen(["nginx", "-c", folder / "nginx.conf"], stderr=subprocess.PIPE)
        try:
            commands.wait_for(lambda: nginx.poll() is not None or (folder / "pid").exists())
            assert nginx.poll() is None, nginx.stderr.read() if nginx.stderr else ""
            yield Proxied(behind, port), incident
        finally:
            nginx.terminate()
            nginx.communicate()


@pytest.mark.ci
@blocks("proxy")
def test_who_is_there_is_whom_the_proxy_has_asked(proxied: tuple[Proxied, str], block: Block) -> None:
    site, incident = proxied
    assert site.get("/").status == 401
    ann = {"Authorization": f"Basic {ANN}"}
    shown = site.get("/index.html", **ann)
    assert (shown.status, "Incidents" in shown.text) == (200, True)
    fields = site.form(incident, **ann, X_Forwarded_User="eve") | {"action": "ack", "note": "looking"}
    assert site.post(incident, fields, **ann, X_Forwarded_User="eve").status == 303
    assert [(one.action, one.by) for one in said(site.settings)] == [("ack", "ann")]

"""`deploy/compose.yaml` without containers: each service's command, environment and volumes on loopback and in folders.

Host names become this machine's ports, volumes become folders, and what the Dockerfile copies into the image lies in one more.
"""

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from servers import free_port
from services import ROOT

DEPLOY = ROOT / "deploy"
_VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*|-)?\}")


def docker_lines(word: str) -> list[list[str]]:
    """Return the words of the Dockerfile's last stage that follow an instruction."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    last = text[text.rindex("\nFROM ") :]
    return [shlex.split(line)[1:] for line in last.splitlines() if line.startswith(word + " ")]


@dataclass
class Composed:
    """The services over servers of a test. `hosts` maps `postgres:5432` and the like to what they are here."""

    folder: Path
    hosts: dict[str, str]
    variables: Mapping[str, str]
    also: Mapping[str, str] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=lambda: {name: str(free_port()) for name in ("4000", "4001", "3000")})

    def __post_init__(self) -> None:
        self.services: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
        self.image = self.folder / "app"
        for *files, place in docker_lines("COPY"):
            if files[0].startswith("--from"):
                continue
            for name in files:
                target = self.image / Path(place).relative_to("/app") / (Path(name).name if place.endswith("/") else "")
                target.parent.mkdir(parents=True, exist_ok=True)
                text = (ROOT / name).read_text(encoding="utf-8")
                text = text.replace("host: collector, port: 4000", f"host: 127.0.0.1, port: {self.ports['4000']}")
                text = text.replace("host: downstream, port: 4001", f"host: 127.0.0.1, port: {self.ports['4001']}")
                target.write_text(text, encoding="utf-8")

    def ours(self) -> list[str]:
        return [name for name, service in self.services.items() if service.get("image") == "backlinks_assets"]

    def volumes(self, name: str) -> dict[str, Path]:
        """Return the folders of a service by their place in its container."""
        found = {}
        for volume in self.services[name].get("volumes", []):
            source, place = volume.split(":")[:2]
            found[place] = self.folder / f"volume-{source}"
            found[place].mkdir(exist_ok=True)
        return found

    def here(self, name: str, text: str) -> str:
        """Return a text of a service's with this machine's places and ports."""
        text = _VARIABLE.sub(lambda found: self.variables.get(found[1], ""), text)
        for place, folder in self.volumes(name).items():
            text = re.sub(rf"(?<![\w/]){place}(?![\w])", str(folder), text)
        text = re.sub(r"(?<![\w/])/app(?![\w])", str(self.image), text)
        for host, place in self.hosts.items():
            text = text.replace(host, place)
        text = re.sub(r"(?<=127\.0\.0\.1:)3000", self.ports["3000"], text)
        return self.ports.get(text, "127.0.0.1" if text == "0.0.0.0" else text)

    def environment(self, name: str) -> dict[str, str]:
        """Return all that the service's process sees: the image's variables and the service's own."""
        image = dict(pair.split("=", 1) for words in docker_lines("ENV") for pair in words)
        own = {**image, **self.services[name]["environment"]}
        del own["PATH"]
        values = {key: self.here(name, str(value)) for key, value in own.items()}
        temporary = self.folder / f"tmp-{name}"
        temporary.mkdir(exist_ok=True)
        here = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "TMPDIR": str(temporary),
            "PYTHONPATH": str(ROOT),
        }
        return {**values, **here, **self.also}

    def command(self, name: str) -> list[str]:
        return [self.here(name, word) for word in self.services[name]["command"]]

    def health_check(self, name: str) -> list[str]:
        how, *words = self.services[name]["healthcheck"]["test"]
        assert how == "CMD"
        return [self.here(name, word) for word in words]

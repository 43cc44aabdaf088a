"""A folder where commands are run, each by somebody with a token or by whoever is there."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from tests.support.world_nursery import ROOT, Nursery

DOCS = ROOT / "docs"
LEAF = {"x-data-classification": {"category": "other", "sensitivity": "internal"}}


class Desk:
    """A folder where commands are run, each by somebody with a token or by whoever is there."""

    def __init__(self, folder: Path, nursery: Nursery) -> None:
        self.folder = folder
        self.nursery = nursery
        self.tokens: dict[str, str] = {}
        self.env: dict[str, str] = {}

    def copy(self, folder: Path) -> "Desk":
        """The same company in another folder."""
        shutil.copytree(self.folder, folder)
        copied = Desk(folder, self.nursery)
        copied.tokens = dict(self.tokens)
        return copied

    def run(self, *words: str, by: str = "", given: str = "", status: int = 0, **env: str) -> str:
        """Run a command and give what it printed, on standard error where it failed."""
        done = self.nursery.start(
            "dispatcher",
            *words,
            folder=self.folder,
            given=given.encode(),
            env={"DISPATCHER_TOKEN": self.tokens.get(by, "")} | self.env | env,
        )
        assert done.wait() == status, done.said()
        out, err = done.out.read_text(), done.err.read_text()
        assert "Traceback" not in err
        return out if status in (0, 1, 3) and out else err

    def ask(self, *words: str, by: str = "", given: str = "", status: int = 0, **env: str) -> Any:
        found = json.loads(self.run(*words, "--json", by=by, given=given, status=status, **env))
        return found["error"] if status and "error" in found else found

    def add(self, name: str, *roles: str, by: str = "ada", kind: str = "human") -> None:
        words = [word for role in roles for word in ("--role", role)]
        self.tokens[name] = self.ask("principal", "add", name, "--kind", kind, *words, by=by)[
            "token"
        ]

    def write(self, grants: tuple[str, ...] = ("$.order.id",)) -> None:
        """Write the registry of the documentation, with these grants."""
        files = self.folder / "integrations"
        (files / "schemas").mkdir(parents=True, exist_ok=True)
        found = re.search(r"```toml\n(.*?)```", (DOCS / "registry.md").read_text(), re.DOTALL)
        assert found
        text = re.sub(r'"order.paid" = \[.*\]', f'"order.paid" = {json.dumps(grants)}', found[1])
        (files / "acme.toml").write_text(text)
        order = {name: {"type": "string", **LEAF} for name in ("id", "note")}
        schema = {"properties": {"order": {"type": "object", "properties": order}}}
        (files / "schemas" / "order.paid.json").write_text(json.dumps(schema))


def furnish(folder: Path, nursery: Nursery) -> Desk:
    """A company of three people with a registry in files, made as a newcomer would."""
    folder.mkdir()
    opened = Desk(folder, nursery)
    said = opened.run("init", "--admin", "ada")
    assert "dispatcher principal add" in said
    opened.tokens["ada"] = said.partition("DISPATCHER_TOKEN=")[2].split()[0]
    opened.add("pat", "platform", "approver")
    opened.add("bea", "approver")
    opened.write()
    return opened

"""The documents keep their promises: links lead somewhere, commands can be copied."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.house import ROOT, kept_files

LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)")
FENCED = re.compile(r"^```[^\n]*\n.*?^```[^\n]*\n?", re.MULTILINE | re.DOTALL)
DECISION = re.compile(r"\d{4}-[a-z0-9-]+\.md")


def documents() -> list[Path]:
    """Every document of the repository."""
    return [file for file in kept_files() if file.suffix == ".md"]


def anchors(document: Path) -> set[str]:
    """Name the headings of a document as links name them."""
    text = FENCED.sub("", document.read_text())
    titles = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(document: Path) -> Iterator[str]:
    """Give every link that leads to no file, or to no heading of it."""
    for found in LINK.finditer(FENCED.sub("", document.read_text())):
        target = found["target"]
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield f"{document.relative_to(ROOT)}: {target}"


def test_every_link_leads_somewhere() -> None:
    assert [fault for document in documents() for fault in broken_links(document)] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = ROOT / "docs" / "glossary.md"
    text = f"[a](gone.md) [b]({page}#no-such-heading) [c]({page}) [d](https://example.org/x)\n"
    document = tmp_path / "page.md"
    document.write_text(text)
    found = LINK.findall(text)
    assert found == ["gone.md", f"{page}#no-such-heading", str(page), "https://example.org/x"]
    assert not (tmp_path / "gone.md").exists()
    assert "no-such-heading" not in anchors(page)


@pytest.mark.parametrize("heading", ["Run it", "Test it"])
def test_the_readme_gives_one_command_that_does_everything(heading: str) -> None:
    text = (ROOT / "README.md").read_text()
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, f"no heading '## {heading}'"
    section = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    [block] = re.findall(r"^```[^\n]*\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert len(block.strip().splitlines()) == 1
    assert "requirements/" in block
    assert "--require-hashes" in block


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    names = sorted(file.name for file in folder.glob("*.md") if file.name != "README.md")
    assert all(DECISION.fullmatch(name) for name in names)
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    index = (folder / "README.md").read_text()
    listed = re.findall(r"^\| \d{4} \| \[.+\]\((.+)\) \|", index, re.MULTILINE)
    assert listed == names


def test_the_changelog_opens_with_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"


def test_the_glossary_is_in_order_and_says_each_word_once() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()
    tables = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    words = [
        word for table in tables for word in re.findall(r"^\| \*\*(.+?)\*\*", table, re.MULTILINE)
    ]
    assert len(words) == len(set(words)) > 30


def test_every_marker_is_known_to_the_one_runner() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    markers = {marker.partition(":")[0] for marker in settings["markers"]}
    runner = (ROOT / ".ci" / "run").read_text()
    assert {marker for marker in markers if not re.search(rf"\b{marker}\b", runner)} == set()
    deselected = set(re.findall(r"not (\w+)", settings["addopts"][-1]))
    assert deselected == markers

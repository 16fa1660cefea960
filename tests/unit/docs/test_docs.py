"""The documentation: links lead somewhere, and every command it shows is one that the parsers take."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from rkparity.cli.registry import COMMANDS

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Lines of a synopsis, not of an example: they hold optional parts, choices or an ellipsis.
SYNOPSIS = re.compile(r"[\[\]|<>…]|\.\.\.")


def commands(page: Path) -> Iterator[list[str]]:
    for block in FENCE.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            text = line.strip().removeprefix("$ ").strip()
            if text.startswith(("rkparity ", "compare-dumps ")) and not SYNOPSIS.search(text):
                yield shlex.split(text, comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_shown_are_commands_that_exist(page: Path) -> None:
    for words in commands(page):
        name, arguments = (words[1], words[2:]) if words[0] == "rkparity" else (words[0], words[1:])
        if name.startswith("-"):
            continue
        command = next((command for command in COMMANDS if command.name == name), None)
        assert command is not None, f"{page.name}: {shlex.join(words)}"
        parser = argparse.ArgumentParser(prog=name, exit_on_error=True)
        importlib.import_module(command.module).configure(parser)
        try:
            parser.parse_args(arguments)
        except SystemExit as ending:
            # --help ends with 0; a usage error with 2.
            assert ending.code == 0, f"{page.name}: {shlex.join(words)}"


def test_the_readme_shows_commands_at_all() -> None:
    assert len(list(commands(ROOT / "README.md"))) >= 5


def test_every_command_has_a_page_that_names_it() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    assert [command.name for command in COMMANDS if f"rkparity {command.name}" not in text] == []

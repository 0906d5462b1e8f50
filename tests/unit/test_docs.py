"""The documentation says what the code does."""

import re
from pathlib import Path

import yaml

from ledger import program_of
from loyalty.definitions.load_catalog import load_catalog
from loyalty.model.actions import BUILT_IN_ACTIONS

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"


def test_the_definitions_of_the_guide_are_sound() -> None:
    example = re.search(r"```yaml\n(.*?)```", (DOCS / "definitions.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example
    catalog = load_catalog(program_of(definitions=yaml.safe_load(example.group(1))["definitions"]))
    assert catalog.segment("idle_with_points")


def test_every_action_with_a_meaning_is_explained() -> None:
    explained = (DOCS / "events.md").read_text(encoding="utf-8")
    assert [action for action in BUILT_IN_ACTIONS if f"`{action}`" not in explained] == []


def test_the_readme_leads_to_every_page() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in DOCS.glob("*.md") if f"docs/{page.name}" not in readme] == []

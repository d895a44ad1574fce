"""What the documents say about the house is so."""

import re
from pathlib import Path

import pytest

from agent_memory.settings import VARIABLES

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "src" / "agent_memory"


def test_the_tour_names_every_file_once():
    named = re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "tour.md").read_text())
    files = {str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py")}
    beginnings = {name for name in files if name.endswith("__init__.py")}
    assert len(named) == len(set(named)) > 60
    assert set(named) | beginnings == files


def test_the_readme_has_a_row_for_every_setting():
    rows = re.findall(r"^\| `(\w+)`", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(rows) - {"AGENT_MEMORY_SETTINGS"} == set(VARIABLES)


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target

"""The words the dialogues are made of, from ``data``. All are our own lists; no text of others is used."""

import tomllib
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8"))


def entries(listing: str) -> list[str]:
    """Words between commas, wherever the lines break."""
    return [" ".join(entry.split()) for entry in listing.split(",")]


WORDS: dict[str, list[str]] = {name: entries(listing) for name, listing in read("words").items()}

"""A target's labels in the targets file: its group, its owner and its tags, as they are compared and shown.

They decide who is told of a target, and nothing of how it is read or judged.
"""

import unicodedata
from typing import Final

MAX_GROUP_CHARACTERS: Final = 100
MAX_OWNER_CHARACTERS: Final = 200
MAX_TAGS: Final = 20
MAX_TAG_CHARACTERS: Final = 50
LABEL_COLUMNS: Final = ("group", "owner", "tags")


def group_key(group: str) -> str:
    """Return what two spellings of one group have in common: `ACME  GmbH` and `Acme GmbH` are one."""
    return unicodedata.normalize("NFC", " ".join(group.split())).casefold()


def label(column: str, cell: str) -> str:
    """Return a cell of `group` or `owner` with single spaces; raises ValueError with the rest of a sentence."""
    text = " ".join(cell.split())
    most = MAX_GROUP_CHARACTERS if column == "group" else MAX_OWNER_CHARACTERS
    if len(text) > most:
        raise ValueError(f"it is {len(text):,} characters long, and {most} are the most: shorten it.")
    _refuse_control(text)
    return text


def tags(cell: str) -> tuple[str, ...]:
    """Return the tags of a cell, each once, in its order; raises ValueError with the rest of a sentence."""
    found = tuple(dict.fromkeys(cell.split()))
    if len(found) > MAX_TAGS:
        raise ValueError(f"it has {len(found):,} tags, and {MAX_TAGS} are the most: leave out some.")
    if long := next((tag for tag in found if len(tag) > MAX_TAG_CHARACTERS), None):
        raise ValueError(
            f"a tag is {len(long):,} characters long, and {MAX_TAG_CHARACTERS} are the most. Tags are separated by spaces."
        )
    _refuse_control(cell)
    return found


def _refuse_control(text: str) -> None:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in " ".join(text.split())):
        raise ValueError("it has a control character, which can't be seen: write the cell anew.")

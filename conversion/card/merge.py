"""Bring a card up to date: what is ours is written again, and what others wrote stays."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import avmit
from avmit import AvmitError
from conversion.card.head import by_config, join_card, read_yaml, split_card, update_yaml

_MARK = re.compile(r"^<!-- avmit:(begin|end) (\w+) -->[ \t]*$", re.MULTILINE)
_SIZES = ["n<1K"] + [
    f"{low}<n<{high}"
    for low, high in zip(
        ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B"],
        ["10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"],
        strict=True,
    )
]


def merge_cards(old: str, new: str, name: str, gone: Collection[str] = ()) -> str:
    """Return the card `old` with all that is ours in it as the card `new` has it.

    Ours are, in the body, the text between the marks `<!-- avmit:begin NAME -->` and
    `<!-- avmit:end NAME -->`; in the YAML, the entries in `configs` and `dataset_info` of the
    configs that `new` has, which lose no key that others put there; and the one `default`. A
    default stays, but when `ratings` comes to a card it takes over. Other keys of `new` only come
    where the card has none; `size_categories` grows. Entries of the configs in `gone` go away. A
    card without any mark gets our parts after its own text; a part whose marks were deleted stays
    away. Without an old card, `new` is the result. `name` is what errors call the card.

    Raises:
        AvmitError: the old card's YAML or its marks cannot be made out.
    """
    if not old.strip():
        return new
    old, line_end = old.replace("\r\n", "\n"), "\r\n" if "\r\n" in old else "\n"
    had, has = read_yaml(old, name), read_yaml(new)
    head, body = split_card(old)
    values = {
        "configs": _with_one_default(
            _merged(had.get("configs"), has["configs"], gone), had.get("configs"), has["configs"]
        ),
        "dataset_info": _merged(had.get("dataset_info"), has["dataset_info"], gone),
        "size_categories": _largest(had.get("size_categories"), has["size_categories"]),
    }
    values = {key: values.get(key, had.get(key, value)) for key, value in has.items()}
    merged = join_card(
        update_yaml(head, values, name), _merge_bodies(body, split_card(new)[1], name)
    )
    return merged.replace("\n", line_end)


def _merged(old: Any, new: list[dict[str, Any]], gone: Collection[str]) -> list[dict[str, Any]]:
    """Return all entries: others' where they stand, ours in our order in the places between."""
    before = {entry["config_name"]: entry for entry in by_config(old)}
    ours = iter([{**before.get(entry["config_name"], {}), **entry} for entry in new])
    names = {entry["config_name"] for entry in new}
    kept = [entry for name, entry in before.items() if name not in gone]
    merged = [next(ours) if entry["config_name"] in names else entry for entry in kept]
    return [*merged, *ours]


def _with_one_default(
    merged: list[dict[str, Any]], old: Any, new: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the entries with one `default`: the old one, unless the ratings have just come."""
    names = [entry["config_name"] for entry in merged]
    before = [entry["config_name"] for entry in by_config(old)]
    chosen = [entry["config_name"] for entry in by_config(old) if entry.get("default") is True]
    chosen += ["default"] if "default" in before else []  # which datasets takes without being told
    ours = next(entry["config_name"] for entry in new if entry.get("default"))
    candidates = [name for name in chosen if name in names]
    ratings = avmit.AVMIT.DEFAULT_CONFIG_NAME
    came = ratings in names and ratings not in before
    default = ours if not candidates or (came and ours == ratings) else candidates[0]
    for entry in merged:
        entry.pop("default", None)
        if entry["config_name"] == default:
            entry["default"] = True
    return merged


def _largest(old: Any, new: list[str]) -> Any:
    """Return the larger of two size categories; what is none, or several, stays."""
    if isinstance(old, list) and len(old) == 1 and old[0] in _SIZES:
        return [max(old[0], new[0], key=_SIZES.index)]
    return new if old is None else old


def _merge_bodies(old: str, new: str, name: str) -> str:
    parts = marked_parts(new, name)
    if not _MARK.search(old):
        return "\n\n".join(filter(None, [old.rstrip("\n"), *parts.values()])) + "\n"
    there = marked_parts(old, name)
    for part, text in there.items():
        old = old.replace(text, parts.get(part, text))
    return old


def marked_parts(body: str, name: str) -> Mapping[str, str]:
    """Return the marked parts, with their marks, by name.

    Raises:
        AvmitError: a mark stands alone, or inside another part, or twice.
    """
    parts: dict[str, str] = {}
    marks = list(_MARK.finditer(body))
    for begin, end in zip(marks[::2], [*marks[1::2], None], strict=False):
        closes = end is not None and end[1] == "end" and end[2] == begin[2]
        if begin[1] != "begin" or not closes or begin[2] in parts:
            raise AvmitError(
                f"{name}: the mark {begin[0].strip()} has no other half, or stands twice: "
                "delete it, or give the part both its marks once"
            )
        assert end is not None
        parts[begin[2]] = body[begin.start() : end.end()].rstrip()
    return parts

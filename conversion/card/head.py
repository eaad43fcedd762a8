"""The YAML at a card's head: taken apart, and put together with what is unchanged as it was."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import yaml

from avmit import AvmitError
from conversion.wording import printable

_LONGEST = 1_000_000  # characters
_MOST_VALUES = 50_000
_DEEPEST = 50
_HEAD = re.compile(r"\A\ufeff?---[ \t]*\n(.*?\n)??---[ \t]*(?:\n|\Z)", re.DOTALL)


def split_card(text: str) -> tuple[str, str]:
    """Return a card's YAML, without the lines around it, and its body."""
    match = _HEAD.match(text)
    return (match[1] or "", text[match.end() :]) if match else ("", text)


def join_card(head: str, body: str) -> str:
    """Put YAML and body together again."""
    return f"---\n{head}---\n{body}"


def read_yaml(text: str, name: str = "README.md") -> dict[str, Any]:
    """Return the mapping at the head of a card, empty where it has none.

    Raises:
        AvmitError: it is no YAML mapping, or one that takes more than a card ever needs.
    """
    head, _ = split_card(text.replace("\r\n", "\n"))
    try:
        excess = _excess(head)
        if excess:
            raise AvmitError(f"{name}: its YAML {excess}: mend it")
        content = yaml.safe_load(head)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise AvmitError(f"{name}: its YAML cannot be read ({reason}): mend it") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise AvmitError(f"{name}: its YAML is not a mapping of keys to values: mend it")
    return content


def by_config(entries: Any) -> list[dict[str, Any]]:
    """Return the entries of a card's `configs` or `dataset_info`, each with its `config_name`.

    A card with one config may have the entry itself in place of the list, and may leave the name
    out, which is then `default`. What is no entry, or has a name that is no text, is left out.
    """
    listed = entries if isinstance(entries, list) else [entries]
    named = [{"config_name": "default", **entry} for entry in listed if isinstance(entry, dict)]
    return [entry for entry in named if isinstance(entry["config_name"], str)]


def keep_configs(text: str, configs: Collection[str], name: str = "README.md") -> str:
    """Return a card without the entries in `configs` and `dataset_info` of other configs.

    Raises:
        AvmitError: its YAML cannot be made out.
    """
    content = read_yaml(text, name)
    kept: dict[str, Any] = {
        key: [entry for entry in by_config(content[key]) if entry["config_name"] in configs]
        for key in ("configs", "dataset_info")
        if key in content
    }
    head, body = split_card(text.replace("\r\n", "\n"))
    return join_card(update_yaml(head, kept, name), body)


def update_yaml(head: str, values: Mapping[str, Any], name: str = "README.md") -> str:
    """Return YAML with the top-level `values` in place of its own; all other text stays as it is.

    New keys come last. Text that cannot be kept apart, such as a mapping in one line, is written
    again whole. The head must be one that `read_yaml` reads.

    Raises:
        AvmitError: it has a value that cannot be written again, such as an endless number.
    """
    try:
        return _updated(head, values)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise AvmitError(f"{name}: its YAML cannot be written again ({reason}): mend it") from None


def _updated(head: str, values: Mapping[str, Any]) -> str:
    content = yaml.safe_load(head) or {}
    wanted = {**content, **values}
    if wanted == content:
        return head
    sections = _sections(head)
    for key, value in values.items():
        if key not in content or content[key] != value:
            after = _comments_at_the_end(sections.get(key, ""))
            sections[key] = _dump({key: value}) + after
    text = "".join(sections.values())
    try:
        kept = yaml.safe_load(text) == wanted
    except yaml.YAMLError:
        kept = False  # such as an alias whose anchor is gone
    return text if kept else _dump(wanted)


def _excess(head: str) -> str:
    """Say what in YAML is beyond any use, before it is built and compared; nothing if all is well.

    Aliases count as what they stand for: a few lines of them can mean more than a memory holds.
    """
    if len(head) > _LONGEST:
        return f"has {len(head):,} characters, more than {_LONGEST:,}"
    count = 0
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    for event in yaml.parse(head, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in opened):
                return f"has a value that holds itself (*{printable(event.anchor)})"
            count += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            sizes[anchor or ""] = count - before
        if len(opened) > _DEEPEST:
            return "is nested too deeply"
        if count > _MOST_VALUES:
            return f"means more than {_MOST_VALUES:,} values"
    return ""


def _sections(head: str) -> dict[str, str]:
    """Return the text of each top-level key, from its line up to the next one's."""
    root = yaml.compose(head, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    starts = [key.start_mark.index for key, _ in pairs]
    sections = {"": head[: starts[0]] if starts else head}
    for (key, _), start, end in zip(pairs, starts, [*starts[1:], len(head)], strict=False):
        sections[key.value] = head[start:end]
    return sections


def _comments_at_the_end(section: str) -> str:
    """Return the blank lines and comments at the end: they belong to the next key."""
    lines = section.splitlines(keepends=True)
    count = len(lines)
    while count and (not lines[count - 1].strip() or lines[count - 1].startswith("#")):
        count -= 1
    return "".join(lines[count:])


def _dump(content: Mapping[str, Any]) -> str:
    text = _written(content, plain=True)
    # PyYAML writes a few line breaks of Unicode as they are, and reads them as spaces.
    return text if yaml.safe_load(text) == content else _written(content, plain=False)


def _written(content: Mapping[str, Any], plain: bool) -> str:
    """Return YAML, with characters beyond ASCII as they are if `plain`, else escaped."""
    text: str = yaml.safe_dump(
        dict(content), sort_keys=False, allow_unicode=plain, width=10**9, line_break="\n"
    )
    return text

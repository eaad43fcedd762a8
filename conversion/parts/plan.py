"""plan.json: which shards a config is made of, from what; what every task goes by, and checks."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, get_args

from conversion import ground
from conversion.package.manifest_problems import brief, is_count, keys_problem, split_problem
from conversion.package.writer import Compression, Encoding, Format, shard_name
from conversion.parts.agreed import seal, unseal
from conversion.wording import some

VERSION = 1
"""Raise it when a plan is to say what earlier tasks would misunderstand."""

LONGEST = 64_000_000
"""How many bytes of a plan are read at most."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHARD_KEYS = ("file", "split", "rows", "offset", "length", "sha256")
_KEYS = (
    *("version", "config", "kind", "format", "compression", "dims", "made_of", "settled"),
    *("listing", "shards", "bad_columns", "missing"),
)


@dataclass(frozen=True)
class PlannedShard:
    """A shard, and where in the plan's listing its rows stand: bytes from `offset` on, of that
    SHA-256.
    """

    file: str
    split: str
    rows: int
    offset: int
    length: int
    sha256: str


@dataclass(frozen=True)
class Plan:
    """A config as it is to be made; `shards` of all splits, in order.

    `made_of` says what all of it follows from, as every task can tell of itself at little cost;
    `settled` what the kind of work needs beside the listing. `listing` is the name of the file with
    the rows of all shards. `bad_columns` are those of the list of what is left out, and `missing`
    the rated videos that have nothing to be made of.
    """

    config: str
    kind: str
    format: Format
    compression: Compression
    dims: dict[str, int]
    made_of: dict[str, Any]
    settled: dict[str, Any]
    listing: str
    shards: tuple[PlannedShard, ...]
    bad_columns: tuple[str, ...]
    missing: tuple[str, ...] = field(default=())

    def to_bytes(self) -> bytes:
        """Return the content of plan.json, the same for the same plan."""
        # In the order in which all was put in: what goes into a manifest keeps it.
        return seal({"version": VERSION, **asdict(self)})

    @cached_property
    def digest(self) -> str:
        """What marks name the plan by."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def labels(self, used: Iterable[str]) -> list[str]:
        """Return the labels of the config, which `used` ones of a shard are among.

        Raises:
            AvmitError: the plan does not have them.
        """
        found = self.settled.get("labels")
        labels = [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
        if labels != found or not {*used} <= {*labels} or len({*labels}) < len(labels):
            raise ground.AvmitError(
                f"the plan of '{self.config}' has not the labels of its rows: delete it to plan "
                "again"
            )
        return labels

    @property
    def rows(self) -> int:
        """How many rows there are to make."""
        return sum(shard.rows for shard in self.shards)


def parse_plan(text: bytes, config: str) -> Plan:
    """Return the plan of a config that a plan.json says.

    Raises:
        ValueError: it is none; the text names up to three reasons in one line.
    """
    content = unseal(text)
    problems = list(_problems(content, config))
    if problems:
        raise ValueError(some(problems))
    content.pop("version")
    content["shards"] = tuple(PlannedShard(**shard) for shard in content["shards"])
    for name in ("bad_columns", "missing"):
        content[name] = tuple(content[name])
    return Plan(**content)


def _problems(content: Any, config: str) -> Iterator[str]:
    version = content.get("version") if isinstance(content, dict) else None
    if type(version) is int and version > VERSION:
        yield f"it is of version {brief(version)}, and this avmit knows {VERSION}: update avmit"
        return
    problem = keys_problem(content, _KEYS)
    if problem or version != VERSION or isinstance(version, bool):
        yield problem or f"version is {brief(version)}"
        return
    if content["config"] != config:
        yield f"config is {brief(content['config'])}, its folder's {config}"
        return
    for name, kind in (("kind", str), ("made_of", dict), ("settled", dict), ("dims", dict)):
        if not isinstance(content[name], kind):
            yield f"{name} is {brief(content[name])}"
            return
    for name, known in (("format", get_args(Format)), ("compression", get_args(Compression))):
        if content[name] not in known:
            yield f"{name} is {brief(content[name])}"
            return
    for name in ("bad_columns", "missing"):
        texts = content[name]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            yield f"{name} is {brief(texts)}"
    listing = content["listing"]
    if not isinstance(listing, str) or not re.fullmatch(r"listing-[0-9a-f]{16}", listing):
        yield f"listing is {brief(listing)}"
    for name, width in content["dims"].items():
        if not is_count(width):
            yield f"dims of {brief(name)} are {brief(width)}"
    yield from _shards_problems(content["shards"], Encoding(content["format"]))


def _shards_problems(shards: Any, encoding: Encoding) -> Iterator[str]:
    if not isinstance(shards, list) or not shards:
        yield f"shards are {brief(shards)}"
        return
    for shard in shards:
        problem = _shard_problem(shard)
        if problem:
            yield problem
            return
    counts: dict[str, int] = {}
    for shard in shards:
        counts[shard["split"]] = counts.get(shard["split"], 0) + 1
    names = [
        shard_name(split, index, count, encoding)
        for split, count in counts.items()
        for index in range(count)
    ]
    if [shard["file"] for shard in shards] != names:
        yield "its shards are not called as their places say"


def _shard_problem(shard: Any) -> str:
    problem = keys_problem(shard, _SHARD_KEYS)
    if problem:
        return f"of a shard {problem}"
    for name in ("rows", "offset", "length"):
        if not is_count(shard[name]):
            return f"{name} of a shard is {brief(shard[name])}"
    if not isinstance(shard["split"], str) or split_problem(shard["split"]):
        return f"a split is called {brief(shard['split'])}"
    if not isinstance(shard["sha256"], str) or not _SHA256.fullmatch(shard["sha256"]):
        return f"sha256 of a shard is {brief(shard['sha256'])}"
    return ""

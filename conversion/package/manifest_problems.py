"""What a manifest.json may say: everything that is read from one is checked here, once."""

import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from conversion import ground
from conversion.package.writer import Compression, Encoding, Format, shard_name

EXTRACTION = "extraction"
"""The `kind` of source of a config that was made from videos."""

CONFIG_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,99}", re.ASCII)
"""What a new config may be called; longer names leave no room in those of files."""

SPLIT_NAME = re.compile(r"\w{1,100}", re.ASCII)
"""What a split of a list may be called, as `datasets` allows, but for dots."""

FIGURES = "figures"
"""The folder of the card's pictures, so that no config can be called so."""

ALL = "all"
"""What `datasets` calls all splits together, so that none can be called so."""

_NAME = re.compile(r"[A-Za-z0-9][\w-]*")  # older ones may be longer, and of any script

_COLUMNS = ("audio", "visual")
_WIDEST = 1_000_000  # values of an embedding
_MOST = 2**63 - 1  # of anything that is counted, as Arrow does
_DEEPEST = 20  # levels of lists and mappings; ours have five
_KEYS = ("config", "format", "compression", "source", "splits")
_SHARD_KEYS = ("file", "rows", "bytes", "sha256", "input_sha256")
_SOURCE_KEYS = {
    "csv": ("name", "sha256"),
    "tfrecords": ("name", "records"),
    EXTRACTION: ("encoders", "libraries"),
}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"\w[\w.-]*")

_LONGEST = 80
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = _LONGEST


def manifest_problems(content: Any, folder: str | None) -> Iterator[str]:
    """Say what in the JSON of a manifest is not of the right kind, each in a short line.

    `folder` is the config that it must be of, None for any.
    The shards' numbering is looked at by `numbering_problems`, which needs the right kinds.
    """
    if _depth(content) > _DEEPEST:
        yield "it is nested too deeply"
        return
    problem = keys_problem(content, _KEYS, ("dims", "missing_records", "bad_records"))
    if problem:
        yield problem
        return
    config = content["config"]
    if folder is not None and config != folder:
        yield f"config is {brief(config)}, its folder {brief(folder)}"
        return
    if not isinstance(config, str) or not _NAME.fullmatch(config):
        yield f"config is {brief(config)}"
        return
    if content["format"] not in get_args(Format):
        yield f"format is {brief(content['format'])}"
    if content["compression"] not in get_args(Compression):
        yield f"compression is {brief(content['compression'])}"
    for name in ("missing_records", "bad_records"):
        if not is_count(content.get(name, 0)):
            yield f"{name} is {brief(content[name])}"
    dims = content.get("dims", {})
    if not isinstance(dims, dict) or not all(
        name in _COLUMNS and is_count(width) and 0 < width <= _WIDEST
        for name, width in dims.items()
    ):
        yield f"dims are {brief(dims)}"
        return
    if bool(dims) == (config in ground.RATINGS_CONFIGS):
        yield "ratings have dims" if dims else "dims are empty"
    yield from source_problems(content["source"], dims)
    yield from _split_problems(content["splits"], dims, content["source"])


def check_config_name(name: str) -> None:
    """Refuse a name that no embedding config can have.

    Raises:
        AvmitError: it is a ratings config's, or the pictures' folder, or not a plain name.
    """
    if name == FIGURES:
        raise ground.AvmitError(
            f"'{name}' cannot name an embedding config: it is the folder of the card's pictures"
        )
    if name in ground.RATINGS_CONFIGS or not CONFIG_NAME.fullmatch(name):
        raise ground.AvmitError(
            f"'{name}' cannot name an embedding config: use up to 100 letters, digits, _ and -, "
            f"and not {', '.join(ground.RATINGS_CONFIGS)}"
        )


def numbering_problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Name the shards that are not called as their place among the others says."""
    encoding = Encoding(content["format"])
    for split, shards in content["splits"].items():
        for index, shard in enumerate(shards):
            if shard["file"] != shard_name(split, index, len(shards), encoding):
                yield f"{split} shard {index} of {len(shards)} is {shard['file']}"


def source_problems(source: Any, dims: Mapping[str, int]) -> Iterator[str]:
    """Say what of a source is not of the right kind, for a config of these widths."""
    kind = source.get("kind") if isinstance(source, dict) else None
    if not isinstance(kind, str):
        yield "source has no kind"
        return
    if kind not in (("tfrecords", EXTRACTION) if dims else ("csv",)):
        yield f"source is of the kind {brief(kind)}"
        return
    lacking = [name for name in _SOURCE_KEYS[kind] if name not in source]
    if lacking:
        yield f"source has no {', '.join(lacking)}"
        return
    for name in ("name", "archive", "sha256", "md5"):
        if not isinstance(source.get(name, ""), str):
            yield f"{name} of source is {brief(source[name])}"
    for name in ("records", "strays"):
        if not is_count(source.get(name, 0)):
            yield f"{name} of source is {brief(source[name])}"
    for name in ("record", "libraries", "settings", "videos"):
        if not _facts(source.get(name, {})):
            yield f"{name} of source is {brief(source[name])}"
    if kind == EXTRACTION:
        yield from _encoder_problems(source["encoders"], dims)
    yield from _videos_problems(source.get("videos", {}), kind)


def _videos_problems(videos: Any, kind: str) -> Iterator[str]:
    """Say what is wrong with what a source says of the videos, which may be nothing."""
    if not isinstance(videos, dict) or not videos:
        return
    if kind != EXTRACTION:
        yield "source has videos"
        return
    if problem := keys_problem(videos, (), ("list", "sha256", "count", "limit")):
        yield f"of the videos {problem}"
        return
    for name in ("count", "limit"):
        if not is_count(videos.get(name, 1)) or videos.get(name) == 0:
            yield f"{name} of the videos is {brief(videos[name])}"
    if len({"list", "sha256", "count"} & videos.keys()) not in (0, 3):
        yield "the videos have not all of list, sha256 and count"
        return
    if not isinstance(videos.get("list", ""), str):
        yield f"list of the videos is {brief(videos['list'])}"
    if not _SHA256.fullmatch(str(videos.get("sha256", "0" * 64))):
        yield f"sha256 of the videos is {brief(videos['sha256'])}"


def _is_listed(source: Any) -> bool:
    """Tell whether a source says that its videos are those of a list."""
    videos = source.get("videos") if isinstance(source, dict) else None
    return isinstance(videos, dict) and "list" in videos


def _encoder_problems(encoders: Any, dims: Mapping[str, int]) -> Iterator[str]:
    if not isinstance(encoders, dict) or encoders.keys() != dims.keys():
        yield f"encoders are {brief(encoders)}"
        return
    for column, encoder in encoders.items():
        for name in ("name", "weights", "weights_sha256"):
            if not isinstance(encoder, dict) or not isinstance(encoder.get(name), str):
                yield f"the {column} encoder has no {name}"


def split_problem(name: str) -> str:
    """Say why no split of a list can be called so; nothing if one can."""
    if not SPLIT_NAME.fullmatch(name):
        return "use up to 100 of the letters a to z, digits and _"
    return "datasets means all splits by it" if name == ALL else ""


def _split_problems(splits: Any, dims: Mapping[str, int], source: Any) -> Iterator[str]:
    if not isinstance(splits, dict) or not all(isinstance(s, list) for s in splits.values()):
        yield f"splits are {brief(splits)}"
        return
    if not splits or not all(splits.values()):
        yield "a split has no shards"
    for split, shards in splits.items():
        if split_problem(split) if _is_listed(source) else split not in ground.SPLITS:
            yield f"a split is called {brief(split)}"
        for shard in shards:
            yield from shard_problems(shard, dims)
    if dims and all(
        isinstance(shard, dict) and shard.get("rows") == 0
        for shards in splits.values()
        for shard in shards
    ):
        yield "it has no rows"


def shard_problems(shard: Any, dims: Mapping[str, int]) -> Iterator[str]:
    """Say what of a shard is not of the right kind, for a config of these widths."""
    problem = keys_problem(shard, _SHARD_KEYS, ("timesteps",))
    if problem:
        yield f"of a shard {problem}"
        return
    file = shard["file"]
    if not isinstance(file, str) or not _FILE.fullmatch(file):
        yield f"a shard's file is {brief(file)}"
        return
    file = file if len(file) <= _LONGEST else brief(file)
    for name in ("rows", "bytes"):
        if not is_count(shard[name]):
            yield f"{file}: {name} is {brief(shard[name])}"
    if not isinstance(shard["sha256"], str) or not _SHA256.fullmatch(shard["sha256"]):
        yield f"{file}: sha256 is {brief(shard['sha256'])}"
    if not isinstance(shard["input_sha256"], str):
        yield f"{file}: input_sha256 is {brief(shard['input_sha256'])}"
    timesteps = shard.get("timesteps", {})
    if not isinstance(timesteps, dict) or (shard["rows"] and timesteps.keys() != dims.keys()):
        yield f"{file}: timesteps are {brief(timesteps)}"
        return
    for name, found in timesteps.items():
        whole = isinstance(found, list) and len(found) == 2 and all(map(is_count, found))
        if not whole or found[0] > found[1]:
            yield f"{file}: timesteps of {brief(name)[1:-1]} are {brief(found)}"


def keys_problem(value: Any, keys: Sequence[str], optional: Sequence[str] = ()) -> str:
    """Say which of `keys` a mapping lacks, or what it has beyond them; nothing if all is right."""
    if not isinstance(value, dict):
        return f"{brief(value)} is no mapping"
    if lacking := [key for key in keys if key not in value]:
        return f"{', '.join(lacking)} is missing"
    unknown = [key for key in value if key not in (*keys, *optional)]
    return f"{brief(unknown[0])} is unknown" if unknown else ""


def is_count(value: Any) -> bool:
    """Tell whether a value is a number of things, as large as Arrow counts at most."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _facts(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(fact, str | int | float) for fact in value.values()
    )


def _depth(value: Any, deepest: int = _DEEPEST) -> int:
    """Return how deep lists and mappings are nested, counted up to one more than `deepest`."""
    if not isinstance(value, dict | list) or deepest < 0:
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(item, deepest - 1) for item in inner), default=0)


def brief(value: Any) -> str:
    """Show a value of any kind in a short line."""
    text = _BRIEF.repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

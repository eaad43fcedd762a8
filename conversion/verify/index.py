"""Check a config's index against its shards."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from conversion.package.index.build import NoIndex, joined
from conversion.package.index.index_file import Index, IndexedShard, again, parse_index
from conversion.package.index.problems import NOT_FOR_PARQUET
from conversion.package.manifest import INDEX, LONGEST, Manifest
from conversion.verify.check import Check
from conversion.verify.shards import Examined
from conversion.whole import read_regular
from conversion.wording import some


def index_check(package: Path, manifest: Manifest, examined: Sequence[Examined]) -> Check:
    """Check that index.json, if there is one, says where all is in the shards that could be read.

    What is wrong with others is said of themselves.
    """
    config, where = manifest.config, f"{manifest.config}/{INDEX}"
    if not (package / where).exists():
        why = (
            f"`avmit index {package}` makes one" if manifest.format == "arrow" else NOT_FOR_PARQUET
        )
        return Check("index", config, True, f"none: {why}")
    try:
        index = parse_index(read_regular(package / where, LONGEST), manifest)
    except (OSError, ValueError) as error:
        problems = [getattr(error, "strerror", None) or str(error)]
    else:
        problems = list(_problems(index, manifest, examined))
    if problems:
        return Check("index", where, False, f"{some(problems)}: {again(package)}")
    return Check("index", config, True, f"{index.count}, as in the shards")


def _problems(index: Index, manifest: Manifest, examined: Sequence[Examined]) -> Iterator[str]:
    parts = [one.index for one in examined if one.index is not None]
    for said, one in zip(index.shards, examined, strict=True):
        if one.not_indexed:
            yield one.not_indexed
        elif one.index is not None and one.index.entry != said:
            yield _difference(said, one.index.entry)
    if len(parts) < len(examined):
        return
    try:
        whole = joined(manifest, parts)
    except NoIndex as error:
        yield str(error)
        return
    if (whole.columns, whole.schema) != (index.columns, index.schema):
        yield f"its schema is not that of {whole.shards[0].file}"


def _difference(said: IndexedShard, found: IndexedShard) -> str:
    for number, (one, other) in enumerate(zip(said.batches, found.batches, strict=False)):
        if one != other:
            return f"record batch {number:,} of {said.file}, at byte {other.offset:,}, is another"
    return f"{said.file} has {len(found.batches):,} record batches, not {len(said.batches):,}"

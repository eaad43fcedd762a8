"""What of a package goes to the Hub: the files that its manifests name, and no other."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avmit import AvmitError
from conversion.card.readme import NAME as CARD
from conversion.package.index.index_file import read_index
from conversion.package.kind import mixed_kinds
from conversion.package.manifest import INDEX, MISSING, Manifest, mixed_formats, read_manifests
from conversion.package.manifest import NAME as MANIFEST
from conversion.package.manifest_problems import FIGURES
from conversion.package.pictures import damage, read_pictures
from conversion.package.reader import read_schema
from conversion.package.schema import schema_problem
from conversion.wording import some


@dataclass(frozen=True)
class LocalFile:
    """A file to publish; `sha256` is what the manifest says of a shard."""

    path: Path
    size: int
    sha256: str | None = None


def publishable(package: Path, configs: Sequence[str] | None) -> dict[str, Manifest]:
    """Check a package quickly and return the manifests of `configs`, or of all, ratings first.

    Manifests, shard sizes, schemas and whether indexes are of those shards are checked; shards are
    not read, rows are not looked at.

    Raises:
        AvmitError: there is no package there, no such config in it, or a check fails.
    """
    manifests, problems = read_manifests(package)
    names = [*manifests, *problems]
    unknown = [name for name in configs or () if name not in names]
    if unknown:
        raise AvmitError(f"no config '{unknown[0]}' in {package}; there are: {', '.join(names)}")
    chosen = {name: m for name, m in manifests.items() if configs is None or name in configs}
    found = [
        f"{name}: {text}" for name, text in problems.items() if configs is None or name in configs
    ]
    found += _picture_problems(package)
    for manifest in chosen.values():
        found += _shard_problems(package, manifest)
        found += _index_problems(package, manifest)
    if found:
        raise AvmitError(
            f"{package} is not fit to be published ({some(found)}): see `avmit verify {package}`"
        )
    mixture = mixed_formats(chosen) or mixed_kinds({n: m.listed for n, m in chosen.items()})
    if mixture:
        raise AvmitError(f"{package} has {mixture}")
    return chosen


def _shard_problems(package: Path, manifest: Manifest) -> Iterator[str]:
    first = None
    for shard in manifest.shards:
        path, where = package / manifest.config / shard.file, f"{manifest.config}/{shard.file}"
        if not path.is_file():
            yield f"{where} is missing"
        elif path.stat().st_size != shard.bytes:
            size = path.stat().st_size
            yield f"{where} has {size:,} bytes, in the manifest {shard.bytes:,}"
        else:
            try:
                schema = read_schema(path)
            except AvmitError as error:
                yield str(error)
                continue
            first = first or schema
            problem = schema_problem(schema, manifest, None, first)
            if problem:
                yield f"{where}: {problem}"


def _index_problems(package: Path, manifest: Manifest) -> Iterator[str]:
    try:
        read_index(package / manifest.config, manifest)
    except AvmitError as error:
        yield str(error)


def _picture_problems(package: Path) -> list[str]:
    try:
        pictures = read_pictures(package)
    except AvmitError as error:
        return [str(error)]
    return damage(package, pictures) if pictures else []


def pictures_to_publish(package: Path, known: Mapping[str, Manifest]) -> dict[str, LocalFile]:
    """Return a package's pictures, and their list, by their path in the repository.

    There are none if they do not show what `known` holds, the configs that there will be.

    Raises:
        AvmitError: the list is none, or a file is a link that leads out of the package.
    """
    pictures = read_pictures(package)
    if pictures is None or not pictures.are_of(known):
        return {}
    files = {}
    for path in pictures.paths:
        _check_inside(package / path, package)
        picture = pictures.files.get(path.removeprefix(f"{FIGURES}/"))
        size = (package / path).stat().st_size
        files[path] = LocalFile(package / path, size, picture.sha256 if picture else None)
    return files


def pictures_left_out(package: Path, known: Mapping[str, Manifest]) -> str:
    """Say that a package has pictures that do not show what `known` holds; nothing otherwise."""
    pictures = read_pictures(package)
    if pictures is None or pictures.are_of(known):
        return ""
    return (
        f"left out, as they are drawn from other rows than there will be: {FIGURES}/ "
        f"(`avmit report {package} --card` draws them again)"
    )


def files_to_publish(package: Path, manifests: Mapping[str, Manifest]) -> dict[str, LocalFile]:
    """Return the files of configs by their path in the repository.

    Raises:
        AvmitError: one is a link that leads out of the package.
    """
    files = {}
    for name, manifest in manifests.items():
        shards = {shard.file: shard for split in manifest.splits.values() for shard in split}
        for file in (MANIFEST, INDEX, MISSING, manifest.bad_list, *shards):
            path = package / name / file
            if path.exists() or file in shards:
                _check_inside(path, package)
                known = shards[file].sha256 if file in shards else None
                files[f"{name}/{file}"] = LocalFile(path, path.stat().st_size, known)
    return files


def left_out(package: Path, files: Mapping[str, LocalFile]) -> list[str]:
    """Name the visible files of a package that are not published, those of other configs apart."""
    folders = {Path(name).parts[0] for name in files}
    pictures = read_pictures(package)
    found = []
    for root, directories, names in os.walk(package):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in names:
            path = Path(root, name).relative_to(package)
            others = len(path.parts) > 1 and path.parts[0] not in {*folders, FIGURES}
            if not name.startswith(".") and not others:
                found.append(path.as_posix())
    return sorted(set(found) - {CARD, *files, *(pictures.paths if pictures else ())})


def _check_inside(path: Path, package: Path) -> None:
    if not path.resolve().is_relative_to(package.resolve()):
        raise AvmitError(f"{path} is a link out of {package}: put the file itself there")

"""record.json beside downloaded files: what of them came from where."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avmit import AvmitError
from conversion.whole import read_regular, write_whole
from conversion.zenodo.record import RemoteFile, ZenodoRecord

FILE = "record.json"
"""Written by `avmit download` beside the files it fetches."""

_KEPT = ("doi", "title", "version", "licence", "url")


def read_record_of(source: Path) -> dict[str, Any]:
    """Return DOI, title, version, licence, url and `files` (md5 by name) of a downloaded release.

    Empty where `source` was not made by `avmit download`.

    Raises:
        AvmitError: record.json is there and cannot be read.
    """
    path = source / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        record = {key: content[key] for key in _KEPT if content.get(key) is not None}
        files = {file["name"]: file["md5"] for file in content["files"]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise AvmitError(
            f"{path} is not what `avmit download` wrote ({error!r}): download again, or delete it"
        ) from None
    return {**record, "files": files}


def source_of(file: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Return what a manifest says of a file's origin: the record and the md5 that it gives."""
    if not record:
        return {}
    described = {key: value for key, value in record.items() if key != "files"}
    md5 = record["files"].get(file.name)
    return {"record": described, **({"md5": md5} if md5 else {})}


def write_record_file(out: Path, record: ZenodoRecord, files: set[RemoteFile]) -> None:
    """Let `out`/record.json say that `files` of a record are here, beside what it said before."""
    here = files | _listed_before(out, record)
    content = {
        "id": record.id,
        "doi": record.doi,
        "title": record.title,
        "version": record.version,
        "licence": record.licence,
        "publication_date": record.publication_date,
        "url": record.page,
        "files": [asdict(file) | {"kind": file.kind} for file in record.files if file in here],
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    write_whole(out / FILE, f"{text}\n".encode())


def _listed_before(out: Path, record: ZenodoRecord) -> set[RemoteFile]:
    """Return the files that earlier runs brought and that are still here, by their sizes."""
    brought = brought_before(out) or {}
    return {
        file
        for file in record.files
        if brought.get(file.name) == file.md5
        and (out / file.name).is_file()
        and (out / file.name).stat().st_size == file.size
    }


def brought_before(out: Path) -> dict[str, str] | None:
    """Return the md5 by name of what earlier runs brought; None without a record.json of theirs."""
    try:
        content = json.loads(read_regular(out / FILE))
        return {str(entry["name"]): str(entry["md5"]) for entry in content["files"]}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None

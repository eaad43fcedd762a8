"""What is known of the published record that a release came from."""

import json
from pathlib import Path
from typing import Any

from avmit import AvmitError

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

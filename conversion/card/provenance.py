"""What a card says of where a config comes from: others' names and texts, written for Markdown."""

import re
from collections.abc import Mapping
from typing import Any

from conversion.package.manifest import Manifest
from conversion.wording import printable

_CHECKSUMS = {"sha256": "SHA-256", "md5": "MD5"}


def provenance(manifest: Manifest) -> str:
    """Return an item of a list that says what a config was made of."""
    source = manifest.source
    if manifest.extracted:
        first = f"the first {manifest.videos['limit']:,} of " if "limit" in manifest.videos else ""
        of = f"{first}{_list_and_sum(manifest)}" if manifest.listed else f"{first}the videos"
        return f"- `{manifest.config}`: extracted from {of} by {_extracted_by(source)}"
    what = code(source.get("archive", source["name"]))
    if source["kind"] == "tfrecords":
        what = f"{source['records']:,} records of {what}"
    sums = [f"{kind} {code(source[key])}" for key, kind in _CHECKSUMS.items() if key in source]
    return f"- `{manifest.config}`: {what}" + (f" ({', '.join(sums)})" if sums else "")


def _extracted_by(source: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in source["libraries"].items())
    encoders = "; ".join(
        f"{encoder['name']}, weights from {encoder['weights']} "
        f"(SHA-256 {code(encoder['weights_sha256'])})"
        for encoder in source["encoders"].values()
    )
    return printable(f"{encoders}; with {versions}")


def name_of_list(manifest: Manifest) -> str:
    """Say which videos those of a list are."""
    videos = manifest.videos
    count = "one video" if videos["count"] == 1 else f"{videos['count']:,} videos"
    return f"the {count} of {code(videos['list'])}"


def _list_and_sum(manifest: Manifest) -> str:
    return f"{name_of_list(manifest)} (SHA-256 {code(manifest.videos['sha256'])})"


def code(text: str) -> str:
    """Return others' text as code in Markdown: in more backticks than follow one another in it."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return (
        f"{fence}{printable(text)}{fence}"
        if len(fence) == 1
        else f"{fence} {printable(text)} {fence}"
    )


def cell(text: str) -> str:
    """Return others' text for a cell of a table in Markdown."""
    return printable(text).replace("|", r"\|")

"""Pictures in a package without drawing them: any bytes, put there as `avmit report` does."""

from pathlib import Path

from conversion.card.readme import write_card
from conversion.package.manifest import read_package
from conversion.package.pictures import ALT, listed, publish_pictures, sources
from conversion.package.workspace import workspace


def picture(number: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes([number]) * 1000


def put_pictures(package: Path, first: int = 0, count: int = 3) -> dict[str, bytes]:
    """Put so many pictures into a package, and into its card; return them by path."""
    data = {name: picture(first + n) for n, name in enumerate(list(ALT)[:count])}
    with workspace(package) as space:
        publish_pictures(space, data, listed(data, sources(read_package(package))))
    write_card(package)
    return {f"figures/{name}": content for name, content in data.items()}

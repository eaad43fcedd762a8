"""The command `avmit card`."""

from conversion.card.readme import write_card
from conversion.terminal import PackageFolder, show


def card(
    package: PackageFolder,
) -> None:
    """Write a package's dataset card, README.md, from what the folder holds.

    In a card that is there, only what stands between avmit's marks, and avmit's own YAML, is
    written again; the rest is yours.

    Example: avmit card avmit
    """
    changed = write_card(package)
    show(f"{package / 'README.md'} {'written' if changed else 'is up to date'}")

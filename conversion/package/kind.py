"""What a package is of: AVMIT's rated videos, or the videos of somebody's lists; never of both."""

from collections.abc import Mapping
from pathlib import Path

from conversion import ground
from conversion.package.manifest import Manifest, config_names, read_manifest


def of_lists(manifests: Mapping[str, Manifest]) -> bool:
    """Tell whether a package is of the videos of lists, by its configs, which are of one kind."""
    return any(manifest.listed for manifest in manifests.values())


def mixed_kinds(listed: Mapping[str, bool]) -> str | None:
    """Say that configs, of which `listed` tells which are of lists, do not go together; or None.

    `label` has other names in either, and ratings are of AVMIT's videos alone.
    """
    rated = [name for name, of_list in listed.items() if not of_list]
    others = [name for name, of_list in listed.items() if of_list]
    if not rated or not others:
        return None
    return (
        f"configs of AVMIT's rated videos ({', '.join(rated)}) and of lists "
        f"({', '.join(others)}), which do not go together: give each kind a package of its own"
    )


def check_one_kind(package: Path, coming: Mapping[str, bool]) -> None:
    """Refuse configs that cannot stand beside the package's others; `coming` tells which are lists.

    Raises:
        AvmitError: so it is, or the manifest of a config that is there cannot be read.
    """
    names = [name for name in config_names(package) if name not in coming]
    there = {name: read_manifest(package / name).listed for name in names}
    problem = mixed_kinds({**there, **coming})
    if problem is not None:
        raise ground.AvmitError(f"{package} would have {problem}, with another --out")

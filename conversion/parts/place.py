"""Where the tasks that make one config meet: a folder below the output, and what lies in it.

    .avmit-work/CONFIG.plan/
        plan.json       what is to be made; the first that is written stays
        listing-...     the rows of the plan's shards
        source.json     how it is made: the manifest's `source`, the first task's stays
        shards/         finished shards under names of their content, and marks that name them
        parts/SHARD/    what is computed of a shard that is not finished
        tasks/          a file a task: where it is, and what became of it

All of it may lie on a disk that others write to: nothing in it is believed unchecked.
"""

import contextlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from conversion import ground
from conversion.package.manifest_problems import CONFIG_NAME
from conversion.package.workspace import WORK
from conversion.parts.agreed import put_first, read_late, seal, unseal
from conversion.parts.plan import LONGEST, Plan, parse_plan
from conversion.whole import PART, read_regular
from conversion.wording import first_line

_Parsed = TypeVar("_Parsed")

_PLAN = "plan.json"
_SOURCE = "source.json"
_PARTS = "parts"
_SUFFIX = ".plan"
_MOST_SOURCE = 4_000_000  # bytes
_MADE = re.compile(
    r"plan\.json|source\.json|listing-[0-9a-f]{16}|[\w-]+\.json|\d+-\d+\.[\w-]+\.spill"
    r"|\w+-\d{5}-of-\d{5}\.(arrow|parquet)\.([0-9a-f]{64}(\.index)?|json)"
)
"""What tasks call their files."""


class PlanFolder:
    """The folder where the tasks that make `config` of the package `out` meet."""

    def __init__(self, out: Path, config: str):
        self.out = out
        self.config = config
        self.path = out / WORK / f"{config}{_SUFFIX}"
        self.shards = self.path / "shards"
        self.tasks = self.path / "tasks"

    def parts(self, shard: str) -> Path:
        """Return the folder of what is computed of a shard that is not finished."""
        return self.path / _PARTS / shard

    def exists(self) -> bool:
        """Tell whether there is a plan, whatever it says."""
        return os.path.lexists(self.path / _PLAN)

    def make(self) -> None:
        """Make the folder, if it is not there.

        Raises:
            AvmitError: a link or a file is in its place, or it cannot be written to.
        """
        try:
            for folder in (self.path, self.shards, self.tasks, self.path / _PARTS):
                folder.mkdir(parents=True, exist_ok=True)
                if folder.is_symlink():
                    raise FileExistsError
        except FileExistsError:
            raise ground.AvmitError(
                f"{self.path} is not a folder of avmit's but has a link or a file in it: delete it"
            ) from None
        except OSError as error:
            raise ground.AvmitError(
                f"cannot write to {self.path} ({error.strerror or error}): choose another --out"
            ) from None

    def read(self) -> Plan | None:
        """Return the plan; None if there is none.

        Raises:
            AvmitError: it cannot be read, or is no plan.
        """
        try:
            return parse_plan(read_regular(self.path / _PLAN, LONGEST), self.config)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise self._unreadable(_PLAN, error) from None

    def put(self, plan: Plan) -> Plan:
        """Let this be the plan if there is none yet, and return the one that is there then.

        Raises:
            AvmitError: as `read` does, or it cannot be written.
        """
        return self._agree(
            _PLAN, plan.to_bytes(), LONGEST, lambda text: parse_plan(text, self.config)
        )

    def source(self) -> dict[str, Any] | None:
        """Return what the tasks agreed on of how the config is made; None before they did.

        Raises:
            AvmitError: it cannot be read.
        """
        try:
            return _mapping(read_regular(self.path / _SOURCE, _MOST_SOURCE))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise self._unreadable(_SOURCE, error) from None

    def agree_on(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """Let this be the source if there is none yet, and return the one that is there then.

        Raises:
            AvmitError: as `source` does, or it cannot be written.
        """
        return self._agree(_SOURCE, seal(source), _MOST_SOURCE, _mapping)

    def remove(self) -> None:
        """Remove the folder and what tasks put into it; what anybody else did stays."""
        below = self.path / _PARTS
        with contextlib.suppress(OSError):
            for folder in below.iterdir():
                remove_made(folder)
        for folder in (self.shards, self.tasks, below, self.path):
            remove_made(folder)

    def _agree(
        self, name: str, text: bytes, most: int, parse: Callable[[bytes], _Parsed]
    ) -> _Parsed:
        try:
            if put_first(self.path / name, text):
                return parse(text)
            return parse(read_late(self.path / name, most))
        except (OSError, ValueError) as error:
            raise self._unreadable(name, error) from None

    def _unreadable(self, name: str, error: Exception) -> "ground.AvmitError":
        reason = getattr(error, "strerror", None) or first_line(error)
        return ground.AvmitError(
            f"{self.path / name} cannot be used ({reason}): delete {self.path} to plan again"
        )


def tasks_folder(config: str) -> str:
    """Name the folders in which tasks of a config write what is not finished, each in its own."""
    return f"{config}.task"


def plans(out: Path) -> list[str]:
    """Name the configs of the package `out` that there are plans of, in order."""
    found = []
    with contextlib.suppress(OSError):
        for path in (out / WORK).iterdir():
            name = path.name.removesuffix(_SUFFIX)
            known = name != path.name and CONFIG_NAME.fullmatch(name)
            if known and PlanFolder(out, name).exists():
                found.append(name)
    return sorted(found)


def remove_made(folder: Path) -> None:
    """Remove what tasks put into a folder, and then the folder if nothing else is in it."""
    if folder.is_symlink():
        return
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            ours = _MADE.fullmatch(path.name) or PART.fullmatch(path.name)
            if ours and stat.S_ISREG(path.lstat().st_mode):
                path.unlink(missing_ok=True)
        folder.rmdir()


def _mapping(text: bytes) -> dict[str, Any]:
    """Return the mapping that was sealed.

    Raises:
        ValueError: it says none.
    """
    content = unseal(text)
    if not isinstance(content, dict):
        raise ValueError("it is no mapping")  # noqa: TRY004 - the file is wrong, no argument
    return content

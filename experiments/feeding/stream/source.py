"""Where a package lies: a folder, a repository on the Hub, or an address that fsspec knows."""

import logging
import os
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa

import avmit
from avmit import AvmitError
from conversion.wording import first_line

logger = logging.getLogger("avmit")
"""Hears of what is asked for again."""

LONGEST_TEXT = 64_000_000
"""How many bytes of a manifest or an index are read at most."""

_TRIES = 4


class Missing(Exception):
    """There is no such file."""


class Source(ABC):
    """A package; `name` is what errors call it. Threads may read at once."""

    name: str

    @abstractmethod
    def text(self, path: str) -> bytes:
        """Return a small file, of at most LONGEST_TEXT bytes.

        Raises:
            Missing: there is none of that name.
            AvmitError: it cannot be read.
        """

    @abstractmethod
    def read(self, path: str, start: int, length: int) -> Any:
        """Return `length` bytes of a file from byte `start` on, as anything with a buffer.

        What came is not checked, but for its length.

        Raises:
            AvmitError: they cannot be read.
        """

    def settle(self) -> None:  # noqa: B027 - most have nothing to do
        """See what has come, when an epoch begins or has ended; sources that keep none need not."""


class Folder(Source):
    """A package in a folder, whose files are mapped: no byte is copied."""

    def __init__(self, folder: Path):
        self.name = str(folder)
        self._folder = folder
        self._mapped: dict[str, pa.Buffer] = {}
        self._lock = threading.Lock()

    def text(self, path: str) -> bytes:
        """Return a small file."""
        try:
            with (self._folder / path).open("rb") as file:
                content = file.read(LONGEST_TEXT + 1)
        except FileNotFoundError:
            raise Missing(path) from None
        except OSError as error:
            raise AvmitError(f"{self.name}/{path} cannot be read ({error.strerror})") from None
        return _bounded(content, f"{self.name}/{path}")

    def read(self, path: str, start: int, length: int) -> pa.Buffer:
        """Return a part of a mapped file."""
        with self._lock:
            if path not in self._mapped:
                try:
                    self._mapped[path] = pa.memory_map(str(self._folder / path)).read_buffer()
                except (OSError, pa.ArrowException) as error:
                    number = getattr(error, "errno", None)
                    why = os.strerror(number) if number else first_line(error)
                    raise AvmitError(f"{self.name}/{path} cannot be read ({why})") from None
        if start + length > self._mapped[path].size:
            raise AvmitError(f"{self.name}/{path} ends before byte {start + length:,}")
        return self._mapped[path].slice(start, length)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self._folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]


@dataclass(frozen=True)
class Address(Source):
    """A package at an address of fsspec, such as s3://bucket/avmit or https://host/avmit."""

    name: str

    def text(self, path: str) -> bytes:
        """Return a small file."""
        return _bounded(self._tried(path, None, None), f"{self.name}/{path}")

    def read(self, path: str, start: int, length: int) -> bytes:
        """Return a part of a file."""
        try:
            part = self._tried(path, start, start + length)
        except Missing:
            raise AvmitError(f"{self.name}/{path} is missing: bring the package again") from None
        if len(part) > length:  # a server that knows no ranges
            part = part[start : start + length]
        if len(part) != length:
            raise AvmitError(f"{self.name}/{path} ends before byte {start + length:,}")
        return part

    def _tried(self, path: str, start: int | None, end: int | None) -> bytes:
        url = f"{self.name}/{path}"
        for attempt in range(1, _TRIES + 1):
            try:
                fs, inside = fsspec.core.url_to_fs(url)
                return bytes(fs.cat_file(inside, start=start, end=end))
            except FileNotFoundError:
                raise Missing(path) from None
            except Exception as error:  # of any kind: each of fsspec's file systems has its own
                if isinstance(error, ImportError):
                    scheme = url.partition("://")[0].replace("https", "http")
                    raise AvmitError(
                        f"{url}: {first_line(error)}: pip install 'fsspec[{scheme}]'"
                    ) from None
                if attempt == _TRIES:
                    why = f"{type(error).__name__}: {first_line(error)}"
                    raise AvmitError(f"{url} cannot be read ({why})") from None
                logger.info("%s: %s, trying again", url, first_line(error))
        raise AssertionError


def _bounded(content: bytes, name: str) -> bytes:
    if len(content) > LONGEST_TEXT:
        raise AvmitError(f"{name} has more than {LONGEST_TEXT:,} bytes, too many to be text")
    return content


def open_source(data_dir: Any, revision: str | None, paths: list[str]) -> Source:
    """Find the package that `data_dir` names, as `avmit.load` does, or an address with a scheme.

    `paths` are the texts that will be asked for.

    Raises:
        AvmitError: there is none.
    """
    if isinstance(data_dir, str) and "://" in data_dir:
        return Address(data_dir.rstrip("/"))
    package = avmit.find_package(data_dir)
    if isinstance(package, Path):
        return Folder(package)
    from experiments.feeding.stream.hub import HubSource  # the Hub's library takes its time

    return HubSource.at(package, revision, paths)

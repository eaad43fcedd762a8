"""Find an ONNX file: a local one, or one of a repository on the Hub, with what lies beside it."""

import json
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import _CACHED_NO_EXIST, HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils.tqdm import disable_progress_bars

from avmit import AvmitError
from conversion.wording import first_line, printable, some
from extraction.encoders.onnx.graph import Graph, read_graph

_PLACES = ("model.onnx", "onnx/model.onnx")
"""Where exporters put a model in a repository or folder."""
_PROCESSOR = "preprocessor_config.json"
_REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+?)((?:/[\w.-]+)+\.onnx)?(?:@([\w./-]+))?")
_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Model:
    """An ONNX file that is here, what it says of itself, and how the manifest names it.

    `processor` is what a `preprocessor_config.json` beside it says; `revision` is the commit of a
    file of the Hub.
    """

    name: str
    path: Path
    graph: Graph
    origin: str
    revision: str | None
    processor: dict[str, Any] = field(hash=False)


def find_model(rest: str) -> Model:
    """Return the model `onnx:<rest>`: a file, a folder, or OWNER/NAME[/FILE.onnx][@REVISION].

    A file of the Hub is fetched if need be, with its external data.

    Raises:
        AvmitError: it is nowhere, cannot be fetched, or is no ONNX file.
    """
    local = Path(rest).expanduser()
    if local.is_dir():
        local = _in_folder(local)
    if local.is_file():
        return _local(local)
    found = _REPOSITORY.fullmatch(rest)
    if found is None or (found[2] is None and found[1].endswith(".onnx")):
        raise AvmitError(
            f"no file {local}: onnx: takes an ONNX file, or OWNER/NAME of a repository on the Hub "
            "that has one"
        )
    return _Hub(found[1], found[3] or "main").model((found[2] or "").removeprefix("/"))


def _in_folder(folder: Path) -> Path:
    for place in _PLACES:
        if (folder / place).is_file():
            return folder / place
    there = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.onnx"))
    listed = f"; there are {some(there)}" if there else ""
    raise AvmitError(f"no {' or '.join(_PLACES)} in {folder}{listed}: name the file itself")


def _local(path: Path) -> Model:
    graph = read_graph(path)
    for name in graph.external:
        if not (path.parent / name).is_file():
            raise AvmitError(
                f"no file {path.parent / name}, in which {path.name} has its weights: lay it "
                f"beside {path.name}"
            )
    folder = path.absolute().parent
    folders = [folder, folder.parent] if folder.name == "onnx" else [folder]
    beside = next((one for f in folders if (one := f / _PROCESSOR).is_file()), None)
    return Model(f"onnx:{path.name}", path, graph, path.name, None, _processor(beside))


class _Hub:
    """The files of a repository on the Hub, all of one commit."""

    def __init__(self, repository: str, revision: str):
        self.repository = repository
        self.revision = revision
        # The Hub's client tells of every time that it tries again; bars are for terminals.
        hub_logging.set_verbosity(logging.ERROR)
        if not sys.stderr.isatty():
            disable_progress_bars()

    def model(self, file: str) -> Model:
        place, path = self._fetch([file] if file else _PLACES)
        folder = path.parents[place.count("/")]
        # The cache has a folder named by its commit for each.
        self.revision = folder.name if _COMMIT.fullmatch(folder.name) else self.revision
        graph = read_graph(path)
        for name in graph.external:
            self._fetch([(path.parent.relative_to(folder) / name).as_posix()])
        return Model(
            f"onnx:{self.repository}{file and '/'}{file}",
            path,
            graph,
            f"https://huggingface.co/{self.repository}",
            self.revision,
            _processor(self._fetch_if_there(_PROCESSOR)),
        )

    def _fetch(self, places: Sequence[str]) -> tuple[str, Path]:
        """Return the first of these files that there is."""
        unknown: Exception | None = None
        for place in places:
            try:
                return place, Path(self._download(place))
            except LocalEntryNotFoundError as error:
                unknown = error  # there is no Hub to ask; another may be in the cache
            except EntryNotFoundError:
                pass
            except Exception as error:  # the Hub's client raises what it likes
                raise self._unreachable(place, error) from error
        if unknown is not None:
            raise self._unreachable(places[-1], unknown) from unknown
        raise AvmitError(
            f"{self.repository} has no {' or '.join(places)} on the Hub{self._others()}: name a "
            "file of it, as onnx:OWNER/NAME/FILE.onnx"
        )

    def _fetch_if_there(self, file: str) -> Path | None:
        cached = try_to_load_from_cache(self.repository, file, revision=self.revision)
        if cached is _CACHED_NO_EXIST:
            return None
        try:
            return Path(self._download(file))
        except LocalEntryNotFoundError as error:
            raise self._unreachable(file, error) from error
        except EntryNotFoundError:
            return None
        except Exception as error:  # the Hub's client raises what it likes
            raise self._unreachable(file, error) from error

    def _download(self, file: str) -> str:
        return str(hf_hub_download(self.repository, file, revision=self.revision))

    def _others(self) -> str:
        try:
            there = HfApi().list_repo_files(self.repository, revision=self.revision)
        except Exception:  # they are named to help, and may be left away
            return ""
        models = [file for file in there if file.endswith(".onnx")]
        return f"; there are {some(models)}" if models else ", and no other ONNX file"

    def _unreachable(self, file: str, error: Exception) -> AvmitError:
        return AvmitError(
            f"cannot fetch {file} of onnx:{self.repository} ({printable(first_line(error))}): "
            f"bring the files of https://huggingface.co/{self.repository}, and name "
            "onnx:/path/model.onnx"
        )


def _processor(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AvmitError(f"{path} is not JSON ({first_line(error)}): mend or remove it") from error
    if not isinstance(found, dict):
        raise AvmitError(f"{path} is no JSON object: mend or remove it")
    return found

"""AVMIT, Audiovisual Moments in Time, as a Hugging Face `datasets` builder.

57,177 three-second videos, each rated by three people or more for whether its audiovisual
action is there and prominent; 960 of them, 60 in each of 16 classes, are the test set; and two
sets of ready-made embeddings of every video. Paper: https://arxiv.org/abs/2308.09685.

The file stands alone: `datasets` < 4 loads it as a script, every version can import it.

    >>> import avmit
    >>> ds = avmit.load("yamnet_effnet", "train", columns=["audio", "visual", "label"])
"""

import hashlib
import importlib
import json
import os
import re
import stat
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

import datasets
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from experiments.choices import select as select
    from experiments.choices import splits as splits
    from experiments.features import features as features
    from experiments.feeding.batches import batches as batches
    from experiments.feeding.loaders.keras import keras_dataset as keras_dataset
    from experiments.feeding.loaders.tensorflow import tf_dataset as tf_dataset
    from experiments.feeding.loaders.torch import torch_loader as torch_loader
    from experiments.feeding.rows import rows as rows
    from experiments.feeding.stream import stream as stream
    from experiments.feeding.tables import join as join
    from experiments.pairs import pairs as pairs
    from experiments.recognise import recogniser as recogniser

__version__ = "0.1.0"

HOMEPAGE = "https://github.com/mjoannou/audiovisual-moments-in-time"
CITATION = """\
@misc{joannou2023avmit,
  title = {Audiovisual Moments in Time: A Large-Scale Annotated Dataset of Audiovisual Actions},
  author = {Joannou, Michael and Rotshtein, Pia and Noppeney, Uta},
  year = {2023},
  eprint = {2308.09685},
  archivePrefix = {arXiv},
}
"""
DESCRIPTION = (
    "Audiovisual Moments in Time: three-second videos rated for whether their audiovisual action "
    "is present and prominent, a test set of 16 classes of 60 videos, and audio and visual "
    "embeddings of every video."
)

RATED_VIDEOS = 57_177
"""Rated videos of the full release, arXiv 2308.09685."""

TEST_CLASSES: tuple[str, ...] = (
    "barking",
    "diving",
    "drumming",
    "frying",
    "giggling",
    "howling",
    "inflating",
    "mowing",
    "pouring",
    "raining",
    "sanding",
    "shredding",
    "sneezing",
    "tapping",
    "vacuuming",
    "whistling",
)
"""The 16 classes of the test set, those of test_set.csv in the order of their names."""

RATINGS_CONFIGS = ("raw_ratings", "ratings", "test_set")
Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
EMBEDDING_DIMS = {"vggish_vgg16": (128, 512), "yamnet_effnet": (1024, 1280)}
"""Audio and visual width of the published embeddings: VGGish and VGG16, YAMNet and EfficientNetB0
(the encoders' own output widths, arXiv 2308.09685)."""

DEFAULT_FOLDER = "avmit"
_ATTEMPTS = 3
_PAUSE = 0.02
"""Seconds until a config is listed again that was away, as it is while it is replaced."""
_MOST_OF_A_MANIFEST = 2**20
_SHARD = re.compile(r"(?P<split>\w+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.(?:arrow|parquet)")
_REPO_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_SCHEMA_BLOCK = 2**16
_HOW_TO_GET_ONE = (
    "make one with `avmit convert SOURCE --out avmit` (or try `avmit demo`), point AVMIT_HOME at "
    "one, or name its folder or a Hub repository such as 'user/avmit' (in Python, with data_dir=)"
)

_ELSEWHERE = {
    "batches": "experiments.feeding.batches",
    "features": "experiments.features",
    "join": "experiments.feeding.tables",
    "keras_dataset": "experiments.feeding.loaders.keras",
    "pairs": "experiments.pairs",
    "recogniser": "experiments.recognise",
    "rows": "experiments.feeding.rows",
    "select": "experiments.choices",
    "splits": "experiments.choices",
    "stream": "experiments.feeding.stream",
    "tf_dataset": "experiments.feeding.loaders.tensorflow",
    "torch_loader": "experiments.feeding.loaders.torch",
}
"""What is called as avmit's and is in a package, which is imported when it is first asked for.

There is no `__dir__` that lists them: `datasets` looks at all that one names.
"""


class AvmitError(Exception):
    """What the user can mend; its text is one line: what is wrong, where, and what to do."""


def embedding_features(
    audio_dim: Optional[int], visual_dim: Optional[int], labels: Sequence[str]
) -> datasets.Features:
    """Return the columns of an embedding config.

    `audio` has shape (T_a, audio_dim) and `visual` (T_v, visual_dim), both float32, T varying from
    row to row; a width of None leaves the column out. `label` is an index into `labels`, the sorted
    AVMIT labels of video_ratings.csv; `r1`, `r2` and `r3` count the ratings of that value.
    """
    columns = {
        "filename": datasets.Value("string"),
        "label": datasets.ClassLabel(names=list(labels)),
        "MIT_label": datasets.Value("string"),
        "r1": datasets.Value("int64"),
        "r2": datasets.Value("int64"),
        "r3": datasets.Value("int64"),
        "video_location": datasets.Value("string"),
        "tfrecord_filename": datasets.Value("string"),
    }
    for name, dim in (("audio", audio_dim), ("visual", visual_dim)):
        if dim is not None:
            columns[name] = datasets.Sequence(
                datasets.Sequence(datasets.Value("float32"), length=dim)
            )
    return datasets.Features(columns)


def ratings_features(config: str) -> datasets.Features:
    """Return the columns of `raw_ratings`, `ratings` or `test_set`: those of its CSV, in order."""
    video = ["AVMIT_label", "MIT_label", "video_location"]
    columns = {
        "raw_ratings": ["filename", *video, "rating"],
        "ratings": ["filename", "r1", "r2", "r3", *video, "tfrecord_filename"],
        "test_set": ["filename", *video, "new_filename", "tfrecord_filename"],
    }[config]
    integers = {"rating", "r1", "r2", "r3"}
    return datasets.Features(
        {name: datasets.Value("int64" if name in integers else "string") for name in columns}
    )


@dataclass
class AVMITConfig(datasets.BuilderConfig):  # type: ignore[misc]
    """One config of the package; `columns`, if given, are the only ones read, in that order."""

    columns: Optional[list[str]] = None


class AVMIT(datasets.ArrowBasedBuilder):  # type: ignore[misc]
    """Reads one config of a hub package, the folder that `avmit convert` and `avmit extract` write.

    `data_dir` is that folder, or the id of a dataset repository on the Hub; without it, the folder
    in the environment variable AVMIT_HOME, then ./avmit. `config_name` is any folder in it: the
    built-in configs and every other embedding config load the same way.

    Every record batch is checked to be sound before it is handed on: offsets that lead outside of
    a shard, as damage or malice can leave, are an error and not a crash.

    Raises:
        AvmitError: no package there, no such config or column, or a shard is missing or damaged.
    """

    VERSION = datasets.Version(__version__)
    BUILDER_CONFIG_CLASS = AVMITConfig
    BUILDER_CONFIGS = [  # noqa: RUF012 - the name and kind that datasets expects
        AVMITConfig(name=name) for name in (*RATINGS_CONFIGS, *EMBEDDING_DIMS)
    ]
    DEFAULT_CONFIG_NAME = "ratings"

    def __init__(
        self,
        cache_dir: Optional[str] = None,
        *,
        config_name: Optional[str] = None,
        data_dir: Optional[str] = None,
        data_files: Any = None,
        **kwargs: Any,
    ):
        name = config_name or self.DEFAULT_CONFIG_NAME
        self._listed: dict[str, tuple[str, ...]] = {}
        if data_files is None:
            package = find_package(data_dir)
            data_files = shard_files(package, name, token=kwargs.get("token"))
            if not isinstance(package, str):
                for files in data_files.values():
                    for index, file in enumerate(files):
                        self._listed[file] = files.origin_metadata[index]
            elif all(file.endswith(".arrow") for files in data_files.values() for file in files):
                # One connection a shard: blocks are asked for one after the other, and waited for.
                kwargs.setdefault("storage_options", {"hf": {"block_size": 0}})
        if name not in self.builder_configs:
            # datasets accepts a name that is not built in only from a builder that has no list.
            self.BUILDER_CONFIGS = []
        super().__init__(cache_dir, config_name=name, data_files=data_files, **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        first = next(file for files in self.config.data_files.values() for file in files)
        every = _read_features(first, self.token)
        features = _select(every, self.config.columns)
        return datasets.DatasetInfo(features=features, **_about(every))

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        files = dl_manager.download(self.config.data_files)
        # A file from the Hub is elsewhere once it is downloaded; `names` keeps where it is from.
        return [
            datasets.SplitGenerator(
                name=split,
                gen_kwargs={"files": list(paths), "names": list(self.config.data_files[split])},
            )
            for split, paths in files.items()
        ]

    def _generate_shards(self, files: list[str], names: list[str]) -> Iterator[str]:
        yield from files

    def _generate_tables(
        self, files: list[str], names: list[str]
    ) -> Iterator[tuple[Any, pa.Table]]:
        columns = self.config.columns
        for file_index, file in enumerate(files):
            name = names[file_index]
            # A local shard is mapped, so that the pages of columns not asked for are never read;
            # elsewhere it must be this `open`, which datasets makes read remote files. (It makes
            # `Path.is_file` true of them as well.)
            local = "://" not in file
            with _telling_of(name):
                opened = pa.memory_map(file) if local else open(file, "rb")  # noqa: PTH123, SIM115
            with opened as source:
                if name in self._listed and _version(Path(file)) != self._listed[name]:
                    raise AvmitError(f"{name} was replaced since it was listed: load it again")
                for batch_index, batch in enumerate(_read_batches(source, name, columns)):
                    with _telling_of(name):
                        table = datasets.table.table_cast(
                            pa.Table.from_batches([batch]), self.info.features.arrow_schema
                        )
                    yield (file_index, batch_index), table

    def download_and_prepare(self, *args: Any, **kwargs: Any) -> None:
        """Write the config into the cache of `datasets`, as every builder does.

        Raises:
            AvmitError: a shard cannot be read.
        """
        try:
            super().download_and_prepare(*args, **kwargs)
        except datasets.exceptions.DatasetGenerationError as error:
            told = error.__cause__
            if not isinstance(told, AvmitError):
                raise
            raise told from told.__cause__


def load(
    config: str = "ratings",
    split: Optional[str] = None,
    *,
    data_dir: Optional[Union[str, os.PathLike[str]]] = None,
    streaming: bool = False,
    columns: Optional[Union[str, Sequence[str]]] = None,
) -> Any:
    """Load a config of a hub package.

    Args:
        config: `raw_ratings`, `ratings`, `test_set`, `vggish_vgg16`, `yamnet_effnet`, or any other
            folder of the package.
        split: `train`, `test`, or an expression such as `train[:10%]`; None for a dict of all.
        data_dir: a package's folder or a Hub repository id; by default AVMIT_HOME, then ./avmit.
        streaming: return iterable datasets, which hold one record batch in memory at a time.
        columns: read only these, in this order; one can be given as a string.

    Returns:
        What `datasets.load_dataset` would: a Dataset or DatasetDict, or their iterable kinds.
        A local package's uncompressed shards are memory-mapped where they lie, with no copy in a
        cache; compressed ones, Parquet and the Hub's go through the cache of `datasets`.
        A UserWarning says it where `label` is numbered by a part of the release.

    Raises:
        AvmitError: no package there, no such config, split or column, or a shard is missing,
            damaged or hostile. A stream raises it when it comes to the shard.
    """
    package = find_package(data_dir)
    names = [columns] if isinstance(columns, str) else None if columns is None else list(columns)
    for attempt in range(_ATTEMPTS):
        # A config is replaced as a whole, by another folder of its name. Where that happens
        # meanwhile, shards may be gone, or of either folder: they are listed again.
        before = _identity(package, config)
        try:
            loaded = _load(package, config, split, streaming, names)
        except AvmitError as error:
            moved = before != _identity(package, config)
            gone = isinstance(error.__cause__, FileNotFoundError)
            away = before is None and not isinstance(package, str)
            if attempt == _ATTEMPTS - 1 or not (moved or gone or away):
                raise
            time.sleep(_PAUSE)
        else:
            if before == _identity(package, config):
                if part := _said_of_a_part(package, loaded):
                    warnings.warn(part, stacklevel=2)
                return loaded
    raise AvmitError(f"{package} is being replaced: load it again when that is done")


def _load(
    package: Union[Path, str],
    config: str,
    split: Optional[str],
    streaming: bool,
    columns: Optional[list[str]],
) -> Any:
    if not streaming and not isinstance(package, str):
        mapped = _map_local(package, config, split, columns)
        if mapped is not None:
            return mapped
    builder = AVMIT(config_name=config, data_dir=str(package), columns=columns)
    if split is not None:
        _check_split(split, list(builder.config.data_files), config, streaming)
    if streaming:
        return builder.as_streaming_dataset(split=split)
    builder.download_and_prepare()
    return builder.as_dataset(split=split)


def _said_of_a_part(package: Union[Path, str], loaded: Any) -> str:
    """Return what to say of labels that a part of the release numbers; nothing for all of it.

    How much of it there is, the manifest of the ratings says; without one, nothing is said.
    """
    one = next(iter(loaded.values())) if isinstance(loaded, dict) else loaded
    names = getattr((one.features or {}).get("label"), "names", None)
    if names is None or isinstance(package, str):
        return ""
    try:
        path = package / "ratings" / "manifest.json"
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            manifest = json.loads(file.read(_MOST_OF_A_MANIFEST))
        rated = sum(shard["rows"] for shard in manifest["splits"]["train"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    if not isinstance(rated, int) or not 0 <= rated < RATED_VIDEOS:
        return ""
    return (
        f"label numbers in {_shown(package)} follow the CSVs that it was made of: {len(names)} "
        f"names, from {rated:,} of {RATED_VIDEOS:,} rated videos"
    )


def _identity(package: Union[Path, str], config: str) -> Optional[tuple[int, int]]:
    """Return what tells a config's folder from another that came in its place; None if not here."""
    try:
        status = (package / config).stat() if not isinstance(package, str) else None
    except OSError:
        return None
    return None if status is None else (status.st_dev, status.st_ino)


def find_package(data_dir: Optional[Union[str, os.PathLike[str]]] = None) -> Union[Path, str]:
    """Return a package's folder as a Path, or a Hub repository id as a str.

    Raises:
        AvmitError: `data_dir`, or else AVMIT_HOME, or else ./avmit names neither.
    """
    given = data_dir if data_dir is not None else os.environ.get("AVMIT_HOME") or None
    name = os.fsdecode(given) if given is not None else DEFAULT_FOLDER
    try:
        folder = Path(name).expanduser()  # a RuntimeError, where there is no such user
        if folder.is_dir():
            return folder.absolute()
    except (OSError, RuntimeError):
        folder = Path(name)
    if given is not None and _REPO_ID.fullmatch(name.rstrip("/")):
        return name.rstrip("/")
    what = f"no AVMIT package at {folder}" if given is not None else "no AVMIT package in ./avmit"
    raise AvmitError(f"{what}: {_HOW_TO_GET_ONE}")


def shard_files(package: Union[Path, str], config: str, token: Any = None) -> Any:
    """Return a config's shards as a `DataFilesDict`, by split, in order.

    Raises:
        AvmitError: the config is not in the package, or a shard of it is missing.
    """
    if isinstance(package, str):
        return _hub_shard_files(package, config, token)
    folder = package / config
    with _telling_of(str(folder)):
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    splits = _by_split(names, str(folder))
    if not splits:
        with _telling_of(str(package)):
            raise AvmitError(_no_config(package, config))
    files = {}
    for split, shards in splits.items():
        paths = [folder / shard for shard in shards]
        # What datasets names its cache by: a rebuilt shard is never mistaken for the old one.
        origin = [_version(path) for path in paths]
        files[split] = datasets.data_files.DataFilesList([str(path) for path in paths], origin)
    return datasets.data_files.DataFilesDict(files)


def _version(path: Path) -> tuple[str, str]:
    """Return what tells a shard from another that came in its place: its time and size."""
    with _telling_of(str(path)):
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise AvmitError(f"{path} is not a file: {_remedy(str(path))}")
    return str(status.st_mtime_ns), str(status.st_size)


def _no_config(package: Path, config: str) -> str:
    """Say that there is no such config, and what there is."""
    here = _configs(package)
    shown = _shown(package)
    if here:
        return f"no config '{config}' in {shown}; there are: {', '.join(here)}"
    if any(_SHARD.fullmatch(path.name) for path in package.iterdir()):
        above = _shown(package.parent)
        return (
            f"{shown} is a config of the package {above}: "
            f'load("{package.name}", data_dir="{above}") reads it'
        )
    below = [path for path in sorted(package.iterdir()) if path.is_dir() and _configs(path)]
    if below:
        return f"no configs in {shown}; there is a package in {_shown(below[0])}: pass that"
    return f"no configs in {shown}, which is no AVMIT package: {_HOW_TO_GET_ONE}"


def _configs(package: Path) -> list[str]:
    """List the folders of a package that hold shards."""
    found = {path.parent.name for path in package.glob("*/*-of-*") if _SHARD.fullmatch(path.name)}
    return sorted(_printable(name) for name in found if not name.startswith("."))


def _shown(folder: Path) -> str:
    """Write a folder as one would from the current one."""
    try:
        return str(folder.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(folder)


def _hub_shard_files(repo_id: str, config: str, token: Any) -> Any:
    fs, _ = fsspec.core.url_to_fs("hf://", token=token)
    folder = f"datasets/{repo_id}/{config}"
    try:
        names = sorted(path.rsplit("/", 1)[1] for path in fs.ls(folder, detail=False))
    except FileNotFoundError:
        raise AvmitError(
            f"no config '{config}' in '{repo_id}': no such folder here, and none in a dataset "
            "repository of that name on the Hub (a private one needs `hf auth login`)"
        ) from None
    except (ConnectionError, OSError) as error:
        raise AvmitError(
            f"'{repo_id}' is not a folder here and the Hub cannot be reached "
            f"({type(error).__name__}): pass data_dir= the folder of a package"
        ) from None
    patterns = {
        split: [f"hf://{folder}/{shard}" for shard in shards]
        for split, shards in _by_split(names, repo_id).items()
    }
    return datasets.data_files.DataFilesDict.from_patterns(
        patterns, download_config=datasets.DownloadConfig(token=token)
    )


def _by_split(names: list[str], where: str) -> dict[str, list[str]]:
    """Group shard names by split, `train` first, and refuse a set with a gap."""
    splits: dict[str, list[re.Match[str]]] = {}
    for match in filter(None, map(_SHARD.fullmatch, names)):
        splits.setdefault(match["split"], []).append(match)
    for split, found in splits.items():
        count = int(found[0]["count"])
        missing = sorted(set(range(count)) - {int(match["index"]) for match in found})
        if missing or len(found) != count:
            gap = missing[0] if missing else count
            raise AvmitError(
                f"{where}: shard {gap} of {count} of split '{split}' is missing or stands twice; "
                "bring the whole folder again"
            )
    order = sorted(splits, key=lambda split: (split != "train", split))
    return {split: [match.string for match in splits[split]] for split in order}


def _read_features(file: str, token: Any = None) -> datasets.Features:
    """Read a shard's features from its schema, which holds the label names too."""
    options = {"token": token} if file.startswith("hf://") else {}
    with _telling_of(file):
        fs, path = fsspec.core.url_to_fs(file, **options)
        # A remote file comes in blocks, by default of 5 MiB; the schema is much smaller.
        with fs.open(path, "rb", block_size=_SCHEMA_BLOCK) as source:
            if file.endswith(".parquet"):
                schema = pq.read_schema(source)
            else:
                schema = pa.ipc.open_stream(source).schema
        _check_names(schema, file)
        return datasets.Features.from_arrow_schema(schema)


def _check_names(schema: pa.Schema, file: str) -> None:
    if len(set(schema.names)) < len(schema.names):
        raise AvmitError(f"{file} has two columns of one name: {_remedy(file)}")


def _read_batches(source: Any, file: str, columns: Optional[list[str]]) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of a shard that is open, sound ones only."""
    batches = _batches(source, file, columns)
    while True:
        with _telling_of(file):
            batch = next(batches, None)
            if batch is not None:
                # Offsets are followed without a look, so these are looked at first. That reads
                # offsets and text, no embeddings.
                batch.validate(full=True)
        if batch is None:
            return
        yield batch


def _batches(source: Any, file: str, columns: Optional[list[str]]) -> Iterator[pa.RecordBatch]:
    if file.endswith(".parquet"):
        parquet = pq.ParquetFile(source)
        _check_names(parquet.schema_arrow, file)
        for group in range(parquet.num_row_groups):  # asked for together, all are read ahead
            yield from parquet.iter_batches(row_groups=[group], columns=columns)
        return
    stream = pa.ipc.open_stream(source)
    _check_names(stream.schema, file)
    if columns is not None and "://" not in file:
        # So that others are not decompressed; what comes from afar can only be read on.
        source.seek(0)
        included = [stream.schema.names.index(name) for name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=included)
        stream = pa.ipc.open_stream(source, options=options)
    for batch in stream:
        yield batch if columns is None else batch.select(columns)


@contextmanager
def _telling_of(file: str) -> Iterator[None]:
    """Raise what goes wrong with a shard inside as an AvmitError of one line that names it."""
    try:
        yield
    except AvmitError:
        raise
    except FileNotFoundError as error:
        raise AvmitError(f"{file} is gone since it was listed: load it again") from error
    except Exception as error:  # of any kind: datasets parses metadata that others wrote
        if isinstance(error, OSError) and type(error) is not OSError and "://" in file:
            reason = f"cannot be fetched ({type(error).__name__})"
            raise AvmitError(f"{file} {reason}: try again later") from error
        if isinstance(error, OSError) and error.errno:
            raise AvmitError(f"{file} cannot be read ({os.strerror(error.errno)})") from error
        lines = str(error).splitlines() or [type(error).__name__]
        kind = "Parquet" if file.endswith(".parquet") else "an Arrow stream"
        reason = f"cannot be read as {kind} ({_printable(lines[0])})"
        raise AvmitError(f"{file} {reason}: {_remedy(file)}") from error


def _remedy(file: str) -> str:
    if "://" in file:
        return "ask the owner of the repository to push it again"
    return "bring the shard again"


def _printable(text: str) -> str:
    """Write out what a terminal would obey, since the text comes from a file."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _select(features: datasets.Features, columns: Optional[list[str]]) -> datasets.Features:
    if columns is None:
        return features
    unknown = [str(name) for name in columns if name not in features]
    if unknown or not columns:
        there = _printable(", ".join(features))
        raise AvmitError(f"no column {', '.join(unknown) or '()'}; there are: {there}")
    if len(set(columns)) < len(columns):
        raise AvmitError(f"columns {', '.join(columns)}: name each once")
    return datasets.Features({name: features[name] for name in columns})


def _about(features: datasets.Features) -> dict[str, str]:
    """Return what is said of rows with these columns; nothing where they are not of AVMIT's videos.

    All of AVMIT's configs have MIT_label, and others' lists of videos do not.
    """
    if "MIT_label" not in features:
        return {}
    return {"description": DESCRIPTION, "homepage": HOMEPAGE, "citation": CITATION}


def _check_split(split: str, splits: list[str], config: str, streaming: bool = False) -> None:
    """Refuse what `split` names and is not there, and what is not a split expression."""
    unknown = set(re.findall(r"(?:^|\+)\s*(\w+)", str(split))) - {*splits, "all"}
    if unknown:
        raise AvmitError(
            f"no split '{sorted(unknown)[0]}' in config '{config}'; there are: {', '.join(splits)}"
        )
    try:
        datasets.ReadInstruction.from_spec(str(split))
    except (ValueError, AssertionError):
        raise AvmitError(
            f"'{split}' is not a split: write one such as 'train', 'train[:10%]' or 'train+test'"
        ) from None
    if streaming and "[" in str(split):
        raise AvmitError(
            f"'{split}' cannot be streamed: stream the whole split and use take() or skip()"
        )


def _map_local(
    package: Path, config: str, split: Optional[str], columns: Optional[list[str]]
) -> Any:
    """Memory-map a config's shards; None where a shard would have to be decompressed first."""
    files = shard_files(package, config)
    if split is not None:
        _check_split(split, list(files), config)
    first = next(iter(files.values()))[0]
    every = _read_features(first)
    features = _select(every, columns)
    if any(_is_compressed(path) for paths in files.values() for path in paths):
        return None
    info = datasets.DatasetInfo(
        features=features, builder_name="avmit", config_name=config, **_about(every)
    )
    mapped = datasets.DatasetDict()
    for name, paths in files.items():
        parts = [_map_shard(path, name, features, columns) for path in paths]
        whole = datasets.concatenate_datasets(parts) if len(parts) > 1 else parts[0]
        whole.info.update(info)
        mapped[name] = whole
    return mapped if split is None else _read_split(mapped, str(split))


def _map_shard(
    file: str, split: str, features: datasets.Features, columns: Optional[list[str]]
) -> datasets.Dataset:
    """Memory-map a shard, or `columns` of it, which are checked to be sound.

    The check reads offsets and text, some KB of each record batch, and no embeddings.
    """
    with _telling_of(file):
        mapped = datasets.table.MemoryMappedTable.from_file(_linked(file))
        _check_names(mapped.schema, file)
        if columns is not None and set(columns) <= set(mapped.column_names):
            mapped = mapped.select(columns)
        mapped.table.validate(full=True)
        part = datasets.Dataset(mapped, split=split)
        if list(part.features.items()) != list(features.items()):
            raise AvmitError(f"{file} has other columns than the first shard: {_remedy(file)}")
        return part


def _read_split(mapped: datasets.DatasetDict, split: str) -> datasets.Dataset:
    """Return what a split expression names, as slices of the mapped splits."""
    rows = {name: len(part) for name, part in mapped.items()}
    if split == "all":
        split = "+".join(rows)
    slices = []
    for part in datasets.ReadInstruction.from_spec(split).to_absolute(rows):
        count = rows[part.splitname]
        start = 0 if part.from_ is None else min(part.from_, count)
        end = count if part.to is None else min(part.to, count)
        chosen = range(start, end) if start < end else range(0)
        slices.append(mapped[part.splitname].select(chosen))
    return datasets.concatenate_datasets(slices) if len(slices) > 1 else slices[0]


def _linked(file: str) -> str:
    """Link a shard from the cache of `datasets` and return the link; the shard, where that fails.

    `Dataset.map` writes its results beside the file that is mapped, and a package may be read-only,
    shared or on its way to the Hub.
    """
    shard = Path(file)
    key = hashlib.sha256(str(shard.parent).encode()).hexdigest()[:16]
    link = (
        Path(datasets.config.HF_DATASETS_CACHE).expanduser() / "avmit" / "mapped" / key / shard.name
    )
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(shard)
    except OSError:
        return file if not link.is_symlink() else str(link)
    return str(link)


def _is_compressed(file: str) -> bool:
    """Tell whether a shard's buffers are copies, which cannot be left in the file until needed."""
    if file.endswith(".parquet"):
        return True
    with _telling_of(file), pa.memory_map(file) as source:
        mapping = source.read_buffer()
        batch = next(iter(pa.ipc.open_stream(mapping)), None)
        buffers = [
            b for column in batch or () for b in column.buffers() if b is not None and b.size
        ]
        end = mapping.address + mapping.size
        return not all(mapping.address <= buffer.address < end for buffer in buffers)


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module 'avmit' has no attribute '{name}'")
    try:
        value = getattr(importlib.import_module(_ELSEWHERE[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "experiments":
            raise
        raise AvmitError(
            f"avmit.{name} is in avmit's package 'experiments', which is not there, or hidden by "
            "another of that name: install avmit again, in a fresh environment"
        ) from None
    globals()[name] = value
    return value


if __name__ == "__main__":
    # `python -m avmit` is the command, of which a loading script knows no more than the name.
    import runpy

    runpy.run_module("avmit_cli", run_name="__main__")

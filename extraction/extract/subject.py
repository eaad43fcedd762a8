"""Of what videos a config is, and what is known of each: AVMIT's rated ones, or a list's."""

from dataclasses import dataclass, replace
from typing import Any

import datasets
import pyarrow as pa

import avmit
from conversion.package.manifest import KEY, LISTED_KEY
from conversion.release.annotations import Video

Row = tuple[Any, ...]
"""What is known of a video."""

_TYPES = ("string", "int64", "float64")
_LABEL = "label"


@dataclass(frozen=True)
class Subject:
    """What the rows of videos say, in order, and what a config tells of them.

    `fields` name the values of a row, of which `key` identifies the video; `features` are the
    columns of a config before the embeddings. `videos` is what a manifest says of them, its keys in
    order, as they come from a plan.
    """

    fields: tuple[str, ...]
    key: str
    features: datasets.Features
    videos: dict[str, Any]

    @classmethod
    def rated(cls, labels: list[str]) -> "Subject":
        """Return AVMIT's rated videos, whose labels are these."""
        return cls(Video._fields, KEY, avmit.embedding_features(None, None, labels), {})

    @classmethod
    def of_list(cls, columns: datasets.Features, videos: dict[str, Any]) -> "Subject":
        """Return the videos of a list with these columns."""
        return cls(tuple(columns), LISTED_KEY, columns, dict(sorted(videos.items())))

    def first(self, limit: int) -> "Subject":
        """Return the same of the first so many videos."""
        return replace(self, videos=dict(sorted({**self.videos, "limit": limit}.items())))

    @property
    def listed(self) -> bool:
        """Whether the videos are those of a list."""
        return "list" in self.videos

    @property
    def labels(self) -> list[str]:
        """The names of labels, none where there are no labels."""
        return list(getattr(self.features.get(_LABEL), "names", None) or [])

    @property
    def label_field(self) -> str:
        """The field that has the name of a row's label."""
        return _LABEL if self.listed else "AVMIT_label"

    @property
    def bad_columns(self) -> tuple[str, ...]:
        """The columns of the list of videos without a row."""
        return (self.key, "reason") if self.listed else (self.key, "reason", "filename")

    @property
    def types(self) -> list[pa.DataType]:
        """The types of the fields."""
        texts = (self.label_field, self.key)
        arrow = {name: of.pa_type for name, of in self.features.items() if name not in texts}
        return [arrow.get(field, pa.string()) for field in self.fields]

    def settled(self) -> dict[str, Any]:
        """Return what JSON can hold of it, for `settled_subject`."""
        content: dict[str, Any] = {"labels": self.labels}
        if self.listed:
            columns = self.features.items()
            content["columns"] = [
                [name, _LABEL if name == _LABEL else of.dtype] for name, of in columns
            ]
        return {**content, **({"videos": self.videos} if self.videos else {})}


def settled_subject(content: dict[str, Any]) -> Subject:
    """Return the subject that `Subject.settled` told of.

    Raises:
        ValueError: there is none in it.
    """
    labels, videos = content.get("labels"), content.get("videos", {})
    texts = isinstance(labels, list) and all(isinstance(one, str) for one in labels)
    if not texts or not isinstance(videos, dict):
        raise ValueError("it has no labels")
    if "list" not in videos:
        if not labels:
            raise ValueError("it has no labels")
        return replace(Subject.rated(labels), videos=videos)
    features = {}
    columns = content.get("columns")
    for column in columns if isinstance(columns, list) else []:
        if not isinstance(column, list) or len(column) != 2 or not isinstance(column[0], str):
            raise ValueError("it has no columns")
        name, kind = column
        if kind == _LABEL == name and labels:
            features[name] = datasets.ClassLabel(names=labels)
        elif kind in _TYPES:
            features[name] = datasets.Value(kind)
        else:
            raise ValueError("it has other columns")
    if features.get(LISTED_KEY) != datasets.Value("string"):
        raise ValueError("it has no filenames")
    return Subject.of_list(datasets.Features(features), videos)

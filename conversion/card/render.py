"""The dataset card: YAML that `datasets` reads, and prose filled in from what the folder holds."""

import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from datasets import Features
from huggingface_hub import DatasetCard, DatasetCardData

import avmit
from conversion.card.provenance import cell, code, name_of_list, provenance
from conversion.card.sample import samples_text
from conversion.package.kind import of_lists
from conversion.package.manifest import (
    Manifest,
    part_of_release,
)
from conversion.package.manifest_problems import FIGURES
from conversion.package.pictures import ALT
from conversion.package.schema import card_features
from conversion.wording import format_bytes, printable

_HERE = Path(__file__).parent


def _template(name: str) -> Path:
    # Beside this file in what is installed from a wheel, at the top in a checkout.
    return next(path for path in (_HERE / name, _HERE.parents[1] / name) if path.is_file())


TEMPLATE = _template("dataset_card.md")
LIST_TEMPLATE = _template("list_card.md")
"""For packages of lists, of which nothing holds that is said of AVMIT."""


_ENCODERS = {"vggish_vgg16": "VGGish + VGG16", "yamnet_effnet": "YAMNet + EfficientNetB0"}
_OF_AVMIT: dict[str, Any] = {
    "language": ["en"],
    "license": "other",
    "license_name": "see-licences",
    "pretty_name": "Audiovisual Moments in Time (AVMIT)",
    "task_categories": ["video-classification", "audio-classification", "feature-extraction"],
    "tags": ["audiovisual", "embeddings", "perception", "moments-in-time"],
}
_OF_LISTS: dict[str, Any] = {
    "pretty_name": "Audiovisual embeddings",
    "task_categories": ["feature-extraction"],
    "tags": ["audiovisual", "embeddings"],
}
"""Licence and language are their owner's to say."""
_COLUMNS = {
    "filename": "the video in Moments in Time, `MIT class/name.mp4`",
    "label": "AVMIT label, the action that was rated, as an index into the names",
    "AVMIT_label": "the action that was rated, as shown to the participants",
    "MIT_label": "the video's label in Moments in Time; often another one",
    "r1": "how many ratings of 1 the video got",
    "r2": "how many ratings of 2 the video got",
    "r3": "how many ratings of 3 the video got",
    "rating": "one participant's rating of the video: 1, 2 or 3",
    "video_location": "`training` or `validation`: the folder of Moments in Time, not a split",
    "tfrecord_filename": "the published record, `folder/name.tfrecord`; unique to the video",
    "new_filename": "the video's name as a stimulus, `AVMIT label/name.mp4`",
    "has_audio": "whether the video has an audio stream; silence was embedded where it has none",
    "audio": "audio embeddings, one row for each timestep",
    "visual": "visual embeddings, one row for each frame taken",
}
_COLUMNS_OF_LISTS = {
    "filename": "the video, as the list names it; unique in its config",
    "label": "the list's label, as an index into the sorted names",
    "has_audio": _COLUMNS["has_audio"],
    "audio": "audio embeddings, one row for each timestep",
    "visual": "visual embeddings, one row for each timestep",
}


def render_card(
    manifests: Mapping[str, Manifest],
    features: Mapping[str, Features],
    samples: Mapping[str, str] = MappingProxyType({}),
    pictures: Collection[str] = (),
) -> str:
    """Return the whole card of configs, ratings first, as text that begins with YAML.

    `samples` are rows as `sample_row` writes them, by config, and `pictures` the names of those
    that it shows.
    """
    listed = of_lists(manifests)
    data = DatasetCardData(
        **(_OF_LISTS if listed else _OF_AVMIT),
        size_categories=[size_category(max(_all_rows(m) for m in manifests.values()))],
        configs=[_yaml_config(manifest, list(manifests)) for manifest in manifests.values()],
        dataset_info=[_yaml_info(m, features[config]) for config, m in manifests.items()],
    )
    embeddings = {config: m for config, m in manifests.items() if m.dims}
    part = part_of_release(manifests)
    card = DatasetCard.from_template(
        data,
        template_path=str(LIST_TEMPLATE if listed else TEMPLATE),
        lists=" and ".join(dict.fromkeys(name_of_list(m) for m in manifests.values() if m.listed)),
        counts_table=_counts_table(manifests),
        embeddings_table=_embeddings_table(embeddings),
        columns_table=_columns_table(features, _COLUMNS_OF_LISTS if listed else _COLUMNS),
        samples=samples_text({config: samples.get(config, "") for config in manifests}),
        picture={name: _picture(name) for name in pictures},
        examples="\n".join(_example(manifest) for manifest in manifests.values()),
        provenance="\n".join(provenance(manifest) for manifest in manifests.values()),
        avmit_citation=avmit.CITATION.strip(),
        record=_record(manifests),
        published=any(not m.extracted for m in manifests.values()),
        extracted=any(m.extracted for m in manifests.values()),
        version=avmit.__version__,
        part="" if part is None else f"{part:,}",
        part_test=_test_videos(manifests),
        part_names=max(map(_label_count, features.values())),
    )
    return str(card).rstrip() + "\n"


def _picture(name: str) -> str:
    return f"![{ALT[name]}]({FIGURES}/{name})"


def size_category(rows: int) -> str:
    """Return the Hub's name for a number of rows, such as `10K<n<100K`."""
    if rows < 1000:
        return "n<1K"
    names = ["1", "10", "100"]
    exponent = min(int(math.log10(rows)), 11)
    units = " KMBT"
    low, high = exponent, exponent + 1
    return (
        f"{names[low % 3]}{units[low // 3].strip()}<n<{names[high % 3]}{units[high // 3].strip()}"
    )


def _all_rows(manifest: Manifest) -> int:
    return sum(manifest.rows(split) for split in manifest.splits)


def _test_videos(manifests: Mapping[str, Manifest]) -> int:
    return max((m.rows("test") for m in manifests.values() if "test" in m.splits), default=0)


def _label_count(features: Features) -> int:
    return len(getattr(features.get("label"), "names", None) or [])


def _yaml_config(manifest: Manifest, configs: list[str]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "config_name": manifest.config,
        "data_files": [
            {"split": split, "path": f"{manifest.config}/{split}-*.{manifest.format}"}
            for split in manifest.splits
        ],
    }
    if manifest.config == default_config(configs):
        config["default"] = True
    return config


def default_config(configs: list[str]) -> str:
    """Return the config that is loaded when none is named: the ratings where they are there."""
    default = avmit.AVMIT.DEFAULT_CONFIG_NAME
    return default if default in configs else configs[0]


def _yaml_info(manifest: Manifest, features: Features) -> dict[str, Any]:
    size = sum(manifest.bytes(split) for split in manifest.splits)
    return {
        "config_name": manifest.config,
        "features": card_features(features),
        "splits": [
            {
                "name": split,
                "num_bytes": manifest.bytes(split),
                "num_examples": manifest.rows(split),
            }
            for split in manifest.splits
        ],
        "download_size": size,
        "dataset_size": size,
    }


def _counts_table(manifests: Mapping[str, Manifest]) -> str:
    listed = {split: None for manifest in manifests.values() for split in manifest.splits}
    splits = list(listed) if of_lists(manifests) else ["train", "test"]
    rows = [
        f"| config | {' | '.join(splits)} | shards | size |",
        f"| --- |{' ---: |' * (len(splits) + 2)}",
    ]
    for config, manifest in manifests.items():
        counts = [
            f"{manifest.rows(split):,}" if split in manifest.splits else "–" for split in splits
        ]
        shards = sum(map(len, manifest.splits.values()))
        size = format_bytes(sum(manifest.bytes(split) for split in manifest.splits))
        rows.append(f"| `{config}` | {' | '.join(counts)} | {shards} | {size} |")
    return "\n".join(rows)


def _embeddings_table(manifests: Mapping[str, Manifest]) -> str:
    if not manifests:
        return "This package has the ratings alone."
    rated = "" if of_lists(manifests) else "rated "
    rows = [
        f"| config | encoders | audio | visual | {rated}videos without a row |",
        "| --- | --- | --- | --- | ---: |",
    ]
    for config, manifest in manifests.items():
        encoders = _encoders(manifest)
        cells = [_shape(manifest, column) for column in ("audio", "visual")]
        absent = manifest.missing_records + manifest.bad_records
        rows.append(f"| `{config}` | {encoders} | {cells[0]} | {cells[1]} | {absent:,} |")
    return "\n".join(rows)


def _encoders(manifest: Manifest) -> str:
    named = [cell(encoder["name"]) for encoder in manifest.source.get("encoders", {}).values()]
    return " + ".join(named) or _ENCODERS.get(manifest.config, "see manifest.json")


def _shape(manifest: Manifest, column: str) -> str:
    if column not in manifest.dims:
        return "–"
    low, high = manifest.timesteps(column)
    steps = str(low) if low == high else f"{low} to {high}"
    return f"({steps}, {manifest.dims[column]})"


def _columns_table(features: Mapping[str, Features], meanings: Mapping[str, str]) -> str:
    where: dict[str, list[str]] = {}
    types: dict[str, str] = {}
    for config, columns in features.items():
        for name, feature in columns.items():
            where.setdefault(name, []).append(f"`{config}`")
            types.setdefault(name, _type(feature))
    rows = ["| column | type | meaning | in |", "| --- | --- | --- | --- |"]
    for name, configs in where.items():
        meaning = meanings.get(name, "")
        rows.append(f"| {cell(code(name))} | {types[name]} | {meaning} | {', '.join(configs)} |")
    return "\n".join(rows)


def _type(feature: Any) -> str:
    inner = getattr(feature, "feature", None)
    if inner is not None:
        return "float32 (T, D)"
    return "ClassLabel" if hasattr(feature, "names") else str(feature.dtype)


def _example(manifest: Manifest) -> str:
    split = next(iter(manifest.splits))
    variable = re.sub(r"\W", "_", manifest.config)
    if not variable.isidentifier():
        variable = f"config_{variable}"
    return f'{variable} = load_dataset("avmit", "{manifest.config}", split="{split}")'


def _record(manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """Return what is known of the record that the configs came from, the last one if several."""
    known = [m.source["record"] for m in manifests.values() if "record" in m.source]
    return {key: printable(str(value)) for key, value in known[-1].items()} if known else {}

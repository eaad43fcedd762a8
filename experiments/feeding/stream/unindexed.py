"""What is streamed without an index: shard after shard, as `datasets` does."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from datasets.distributed import split_dataset_by_node

import avmit
from avmit import AvmitError
from experiments.feeding.batches import BatchOptions
from experiments.feeding.batches.iterable import AHEAD
from experiments.feeding.batches.streamed import StreamBatches
from experiments.feeding.rows.columns import is_embedding

OF_BATCHES = ("audio", "visual", "label")
"""The columns of batches, if none are named."""

_BUFFER = 1000
"""Rows among which `datasets` mixes."""


def unindexed(
    config: str,
    split: str,
    data_dir: Any,
    revision: str | None,
    columns: Sequence[str] | None,
    ordered: BatchOptions,
    batched: BatchOptions | None,
) -> Any:
    """Stream a package without an index, with a warning, as `avmit.stream` asks for it.

    Raises:
        AvmitError: it is asked for at a revision or at an address, which `avmit.load` knows none
            of; and what that raises.
    """
    if revision is not None or "://" in str(data_dir):
        where = data_dir if revision is None else f"'{data_dir}' at revision '{revision}'"
        raise AvmitError(
            f"'{config}' in {where} has no index.json to read it by: make one with `avmit index` "
            "and put it beside the shards"
        )
    warnings.warn(
        f"'{config}' has no index.json: it is read shard after shard, by one connection; make one "
        "with `avmit index` and push it",
        stacklevel=3,
    )
    found = avmit.load(config, split, data_dir=data_dir, streaming=True, columns=columns)
    if batched and columns is None:
        found = found.select_columns([n for n in OF_BATCHES if n in found.features])
    if ordered.shuffle:
        found = found.shuffle(seed=ordered.seed, buffer_size=_BUFFER)
    if ordered.world_size > 1:
        found = split_dataset_by_node(found, ordered.rank, ordered.world_size)
    if batched is None:
        found = found.with_format("numpy")
        found.set_epoch(ordered.epoch)  # last: what else makes a stream of it begins at 0
        return found
    wide = [f.name for f in found.features.arrow_schema if is_embedding(f.type)]
    others = tuple(name for name in found.features if name not in wide)
    batched = replace(batched, seed=ordered.seed, epoch=ordered.epoch)
    return StreamBatches(found, ("audio" in wide, "visual" in wide, others), batched, AHEAD)

"""TensorFlow reads exported records, and finds in them what the package holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support.releases import SETS, assert_same_bits, shard_rows

from conversion.convert.export import export

CONTEXT = {
    "filename": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.string),
    "audio_timesteps": tf.io.FixedLenFeature([], tf.int64),
    "visual_timesteps": tf.io.FixedLenFeature([], tf.int64),
}
LISTS = {
    "audio": tf.io.FixedLenSequenceFeature([], tf.string),
    "visual_object": tf.io.FixedLenSequenceFeature([], tf.string),
}


def _decode(serialized: Any) -> tuple[Any, Any, Any]:
    context, lists = tf.io.parse_single_sequence_example(serialized, CONTEXT, LISTS)
    decoded = [tf.io.decode_raw(lists[name], tf.float32) for name in ("audio", "visual_object")]
    return context, *decoded


@pytest.mark.parametrize("config", list(SETS))
def test_tensorflow_reads_exported_records(package: Path, tmp_path: Path, config: str) -> None:
    count = export(package, config, tmp_path / "out", 1)
    rows = [row for split in ("train", "test") for row in shard_rows(package, config, split)]
    assert count == len(rows)
    paths = [str(tmp_path / "out" / row["tfrecord_filename"]) for row in rows]
    records = tf.data.TFRecordDataset(paths, compression_type="GZIP").map(_decode)
    for row, (context, audio, visual) in zip(rows, records.as_numpy_iterator(), strict=True):
        assert context["filename"].decode() == row["filename"]
        assert context["label"].decode() == row["tfrecord_filename"].split("/")[0]
        assert context["audio_timesteps"] == len(audio)
        assert context["visual_timesteps"] == len(visual)
        assert_same_bits(audio, np.array(row["audio"], np.float32))
        assert_same_bits(visual, np.array(row["visual"], np.float32))

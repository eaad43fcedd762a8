"""TensorFlow reads exported records, and finds in them what the package holds."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import SETS, assert_same_bits, shard_rows

from conversion.export import export

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


@pytest.mark.parametrize("config", list(SETS))
def test_tensorflow_reads_exported_records(package: Path, tmp_path: Path, config: str) -> None:
    count = export(package, config, tmp_path / "out", 1)
    rows = [row for split in ("train", "test") for row in shard_rows(package, config, split)]
    assert count == len(rows)
    for row in rows:
        path = tmp_path / "out" / row["tfrecord_filename"]
        (serialized,) = tf.data.TFRecordDataset(str(path), compression_type="GZIP")
        context, lists = tf.io.parse_single_sequence_example(serialized, CONTEXT, LISTS)
        assert context["filename"].numpy().decode() == row["filename"]
        assert context["label"].numpy().decode() == row["tfrecord_filename"].split("/")[0]
        for name, steps, column in (
            ("audio", "audio_timesteps", "audio"),
            ("visual_object", "visual_timesteps", "visual"),
        ):
            decoded = tf.io.decode_raw(lists[name], tf.float32).numpy()
            assert context[steps].numpy() == len(decoded)
            assert_same_bits(decoded, np.array(row[column], np.float32))

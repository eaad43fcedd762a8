"""TensorFlow reads what is written here, and what TensorFlow writes is read here, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.releases import assert_same_bits

from conversion.tfrecord.record import Record, read_record, write_record

# Every kind of finite float32: zeros, subnormals, extremes, and ordinary values.
BITS = np.array([0, 0x80000000, 1, 0x80000001, 0x7F7FFFFF, 0xFF7FFFFF, 0x3F800000], np.uint32)


def _matrix(steps: int, width: int, seed: int) -> Any:
    values = np.random.default_rng(seed).standard_normal((steps, width), dtype=np.float32)
    values[0, : len(BITS)] = BITS.view(np.float32)
    return values


RECORDS = [
    Record("diving/yt-1.mp4", "diving", _matrix(3, 128, 1), _matrix(7, 512, 2)),
    Record("cooking/日本_2.mp4", "frying", _matrix(6, 1024, 3), _matrix(6, 1280, 4)),
    Record("a/b.mp4", "a", _matrix(1, 7, 5), _matrix(12, 40, 6)),
]


@pytest.fixture(scope="module")
def tf() -> Any:
    """TensorFlow, imported late: not where the oldest `datasets` is tested, nor by every worker."""
    import tensorflow

    return tensorflow


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.label))
def test_tensorflow_reads_what_is_written(tf: Any, record: Record, tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(write_record(record))
    (serialized,) = list(tf.data.TFRecordDataset(str(path), compression_type="GZIP"))
    text, number = tf.io.FixedLenFeature([], tf.string), tf.io.FixedLenFeature([], tf.int64)
    rows = tf.io.FixedLenSequenceFeature([], tf.string)
    context, lists = tf.io.parse_single_sequence_example(
        serialized,
        {"filename": text, "label": text, "audio_timesteps": number, "visual_timesteps": number},
        {"audio": rows, "visual_object": rows},
    )
    assert context["filename"].numpy().decode() == record.filename
    assert context["label"].numpy().decode() == record.label
    for name, count, wanted in (
        ("audio", "audio_timesteps", record.audio),
        ("visual_object", "visual_timesteps", record.visual),
    ):
        assert int(context[count].numpy()) == len(wanted)
        assert_same_bits(tf.io.decode_raw(lists[name], tf.float32).numpy(), wanted)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.label))
def test_what_tensorflow_writes_is_read(tf: Any, record: Record, tmp_path: Path) -> None:
    def text(value: str) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))

    def number(value: int) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    def rows(matrix: Any) -> Any:
        features = [
            tf.train.Feature(bytes_list=tf.train.BytesList(value=[row.tobytes()])) for row in matrix
        ]
        return tf.train.FeatureList(feature=features)

    example = tf.train.SequenceExample(
        context=tf.train.Features(
            feature={
                "filename": text(record.filename),
                "label": text(record.label),
                "audio_timesteps": number(len(record.audio)),
                "visual_timesteps": number(len(record.visual)),
            }
        ),
        feature_lists=tf.train.FeatureLists(
            feature_list={"audio": rows(record.audio), "visual_object": rows(record.visual)}
        ),
    )
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path), options="GZIP") as writer:
        writer.write(example.SerializeToString())
    read = read_record(path.read_bytes())
    assert (read.filename, read.label) == (record.filename, record.label)
    assert_same_bits(read.audio, record.audio)
    assert_same_bits(read.visual, record.visual)

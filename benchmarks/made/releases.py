"""Releases for the benchmarks: generated once, in the published layout, as files and archives."""

import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from conversion.release.annotations import FILES, TestVideo, Video
from conversion.release.generate import SET_FOLDERS, generate_release, random_record, write_rows
from conversion.tfrecord.record import write_record

CONFIG = "yamnet_effnet"  # the wide set: the most bytes a record


def make_release(folder: Path, records: int) -> Path:
    """Make a release with `records` records of the wide set below `folder`; kept if it is there."""
    release = folder / f"{records}-records"
    if not (release / "done").exists():
        shutil.rmtree(release, ignore_errors=True)
        videos = generate_release(release / "loose", videos_per_label=-(-records // 16), sets=())
        videos = videos[:records]
        test = {video.tfrecord_filename for video in videos[: records // 60]}
        for name in (FILES["ratings"], FILES["test_set"]):
            (release / "loose" / name).unlink()
        write_rows(release / "loose" / FILES["ratings"], Video, videos)
        rows = [
            TestVideo(v.filename, v.AVMIT_label, v.MIT_label, v.video_location, v.filename, name)
            for v in videos
            if (name := v.tfrecord_filename) in test
        ]
        write_rows(release / "loose" / FILES["test_set"], TestVideo, rows)
        root = release / "loose" / SET_FOLDERS[CONFIG]
        with multiprocessing.Pool() as pool:
            pool.starmap(_write, [(root, video, i) for i, video in enumerate(videos)], 100)
        (release / "done").touch()
    return release


def make_archive(release: Path, kind: str) -> Path:
    """Put the release's records into one archive of `kind` (zip, tar or tgz) beside its CSVs."""
    folder = release / kind
    target = folder / f"records.{kind}"
    if not target.exists():
        folder.mkdir(exist_ok=True)
        for name in FILES.values():
            shutil.copy(release / "loose" / name, folder)
        temporary = folder / f"part.{kind}"
        if kind == "zip":
            command = [sys.executable, "-m", "zipfile", "-c", str(temporary), SET_FOLDERS[CONFIG]]
        else:
            command = ["tar", "czf" if kind == "tgz" else "cf", str(temporary), SET_FOLDERS[CONFIG]]
        subprocess.run(command, cwd=release / "loose", check=True)
        temporary.rename(target)
    return folder


def _write(root: Path, video: Video, seed: int) -> None:
    path = root / video.tfrecord_filename
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write_record(random_record(video, CONFIG, np.random.default_rng(seed))))

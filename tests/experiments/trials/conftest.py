"""Stimuli of four classes, made once of small clips."""

from pathlib import Path

import pytest
from support.people import lay_out_study, textured_clip


@pytest.fixture(scope="session")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two clips of each of four classes, seen and heard, and heard alone."""
    pytest.importorskip("av", minversion="18")
    from experiments.stimuli.build import Options, write_stimuli

    root = tmp_path_factory.mktemp("trials")
    videos, annotations = lay_out_study(
        root, lambda path, number: textured_clip(path, number, seconds=0.4)
    )
    options = Options(
        names="bids",
        labels=("barking", "frying", "mowing", "tapping"),
        conditions=("audiovisual", "audio"),
    )
    write_stimuli(videos, annotations, root / "study", options, lambda done, total: None)
    return root / "study"

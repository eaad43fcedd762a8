"""A study's videos and annotations, made once."""

from pathlib import Path

import pytest
from support.people import lay_out_study, textured_clip


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Videos and annotations of 16 classes of 3, of which 2 are tested; never written to."""
    pytest.importorskip("av", minversion="18")

    def clip(path: Path, number: int) -> Path:
        return textured_clip(path, number, channels=1 + number % 2, loud=0.04 + 0.02 * (number % 4))

    return lay_out_study(tmp_path_factory.mktemp("study"), clip)

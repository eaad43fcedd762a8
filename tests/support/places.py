"""Where the checkout and the reference data are that tests read."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = Path(os.environ.get("AVMIT_REFERENCE") or ROOT.parent / "shared" / "reference")

"""What stands beside the folder of stimuli, so that the whole is a dataset of BIDS."""

from conversion.ground import VERSION
from experiments.bids import json_bytes

BIDS_VERSION = "1.10.1"
"""The latest that is tested; stimuli.tsv and sidecars follow the proposal for stimuli (BEP044)."""

_README = """# Stimuli of Audiovisual Moments in Time

The clips in `stimuli` are of the Audiovisual Moments in Time (AVMIT) dataset, annotations of
videos of Moments in Time. `stimuli/stimuli.tsv` has a row for each stimulus, and
`stimuli/rows.tsv` says which row of each of AVMIT's configs it belongs to; what the columns mean
is in the JSON file beside each table.

The videos belong to Moments in Time, under whose terms they were received. Where `present` is
`false`, the file is not here: it can be made again from a copy of Moments in Time with
`avmit stimuli`, and has the SHA-256 that the table says.

AVMIT: https://arxiv.org/abs/2308.09685
"""


def top_files() -> dict[str, bytes]:
    """Return the files at a dataset's top, by name; who has files of these names keeps them."""
    description = {
        "Name": "Stimuli of Audiovisual Moments in Time",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "Authors": ["Michael Joannou", "Pia Rotshtein", "Uta Noppeney"],
        "ReferencesAndLinks": ["https://arxiv.org/abs/2308.09685"],
        "GeneratedBy": [{"Name": "avmit", "Version": VERSION}],
        "SourceDatasets": [{"URL": "https://zenodo.org/records/8253350"}],
    }
    ignored = "stimuli/rows.*\nstimuli/missing.*\n"
    return {
        "dataset_description.json": json_bytes(description),
        "README.md": _README.encode(),
        ".bidsignore": ignored.encode(),
    }

"""Features as what rsatoolbox computes with."""

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.extras import require
from experiments.features.dissimilarity import By, Metric, dissimilarities

if TYPE_CHECKING:
    from experiments.features.dense import Features


def dataset(features: "Features", modality: str) -> Any:
    """Return a `Dataset`, or a `TemporalDataset` of pool none, of a modality.

    What is known of each row are its `obs_descriptors`: its name, the number and the name of its
    class, and how many timesteps it had. A `TemporalDataset` (N, D, T) has no row shorter than
    another: it has the timesteps that all rows have, and `time` counts them from 0.

    Raises:
        AvmitError: there is no such modality, or rsatoolbox is not installed.
    """
    matrix = features.matrix(modality)
    data = require("rsatoolbox.data", "to_rsatoolbox()", "rsatoolbox")
    lengths = features.lengths[modality]
    descriptors = {"modality": modality, **_plain(features.description)}
    rows = {**_of_rows(features), "timesteps": lengths}
    if matrix.ndim == 2:
        return data.Dataset(matrix, descriptors, rows)
    steps = min(int(lengths.min(initial=matrix.shape[1])), matrix.shape[1])
    times = {"time": np.arange(steps)}
    whole = np.ascontiguousarray(matrix[:, :steps].transpose(0, 2, 1))
    return data.TemporalDataset(whole, descriptors, rows, time_descriptors=times)


def rdms(features: "Features", metric: Metric, by: By) -> Any:
    """Return `RDMs`, one for each modality, with the names of what they compare.

    Raises:
        AvmitError: as `dissimilarities`; or rsatoolbox is not installed.
    """
    rdm = require("rsatoolbox.rdm", "rdms()", "rsatoolbox")
    found = [dissimilarities(features, name, metric, by) for name in features.matrices]
    numbers = found[0][1]
    if by == "class":
        patterns: dict[str, Any] = {
            "label": numbers,
            "label_name": [features.classes[n] for n in numbers.tolist()],
        }
    else:
        patterns = _of_rows(features)
    return rdm.RDMs(
        np.stack([square for square, _ in found]),
        dissimilarity_measure=metric,
        descriptors=_plain(features.description),
        rdm_descriptors={"modality": list(features.matrices)},
        pattern_descriptors={name: list(values) for name, values in patterns.items()},
    )


def _of_rows(features: "Features") -> dict[str, Any]:
    names = {features.id_name: np.array(features.ids)}
    if features.labels is None:
        return names
    return {**names, "label": features.labels, "label_name": np.array(features.label_names)}


def _plain(description: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in description.items() if isinstance(value, str)}

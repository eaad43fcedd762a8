"""What each part of the page says and shows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from conversion.package.manifest import Manifest
from experiments.extras import require
from experiments.report import figures
from experiments.report.measures.agreement import fleiss_kappa
from experiments.report.measures.centroids import nearest_centroid
from experiments.report.measures.counts import (
    Videos,
    by_class_and_split,
    flows,
    ratings_by_class,
    sites,
)
from experiments.report.measures.embeddings import FAR, Embedded, dead, far_off, norms
from experiments.report.measures.maps import EXTRA
from experiments.report.page import Picture, Section

_MOST_FLOWS = 4
_MOST_FAR = 3


def contents(videos: Videos, manifests: Mapping[str, Manifest]) -> Section:
    """Say what is there, and show the videos of each class and split."""
    table = [["config", "split", "rows", "audio", "visual"]]
    for config, manifest in manifests.items():
        for split in manifest.splits:
            widths = [
                str(manifest.dims[name]) if name in manifest.dims else ""
                for name in ("audio", "visual")
            ]
            table.append([config, split, f"{manifest.rows(split):,}", *widths])
    counted = by_class_and_split(videos)
    line = f"{len(videos.filenames):,} videos of {len(counted):,} classes."
    picture = Picture("classes", figures.stacked(counted, "videos"), "Videos of each class")
    return Section("What is here", [line], [picture], [table])


def ratings(videos: Videos) -> Iterator[Section]:
    """Show how the videos were rated, and how far raters agree; nothing without ratings."""
    if videos.ratings is None:
        return
    counts = ratings_by_class(videos)
    shares = {
        label: {f"r{n + 1}": float(of[:, n].sum()) for n in range(3)}
        for label, of in counts.items()
    }
    found = {"all": fleiss_kappa(videos.ratings)}
    found |= {label: fleiss_kappa(of) for label, of in counts.items()}
    per_video = Counter(videos.ratings.sum(axis=1).tolist())
    said = ", ".join(f"{n} ({count:,} videos)" for n, count in sorted(per_video.items()))
    overall = found["all"]
    yield Section(
        "Ratings and agreement",
        [
            "r1: the action is not present; r2: present; r3: present and the most prominent.",
            f"Ratings a video: {said}.",
            f"Fleiss' kappa of all is {overall.kappa:.3f} "
            f"({overall.low:.3f} to {overall.high:.3f}), generalised to differing numbers of "
            "ratings. It is from counts: which rater gave which rating is not published, so that "
            "single raters cannot be told apart, nor weighted.",
        ],
        [
            Picture("ratings", figures.stacked(shares, "ratings"), "Ratings of each class"),
            Picture("agreement", figures.kappas(found), "Agreement within each class"),
        ],
    )


def labels(videos: Videos) -> Iterator[Section]:
    """Show which MIT labels flow into which class; nothing where they are not told."""
    if videos.mit_labels is None or videos.labels is None:
        return
    counted = flows(videos)
    classes = sorted(set(videos.labels))
    parts = {
        label: {
            "the same MIT label": float(counted[label, label]),
            "other MIT labels": float(
                sum(n for (_, to), n in counted.items() if to == label) - counted[label, label]
            ),
        }
        for label in classes
    }
    table = [["AVMIT class", "from the MIT labels"]]
    for label in classes:
        into = sorted((-n, mit) for (mit, to), n in counted.items() if to == label)
        named = [f"{mit} {-n:,}" for n, mit in into[:_MOST_FLOWS]]
        more = len(into) - _MOST_FLOWS
        table.append([label, ", ".join(named) + (f", and {more:,} more" if more > 0 else "")])
    same = sum(counted[label, label] for label in classes)
    return_line = f"{same:,} of {len(videos.labels):,} videos have the same label in both."
    picture = Picture("flows", figures.stacked(parts, "videos"))
    yield Section("From MIT labels to AVMIT classes", [return_line], [picture], [table])


def source_sites(videos: Videos) -> Section:
    """Show which sites the videos are from, as far as their names tell."""
    line = "By what stands before the dash in a clip's name; a bare id names no site."
    picture = Picture("sites", figures.bars(sites(videos), "videos"))
    return Section("Source sites", [line], [picture])


def embeddings(configs: Sequence[Embedded]) -> Section:
    """Show timesteps, silence, norms and dead dimensions of each config."""
    table = [["config", "modality", "width", "dead dimensions", "median norm", "timesteps"]]
    steps, lengths = {}, {}
    lines = [
        "Each embedding is the mean over its timesteps. A dead dimension has one value in all rows."
    ]
    for one in configs:
        if one.silent is None:
            lines.append(f"{one.config}: which clips are silent is not known ({one.silence}).")
        else:
            count = f"{len(one.silent):,} of {len(one.splits):,} clips are silent"
            lines.append(f"{one.config}: {count}, by {one.silence}.")
        for name, matrix in one.features.matrices.items():
            of_rows, far = one.features.lengths[name], far_off(matrix)
            usual = matrix[~far] if far.any() else matrix
            length = norms(usual)
            steps[f"{one.config} {name}"], lengths[f"{one.config} {name}"] = of_rows, length
            if far.any():
                names = [one.features.ids[row] for row in np.flatnonzero(far)[:_MOST_FAR]]
                more = ", and more" if far.sum() > _MOST_FAR else ""
                lines.append(
                    f"{one.config} {name}: {far.sum():,} of {len(far):,} rows are not finite, or "
                    f"{FAR:,} times as long as the median ({', '.join(names)}{more}). They are "
                    "left out of the norms and dead dimensions, and stand at the lower left corner "
                    "of the map."
                )
            low, high = int(of_rows.min()), int(of_rows.max())
            said = str(low) if low == high else f"{low} to {high}"
            numbers = [
                str(matrix.shape[1]),
                str(dead(usual)) if len(usual) else "",
                f"{np.median(length):.4g}" if len(length) else "",
            ]
            table.append([one.config, name, *numbers, said])
    pictures = [
        Picture("timesteps", figures.histograms(steps, "timesteps", True), "Timesteps"),
        Picture("norms", figures.histograms(lengths, "norm of the mean", False), "Norms"),
    ]
    return Section("Embeddings", lines, pictures, [table])


def separation(configs: Sequence[Embedded]) -> Iterator[Section]:
    """Show how well the nearest mean tells classes apart; nothing without two classes."""
    table = [["config", "modality", "accuracy", "chance", "how"]]
    pictures = []
    for one in configs:
        for name in one.features.matrices:
            found = nearest_centroid(one, name)
            if found is None:
                continue
            chance = f"{1 / len(found.classes):.1%}"
            table.append([one.config, name, f"{found.accuracy:.1%}", chance, found.how])
            picture = figures.confused(found)
            title = f"{one.config} {name}: {found.accuracy:.1%}"
            pictures.append(Picture(f"confusion_{one.config}_{name}", picture, title))
    if pictures:
        line = "A clip is told by the class whose mean embedding is nearest, by the cosine."
        yield Section("Classes told apart by the nearest mean", [line], pictures, [table])


def side_by_side(configs: Sequence[Embedded]) -> Iterator[Section]:
    """Compare each config with the one before it, by how alike they find the classes."""
    stats = require("scipy.stats", "a report", EXTRA)
    table = [["configs", "modality", "videos of both", "Spearman's rho of class dissimilarities"]]
    for one, other in pairwise(configs):
        for name in one.features.matrices:
            same = one.features.classes == other.features.classes
            if name not in other.features.matrices or not same or one.features.labels is None:
                continue
            pair = [each.class_rdm(name) for each in (one, other)]
            if pair[0].shape != pair[1].shape or len(pair[0]) < 3:
                continue
            upper = np.triu_indices(len(pair[0]), 1)
            known = ~np.isnan(pair[0][upper] + pair[1][upper])
            if known.sum() < 3:
                continue
            ranked = stats.spearmanr(pair[0][upper][known], pair[1][upper][known])
            rho = float(ranked.statistic)
            common = len(set(one.features.ids) & set(other.features.ids))
            both = f"{one.config}, {other.config}"
            table.append([both, name, f"{common:,}", f"{rho:.3f}"])
    if len(table) > 1:
        line = "How far two configs agree on which classes are alike: 1 minus Pearson's r between "
        line += "the classes' means, ranked."
        yield Section("Configs side by side", [line], [], [table])

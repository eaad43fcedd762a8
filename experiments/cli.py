"""The commands that this package has."""

from conversion.lazy import Lazy

COMMANDS: dict[str, Lazy] = {
    "silent": Lazy(
        "experiments.silent.command:silent",
        "List the videos without sound, by audio embeddings that are those of digital silence.",
    ),
    "features": Lazy(
        "experiments.features.command:features",
        "Write embeddings as one dense matrix for each modality, with the videos' names and "
        "labels.",
    ),
}

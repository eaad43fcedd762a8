"""The commands that this package has."""

from conversion.lazy import Lazy

COMMANDS: dict[str, Lazy] = {
    "silent": Lazy(
        "experiments.silent.command:silent",
        "List the videos without sound, by audio embeddings that are those of digital silence.",
    ),
}

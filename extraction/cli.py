"""The commands that this package has."""

from conversion.lazy import Lazy

COMMANDS = {
    "extract": Lazy(
        "extraction.extract.command:extract",
        "Embed your own copy of the videos, with any audio and visual encoder, into a new config.",
    ),
    "compare": Lazy(
        "extraction.compare.command:compare",
        "Compare two configs video by video, and how alike each finds the videos, of any widths.",
    ),
    "encoders": Lazy(
        "extraction.encoders.command:app",
        "Show the encoders that can be named, what they take, and where their weights come from.",
    ),
}

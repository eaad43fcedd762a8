"""The audio of one video with the frames of another: audiovisual correspondence."""

from experiments.pairs.iterable import pairs

__all__ = ["pairs"]

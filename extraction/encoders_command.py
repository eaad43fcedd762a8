"""`avmit encoders`: the table of encoders."""

import sys

from rich import box
from rich.table import Table

from conversion.terminal import table_console
from extraction import registry
from extraction.encoder import Encoder, Sound


def encoders() -> None:
    """Show the encoders that can be named, what they take, and where their weights come from.

    Example: avmit encoders
    """
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("name", "modality", "width", "input", "timing", "weights", "extra"):
        table.add_column(name, overflow="fold", justify="right" if name == "width" else "left")
    broken = []
    for encoder in registry.encoders():
        if isinstance(encoder, str):
            broken.append(encoder)
        else:
            table.add_row(*_described(encoder))
    table_console().print(table)
    for line in broken:
        print(f"avmit: {line}", file=sys.stderr)


def _described(encoder: Encoder) -> list[str]:
    if isinstance(encoder.input, Sound):
        takes = f"{encoder.input.rate / 1000:g} kHz"
        timing = f"{encoder.window_ms / 1000:g} s each {encoder.step_ms / 1000:g} s"
    else:
        takes = f"{encoder.input.side} x {encoder.input.side} RGB"
        timing = f"a frame each {encoder.step_ms / 1000:g} s"
    return [
        encoder.name,
        encoder.modality,
        str(encoder.width),
        takes,
        timing,
        encoder.origin,
        encoder.extra,
    ]

"""Batches as a PyTorch `DataLoader`: `avmit.torch_loader`."""

from collections.abc import Iterator, Sequence
from typing import Any

from avmit import AvmitError
from experiments.extras import require
from experiments.feeding.batches.ahead import made_ahead
from experiments.feeding.batches.formats import TorchFormatter, formatter
from experiments.feeding.batches.iterable import AHEAD
from experiments.feeding.batches.maker import BatchMaker
from experiments.feeding.batches.options import BatchOptions, Layout, OnLong
from experiments.feeding.batches.position import Epochs, Position
from experiments.feeding.loaders.packed import Packed, pack, unpack
from experiments.feeding.loaders.torch_stream import StreamLoader, stream_loader
from experiments.feeding.rows import rows
from experiments.feeding.stream import Stream

torch: Any = require("torch", "avmit.torch_loader")


class _Made(torch.utils.data.Dataset):  # type: ignore[misc]
    """Whole batches by (seed, epoch, position), as a worker makes them and sends them."""

    def __init__(self, maker: BatchMaker):
        self._maker = maker

    def __getitem__(self, at: tuple[int, int, int]) -> Packed | AvmitError:
        try:
            return pack(self._maker.make(*at, formatter("numpy")))
        except AvmitError as error:
            return error  # raised, a DataLoader would put the worker's traceback into its text


class _Coming:
    """Names the batches of an epoch from a position on, for the workers."""

    def __init__(self, batches: int):
        self.at = Position(0, 0)
        self._batches = batches

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        at = self.at
        return ((at.seed, at.epoch, position) for position in range(at.position, self._batches))


class TorchLoader(torch.utils.data.DataLoader, Epochs):  # type: ignore[misc]
    """A `DataLoader` of whole batches, dicts of tensors; made by `avmit.torch_loader`.

    It goes through an epoch each time it is iterated over, and tells with `state_dict` which batch
    comes next: what workers made beforehand and nobody took does not count.
    """

    def __init__(self, maker: BatchMaker, **options: Any):
        Epochs.__init__(self, maker.options.seed, maker.options.epoch)
        self._maker = maker
        self._formatter = TorchFormatter()
        self._coming = _Coming(len(maker))
        if not options.get("in_order", True):
            raise AvmitError("in_order=False: a state could not tell which batches were given")
        kept: dict[str, Any] = {
            "sampler": self._coming,
            "batch_size": None,
            "collate_fn": _as_it_is,
        }
        torch.utils.data.DataLoader.__init__(self, _Made(maker), **kept, **options)

    def _most(self, at: Position) -> int:
        return len(self._coming)

    def __iter__(self) -> Any:
        return self._through(self._from)

    def _from(self, at: Position) -> Iterator[dict[str, Any]]:
        self._coming.at = at
        if self.num_workers or self.pin_memory:
            return map(self._unpacked, torch.utils.data.DataLoader.__iter__(self))
        # Without workers a DataLoader would make each batch only when it is asked for.
        return made_ahead(self._make, self._coming, AHEAD)

    def _make(self, at: tuple[int, int, int]) -> dict[str, Any]:
        return self._maker.make(*at, self._formatter)

    def _unpacked(self, packed: Packed | AvmitError) -> dict[str, Any]:
        if isinstance(packed, AvmitError):
            raise packed
        batch = unpack(packed)
        if self._maker.options.layout == "padded":
            return batch
        jagged: dict[str, Any] = {}
        for name in self._maker.rows.embeddings:
            values, offsets = batch.pop(f"{name}_values"), batch.pop(f"{name}_offsets")
            jagged |= self._formatter.nested(name, values, offsets)
        return jagged | batch

    def __repr__(self) -> str:
        options = self._maker.options
        return f"TorchLoader({len(self)} of {options.batch_size}: {self._maker.rows})"


def _as_it_is(batch: Packed | AvmitError) -> Packed | AvmitError:
    return batch


def torch_loader(
    source: Any,
    batch_size: int = 32,
    *,
    audio: bool = True,
    visual: bool = True,
    columns: Sequence[str] = ("label",),
    timesteps: int | None = None,
    layout: Layout = "padded",
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    drop_last: bool = False,
    rank: int = 0,
    world_size: int = 1,
    on_long: OnLong = "error",
    num_workers: int = 0,
    **loader: Any,
) -> TorchLoader | StreamLoader:
    """Return a `torch.utils.data.DataLoader` of whole batches.

    Args:
        source: a `Dataset`, what `avmit.join` returns, or what `avmit.stream` does.
        batch_size: rows a batch, and so on up to `on_long`: see `avmit.batches`.
        num_workers: processes that make batches; with none, a thread makes the next two. One thread
            is faster, for handing over costs more than copying: workers are worth it only where
            more is done in them, as of a stream, whose workers fetch.
        **loader: what else `DataLoader` takes, such as `pin_memory` or `persistent_workers`.

    Returns:
        A loader with `len` of dicts, as `avmit.batches(..., format="torch")` gives them. Also
        `set_epoch`, `state_dict` and `load_state_dict`.

    Raises:
        AvmitError: as `avmit.batches`; `in_order` is False; or torch is not installed.
    """
    options = BatchOptions(
        batch_size=batch_size,
        timesteps=timesteps,
        layout=layout,
        shuffle=shuffle,
        seed=seed,
        epoch=epoch,
        drop_last=drop_last,
        rank=rank,
        world_size=world_size,
        format="torch",
        on_long=on_long,
    )
    if isinstance(source, Stream):
        asked = audio, visual, columns
        return stream_loader(source, asked, options, AHEAD, num_workers=num_workers, **loader)
    maker = BatchMaker(rows(source, audio, visual, columns), options)
    return TorchLoader(maker, num_workers=num_workers, **loader)

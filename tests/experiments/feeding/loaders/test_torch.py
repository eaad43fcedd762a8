"""`avmit.torch_loader` is a DataLoader of whole batches."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feeding import (
    SOME,
    Lengths,
    assert_padded,
    collate,
    in_batches,
    in_memory,
    lengths,
    made_rows,
    videos,
)

import avmit

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
COLUMNS = ("label", "filename")


def loader_of(some: Lengths = SOME, size: int = 4, **options: Any) -> Any:
    return avmit.torch_loader(in_memory(some), size, columns=COLUMNS, **options)


@settings(max_examples=20)
@given(
    lengths,
    st.integers(1, 6),
    st.booleans(),
    st.integers(0, 1),
    st.none() | st.integers(1, 6),
    st.booleans(),
)
def test_batches_are_those_of_avmit_batches(
    some: Lengths, size: int, shuffle: bool, rank: int, timesteps: int | None, drop_last: bool
) -> None:
    options: dict[str, Any] = {
        "shuffle": shuffle,
        "seed": 3,
        "epoch": 1,
        "rank": rank,
        "world_size": 2,
        "timesteps": timesteps,
        "on_long": "truncate",
        "drop_last": drop_last,
    }
    loader = loader_of(some, size, **options)
    batches: Any = avmit.batches(in_memory(some), size, columns=COLUMNS, format="torch", **options)
    assert len(loader) == len(batches)
    for _ in range(2):
        for one, other in zip(loader, batches, strict=True):
            assert list(one) == list(other)
            for name, value in one.items():
                if name == "filename":
                    assert value == other[name]
                else:
                    assert value.dtype == other[name].dtype
                    assert torch.equal(value, other[name])
    assert loader.state_dict() == batches.state_dict()


def test_jagged_batches() -> None:
    for batch, rows in zip(loader_of(layout="jagged"), in_batches(made_rows(SOME), 4), strict=True):
        assert batch["audio"].layout == torch.jagged
        assert [part.tolist() for part in batch["audio"].unbind()] == [
            row["audio"].tolist() for row in rows
        ]


def test_it_is_a_data_loader() -> None:
    loader = loader_of()
    assert isinstance(loader, torch.utils.data.DataLoader)
    assert repr(loader) == (
        "TorchLoader(6 of 4: Rows(23 rows: audio (T, 3), visual (T, 2), label, filename))"
    )


def test_a_state_goes_with_json() -> None:
    loader = loader_of(shuffle=True, seed=4)
    coming = iter(loader)
    for _ in range(2):
        next(coming)
    state = json.loads(json.dumps(loader.state_dict()))
    assert state == {"seed": 4, "epoch": 0, "position": 2}
    again = loader_of(shuffle=True)
    again.load_state_dict(state)
    assert videos(again) == videos(coming)
    assert videos(again) == videos(loader) == videos(loader_of(shuffle=True, seed=4, epoch=1))
    loader.set_epoch(0)
    assert videos(loader) == videos(loader_of(shuffle=True, seed=4))


def test_who_counts_batches_comes_to_the_next_epoch_too() -> None:
    loader = loader_of(shuffle=True)
    orders = []
    for _ in range(2):
        coming = iter(loader)
        orders.append(videos([next(coming) for _ in range(len(loader))]))
    assert orders == [videos(loader_of(shuffle=True, epoch=epoch)) for epoch in range(2)]


def test_a_network_learns() -> None:
    """A real loop: the class of a row is in its values, and the loss falls by much."""
    some = [(1 + n % 3, 1 + n % 4) for n in range(32)]
    ds = in_memory(some)
    torch.manual_seed(0)
    table = {row["filename"]: row for row in made_rows(some)}
    network = torch.nn.GRU(2, 16, batch_first=True)
    head = torch.nn.Linear(16, 4)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], 3e-2)
    loader = avmit.torch_loader(ds, 8, columns=("label", "filename"), shuffle=True, timesteps=4)
    losses = []
    for _ in range(25):
        for batch in loader:
            for name, label in zip(batch["filename"], batch["label"].tolist(), strict=True):
                assert table[name]["label"] == label
            scaled = batch["visual"] / 1000 % 4
            states, _ = network(scaled)
            last = states[torch.arange(8), batch["visual_lengths"] - 1]
            loss = torch.nn.functional.cross_entropy(head(last), batch["label"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert sum(losses[-4:]) < 0.6 * sum(losses[:4])


def test_rows_go_into_a_data_loader_of_the_user() -> None:
    rows = avmit.rows(in_memory(SOME), columns=COLUMNS)
    loader = torch.utils.data.DataLoader(rows, 4, collate_fn=collate)
    for batch, group in zip(loader, in_batches(made_rows(SOME), 4), strict=True):
        assert batch["filename"] == [row["filename"] for row in group]
        assert batch["label"].tolist() == [row["label"] for row in group]
        for array, row in zip(batch["audio"], group, strict=True):
            assert array[: len(row["audio"])].tolist() == row["audio"].tolist()
    order = [
        name
        for batch in torch.utils.data.DataLoader(rows, 5, shuffle=True, collate_fn=collate)
        for name in batch["filename"]
    ]
    assert sorted(order) == sorted(row["filename"] for row in made_rows(SOME))


def test_rows_of_one_length_go_with_the_default_collate() -> None:
    rows = avmit.rows(in_memory([(3, 2)] * 8).with_format("numpy"), audio=False)
    with pytest.warns(UserWarning, match="not writable"):
        (batch,) = torch.utils.data.DataLoader(rows, 8)
    assert batch["visual"].shape == (8, 2, 2)
    assert batch["label"].tolist() == [row["label"] for row in made_rows([(3, 2)] * 8)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 0}, "batch_size=0: it is a whole number from 1 on"),
        ({"batch_size": 4.0}, "batch_size=4.0 is not a whole number"),
        ({"rank": 1}, "rank=1 of world_size=1: ranks count from 0 to 0"),
        ({"layout": "ragged"}, "layout='ragged': it is one of padded, jagged"),
        (
            {"columns": "label"},
            "columns='label' is a string, not a list of names: columns=(\"label\",) says that",
        ),
        (
            {"in_order": False},
            "in_order=False: a state could not tell which batches were given",
        ),
    ],
)
def test_bad_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(avmit.AvmitError) as error:
        avmit.torch_loader(in_memory(SOME), **options)
    assert str(error.value) == said


def test_a_stream_is_refused() -> None:
    with pytest.raises(avmit.AvmitError) as error:
        avmit.torch_loader(in_memory(SOME).to_iterable_dataset())
    assert str(error.value) == (
        "a stream has no row numbers: give it to avmit.batches, or load it whole"
    )


def test_a_row_that_is_too_long() -> None:
    with pytest.raises(avmit.AvmitError) as error:
        list(loader_of(timesteps=4))
    assert str(error.value) == (
        "visual of row 1 has 5 timesteps, more than timesteps=4: raise that, or pass "
        'on_long="truncate"'
    )


def test_options_of_a_data_loader_that_are_kept() -> None:
    """The batches are made here: what would make others is refused by PyTorch itself."""
    for options in ({"collate_fn": list}, {"sampler": range(3)}):
        with pytest.raises(TypeError):
            loader_of(**options)
    with pytest.raises(ValueError):
        loader_of(num_workers=-1)
    loader = loader_of(num_workers=0, pin_memory=False, timeout=0)
    assert_padded(next(iter(loader)), made_rows(SOME)[:4])

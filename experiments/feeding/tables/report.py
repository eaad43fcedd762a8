"""What either side of a join lacks."""

from dataclasses import dataclass

from conversion.wording import printable, some


@dataclass(frozen=True)
class SideReport:
    """One side of a join: how many `rows` it has, and the keys of those `alone`, in their order.

    A row is alone where the other side has no row of its key. None is the key of a row without one.
    """

    name: str
    rows: int
    alone: tuple[str | int | None, ...]

    def __str__(self) -> str:
        text = f"{self.name}: {self.rows - len(self.alone):,} of {self.rows:,} rows found"
        keys = ["(no key)" if key is None else printable(str(key)) for key in self.alone]
        return f"{text}, {len(keys):,} not: {some(keys)}" if keys else text


@dataclass(frozen=True)
class JoinReport:
    """Which rows of either side the other side has, whatever of them the join kept."""

    left: SideReport
    right: SideReport

    def __str__(self) -> str:
        return f"{self.left}\n{self.right}"

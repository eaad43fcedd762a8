"""A Hub that fails, cuts, stalls or lies on a share of its answers, seeded."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from support.hub.server import Fault
from support.hub.state import Request

PAGE = b"<!doctype html><title>Welcome to our network</title><p>Please log in."
LIES: dict[str, Callable[[bytes], bytes]] = {
    "html": lambda body: PAGE,
    "{}": lambda body: b"{}",
    "[]": lambda body: b"[]",
    "null": lambda body: b"null",
    "bytes": lambda body: b"\xff\x00\xfe" * 9,
    "nothing": lambda body: b"",
    "half": lambda body: body[: len(body) // 2],
    "other": lambda body: b"x" * len(body),
    "one byte": lambda body: body[:-1] + bytes([body[-1] ^ 1]) if body else b"?",
}
"""What comes in place of an answer's body, with its status and headers."""

_STATUSES = (404, 408, 429, 500, 502, 503, 504)


@dataclass
class Liar:
    """What goes wrong with a request, or nothing; `met` counts by kind."""

    seed: int
    share: float = 0.25
    stalls: bool = True
    met: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __call__(self, request: Request) -> Fault | None:
        if self._random.random() >= self.share:
            return None
        kind = self._random.choice(["status", "lie", "lie", "undone", "cut", "stall"])
        if kind == "stall" and (not self.stalls or self._random.random() < 0.5):
            kind = "cut"
        self.met[kind] = self.met.get(kind, 0) + 1
        name = self._random.choice(list(LIES))
        if kind == "status":
            return Fault("", status=self._random.choice(_STATUSES), body=PAGE)
        if kind == "lie":  # it is done, and told otherwise
            return Fault("", change=LIES[name])
        if kind == "undone":  # it is told, and not done
            return Fault("", status=200, body=LIES[name](b'{"success": true}'))
        if kind == "stall":
            return Fault("", cut_after=1 << 30)  # waits for what no client sends
        return self._random.choice([Fault("", drop_after=20), Fault("", lose_answer=True)])

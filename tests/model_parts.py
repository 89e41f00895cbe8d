"""What the naive model of the engine is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from inproc_tubes import JobError, TubesError

UNHELD = ("ready", "delayed", "buried")


@dataclass
class ModelJob:
    """A job. What was given out of it is known by ``reservation``: see `Model.find`."""

    id: int
    body: object
    tube: str
    priority: int
    delay: float
    ttr: float
    created_at: float
    state: str = "ready"
    due_at: float = 0
    owner: int | None = None
    reservation: int = 0
    burial: int = 0
    reserved_at: float = 0
    reserves: int = 0
    timeouts: int = 0
    releases: int = 0
    buries: int = 0
    kicks: int = 0
    error: JobError | None = None
    told_of: float = 0  # the end of a reservation that its holder was told of
    key: str | None = None
    life: float = inf
    expires_at: float = inf


@dataclass
class ModelTube:
    pause: float = 0
    paused_until: float = 0
    total_jobs: int = 0
    cmd_delete: int = 0
    cmd_pause_tube: int = 0
    maxsize: int = 0
    expired: int = 0
    max_tries: int = 0


@dataclass
class ModelSession:
    used: str | None
    watched: list[str]
    is_producer: bool = False
    is_worker: bool = False
    incoming: int | None = None  # the job whose body is still to come
    abandoned: int = 0  # as which one of all, 0: it is not
    stops: bool = True
    name: str = ""
    stopped: str | None = None

    @property
    def is_abandoned(self) -> bool:
        return self.abandoned > 0


@dataclass(kw_only=True)
class ModelRequest:
    timeout_at: float
    outcome: object = None  # what it asked for, or an error as `told` has it
    waits: bool = True


class Served(NamedTuple):
    """What a reserve is answered by a job."""

    id: int
    reservation: int


@dataclass
class ModelReserve(ModelRequest):
    """Its outcome is what it was `Served`."""

    session: int
    timeout: float
    told_of_deadlines: bool


@dataclass
class ModelPut(ModelRequest):
    """Its outcome are the ids. Those of jobs that are ``own`` may be taken back."""

    session: int
    tube: str
    bodies: list[object]
    numbers: tuple[int, float, float]  # priority, delay, ttr
    keys: list[str | None] = field(default_factory=list)
    on_duplicate: str = ""
    own: list[int] = field(default_factory=list)
    life: float = inf

    @property
    def size(self) -> int:
        """How many jobs it adds at the most."""
        again = [key for i, key in enumerate(self.keys) if key in self.keys[:i]]
        return len(self.bodies) - len([key for key in again if key is not None])


@dataclass
class ModelJoin(ModelRequest):
    """Its outcome is how many jobs are buried."""

    names: list[str] | None
    timeout: float


@dataclass
class ModelResult(ModelRequest):
    """Its outcome is that the job is over."""

    body: object
    timeout: float


@dataclass
class ModelRequests:
    """All that have ever waited, in the order of coming."""

    reserves: list[ModelReserve] = field(default_factory=list)
    puts: list[ModelPut] = field(default_factory=list)
    joins: list[ModelJoin] = field(default_factory=list)
    results: list[ModelResult] = field(default_factory=list)

    @property
    def all(self) -> list[ModelRequest]:
        return [*self.reserves, *self.puts, *self.joins, *self.results]


IS_OVER = "is over"
"""The outcome of a request for a result."""

FOREIGN = -1
"""The reservation of a job of another broker."""


class Peek(int):
    """The reservation under which a job was looked at, by whoever does not hold it."""


def told(error: TubesError) -> object:
    """Return an error as something that can be compared."""
    return type(error), error.args


def strike(names: list[str], name: str) -> None:
    """Take a name out as beanstalkd does: the last one takes its place."""
    names[names.index(name)] = names[-1]
    names.pop()

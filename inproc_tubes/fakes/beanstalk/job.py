"""pybeanstalk's job: a reply that knows its connection."""
# ruff: noqa: N802 # the names are pybeanstalk's

from __future__ import annotations

from functools import wraps
from pprint import pformat
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from . import errors

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_CONN", "Job", "honorimmutable", "newJob"]

DEFAULT_CONN: Any = None
"""The connection of jobs that are made without one."""


_P = ParamSpec("_P")
_T = TypeVar("_T")


def honorimmutable(
    func: Callable[Concatenate[Job, _P], _T],
) -> Callable[Concatenate[Job, _P], _T]:
    """Refuse a method to immutable jobs."""

    @wraps(func)
    def refuse_or_call(self: Job, /, *args: _P.args, **kw: _P.kwargs) -> _T:
        if self.imutable:
            message = "Cannot do that to a job you don't own"
            raise errors.JobError(message)
        return func(self, *args, **kw)

    return refuse_or_call


class Job:
    """A job, as `ServerConn` returns it once its attribute ``job`` is this class.

    Its attributes are also found by name, as ``job["data"]``. Priority, tube and time
    to run are what the constructor is told: the server's reply has none of them.

    Args:
        conn: Its connection; if falsy, the module's ``DEFAULT_CONN``.
        jid: Its id.
        pri: Its priority when it is given back.
        data: Its body.
        state: The state of the reply that it came in.
        **kw: ``imutable`` (sic), ``from_queue``, ``tube``, ``ttr``; others are ignored.

    Raises:
        AttributeError: There is no connection.
    """

    def __init__(
        self,
        conn: Any = None,
        jid: int = 0,
        pri: int = 0,
        data: Any = "",
        state: str = "ok",
        **kw: Any,
    ) -> None:
        self._conn = conn or DEFAULT_CONN
        if not self._conn:
            message = "No connection specified"
            raise AttributeError(message)
        self.jid = jid
        self.pri: int = pri
        self.delay = 0
        self.state = state
        self.data = data or ""
        self.imutable: bool = bool(kw.get("imutable"))
        self.tube: Any = kw.get("tube", "default")
        self.ttr: Any = kw.get("ttr", 60)
        self._from_queue = bool(kw.get("from_queue"))

    def __eq__(self, other: object) -> bool:
        """Whether *any* of connection, id, state and body is equal, as ever."""
        if not isinstance(other, Job):
            return False
        return (
            self.Server == other.Server
            or self.jid == other.jid
            or self.state == other.state
            or self.data == other.data
        )

    def __hash__(self) -> int:
        return object.__hash__(self)  # as Python 2 has it

    def __str__(self) -> str:
        return pformat(self._serialize())

    def __getitem__(self, key: Any) -> Any:
        """Return an attribute."""
        if not isinstance(key, str):
            message = f"Invalid subscript type: {type(key)}"
            raise TypeError(message)
        try:
            return getattr(self, key)
        except AttributeError as error:
            raise KeyError(error) from error

    def Queue(self) -> None:
        """Put it, into its own tube.

        That works for a class whose ``_serialize`` returns a `str`. A server refuses
        the dict that it is here (`errors.ExpectedCrlf`), and it always has.
        """
        if self._from_queue:
            self.Delay(self.delay)
            return
        used = self.Server.tube
        if used != self.tube:
            self.Server.use(self.tube)
        self.Server.put(self._serialize(), self.pri, self.delay, self.ttr)
        if used != self.tube:
            self.Server.use(used)

    @honorimmutable
    def Return(self) -> bool:
        """Release it; False if it is not reserved here any longer."""
        return _is_found(self.Server.release, self.jid, self.pri, 0)

    @honorimmutable
    def Delay(self, delay: int) -> bool:
        """Release it for later; False if it is not reserved here any longer.

        Args:
            delay: Seconds until it is ready again.
        """
        return _is_found(self.Server.release, self.jid, self.pri, delay)

    @honorimmutable
    def Finish(self) -> bool:
        """Delete it; False if it is not there any longer."""
        return _is_found(self.Server.delete, self.jid)

    @honorimmutable
    def Touch(self) -> bool:
        """Begin its time to run anew; False if it is not reserved here any longer."""
        return _is_found(self.Server.touch, self.jid)

    @honorimmutable
    def Bury(self, newpri: int = 0) -> bool:
        """Put it aside; False if it is not reserved here any longer.

        Args:
            newpri: Its new priority; 0 keeps the present one.
        """
        if newpri:
            self.pri = newpri
        return _is_found(self.Server.bury, self.jid, newpri)

    @property
    def Info(self) -> Any:
        """Its statistics, as `ServerConn.stats_job` returns them."""
        return self.Server.stats_job(self.jid)

    @property
    def Server(self) -> Any:
        """Its connection."""
        return self._conn

    def run(self) -> None:
        """Do the job, in a class of one's own.

        Raises:
            TypeError: It is not overridden.
        """
        message = "The Job.run method must be implemented in a subclass"
        raise TypeError(message)

    def _serialize(self) -> Any:
        """Return what `Queue` puts; to be overridden."""
        return {
            "conn": str(self.Server),
            "data": self.data,
            "jid": self.jid,
            "state": self.state,
        }

    def _unserialize(self, data: Any) -> None:
        """Take in what `_serialize` returned; to be overridden, and never called."""
        self.data = data


def newJob(**kw: Any) -> Job:
    """Return a job that no server has seen yet.

    Args:
        **kw: The arguments of `Job`.
    """
    return Job(**{**kw, "from_queue": False})


def _is_found(command: Callable[..., Any], *args: int) -> bool:
    try:
        command(*args)
    except errors.NotFound:
        return False
    return True

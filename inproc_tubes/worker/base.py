"""What a worker is told before it runs, whether its handlers run in threads or in tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .settings import T, check_handled

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import EllipsisType

    from inproc_tubes import Job

    from .policy import Backoff
    from .settings import Settings

    F = TypeVar("F", bound="Callable[[Job[Any]], object]")

__all__ = ["BaseWorker"]


class BaseWorker(Generic[T]):
    """A worker, as far as its handlers and its periodic jobs are concerned."""

    def __init__(self, settings: Settings[T]) -> None:
        self._settings = settings

    def handles(
        self, *tubes: str, retry: Backoff | EllipsisType | None = ...
    ) -> Callable[[F], F]:
        """Return a decorator: the function does the jobs of these tubes.

        Args:
            tubes: Their names, at least one.
            retry: What becomes of a job that the function fails with; by default, that
                of the worker.

        Raises:
            BadTubeNameError: One of the names is not valid.
            ValueError: One of them has a handler already.
            TypeError: It is not a function, or it returns coroutines and the worker is
                for threads.
            RuntimeError: The worker is running.

        Cost: O(number of tubes).
        """
        names = check_handled(tubes)

        def register(function: F) -> F:
            self._settings.handle(names, function, retry)
            return function

        return register

    def every(
        self,
        seconds: float,
        tube: str,
        body: T,
        *,
        priority: int = 65536,
        ttr: float = 60,
    ) -> None:
        """Put a job again and again, while the worker runs.

        The first job is put after ``seconds``. A put is left out if an earlier job of
        it is still ready, delayed or reserved, if the tube is full, and if it is
        already time for the next one.

        Args:
            seconds: From one put to the next; more than 0.
            tube: The tube. Any worker may do its jobs.
            body: The body of all these jobs.
            priority: Their priority, see `Producer.put`.
            ttr: Their time to run.

        Raises:
            BadTubeNameError: The name is not a valid tube name.
            ValueError: A number is out of its range.
            TypeError: One of them is not a number.
            RuntimeError: The worker is running.

        Cost: O(1).
        """
        self._settings.repeat(seconds, tube, body, priority, ttr)

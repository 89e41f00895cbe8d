"""How fast it is, always beside something else in the same run.

    python -m tests.benchmarks [NAME ...] [--quick] [--json FILE] [--plot DIR]

A scenario has two sides, ours and a peer's (or ours at a large scale and at a small
one), which are measured in turns: a machine that grows slower or faster meanwhile
does so for both. What counts is the median of the pairs' ratios.

The group ``idioms`` holds every way in which one thread puts and takes jobs, with and
without a backlog, and ``coroutines`` those of an event loop. What ends in ``-one-core``
has all its threads on one core, in a process of its own.

To add one, write a generator function with the decorator `measuring.scenario` in one
of the ``scenarios_*`` modules: it sets up, yields its `Sides` once, and tears down.
"""

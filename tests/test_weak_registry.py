"""A set of what is alive can be looked through while it changes."""

from __future__ import annotations

import gc

from inproc_tubes.weak_registry import WeakRegistry


class Thing:
    pass


def test_it_has_what_is_alive() -> None:
    registry: WeakRegistry[Thing] = WeakRegistry()
    kept, dropped = Thing(), Thing()
    for each in (kept, dropped, kept):
        registry.add(each)
    assert 2 == len(registry)
    del dropped, each
    gc.collect()
    assert [kept] == list(registry)
    registry.discard(kept)
    registry.discard(kept)
    assert [] == list(registry)


def test_it_may_change_during_a_loop() -> None:
    registry: WeakRegistry[Thing] = WeakRegistry()
    things = [Thing() for _ in range(4)]
    registry.add(things[0])
    registry.add(things[1])
    seen = []
    for each in registry:
        seen.append(each)
        registry.add(things[2])
        registry.discard(things[1])
    assert seen == things[:2]
    assert list(registry) == [things[0], things[2]]


def test_what_ends_during_a_loop_is_left_out() -> None:
    registry: WeakRegistry[Thing] = WeakRegistry()
    things = [Thing(), Thing(), Thing()]
    for each in things:
        registry.add(each)
    del each
    count = 0
    for _ in registry:
        count += 1
        del things[1:]
        gc.collect()
    assert 1 == count

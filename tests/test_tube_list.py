"""The list of tubes, in beanstalkd's order."""

from __future__ import annotations

from random import Random

import pytest

from inproc_tubes.core.tube import Tube, TubeList


def make(names: str) -> list[Tube]:
    """Make a tube for each letter."""
    return [Tube(name, {}) for name in names]


def check(tubes: TubeList, expected: list[Tube]) -> None:
    """Compare a list with what it should be."""
    assert list(tubes) == expected
    assert len(tubes) == len(expected)
    assert [tubes.place(tube) for tube in expected] == [*range(len(expected))]
    assert [tubes[place] for place in range(len(expected))] == expected
    assert tubes._index.keys() == set(expected)


def test_where_a_tube_leaves_the_last_one_takes_its_place() -> None:
    a, b, c, d = make("abcd")
    tubes = TubeList()
    for tube in (a, b, c, d):
        tubes.append(tube)
    check(tubes, [a, b, c, d])
    tubes.remove(b)
    check(tubes, [a, d, c])
    assert (b in tubes, d in tubes) == (False, True)
    tubes.remove(c)
    check(tubes, [a, d])
    tubes.append(b)
    check(tubes, [a, d, b])


def test_the_last_tube_just_leaves() -> None:
    a, b = make("ab")
    tubes = TubeList([a, b])
    tubes.remove(b)
    check(tubes, [a])
    tubes.remove(a)
    check(tubes, [])


def test_a_list_may_be_made_of_tubes() -> None:
    a, b, c = make("abc")
    check(TubeList([b, c, a]), [b, c, a])
    check(TubeList(), [])


def test_a_removal_that_was_broken_off_is_finished_by_making_the_list_anew() -> None:
    a, b, c = make("abc")
    tubes = TubeList([a, b, c])
    tubes._tubes[0] = c  # `remove` had come so far
    check(TubeList(tubes), [c, b])


def test_a_tube_that_is_not_in_is_not_removed() -> None:
    a, b = make("ab")
    tubes = TubeList([a])
    with pytest.raises(KeyError):
        tubes.remove(b)
    check(tubes, [a])


@pytest.mark.parametrize("seed", range(10))
def test_random_steps_agree_with_a_plain_list(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - nothing secret
    outside = make("abcdefghij")
    tubes = TubeList()
    model: list[Tube] = []
    for _ in range(200):
        if outside and (not model or random.random() < 0.5):
            tube = outside.pop(random.randrange(len(outside)))
            tubes.append(tube)
            model.append(tube)
        else:
            tube = random.choice(model)
            tubes.remove(tube)
            place = model.index(tube)
            model[place] = model[-1]
            del model[-1]
            outside.append(tube)
        check(tubes, model)
        assert not any(tube in tubes for tube in outside)

"""A pool of threads feeds an asyncio application, and that feeds a thread again.

To open a letter blocks, so threads do it. To have it translated is to wait for somebody
far away, so three coroutines share that in one event loop. And the file that the
translations end up in is a thread's. None of them knows where the others run: what they
share are two tubes.

A translation is put before the letter that it is made from is done, so that the join
finds work in one of the tubes until the last translation has been filed.

Prints:
    letter 1: 'dear shop'
    letter 2: 'where is my piano'
    letter 3: 'it was blue'
    letter 4: 'kind regards'
    everybody has gone home
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from inproc_tubes import Broker

LETTERS = {1: "liebes geschäft", 2: "wo ist mein klavier", 3: "es war blau", 4: "gruß"}
ENGLISH = {
    "liebes geschäft": "dear shop",
    "wo ist mein klavier": "where is my piano",
    "es war blau": "it was blue",
    "gruß": "kind regards",
}


def open_letter(broker: Broker, number: int) -> None:
    """Open a letter, in a thread of the pool."""
    with broker.producer("letters") as letters:
        letters.put((number, LETTERS[number]))


async def translate(broker: Broker) -> None:
    """Translate letters, in the event loop, until the broker is closed."""
    letters = broker.async_consumer("letters")
    translations = broker.async_producer("translations")
    async for job in letters:
        with suppress(Exception), job:  # what fails is buried
            number, text = job.body
            await asyncio.sleep(0.01)  # somebody looks it up
            await translations.put((number, ENGLISH[text]))


def file(broker: Broker) -> dict[int, str]:
    """File translations, in a thread, until the broker is closed."""
    filed = {}
    for job in broker.consumer("translations"):
        with suppress(Exception), job:
            number, text = job.body
            filed[number] = text
    return filed


async def main() -> None:
    """Have all letters translated and filed."""
    with Broker() as broker:
        broker.limit_tube("translations", 2)  # as many as the file's desk has room for
        translators = [asyncio.create_task(translate(broker)) for _ in range(3)]
        filing = asyncio.create_task(asyncio.to_thread(file, broker))
        opening = (asyncio.to_thread(open_letter, broker, n) for n in LETTERS)
        await asyncio.gather(*opening)
        await broker.async_join("letters", "translations")
    # The broker is closed: that ends everybody's loop.
    await asyncio.gather(*translators)
    for number, text in sorted((await filing).items()):
        print(f"letter {number}: {text!r}")
    print("everybody has gone home")


asyncio.run(main())

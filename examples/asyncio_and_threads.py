"""A pool of threads feeds an asyncio application, and that feeds a thread again.

To open a letter blocks, so threads do it. To have it translated is to wait for somebody
far away, so three tasks share that in one event loop. And the file that the translations
end up in is a thread's. None of them knows where the others run: what they share are
three tubes.

A result is put before the job that it is made from is done, so that the join finds work
in one of the tubes until the last translation has been filed.

Prints:
    letter 1: 'dear shop'
    letter 2: 'where is my piano'
    letter 3: 'it was blue'
    letter 4: 'kind regards'
    everybody has gone home
"""

from __future__ import annotations

import asyncio

from inproc_tubes import Broker, Job
from inproc_tubes.worker import AsyncWorker, Worker

LETTERS = {1: "liebes geschäft", 2: "wo ist mein klavier", 3: "es war blau", 4: "gruß"}
ENGLISH = {
    "liebes geschäft": "dear shop",
    "wo ist mein klavier": "where is my piano",
    "es war blau": "it was blue",
    "gruß": "kind regards",
}


async def main() -> None:
    """Have all letters opened, translated and filed."""
    filed = {}
    with Broker() as broker:
        broker.limit_tube("translations", 2)  # as many as the file's desk has room for
        opened = broker.producer("opened")
        translations = broker.async_producer("translations")

        def open_letter(job: Job[int]) -> None:
            opened.put((job.body, LETTERS[job.body]))

        async def translate(job: Job[tuple[int, str]]) -> None:
            number, text = job.body
            await asyncio.sleep(0.01)  # somebody looks it up
            await translations.put((number, ENGLISH[text]))

        def file(job: Job[tuple[int, str]]) -> None:
            number, text = job.body
            filed[number] = text

        openers = Worker(broker, {"letters": open_letter}, threads=2)
        filer = Worker(broker, {"translations": file})
        translators = AsyncWorker(broker, {"opened": translate}, tasks=3)
        with openers, filer:
            async with translators:
                broker.producer("letters").put_many([*LETTERS])
                await broker.async_join("letters", "opened", "translations")
    for number, text in sorted(filed.items()):
        print(f"letter {number}: {text!r}")
    print("everybody has gone home")


asyncio.run(main())

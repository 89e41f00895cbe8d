"""A small shop, run by three workers: Ann, Ben and Cleo.

A *job* is something to do. It is put into a *tube*, which has a name: "orders" are to
be packed, and "emails" to be sent. A worker watches tubes and *reserves* a job, which is
then nobody else's for a limited time. A job that is done is deleted; one whose time runs
out goes to the next worker. Every worker here is a thread.

Prints:
    1. The urgent job first
      put into "orders": scarf (priority 999)
      put into "orders": medicine (priority 0)
      Ann    "orders": packs medicine
      Ann    "orders": packs scarf

    2. A worker sees only the tubes it watches
      put into "orders": hat
      Ben    "emails": sends 'medicine is on its way'
      Ben    "emails": sends 'scarf is on its way'
      Cleo   "orders": packs hat
      Cleo   "emails": sends 'hat is on its way'

    3. A worker dies, its job does not
      put into "orders": piano (whoever takes it has one second)
      Ann    "orders": takes piano, and is never seen again
      Cleo   "orders": packs piano (1 worker has lost it before)
      Ben    "emails": sends 'piano is on its way'

    4. Not before its time
      put into "emails": 'How do you like the piano?' (in one second)
      put into "emails": 'We have new pianos!'
      Ben    "emails": sends 'We have new pianos!'
      Ben    "emails": sends 'How do you like the piano?'

    10 jobs were put, 10 were deleted
"""

from __future__ import annotations

from threading import Thread

from inproc_tubes import Broker, Consumer, Job

broker = Broker()
producer = broker.producer("orders")

ann = broker.consumer("orders")
ben = broker.consumer("emails")
cleo = broker.consumer("orders", "emails")


def work(name: str, consumer: Consumer, count: int) -> None:
    """Do so many jobs. Where there is none, reserve() waits for one."""
    for _ in range(count):
        with consumer.reserve() as job:  # left without an error: deleted
            if job.tube == "emails":
                print(f'  {name:6} "emails": sends {job.body!r}')
                continue
            print(f'  {name:6} "orders": packs {job.body}{history(job)}')
            producer.put(f"{job.body} is on its way", tube="emails")


def history(job: Job) -> str:
    """Tell of the reservations that have run out."""
    return f" ({job.timeouts} worker has lost it before)" if job.timeouts else ""


def die(name: str, consumer: Consumer) -> None:
    """Reserve a job and end without a word, as a thread does that has crashed."""
    job = consumer.reserve()
    print(f'  {name:6} "{job.tube}": takes {job.body}, and is never seen again')


def start(*tasks: Thread) -> None:
    """Let threads run side by side until all have ended."""
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()


print("1. The urgent job first")
print('  put into "orders": scarf (priority 999)')
producer.put("scarf", priority=999)
print('  put into "orders": medicine (priority 0)')
producer.put("medicine", priority=0)
start(Thread(target=work, args=("Ann", ann, 2)))

print("\n2. A worker sees only the tubes it watches")
print('  put into "orders": hat')
producer.put("hat")
start(Thread(target=work, args=("Ben", ben, 2)))  # the emails, but not the hat
start(Thread(target=work, args=("Cleo", cleo, 2)))  # the hat and its email

print("\n3. A worker dies, its job does not")
print('  put into "orders": piano (whoever takes it has one second)')
producer.put("piano", ttr=1)
start(Thread(target=die, args=("Ann", ann)))
# The consumer `ann` is still there: closed or garbage collected, it would have given
# the piano back at once. So Cleo and Ben wait until Ann's second is over.
start(
    Thread(target=work, args=("Cleo", cleo, 1)),
    Thread(target=work, args=("Ben", ben, 1)),
)

print("\n4. Not before its time")
print("""  put into "emails": 'How do you like the piano?' (in one second)""")
producer.put("How do you like the piano?", priority=0, delay=1, tube="emails")
print("""  put into "emails": 'We have new pianos!'""")
producer.put("We have new pianos!", tube="emails")
start(Thread(target=work, args=("Ben", ben, 2)))

stats = broker.stats()
print(f"\n{stats.total_jobs} jobs were put, {stats.cmd_delete} were deleted")
broker.close()

"""Jobs at regular times: `every` for intervals, APScheduler for what a calendar says.

``worker.every`` puts a job each so many seconds while the worker runs, and leaves a beat
out while the last one is not done. For "at half past three on weekdays" there is
APScheduler: it knows when, and all it does is put a job. So both kinds of jobs have
the retries, the heartbeat and the graceful end of the worker.

Prints:
    counts the stock
    prints the daily report
    everybody has gone home
"""

from __future__ import annotations

from threading import Event

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from inproc_tubes import Broker, Job
from inproc_tubes.worker import Worker

with Broker() as broker:
    worker = Worker(broker)
    counted, reported = Event(), Event()

    @worker.handles("stock")
    def count(_job: Job[None]) -> None:
        """Count what there is."""
        print("counts the stock")
        counted.set()

    @worker.handles("reports")
    def report(job: Job[str]) -> None:
        """Print a report."""
        print(f"prints the {job.body} report")
        reported.set()

    worker.every(0.1, "stock", None)
    scheduler = BackgroundScheduler()
    # In earnest: CronTrigger.from_crontab("30 3 * * mon-fri")
    scheduler.add_job(
        broker.producer("reports").put, CronTrigger(second="*"), ["daily"]
    )

    with worker:
        counted.wait()
        scheduler.start()
        reported.wait()
        scheduler.shutdown()
print("everybody has gone home")

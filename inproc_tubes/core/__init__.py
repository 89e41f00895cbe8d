"""The rules of the queue, pure: no lock, no clock, no thread and no user's code."""

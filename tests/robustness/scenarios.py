"""All scenarios."""

from __future__ import annotations

from tests.robustness import (
    scenarios_of_ends as ends,
    scenarios_of_events as events,
    scenarios_of_putting as putting,
    scenarios_of_reserving as reserving,
    scenarios_of_results as results,
    scenarios_of_settling as settling,
    scenarios_of_tubes as tubes,
)
from tests.robustness.scenario import Scenario, all_scenarios

__all__ = [
    "SCENARIOS",
    "Scenario",
    "ends",
    "events",
    "putting",
    "reserving",
    "results",
    "settling",
    "tubes",
]

SCENARIOS = all_scenarios()

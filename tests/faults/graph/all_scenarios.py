"""What the nursery's workers can do to a graph file."""

from __future__ import annotations

from tests.faults.graph import scenarios
from tests.faults.graph.disk_scenarios import DISK_SCENARIOS

SCENARIOS = {**scenarios.SCENARIOS, **DISK_SCENARIOS}

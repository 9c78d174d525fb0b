"""`repair --adopt`: takes the graph for the truth, waits until the index follows, and proves it."""

from __future__ import annotations

from slipstream.audit.findings import AuditReport, report_as_dict
from slipstream.audit.ratios import percent
from slipstream.cli.context import Context, drain
from slipstream.cli.output import err, out, print_incident, print_json, progress_bar
from slipstream.domain.incidents import Adoption


def adopt(settings: Context, *, as_json: bool) -> AuditReport:
    """Show what adopting means, adopt, and return the audit after it; raises `ConfigError` without an incident."""
    with settings.opened(run=False) as slipstream:
        about = slipstream.adoption()
        print_incident(about.incident)
        err.print(_said(about), soft_wrap=True)
        position = slipstream.adopt()
    with settings.opened() as slipstream:
        drain(slipstream, shown=not as_json)
        with progress_bar("comparing", "keys", shown=not as_json) as update:
            report = slipstream.verify(lambda done: update(done, None), hurry=slipstream.runs_engine)
    if as_json:
        facts = {"records": about.records, "entities": about.entities, "relationships": about.relationships}
        done = {"position": position, "after": report_as_dict(report)}
        print_json({"incident": about.incident.as_dict(), **facts, **done})
    else:
        out.print(f"adopted at position {position}; consistency {percent(report.consistency)}", markup=False)
    return report


def _said(about: Adoption) -> str:
    graph = f"{about.entities:,} entities and {about.relationships:,} relationships"
    return f"adopting: the index holds {about.records:,} records, the graph {graph}. What differs follows the graph"

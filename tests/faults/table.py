"""The expected outcomes: a common table, and the exceptions of each gateway."""

from __future__ import annotations

from collections import defaultdict
import csv
from pathlib import Path
from typing import TYPE_CHECKING

from tests import gateways
from tests.harness.facts import SUPPORTED

from .injector import FAULTS, LIKE

if TYPE_CHECKING:
    from tests.gateways import Gateway

COMMON = Path(__file__).with_name("outcomes.csv")
EXCEPTIONS = Path(gateways.__file__).parent

type Row = dict[str, str]
type Table = dict[tuple[str, str, str], Row]


def read_rows(path: Path) -> list[tuple[str, str, Row]]:
    """Return the scenario, the route and the other cells of each row of a file."""
    with path.open(newline="") as file:
        return [
            (scenario, row["route"], row)
            for row in csv.DictReader(file)
            for scenario in row["scenarios"].split()
        ]


def read_exceptions(provider: str) -> dict[tuple[str, str], Row]:
    """Return by scenario and route the outcomes in which a gateway differs."""
    exceptions: defaultdict[tuple[str, str], Row] = defaultdict(dict)
    path = EXCEPTIONS / f"{provider}_faults.csv"
    for scenario, route, row in read_rows(path) if path.exists() else ():
        outcomes = exceptions[scenario, route]
        assert row["fault"] not in outcomes, f"{row} is there twice"
        outcomes[row["fault"]] = row["outcome"]
    return exceptions


def applies(kind: type[Gateway], needs: str) -> bool:
    """Tell whether a gateway has the features and actions in a row, and none with !."""
    offered = kind.features | kind.actions.keys()
    return all(
        (need.removeprefix("!") in offered) is not need.startswith("!")
        for need in needs.split()
    )


def read_table() -> Table:
    """Return the expected outcome of each fault by provider, scenario and route."""
    table: Table = {}
    for provider, kind in SUPPORTED.items():
        exceptions = read_exceptions(provider)
        routes = {**kind.actions, "qr": kind.qr_route}
        for scenario, route, row in read_rows(COMMON):
            if not applies(kind, row["needs"]):
                continue
            key = provider, scenario, routes.get(route, route)
            assert key not in table, f"{key} is there twice"
            outcomes = row | exceptions.pop((scenario, route), {})
            table[key] = {
                fault: outcomes.get(fault) or outcomes[LIKE[fault]] for fault in FAULTS
            }
        assert not exceptions, f"{provider} has no {[*exceptions]}"
    return table


def _groups(rows: list[Row]) -> list[list[str]]:
    """Return the faults that have the same outcomes in these rows together."""
    groups: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for fault in sorted(FAULTS):
        groups[tuple(row[fault] for row in rows)].append(fault)
    return [*groups.values()]


def select(table: Table) -> Table:
    """Return the part of the table that is checked at every run.

    Faults are a group if they have the same outcomes in all rows of a scenario. Each
    row checks one fault of each group; the number of the row decides which.
    """
    scenarios: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for (provider, scenario, _), row in table.items():
        scenarios[provider, scenario].append(row)
    groups = {scenario: _groups(rows) for scenario, rows in scenarios.items()}
    selected: Table = {}
    for number, (key, row) in enumerate(table.items()):
        faults = {group[number % len(group)] for group in groups[key[:2]]}
        selected[key] = {fault: row[fault] for fault in row if fault in faults}
    return selected

"""`batua ps`: what runs in the local stack."""

from __future__ import annotations

from datetime import timedelta

from rich.console import Console
from rich.table import Table

from infra.cli.failures import exit_with
from infra.cli.output import AsJson, show
from infra.local.layout import PROCESSES, Layout
from infra.local.leftovers import find_serving
from infra.local.supervision import ProcessState, Supervisor

_NAMES = ("process", "pid", "state", "uptime", "port", "sharing")


def _row(layout: Layout, state: ProcessState) -> list[str]:
    runs = state.state == "RUNNING"
    uptime = str(timedelta(seconds=max(0, state.now - state.started_at))) if runs else ""
    port = layout.port(state.name)
    sharing = str(len(find_serving(layout, state.name))) if PROCESSES[state.name].shares_port and runs else ""
    return [state.name, str(state.pid) if runs else "", state.state.lower(), uptime, str(port or ""), sharing]


def ps(as_json: AsJson = False) -> None:
    """List the processes of the stack in BATUA_HOME: pid, state, uptime, port, and how many share the port."""
    layout = Layout.from_environment()
    try:
        states = Supervisor(layout).states()
    except OSError:
        raise exit_with(f"No stack is running in {layout.home}: start one with `make up`.") from None
    if as_json:
        rows = [_row(layout, states[name]) for name in PROCESSES if name in states]
        show({"processes": [dict(zip(_NAMES, row, strict=True)) for row in rows]}, (), as_json=True)
        return
    table = Table("process", "pid", "state", "uptime", "port", "sharing it")
    for name in PROCESSES:
        if name in states:
            table.add_row(*_row(layout, states[name]))
    Console().print(table)

"""The embedded stack as a whole: started, hurt and stopped for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner, Result

from infra.cli.main import app
from infra.healthcheck import problem_of
from infra.local.environment import local_secrets
from infra.local.errors import AlreadyRunning, PasswordRefused
from infra.local.launch import AUTOGROUP, NICENESS
from infra.local.layout import CHECKOUT, PROCESSES, Layout
from infra.local.leftovers import find
from infra.local.ports import is_free
from infra.local.readiness import wait_until
from infra.local.stack import Stack
from tests.support.deadlines import deadline
from tests.support.waiting import eventually
from tests.support.whole_stack import SLOW

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.xdist_group("battered")]

READY_SECONDS = deadline(60)
MOST_NICENESS = 19


@pytest.fixture(name="stack")
def stack_fixture(battered_stack: Stack) -> Stack:
    return battered_stack


def all_ports(layout: Layout) -> list[int]:
    return [port for process in PROCESSES if (port := layout.port(process)) is not None]


def goes_on(stack: Stack, *processes: str) -> None:
    """All of them answer. Each look waits for a second or two only, which a busy machine may take."""
    for process in processes:
        eventually(lambda process=process: stack.is_ready(process), f"{process} answers")  # type: ignore[misc]


class CommandLine:
    """`batua up` as a person starts it."""

    def __init__(self, home: Path, port_base: int, log: Path, *, processes: int = 2) -> None:
        self.layout = Layout(home, port_base)
        self.log = log
        settings = SLOW | {"BATUA_HOME": str(home), "BATUA_PORT_BASE": str(port_base)}
        settings["BATUA_PROCESSES"] = str(processes)
        outer = {name: value for name, value in os.environ.items() if not name.startswith("BATUA_")}
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "infra.cli.main", "up"],
                cwd=CHECKOUT,
                env=outer | settings,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait_until_up(self) -> None:
        assert wait_until(self.is_up, READY_SECONDS), self.output()

    def is_up(self) -> bool:
        return "Batua is up" in self.output()

    def is_starting(self) -> bool:
        return "Starting Batua in" in self.output()

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(READY_SECONDS)


FreePortBase = Callable[[], int]
StartCommand = Callable[..., CommandLine]


@pytest.fixture
def command_line(tmp_path: Path, free_port_base: FreePortBase) -> Iterator[StartCommand]:
    started: list[CommandLine] = []

    def _start(port_base: int | None = None, name: str = "home", *, processes: int = 2) -> CommandLine:
        log = tmp_path / f"{name}{len(started)}.log"
        started.append(CommandLine(tmp_path / name, port_base or free_port_base(), log, processes=processes))
        return started[-1]

    yield _start
    for command in started:
        command.end()


@pytest.mark.parametrize("process", PROCESSES)
def test_a_killed_process_is_back_in_moments(
    stack: Stack, process: str, record_property: Callable[[str, object], None]
) -> None:
    pid = stack.kill(process)
    seconds = stack.wait_until_back(process, after_pid=pid, seconds=READY_SECONDS)
    record_property("seconds", seconds)
    print(f"{process} was back after {seconds:.2f} s")
    assert stack.pid(process) != pid


def test_every_pid_file_names_the_process_that_runs(stack: Stack) -> None:
    for name, state in stack.states().items():
        assert state.state == "RUNNING"
        assert stack.pid(name) == state.pid
    listening = [
        (connection.laddr[1], connection.pid)
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr
    ]
    for name in PROCESSES:
        if port := stack.layout.port(name):
            assert {pid for at, pid in listening if at == port} == set(stack.serving_pids(name))


@pytest.mark.parametrize("process", [name for name, process in PROCESSES.items() if process.shares_port])
def test_one_killed_process_of_a_service_is_replaced_and_the_service_stays_the_same(stack: Stack, process: str) -> None:
    supervised, killed = stack.pid(process), stack.kill_one(process)
    assert wait_until(lambda: killed not in stack.serving_pids(process) and stack.is_ready(process), READY_SECONDS)
    assert wait_until(lambda: len(stack.serving_pids(process)) == 2 and stack.is_ready(process), READY_SECONDS)
    assert stack.pid(process) == supervised


def test_each_process_of_a_service_is_small_when_idle(stack: Stack) -> None:
    for name, process in PROCESSES.items():
        if process.shares_port:
            sizes = [psutil.Process(pid).memory_info().rss for pid in (stack.pid(name), *stack.serving_pids(name))]
            assert max(sizes) < 200 * 1024**2, f"{name}: {sizes}"


def test_the_worker_shows_how_late_mail_is(stack: Stack) -> None:
    url = f"http://127.0.0.1:{stack.environment('withdraw_worker')['BATUA_METRICS_PORT']}/metrics"

    def shown() -> bool:
        try:
            return "batua_mail_oldest_due_seconds 0.0" in httpx.get(url).text
        except httpx.TransportError:
            return False

    eventually(shown, "the worker serves its metrics", seconds=60)


def test_a_process_without_a_port_is_well_while_its_loop_runs_and_the_broker_may_be_away(stack: Stack) -> None:
    within = deadline(10)

    def is_well(process: str) -> bool:
        return problem_of(stack.layout.heartbeat_file(process), within) is None

    both = ("withdraw_worker", "scheduler")
    eventually(lambda: all(map(is_well, both)), "the hearts of both beat", seconds=60)
    stopped = [stack.pid(process) for process in both]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: not any(map(is_well, both)), "neither beats while it is stopped", seconds=60)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    stack.stop_process("redis")
    try:
        stack.kill("scheduler")  # it starts without a broker
        stack.layout.heartbeat_file("scheduler").unlink()  # the killed one's, which counts for a while
        eventually(lambda: all(map(is_well, both)), "both beat without a broker", seconds=60)
    finally:
        stack.start_process("redis")


def batua(environment: dict[str, str], *arguments: str) -> Result:
    """The command in this process: a new one takes seconds to begin, and `up` and `logs --follow` are such."""
    return CliRunner().invoke(app, arguments, env=environment)


def test_ps_lists_every_process_with_its_pid_and_port(stack: Stack) -> None:
    listing = batua(stack.environment(), "ps")
    assert listing.exit_code == 0
    rows = [line for line in listing.stdout.splitlines() if "running" in line]
    for row, name in zip(rows, PROCESSES, strict=True):
        assert name in row
        assert f" {stack.pid(name)} " in row
        assert str(stack.layout.port(name) or "") in row


def test_ps_says_so_where_nothing_runs(stack: Stack, tmp_path: Path) -> None:
    listing = batua(stack.environment() | {"BATUA_HOME": str(tmp_path)}, "ps")
    assert listing.exit_code == 1
    assert listing.stderr.startswith("No stack is running")


def test_logs_shows_the_logs_of_the_processes_that_are_named(stack: Stack) -> None:
    def the_last_line_is_shown() -> bool:  # another one may be written between the two looks
        one = batua(stack.environment(), "logs", "user_app", "--lines", "1")
        assert one.exit_code == 0
        return one.stdout == stack.layout.log_file("user_app").read_text().splitlines()[-1] + "\n"

    eventually(the_last_line_is_shown, "the last line of the log is shown, and nothing else")

    def all_have_written() -> bool:
        every = batua(stack.environment(), "logs", "--lines", "1")
        return {line.partition("|")[0].strip() for line in every.stdout.splitlines()} == {*PROCESSES, "supervisord"}

    eventually(all_have_written, "every process has written a line, which is shown with its name", seconds=60)


def test_logs_follows_a_log_until_it_is_interrupted(stack: Stack) -> None:
    command = [sys.executable, "-m", "infra.cli.main", "logs", "smtp", "--follow", "--lines", "1"]
    with subprocess.Popen(command, cwd=CHECKOUT, env=stack.environment(), stdout=subprocess.PIPE, text=True) as reader:
        try:
            assert reader.stdout is not None
            last = reader.stdout.readline()
            pid = stack.kill("smtp")
            stack.wait_until_back("smtp", after_pid=pid, seconds=READY_SECONDS)
            assert reader.stdout.readline() not in {"", last}
            reader.send_signal(signal.SIGINT)
            assert reader.wait(READY_SECONDS) == 0
        finally:
            reader.kill()


def test_nothing_listens_beyond_this_machine(stack: Stack) -> None:
    ports = all_ports(stack.layout)
    addresses = {
        connection.laddr[0]
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr[1] in ports
    }
    assert addresses == {"127.0.0.1"}


def test_a_stopped_process_stays_stopped_until_it_is_started(stack: Stack) -> None:
    stack.stop_process("merchant_app")
    assert not stack.is_ready("merchant_app")
    assert stack.states()["merchant_app"].state == "STOPPED"
    stack.start_process("merchant_app")
    goes_on(stack, "merchant_app")


def test_a_second_stack_in_the_same_home_is_refused(stack: Stack, free_port_base: FreePortBase) -> None:
    with pytest.raises(AlreadyRunning):
        Stack(stack.layout.home, free_port_base()).start({"redis"})
    goes_on(stack, "redis")


def test_of_two_stacks_that_start_at_one_moment_on_one_port_base_one_is_up_and_sigterm_stops_only_it(
    command_line: StartCommand, stack: Stack, free_port_base: FreePortBase
) -> None:
    base = free_port_base()
    commands = [command_line(base, name=name, processes=1) for name in ("one", "other")]
    assert wait_until(lambda: any(command.is_starting() for command in commands), READY_SECONDS)
    (command,) = [command for command in commands if command.is_starting()]
    (refused,) = [each for each in commands if each is not command]
    command.process.send_signal(signal.SIGSTOP)  # so that it still starts when the other comes, however late
    try:
        assert refused.process.wait(READY_SECONDS) == 1
    finally:
        command.process.send_signal(signal.SIGCONT)
    assert len(refused.output().splitlines()) == 1
    assert f"another stack is starting on port base {base}" in refused.output()

    command.wait_until_up()
    pids = [psutil.Process(int(command.layout.pid_file(name).read_text())) for name in PROCESSES]
    command.process.send_signal(signal.SIGTERM)
    assert command.process.wait(READY_SECONDS) == 0
    _gone, alive = psutil.wait_procs(pids, timeout=0)
    assert alive == []
    assert all(is_free(port) for port in all_ports(command.layout))
    assert not list(command.layout.run.glob("*.pid"))
    assert all(f"  {name} is ready\n" in command.output() for name in PROCESSES)
    banner = command.output().split("=\n")[1]
    for shown in (
        command.layout.browser_url("user_app"),
        command.layout.browser_url("merchant_app"),
        "asha@example.com / try-batua-now",
        "batua logs",
        "Ctrl-C",
    ):
        assert shown in banner
    assert command.output().endswith("=\nBatua has stopped.\n"), "the logs go to files, not to the terminal"
    goes_on(stack, *PROCESSES)  # the stack beside it


def test_a_start_succeeds_after_the_process_that_started_the_last_stack_was_killed(
    tmp_path: Path, free_port_base: FreePortBase
) -> None:
    base = free_port_base()
    script = (
        "import pathlib, signal, sys; from infra.local.stack import Stack;"
        f"Stack(pathlib.Path({str(tmp_path)!r}), {base}).start({{'postgres', 'smtp'}});"
        "print('started', flush=True); signal.pause()"
    )
    first = subprocess.Popen([sys.executable, "-c", script], cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert first.stdout is not None
    assert first.stdout.readline() == b"started\n"
    first.kill()
    first.wait()
    first.stdout.close()
    second = Stack(tmp_path, base)
    second.start({"postgres", "smtp"})
    try:
        goes_on(second, "postgres")
    finally:
        second.stop()


def test_mail_gives_way_to_requests_and_when_the_supervisor_is_killed_up_ends_and_leaves_nothing(
    command_line: StartCommand,
) -> None:
    command = command_line()  # one for both: it has all settings as people have them, and takes long to start
    command.wait_until_up()
    assert_mail_gives_way(command.layout)
    os.kill(int(command.layout.supervisor_pid_file.read_text()), signal.SIGKILL)
    assert command.process.wait(READY_SECONDS) == 1
    assert all(is_free(port) for port in all_ports(command.layout))


def assert_mail_gives_way(layout: Layout) -> None:
    pids = {name: int(layout.pid_file(name).read_text()) for name in ("user_app", "smtp", "withdraw_worker")}
    assert {name: os.getsid(pid) for name, pid in pids.items()} == pids

    def gives_way() -> bool:  # a process without a port counts as ready before it has stepped back
        niceness = {name: psutil.Process(pid).nice() for name, pid in pids.items()}
        stepped_back = min(niceness["user_app"] + 10, MOST_NICENESS)  # the tests themselves may have stepped back
        return niceness["smtp"] == niceness["withdraw_worker"] == stepped_back

    def its_session_does() -> bool:
        shared_out = Path(f"/proc/{pids['withdraw_worker']}/autogroup").read_text(encoding="ascii")
        return shared_out.split()[-1] == f"{NICENESS['withdraw_worker']}"

    eventually(gives_way, "mail and the worker step back")
    if AUTOGROUP.exists():
        eventually(its_session_does, "so does the worker's session")


def test_a_port_in_use_is_one_clear_line_and_nothing_is_left_running(command_line: StartCommand, stack: Stack) -> None:
    command = command_line(stack.layout.port_base, name="another")
    assert command.process.wait(READY_SECONDS) == 1
    lines = command.output().splitlines()
    assert len(lines) == 1
    assert f"port {stack.layout.port('postgres')}" in lines[0]
    assert f"(pid {stack.pid('postgres')})" in lines[0]
    assert not [name for name in PROCESSES if find(command.layout, name)]
    goes_on(stack, "postgres")


def test_a_server_that_refuses_our_password_is_one_clear_sentence(tmp_path: Path, free_port_base: FreePortBase) -> None:
    base = free_port_base()
    with_its_secrets = Stack(tmp_path, base)
    with_its_secrets.start({"postgres"})
    with_its_secrets.stop()
    with_its_secrets.layout.secrets_file.unlink()
    with pytest.raises(PasswordRefused, match=f"the PostgreSQL on port {base + 32} refuses the password"):
        Stack(tmp_path, base).start({"postgres"})
    assert is_free(base + 32)


def test_given_servers_are_used_and_none_of_our_own_is_started(
    stack: Stack, tmp_path: Path, free_port_base: FreePortBase
) -> None:
    secrets = local_secrets(stack.layout)
    given = {
        "BATUA_DATABASE_URL": stack.database_url(),
        "BATUA_REDIS_URL": stack.environment()["BATUA_REDIS_URL"],
        "BATUA_PIN_PEPPER": secrets["BATUA_PIN_PEPPER"],
        "BATUA_PROCESSES": "1",
    }
    guest = Stack(tmp_path / "home", free_port_base(), given)
    guest.start({"postgres", "redis", "user_app"})
    try:
        running = {name for name, state in guest.states().items() if state.state == "RUNNING"}
        assert running == {"user_app"}
        goes_on(guest, "user_app")
    finally:
        guest.stop()
    goes_on(stack, "postgres", "redis")

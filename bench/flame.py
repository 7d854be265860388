"""`make bench-flame`: where user_app spends its time while transfers come in, as a flame graph in `var/`.

py-spy reads the stacks from outside; the process runs on. As another user than root, Linux may refuse that
(`kernel.yama.ptrace_scope`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from pathlib import Path

from bench import load, requests
from bench.stack import Bench, running_bench
from infra.local.layout import CHECKOUT

RECORD_SECONDS = 15
SAMPLES_PER_SECOND = 200
WARM_UP_SECONDS = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=RECORD_SECONDS, help="how long stacks are recorded")
    parser.add_argument("--raw", action="store_true", help="write the stacks as text instead of drawing them")
    chosen = parser.parse_args()
    file = CHECKOUT / "var" / f"flame-user_app.{'txt' if chosen.raw else 'svg'}"
    file.parent.mkdir(exist_ok=True)
    with running_bench(print) as bench:
        exit_code = record(bench, file, seconds=chosen.seconds, form="raw" if chosen.raw else "flamegraph")
    print(f"Look at {file}" if exit_code == 0 else "py-spy could not record")
    return exit_code


def record(bench: Bench, file: Path, *, seconds: int, form: str) -> int:
    """Record user_app, with all its processes, under transfers between people. Answers py-spy's exit code."""
    sent = requests.transfers(bench.people, to_shop=False)
    url = bench.stack.url("user_app")
    load.keep_busy(url, sent, seconds=WARM_UP_SECONDS, folder=bench.folder)
    busy = threading.Thread(
        target=load.keep_busy, args=(url, sent), kwargs={"seconds": seconds + 2.0, "folder": bench.folder}
    )
    busy.start()
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(bench.stack.pid("user_app"))]
    # Only threads that hold the GIL: one that waits for a socket or a pipe would be drawn as if it worked.
    command += ["--subprocesses", "--gil", "--rate", str(SAMPLES_PER_SECOND), "--duration", str(seconds)]
    recorded = subprocess.run([*command, "--format", form, "--output", str(file)], check=False, timeout=seconds + 60)
    busy.join()
    return recorded.returncode


if __name__ == "__main__":
    sys.exit(main())

"""A process that serves is told to stop before it serves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from infra.local.layout import CHECKOUT
from shared.serving.address import Service
from tests.support.deadlines import deadline

APPLICATION = """
import os, signal, sys, weakref

class Imported: ...

def in_a_finalizer(_):
    os.kill(os.getpid(), signal.SIGTERM)
    sum(range(1000))  # Python runs the handler here, and drops what it raises

imported = Imported()
reference = weakref.ref(imported, in_a_finalizer)
del imported

def create_app():
    raise AssertionError("the stop is lost")
"""


def test_a_stop_that_comes_in_a_finalizer_of_the_import_ends_the_process(tmp_path: Path) -> None:
    (tmp_path / "told_to_stop.py").write_text(APPLICATION)
    service = Service("told_to_stop:create_app", "127.0.0.1", 0, graceful_seconds=1, delay_seconds=0)
    program = (
        "import argparse, sys\n"
        "from shared.serving.address import add_service, bind, read_service\n"
        "from shared.serving.process import serve\n"
        "parser = argparse.ArgumentParser()\n"
        "add_service(parser)\n"
        "service = read_service(parser.parse_args())\n"
        "serve(service, bind(service.host, service.port))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *service.arguments()],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(tmp_path)])},
        capture_output=True,
        text=True,
        timeout=deadline(30),
        check=False,
    )
    assert (ended.returncode, "the stop is lost" in ended.stderr) == (0, False), ended.stderr

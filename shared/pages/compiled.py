"""Compiled templates, kept beside their sources as Python keeps its modules: to compile all takes a sixth of a start.

They lie in `__pycache__` and are trusted as the `.pyc` files there are. One counts only for the very source, Python,
Jinja and rules of the environment that it was made of. Where nothing may be written, each start compiles.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
from contextlib import suppress
from pathlib import Path

from jinja2 import Environment, __version__
from jinja2.bccache import Bucket, BytecodeCache


class CompiledTemplates(BytecodeCache):
    """A file is the digest of all that the code was made of, and the code."""

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """The path of the file, which Jinja takes for a key."""
        source = Path(filename or name)
        return str(source.parent / "__pycache__" / f"{source.name}.{sys.implementation.cache_tag}.compiled")

    def get_bucket(self, environment: Environment, name: str, filename: str | None, source: str) -> Bucket:
        """The template's code, if it is kept. A change of its source or of the environment's rules makes it void."""
        rules = (
            __version__,
            environment.autoescape,
            environment.trim_blocks,
            environment.lstrip_blocks,
            sorted(environment.filters),
            sorted(environment.tests),
            sorted(environment.extensions),
        )
        digest = hashlib.sha256(f"{rules}\n{source}".encode()).hexdigest()
        bucket = Bucket(environment, self.get_cache_key(name, filename), digest)
        self.load_bytecode(bucket)
        return bucket

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read the file. One that is missing, of another source or cut off counts for nothing."""
        with suppress(OSError, EOFError, ValueError, TypeError):
            kept = Path(bucket.key).read_bytes()
            digest, code = kept[: len(bucket.checksum)], kept[len(bucket.checksum) :]
            if digest == bucket.checksum.encode():
                bucket.code = marshal.loads(code)  # noqa: S302 - as trusted as our modules, which lie likewise

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write the file in one step, unless Python is to write none or may not: it is only a matter of time."""
        if sys.dont_write_bytecode:
            return
        target = Path(bucket.key)
        with suppress(OSError):
            target.parent.mkdir(exist_ok=True)
            partial = target.with_name(f"{target.name}.{os.getpid()}")  # of this process: several start at once
            try:
                partial.write_bytes(bucket.checksum.encode() + marshal.dumps(bucket.code))
                partial.replace(target)
            except OSError:
                partial.unlink(missing_ok=True)
                raise

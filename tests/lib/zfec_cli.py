# SPDX-License-Identifier: MIT
"""zfec's own command-line code, as in Debian, where it lacks the module pyutil that it imports."""

import io
import os
import sys
import types
from pathlib import Path


def _stand_in_for_pyutil():
    """The three functions of pyutil that zfec.filefec uses."""
    fileutil = types.ModuleType("pyutil.fileutil")
    fileutil.remove_if_possible = lambda path: Path(path).unlink(missing_ok=True)
    mathutil = types.ModuleType("pyutil.mathutil")
    mathutil.pad_size = lambda size, unit: -size % unit
    mathutil.log_ceil = lambda number, base: next(e for e in range(64) if base**e >= number)
    pyutil = types.ModuleType("pyutil")
    pyutil.fileutil, pyutil.mathutil = fileutil, mathutil
    for module in (pyutil, fileutil, mathutil):
        sys.modules[module.__name__] = module


try:
    from zfec import filefec
except ModuleNotFoundError:
    _stand_in_for_pyutil()
    from zfec import filefec


def encode(data, required, shares, folder):
    """What `zfec -k REQUIRED -m SHARES` writes: the share files' bytes, by index."""
    os.makedirs(folder, exist_ok=True)
    failed = filefec.encode_to_files(io.BytesIO(data), len(data), folder, "f", required, shares)
    assert not failed
    return [path.read_bytes() for path in sorted(Path(folder).iterdir())]


def decode(paths, output):
    """What `zunfec -o OUTPUT PATHS...` writes, as bytes. It wants two shares at least."""
    files = [open(path, "rb") for path in paths]
    try:
        with open(output, "w+b") as out:
            filefec.decode_from_files(out, files)
    finally:
        for file in files:
            file.close()
    return Path(output).read_bytes()

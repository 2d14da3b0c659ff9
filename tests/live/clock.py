"""A wall clock that a test can move, for processes that it starts."""

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")
DAY = 86_400


class Clock:
    """The wall clock of every process started with `env`. Raises OSError where there is no compiler."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise OSError("there is no C compiler")
        self._file = folder / "clock-offset"
        library = folder / "clock.so"
        self._file.write_bytes(struct.pack("q", 0))
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
        self.env = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._file)}

    def move(self, seconds: int) -> None:
        """Set the offset; every process sees it at its next look at the clock."""
        with self._file.open("r+b") as file:  # in place: the processes have this very file mapped
            file.write(struct.pack("q", seconds))

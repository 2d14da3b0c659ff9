"""What strangers sent is decoded in a child process with little memory and little time.

What bursts, hangs or breaks there ends the child alone, and whoever sent it is told so in a sentence. Ordinary images
share one child that stays; the few that claim very many pixels take turns in another, which ends after each of them, so
that they keep nobody waiting but each other and leave no memory behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from search.retrieval import _decoder, progress
from search.retrieval.imaging import (
    DESCRIBED_SIDE,
    MAX_PIXELS,
    NEEDS_MEMORY,
    ImageRefused,
    Picture,
    TooManyPixels,
    check_bytes,
)

log = logging.getLogger(__name__)

NEEDS_TIME = "The image needs too much time to open; send a smaller copy."
_BROKE = "The image breaks the decoder; open it in an image program and save it again as PNG."
_MANY_PIXELS = 16_000_000
_START_SECONDS = 60
_LONGEST_SECONDS = 120.0  # a start and an answer, twice, or others' turns: each of these waits ends by itself
_LONGEST_SENTENCE = 4096
_ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {
    # Large blocks go back to the system when they are freed; one thread needs one arena.
    "MALLOC_MMAP_THRESHOLD_": str(2**20), "MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
}  # fmt: skip


class DecodersBusy(RuntimeError):  # noqa: N818  an answer to whoever sent the image
    """Too many very large images are waiting to be opened; str(e) is a sentence."""


def decode_apart(data: bytes, *, max_side: int = DESCRIBED_SIDE, patience: float = -1) -> Picture:
    """What `imaging.decode_picture` gives, decoded in a child process; safe to call from many threads.

    patience: seconds that a very large image may wait for its turn, -1 for as long as it takes. Raises ImageRefused,
    also for what needs too much memory or time; DecodersBusy when the patience ends.
    """
    check_bytes(data)
    try:
        return _decoders.ordinary.ask(data, max_side, _MANY_PIXELS)
    except TooManyPixels:
        return _decoders.large.ask(data, max_side, MAX_PIXELS, patience=patience)


class _Decoder:
    """A child that is started when it is first needed and replaced when it has ended. One request at a time."""

    def __init__(self, *, stays: bool) -> None:
        self.stays = stays
        self.child: _Child | None = None
        self._lock = threading.Lock()

    def ask(self, data: bytes, max_side: int, most_pixels: int, *, patience: float = -1) -> Picture:
        with progress.work("opening an image", limit=_LONGEST_SECONDS):
            return self._asked(data, max_side, most_pixels, patience)

    def _asked(self, data: bytes, max_side: int, most_pixels: int, patience: float) -> Picture:
        if not self._lock.acquire(timeout=patience):
            raise DecodersBusy("Other very large images are being opened just now. Try again in a moment.")
        try:
            try:
                return self._running().ask(data, max_side, most_pixels)
            except _Ended as end:
                if end.by_its_limits:
                    raise
            # It may have been another's doing, such as a kill by hand or by the system: once more, in a fresh one.
            return self._running().ask(data, max_side, most_pixels)
        except _Ended as end:
            raise ImageRefused(str(end)) from None
        finally:
            if self.child and not self.stays:
                self.child.end()
            self._lock.release()

    def _running(self) -> _Child:
        if self.child is None or self.child.process.poll() is not None:
            self.child = _Child()
        return self.child


class _Ended(Exception):  # noqa: N818  a child's end, told to whoever has just asked it
    """str(e) is the sentence for the person who sent the image."""

    def __init__(self, sentence: str, *, by_its_limits: bool) -> None:
        super().__init__(sentence)
        self.by_its_limits = by_its_limits


class _Child:
    """A running `_decoder` and the line to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # It dies with the thread that starts it, which therefore has to last as long as this process.
            self.process = _decoders.starter.submit(_start, theirs).result()
        self.line = Connection(ours.detach())
        ready = self.line.poll(_START_SECONDS)
        try:
            ready = ready and self.line.recv_bytes(1) == _decoder.READY
        except EOFError:
            ready = False
        if not ready:
            self.end()
            raise RuntimeError("The image decoder does not start.")
        _limit_waiting(self.line)

    def ask(self, data: bytes, max_side: int, most_pixels: int) -> Picture:
        """Raises ImageRefused, TooManyPixels, or _Ended when it has not survived the question."""
        try:
            self.line.send_bytes(_decoder.HEAD.pack(max_side, most_pixels))
            self.line.send_bytes(data)
            answer = self.line.recv_bytes(_LONGEST_SENTENCE)
            kind, rest = answer[:1], answer[1:]
            if kind != _decoder.PICTURE:
                raise (TooManyPixels if kind == _decoder.TOO_MANY else ImageRefused)(rest.decode())
            width, height, wide, high = _decoder.SIZES.unpack(rest)
            pixels = np.frombuffer(self.line.recv_bytes(3 * max_side**2), np.uint8).reshape(high, wide, 3)
        except (EOFError, OSError) as error:
            raise self._ended(error) from None
        return Picture(pixels, width, height)

    def _ended(self, error: Exception) -> _Ended:
        status = None
        if not isinstance(error, BlockingIOError):  # which says that it takes too long
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self.process.wait(5)
        self.end()
        log.warning("an image decoder ended: %s", "it was late" if status is None else f"status {status}")
        if status in (None, -signal.SIGPROF, -signal.SIGALRM):
            return _Ended(NEEDS_TIME, by_its_limits=True)
        if status >= 0:
            raise RuntimeError(f"The image decoder ended with status {status}.")
        return _Ended(NEEDS_MEMORY if status == -signal.SIGKILL else _BROKE, by_its_limits=False)

    def end(self) -> None:
        self.line.close()
        self.process.kill()
        self.process.wait()


def _start(line: socket.socket) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LD_LIBRARY_PATH", "LANG")}
    command = [sys.executable, "-m", _decoder.__name__]
    return subprocess.Popen(command, stdin=line.fileno(), cwd=_ROOT, env=kept | _ENVIRONMENT)  # noqa: S603


def _limit_waiting(line: Connection) -> None:
    """A child that neither reads nor answers is given up a little after the time that it allows itself."""
    patience = struct.pack("ll", int(_decoder.WALL_SECONDS) + 2, 0)
    with socket.socket(fileno=os.dup(line.fileno())) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)


class _Decoders:
    def __init__(self) -> None:
        self.starter = ThreadPoolExecutor(1, "decoder-starter")
        self.ordinary, self.large = _Decoder(stays=True), _Decoder(stays=False)


_decoders = _Decoders()


def _after_fork() -> None:
    """The children belong to the parent: a forked process starts its own."""
    global _decoders  # noqa: PLW0603
    for decoder in (_decoders.ordinary, _decoders.large):
        if decoder.child:
            decoder.child.line.close()
    _decoders = _Decoders()


os.register_at_fork(after_in_child=_after_fork)

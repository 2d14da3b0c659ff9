"""The child of `decoding`: decodes one image after the other, within the memory and the time that it allows itself.

`python -m search.retrieval._decoder`, its standard input a socket. A request is a head (`HEAD`) and the bytes of the
image; an answer is one byte for its kind, then the picture's head (`SIZES`) and pixels, or a sentence.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401  the formats that Pillow would load on first use

from search.retrieval.imaging import MAX_BYTES, ImageRefused, TooManyPixels, decode_picture

HEAD = struct.Struct("!HI")
"""Pixels a side that are wanted; pixels that the image may claim."""
SIZES = struct.Struct("!IIII")
"""Width and height of the original, then of the pixels that follow (uint8 RGB)."""
READY, PICTURE, REFUSED, TOO_MANY = b"+", b"p", b"r", b"m"

MEMORY = 280 * 2**20
"""Bytes above what the child has when it starts: 40 Mpx of 4 bytes, the file, a smaller copy, and some more."""
CPU_SECONDS = 3.0
WALL_SECONDS = 20.0
"""For a machine that is busy with other work; who waits gives up a little later."""


def main() -> None:
    _die_with_parent()
    Image.preinit()
    line = Connection(os.dup(sys.stdin.fileno()))
    _limit()
    line.send_bytes(READY)
    while True:
        try:
            side, most_pixels = HEAD.unpack(line.recv_bytes(HEAD.size))
            data = line.recv_bytes(MAX_BYTES)
        except (EOFError, OSError):
            return  # whoever asked is gone
        # Either clock ends this process: nothing inside a decoder has to give way for it.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
        answer = _answer(data, side, most_pixels)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for part in answer:
            line.send_bytes(part)
        signal.setitimer(signal.ITIMER_REAL, 0)
        del data, answer


def _answer(data: bytes, side: int, most_pixels: int) -> list[bytes]:
    try:
        picture = decode_picture(data, max_side=side, most_pixels=most_pixels)
    except TooManyPixels as refusal:
        return [TOO_MANY + str(refusal).encode()]
    except ImageRefused as refusal:
        return [REFUSED + str(refusal).encode()]
    height, width = picture.pixels.shape[:2]
    return [PICTURE + SIZES.pack(picture.width, picture.height, width, height), picture.pixels.tobytes()]


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG; a parent that is gone already ends the line


if __name__ == "__main__":
    main()

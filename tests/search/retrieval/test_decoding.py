"""Decoding in the child: what it costs at most, what ends it, and that nothing of it reaches whoever asks."""

import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from search.retrieval import _decoder, decoding
from search.retrieval.decoding import DecodersBusy, decode_apart
from search.retrieval.imaging import MAX_PIXELS, ImageRefused, decode_picture
from tests.search.retrieval.large import BOX, CASES, SIZE, large, slow_jpeg, webp_of_nothing
from tests.search.retrieval.pictures import encoded, star

MB = 10**6
GOOD = encoded(star())
QUICK = [case for case in CASES if case[:2] in {("PNG", "RGBA"), ("TIFF", "F")} or case[2].get("transparency") == 0]


@pytest.fixture
def child() -> Iterator[decoding._Child]:
    child = decoding._Child()
    yield child
    child.end()


def ordinary() -> psutil.Process:
    """The child that is there now for ordinary images."""
    decode_apart(GOOD)
    child = decoding._decoders.ordinary.child
    assert child
    return psutil.Process(child.process.pid)


def ended(pid: int, seconds: float = 10) -> bool:
    """Whether it is gone, or waits as a zombie for somebody to ask how it ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def refusal(data: bytes) -> str:
    with pytest.raises(ImageRefused) as refused:
        decode_apart(data)
    assert str(refused.value).endswith(".")
    return str(refused.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_the_child_gives_the_very_pixels_and_size(kind: str) -> None:
    data = encoded(star().resize((3000, 1500)), kind)
    there, here = decode_apart(data), decode_picture(data)
    assert (there.width, there.height) == (here.width, here.height) == (3000, 1500)
    assert np.array_equal(there.pixels, here.pixels) and there.pixels.dtype == np.uint8


def test_after_a_hundred_bad_images_a_good_one_is_decoded_by_the_same_child() -> None:
    before = ordinary().pid
    rng = np.random.default_rng(5)
    for n in range(100):
        bad = rng.bytes(300) if n % 2 else GOOD[: 20 + n]
        assert refusal(bad)
    assert decode_apart(GOOD).pixels.shape == (200, 200, 3)
    assert ordinary().pid == before


def cost_of(child: decoding._Child, data: bytes) -> tuple[Any, int, float, int]:
    """The answer, bytes at the peak above the child's rest, CPU seconds, bytes that it keeps."""
    process = psutil.Process(child.process.pid)
    rest, busy = process.memory_info().rss, sum(process.cpu_times()[:2])
    picture = child.ask(data, 1024, MAX_PIXELS)
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    return picture, peak - rest, sum(process.cpu_times()[:2]) - busy, process.memory_info().rss - rest


def check_cost(child: decoding._Child, data: bytes) -> Any:
    picture, peak, seconds, kept = cost_of(child, data)
    assert peak < 300 * MB and seconds < _decoder.CPU_SECONDS and kept < 25 * MB
    assert (picture.width, picture.height) == SIZE and max(picture.pixels.shape) == 1024
    return picture


def check_large(child: decoding._Child, case: tuple[str, str, dict[str, Any]]) -> None:
    grey = check_cost(child, large(*case)).pixels.mean(axis=2)
    scale = 1024 / SIZE[0]
    x, y = (round((BOX[n] + BOX[n + 2]) / 2 * scale) for n in (0, 1))
    assert grey[y, x] < 90 and grey[-10, -10] > 225, "a dark box on light paper"


@pytest.mark.parametrize("case", QUICK, ids=str)
def test_39_million_pixels_stay_within_300_mb_and_3_seconds(child: decoding._Child, case: Any) -> None:
    check_large(child, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case not in QUICK], ids=str)
def test_every_format_and_mode_of_39_million_pixels_does(child: decoding._Child, case: Any) -> None:
    check_large(child, case)


def test_a_webp_of_38_bytes_that_claims_39_million_pixels_costs_as_little(child: decoding._Child) -> None:
    data = webp_of_nothing(*SIZE)
    assert len(data) <= 38
    assert check_cost(child, data).pixels[500, 500].tolist() == [200, 0, 0]


def test_whoever_asks_keeps_nothing_and_the_child_of_large_images_is_gone() -> None:
    data = large("PNG", "P", {"compress_level": 1})
    me = psutil.Process()
    decode_apart(GOOD)
    before = me.memory_info().rss
    for _ in range(2):
        decode_apart(data)
    assert me.memory_info().rss - before < 30 * MB
    gone = decoding._decoders.large.child
    assert gone and gone.process.returncode is not None


def test_what_needs_too_much_memory_is_refused_and_the_child_lives(child: decoding._Child) -> None:
    with pytest.raises(ImageRefused, match="memory"):
        child.ask(large("JPEG", "CMYK", {"progressive": True, "subsampling": 0}), 1024, MAX_PIXELS)
    assert child.ask(GOOD, 1024, MAX_PIXELS).width == 200


def test_a_decoder_that_works_on_and_on_ends_by_its_own_limit() -> None:
    began = time.monotonic()
    assert refusal(slow_jpeg()) == decoding.NEEDS_TIME
    assert time.monotonic() - began < _decoder.WALL_SECONDS
    assert decode_apart(GOOD).width == 200


def test_a_decoder_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_decoder, "WALL_SECONDS", -1)  # what is waited for: two seconds more
    monkeypatch.setattr(decoding, "_decoders", decoding._Decoders())
    hung = ordinary()
    hung.suspend()
    for data in (GOOD, bytes(15 * MB)):  # it answers nothing; it does not even read
        began = time.monotonic()
        assert refusal(data) == decoding.NEEDS_TIME
        assert 0.9 < time.monotonic() - began < 10 and not hung.is_running()
        hung = ordinary()
        hung.suspend()
    hung.kill()
    assert decode_apart(GOOD).width == 200


def test_one_that_was_killed_is_replaced_and_the_image_decoded_all_the_same() -> None:
    for kill in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        killed = ordinary()
        killed.suspend()  # it dies with the question in hand
        threading.Timer(0.3, killed.send_signal, [kill]).start()
        threading.Timer(0.4, lambda p: p.is_running() and p.resume(), [killed]).start()
        assert decode_apart(GOOD).width == 200
        assert ordinary().pid != killed.pid


@pytest.mark.parametrize(("kill", "said"), [(signal.SIGSEGV, decoding._BROKE), (signal.SIGKILL, decoding.NEEDS_MEMORY)])
def test_how_a_decoder_ended_is_told_in_a_sentence(child: decoding._Child, kill: int, said: str) -> None:
    child.process.send_signal(kill)
    child.process.wait()
    with pytest.raises(decoding._Ended, match=said):
        child.ask(GOOD, 1024, MAX_PIXELS)


def test_an_image_that_ends_its_decoder_again_and_again_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_decoders", decoding._Decoders())
    began: list[decoding._Child] = []

    class Doomed(decoding._Child):
        def ask(self, *question: Any) -> Any:
            began.append(self)
            threading.Timer(0.3, self.process.send_signal, [signal.SIGSEGV]).start()
            return super().ask(*question)

    monkeypatch.setattr(decoding, "_Child", Doomed)
    assert refusal(slow_jpeg()) == decoding._BROKE and len(began) == 2


def test_a_broken_installation_is_a_fault_and_not_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_decoders", decoding._Decoders())
    monkeypatch.setattr(decoding, "_ROOT", Path("/"))
    with pytest.raises(RuntimeError, match="does not start"):
        decode_apart(GOOD)


def test_many_threads_get_each_their_own_picture() -> None:
    images = [encoded(star().resize((40 + n, 50))) for n in range(60)]
    with ThreadPoolExecutor(16) as pool:
        pictures = list(pool.map(decode_apart, images))
    assert [picture.width for picture in pictures] == [40 + n for n in range(60)]


def test_very_large_images_take_turns_and_keep_no_ordinary_one_waiting() -> None:
    size = (5000, 4000)
    data = large("PNG", "RGBA", {"compress_level": 1}, size)
    decode_apart(GOOD)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(decode_apart, data)
        while not decoding._decoders.large._lock.locked():
            time.sleep(0.01)
        with pytest.raises(DecodersBusy, match="Try again"):
            decode_apart(data, patience=0)
        second = pool.submit(decode_apart, data)
        assert decode_apart(GOOD).width == 200
        assert not second.done()
        assert first.result().width == second.result().width == size[0]


def test_a_forked_process_has_decoders_of_its_own() -> None:
    mine = ordinary().pid

    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=lambda: answers.put((ordinary().pid, decode_apart(GOOD).width)))
    process.start()
    theirs, width = answers.get()
    process.join(10)
    assert theirs != mine and width == 200 and ordinary().pid == mine
    assert ended(theirs)


def test_it_dies_with_its_parent_even_while_it_hangs() -> None:
    code = (
        "import time; from search.retrieval import decoding; from tests.search.retrieval.test_decoding import GOOD;"
        "decoding.decode_apart(GOOD); print(decoding._decoders.ordinary.child.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=decoding._ROOT)
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    child.suspend()
    parent.kill()
    parent.wait()
    assert ended(child.pid)


def test_it_is_told_no_secrets(monkeypatch: pytest.MonkeyPatch, child: decoding._Child) -> None:
    monkeypatch.setenv("TM_SECRET_KEY", "a secret")
    fresh = decoding._Child()
    try:
        told = psutil.Process(fresh.process.pid).environ()
        assert not {name for name in told if name.startswith(("TM_", "DATABASE", "REDIS"))}
    finally:
        fresh.end()

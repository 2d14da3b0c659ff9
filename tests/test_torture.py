"""The people of `make torture` can be made, and promise nothing where nobody answers."""

from pathlib import Path
from typing import Any

from tests.live.service import Service
from tests.torture.ledger import Ledger
from tests.torture.people import Administrator, Examiner


def test_people_who_find_no_service_write_down_that_nobody_answered_and_nothing_else(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"an image")
    ledger = Ledger()
    turns = iter([True, False, True, False])
    shared: dict[str, Any] = {"seed": 1, "going": lambda: next(turns)}
    service = Service(tmp_path / "data")
    people = [
        Examiner("erin", service, ledger, password="word", images=[image], **shared),
        Administrator("ada", service, ledger, login=("ada", "word"), sets=(1, 2), **shared),
    ]
    for person in people:
        person.run()
    assert set(ledger.answers) == {0} and ledger.answers[0] >= 2
    assert not (ledger.defects or ledger.searches or ledger.promotions)

"""Settings from the environment: a wrong value stops the start with a sentence."""

import pytest

from tmportal import env


@pytest.mark.parametrize(("value", "share"), [("", 0.05), ("0", 0.0), ("0.25", 0.25), ("1", 1.0)])
def test_a_share_is_a_number_from_0_to_1(monkeypatch: pytest.MonkeyPatch, value: str, share: float) -> None:
    monkeypatch.setenv("TM_PLAIN_SHARE", value)
    assert env.share("TM_PLAIN_SHARE", 0.05) == share


@pytest.mark.parametrize("value", ["5", "-0.1", "half", "nan"])
def test_anything_else_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TM_PLAIN_SHARE", value)
    with pytest.raises(env.BadSetting, match="TM_PLAIN_SHARE"):
        env.share("TM_PLAIN_SHARE", 0.05)

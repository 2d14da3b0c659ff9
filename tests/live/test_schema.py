"""Schemathesis against the running service: all its phases and checks, with a real worker behind the answers."""

import subprocess
import sys

import pytest

from tests.live.service import ROOT, Service


@pytest.mark.slow
def test_schemathesis_finds_nothing_in_the_running_service(service: Service) -> None:
    # Both tokens first: it also asks for tokens with wrong passwords, until its address is locked out.
    for token in [service.token("examiner"), service.token("administrator")]:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.base}/api/schema/"]
        command += ["--header", f"Authorization: Token {token}", "--max-examples", "20", "--seed", "19", "--no-color"]
        # What an image is, which words are known and which passwords are right no schema can say.
        command += ["--exclude-checks", "positive_data_acceptance"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]

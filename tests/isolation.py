"""Loaded before Django's settings: tests never touch a data directory that somebody uses."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_folder = tempfile.mkdtemp(prefix="tm-test-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.environ["TM_DATA_DIR"] = _folder
(Path(_folder) / "static").mkdir()
os.environ["TM_LOG_LEVEL"] = "WARNING"
for _name in ("REDIS_URL", "TM_HTTPS", "TM_HELD_OUT", "TM_ROLE"):
    os.environ.pop(_name, None)
os.environ.setdefault("OMP_NUM_THREADS", "1")

"""The real settings, on a data directory of the tests' own."""

from tests import isolation  # noqa: F401  first: it says where the data directory is
from tmportal.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Lists stay in the order of rank and pre-selected as they are; tests of the guards switch them on.
TM_AUDIT_SLOTS = 0
TM_PLAIN_SHARE = 0.0

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # A file, as in the service: a database in memory knows no log, and threads lock each other out of it.
    DATABASES["default"]["TEST"] = {"NAME": TM_DATA_DIR / "tests.sqlite3"}  # noqa: F405

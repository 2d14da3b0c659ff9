"""The real settings, on a data directory of the tests' own."""

from tests import isolation  # noqa: F401  first: it says where the data directory is
from tmportal.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

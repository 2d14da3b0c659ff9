#!/usr/bin/env python
"""Django's command line for tmportal."""

import os
import sys


def main() -> None:
    os.umask(0o077)  # what commands write is for this user only
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tmportal.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()

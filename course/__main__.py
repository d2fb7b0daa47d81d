"""``python -m course``: what is better done outside a notebook, see `course.command`."""

import sys

from course.command.main import main

if __name__ == "__main__":
    sys.exit(main())

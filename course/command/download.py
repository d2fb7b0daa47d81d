"""``course download``: everything that the course fetches, for a later day without network."""

import sys

from course.files import sources
from course.files.downloads import DownloadError


def fetch_everything() -> int:
    """Fetch photos and weights, each also if the other cannot be had; returns the exit code."""
    code = 0
    for fetch in (sources.download_photos, sources.download_weights):
        try:
            print(f"Here: {fetch()}", flush=True)
        except DownloadError as error:
            print(error, file=sys.stderr)
            code = 1
    return code

"""Where datasets, models and caches are.

Set the environment variable ``COURSE_DATASETS`` to keep the downloaded photos somewhere else, for
example on a larger disk or in a folder that a whole classroom shares.
"""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
"""The folder that holds ``notebooks/``, ``course/``, ``datasets/`` and ``models/``."""

MODELS = PROJECT / "models"
"""What training writes."""

SHIPPED_DATASETS = PROJECT / "datasets"
"""Data that comes with the course: the four Fashion-MNIST files."""

DATASETS = Path(os.environ.get("COURSE_DATASETS") or SHIPPED_DATASETS).expanduser().resolve()
"""Where downloaded data lands."""

PHOTOS = DATASETS / "clothing-dataset-small"
"""The clothing photos, in ``train``, ``validation`` and ``test``."""

SKETCHES = DATASETS / "drawn-garments"
"""Garments drawn by `course.sketches`, for places where the photos cannot be had."""

CACHE = SHIPPED_DATASETS / "cache"
"""Kept features. Safe to delete: everything in it is computed again when it is needed."""

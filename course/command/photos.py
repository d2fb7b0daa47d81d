"""Which photos are meant by the words that were typed."""

import glob
import os
import re
from difflib import get_close_matches
from pathlib import Path

from course.files.left_out import is_picture

ADDRESS = re.compile(r"(\w[\w+.-]+)://")  # not C:\


def find_photos(words: list[str]) -> tuple[list[str], list[str]]:
    """The files that are meant, and what is wrong with the words that mean none.

    A shell replaces a pattern by the files that fit. The Command Prompt of Windows does not, so it
    is done here, too.
    """
    photos: list[str] = []
    problems: list[str] = []
    for word in words:
        name = os.path.expanduser(word)
        fitting = [] if os.path.lexists(name) else glob.glob(name, recursive=True)
        if files := sorted(filter(os.path.isfile, fitting)):
            photos += files
        elif problem := problem_with(name):
            problems.append(problem)
        else:
            photos.append(name)
    return photos, problems


def problem_with(name: str) -> str:
    """Why a word cannot be a photo and what to do, or nothing."""
    shown = repr(name)
    if ADDRESS.match(name):
        return f"{shown} is an address: download the picture first, then name its file"
    if os.path.isdir(name):
        return f"{shown} is a folder: name the pictures in it, such as {example_in(name)}"
    if os.path.lexists(name):
        return ""  # what is wrong with its content, if anything, is found while reading it
    if glob.has_magic(name):
        return f"no file fits {shown}: check the folder and the ending"
    if near := similar_to(name):
        return f"there is no file {shown}: did you mean {near}?"
    return f"there is no file {shown}: check the name and the folder"


def example_in(folder: str) -> str:
    """A pattern that fits pictures in a folder, or in the folders in it."""
    for pattern in ("*", "*/*", "*/*/*"):
        for path in Path(folder).glob(pattern):
            if is_picture(path):
                return os.path.join(folder, *pattern.split("/")[:-1], f"*{path.suffix}")
    return os.path.join(folder, "*.jpg")


def similar_to(name: str) -> str:
    """The file in the same folder whose name is nearest, if one is near."""
    folder = os.path.dirname(name)
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return ""
    near = get_close_matches(os.path.basename(name), names, 1)
    return repr(os.path.join(folder, near[0])) if near else ""

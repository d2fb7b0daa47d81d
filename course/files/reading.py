"""What the system refuses is told with what helps.

A drive that is away, or a file that one may not read, says nothing about the file. So these errors
keep their kind (`PermissionError`, `TimeoutError`, `MemoryError`, ...) and never turn into "the
file is damaged".
"""

from course.files.trouble import DEFAULT, advice_for, reason_of


def with_advice(
    error: OSError | MemoryError, problem: str, advice: str | None = None
) -> OSError | MemoryError:
    """The same kind of error in words for people: the problem, its reason and what helps."""
    advice = advice or advice_for(error) or DEFAULT
    told = type(error)(f"{problem} ({reason_of(error)}): {advice}")
    if isinstance(error, OSError) and isinstance(told, OSError):
        told.errno = error.errno  # by which `advice_for` knows it as an error of the system
    return told

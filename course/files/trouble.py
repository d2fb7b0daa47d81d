"""What the system means when it refuses, and what helps: nothing that is wrong with the file.

A photo that may not be read, a network drive that is away and a full memory all end in an error
while a file is read. Who is told that the file is damaged deletes a good photo. So whoever reads,
writes or fetches asks `advice_for` first, and calls a file damaged only where it has no answer.
"""

import errno

SYSTEM_ADVICE = {
    "ask for the right to do so, or change the permissions": ("EACCES", "EPERM"),
    "free some space": ("ENOSPC", "EDQUOT", "EFBIG"),
    "it can only be read there: choose another folder": ("EROFS",),
    "check the path": ("ENOENT", "ENOTDIR", "EISDIR"),
    "choose a shorter name": ("ENAMETOOLONG",),
    "too many files are open: close other programs, or restart the kernel": ("EMFILE", "ENFILE"),
    "memory is full: close other notebooks and programs, then try again": ("ENOMEM",),
    "another program is using it: close that program, then try again": ("EBUSY", "ETXTBSY"),
    "the drive or network folder does not answer: connect it, then try again": (
        "EIO", "ENODEV", "ENXIO", "ENOMEDIUM", "ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH",
        "ENETDOWN", "ENETUNREACH", "ENOTCONN", "ECONNRESET", "ECONNREFUSED", "ECONNABORTED",
        "EREMOTEIO", "ESHUTDOWN", "ENOLINK", "EUCLEAN",
    ),
}  # fmt: skip
ADVICE = {
    getattr(errno, name): advice
    for advice, names in SYSTEM_ADVICE.items()
    for name in names
    if hasattr(errno, name)  # some systems lack some
}
IN_USE_ON_WINDOWS = (32, 33)  # another program has opened or locked the file


def advice_for(error: BaseException) -> str | None:
    """What helps against an error of the system, or None if the error is not one.

    Pillow and zipfile raise `OSError` for a damaged file, too, but without a number.
    """
    if isinstance(error, MemoryError):
        return ADVICE[errno.ENOMEM]
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if getattr(error, "winerror", None) in IN_USE_ON_WINDOWS:
        return ADVICE[errno.EBUSY]
    return ADVICE.get(error.errno, "the system refused it: try again, or another folder")


def reason_of(error: BaseException) -> str:
    """What went wrong, in the words of the system and on one line, without number and path."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())

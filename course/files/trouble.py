"""What the system means when it refuses, and what helps: nothing that is wrong with the file.

A photo that may not be read, a network drive that is away and a full memory all end in an error
while a file is read. Who is told that the file is damaged deletes a good photo. So whoever reads,
writes or fetches asks `advice_for` first, and calls a file damaged only where it has no answer.
"""

import errno

DEFAULT = "the system refused it: try again, or another folder"
BY_NAME = {
    "ask for the right to do so, or change the permissions": ("EACCES", "EPERM"),
    "free some space": ("ENOSPC", "EDQUOT"),
    "no file may be that large there: choose another folder, or a higher limit": ("EFBIG",),
    "it can only be read there: choose another folder": ("EROFS",),
    "check the path": ("ENOENT", "ENOTDIR", "EISDIR", "ELOOP"),
    "something of that name is in the way: rename it or move it elsewhere": (
        "EEXIST", "ENOTEMPTY",
    ),
    "choose a shorter name": ("ENAMETOOLONG",),
    "too many files are open: close other programs, or restart the kernel": ("EMFILE", "ENFILE"),
    "memory is full: close other notebooks and programs, then try again": ("ENOMEM", "ENOBUFS"),
    "the system is busy: close other notebooks and programs, then try again": ("EAGAIN",),
    "another program is using it: close that program, then try again": (
        "EBUSY", "ETXTBSY", "EDEADLK", "ENOLCK",
    ),
    "the drive or network folder does not answer: connect it, then try again": (
        "EIO", "ENODEV", "ENXIO", "ENOMEDIUM", "ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH",
        "ENETDOWN", "ENETUNREACH", "ENETRESET", "ENOTCONN", "ECONNRESET", "ECONNREFUSED",
        "ECONNABORTED", "EREMOTEIO", "ESHUTDOWN", "ENOLINK", "EUCLEAN", "EPROTO", "ECOMM",
    ),
}  # fmt: skip
BY_NUMBER = {
    getattr(errno, name): advice
    for advice, names in BY_NAME.items()
    for name in names
    if hasattr(errno, name)  # some systems lack some
}
# Windows has numbers of its own. Python gives many of them the errno of something else: a device
# that is not ready becomes "Permission denied", and a full page file "Invalid argument".
# https://learn.microsoft.com/windows/win32/debug/system-error-codes
BY_WINDOWS_NUMBER = {
    errno.EBUSY: (32, 33, 170, 1224),  # opened, locked or mapped by another program
    errno.EIO: (21, 23, 31, 51, 53, 55, 59, 64, 67, 121, 433, 1117, 1167, 1231, 1232),  # away
    errno.EROFS: (19,),
    errno.ENOSPC: (39, 112, 1295),
    errno.ENOMEM: (8, 14, 1450, 1455),  # 1455: the page file is too small
    errno.EMFILE: (4,),
    errno.ENAMETOOLONG: (206,),
    errno.ENOENT: (15, 123, 161),  # no such drive, or letters that no name may have
    errno.ETIMEDOUT: (362, 388, 389),  # a cloud drive keeps only the name here
}
WINDOWS = {number: kind for kind, numbers in BY_WINDOWS_NUMBER.items() for number in numbers}
# Some code raises the right kind of error without its number.
BY_KIND = {
    PermissionError: errno.EACCES,
    FileNotFoundError: errno.ENOENT,
    NotADirectoryError: errno.ENOTDIR,
    IsADirectoryError: errno.EISDIR,
    FileExistsError: errno.EEXIST,
    BlockingIOError: errno.EAGAIN,
    TimeoutError: errno.ETIMEDOUT,
    ConnectionError: errno.ECONNRESET,
}


def advice_for(error: BaseException) -> str | None:
    """What helps against an error of the system, or None if the error is not one.

    Pillow and zipfile raise `OSError` for a damaged file, too, but without a number.
    """
    if isinstance(error, MemoryError):
        return BY_NUMBER[errno.ENOMEM]
    if not isinstance(error, OSError):
        return None
    number = WINDOWS.get(getattr(error, "winerror", None) or 0, error.errno)
    if number is None:
        number = next((BY_KIND[kind] for kind in BY_KIND if isinstance(error, kind)), None)
    if number is None:
        return None
    if number == errno.EINVAL and error.filename:  # Windows opens no "photo?.jpg"
        number = errno.ENOENT
    return BY_NUMBER.get(number, DEFAULT)


def reason_of(error: BaseException) -> str:
    """What went wrong, in the words of the system and on one line, without number and path."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    line = " ".join(str(words).split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def with_advice(
    error: OSError | MemoryError, problem: str, advice: str | None = None
) -> OSError | MemoryError:
    """The same kind of error in words for people: the problem, its reason and what helps.

    It never turns into "the file is damaged", because the file may be good.
    """
    advice = advice or advice_for(error) or DEFAULT
    told = type(error)(f"{problem} ({reason_of(error)}): {advice}")
    if isinstance(error, OSError) and isinstance(told, OSError):
        told.errno = error.errno  # by which `advice_for` knows it as an error of the system
    return told

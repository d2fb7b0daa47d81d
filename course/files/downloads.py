"""Fetching a file over a network that breaks, stalls, or is not there at all.

What the course fetches, and how it is checked, stands in `course.files.sources`. urllib minds
proxies and checks certificates.
"""

import errno
import http.client
import textwrap
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from urllib.error import HTTPError, URLError

from tqdm.auto import tqdm

from course.files.trouble import advice_for, reason_of

TIMEOUT = 15.0  # seconds without a single byte after which a server counts as silent
PAUSES = (1.0, 2.0, 4.0)  # seconds before each new try
MAX_BYTES = 300 * 2**20  # far more than any file of the course
OWN_LIMITS = {  # of this computer: neither another network nor another folder would help
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOBUFS,
    errno.EAGAIN,
}

_unreachable: dict[str, str] = {}  # why, by host: who is offline waits once, not in every cell


class DownloadError(RuntimeError):
    """The photos or the weights could not be fetched; the message says why and what to do."""


class _FailedTryError(Exception):
    """One try to fetch a file came to nothing, or not to its end.

    Args:
        problem: what happened and what to do.
        hopeless: whether a second try would end in the same way.
    """

    def __init__(self, problem: str, hopeless: bool = False) -> None:
        super().__init__(problem)
        self.hopeless = hopeless


def short_reason(error: DownloadError) -> str:
    """What went wrong in a few words, without the place before and the advice after it."""
    return textwrap.shorten(str(error).split(": ", 1)[-1].split("; ")[0], 100)


def fetch(url: str, path: Path) -> None:
    """Save what `url` gives as `path`, with a progress bar.

    Raises:
        ValueError: if it did not arrive; the message says why and what to do.
        OSError: if it cannot be written.
    """
    host = urllib.request.Request(url).host
    if host in _unreachable:  # known, so not even a bar
        raise ValueError(_unreachable[host])
    bar = tqdm(desc=path.stem, unit="B", unit_scale=True, miniters=1, leave=False)
    with path.open("wb") as file, bar:
        for position, piece in _receive(url, host, bar):
            if position + len(piece) > MAX_BYTES:
                raise ValueError(f"{url} gives more than {MAX_BYTES:,} bytes; try another network")
            file.seek(position)  # goes back when a server sends everything again after a break
            file.truncate()
            bar.update(file.write(piece))


def _receive(url: str, host: str, bar: tqdm) -> Iterator[tuple[int, bytes]]:
    """Yield what `url` gives, each piece with its place in the file.

    After a break it asks for the rest. A host that cannot be reached at all is asked once.
    """
    position, reached = 0, 0
    pauses = list(PAUSES)
    while True:
        try:
            for start, piece in _try_once(url, host, position, bar):
                yield start, piece
                position = start + len(piece)
            return
        except Exception as error:
            failure = _explain(error, host, nothing_came=position == 0)

        if position > reached:  # a long way may take many tries
            reached, pauses = position, list(PAUSES)
        if failure.hopeless or not pauses:
            raise ValueError(str(failure))
        problem = str(failure).split(";")[0]
        bar.set_postfix_str(f"{problem}, trying again in {pauses[0]:g} s")
        time.sleep(pauses.pop(0))
        bar.set_postfix_str("")


def _try_once(url: str, host: str, position: int, bar: tqdm) -> Iterator[tuple[int, bytes]]:
    """Ask `url` for what comes from `position` on, and yield it until it ends or breaks."""
    request = urllib.request.Request(url, headers={"User-Agent": "pytorch-course"})
    if position:
        request.add_header("Range", f"bytes={position}-")
    with _open(request) as answer:
        if answer.headers.get_content_type() == "text/html":
            problem = f"{host} sent a web page; log in to this network in a browser"
            raise _FailedTryError(problem, hopeless=True)
        if answer.status != 206:  # the server cannot resume, and sends everything
            position = 0
        size = None if answer.length is None else position + answer.length
        bar.reset(size)
        bar.update(position)
        while piece := answer.read1(2**16):  # what has come, without waiting for more
            yield position, piece
            position += len(piece)
    if size not in (None, position):
        problem = f"only {position:,} of {size:,} bytes arrived; check the network"
        raise _FailedTryError(problem)


def _explain(error: Exception, host: str, nothing_came: bool) -> _FailedTryError:
    """What an error while fetching from `host` means; one that is none of the network is raised."""
    if isinstance(error, _FailedTryError):
        return error
    if isinstance(error, HTTPError):
        meaning = http.client.responses.get(error.code, "")
        problem = f"{host} answered {error.code} {meaning}; try later or get a newer course"
        return _FailedTryError(problem, hopeless=error.code < 500)  # others may pass
    if not isinstance(error, OSError | http.client.HTTPException):
        raise error

    reason = getattr(error, "reason", error)
    if getattr(reason, "errno", None) in OWN_LIMITS:
        problem = f"{host} was not asked ({reason_of(reason)}); {advice_for(reason)}"
        return _FailedTryError(problem, hopeless=True)
    if isinstance(reason, TimeoutError):
        reason = f"nothing came for {TIMEOUT:g} seconds"
    safe = repr(str(reason).strip())[1:-1]  # some of it may be words of the server
    problem = f"the connection to {host} failed ({safe}); check the network"
    unreachable = nothing_came and isinstance(error, URLError | TimeoutError)
    if unreachable:
        _unreachable[host] = problem
    return _FailedTryError(problem, hopeless=unreachable)


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    """Send `request`, with one time limit for looking up, connecting and redirects together."""
    opener = urllib.request.build_opener()  # a new one knows today's proxies
    answer: Future[http.client.HTTPResponse] = Future()

    def send() -> None:
        try:
            answer.set_result(opener.open(request, timeout=TIMEOUT))
        except Exception as error:
            answer.set_exception(error)

    try:
        threading.Thread(target=send, daemon=True).start()
    except RuntimeError as error:  # no room for one more thread
        raise OSError(errno.EAGAIN, str(error)) from error
    return answer.result(TIMEOUT)

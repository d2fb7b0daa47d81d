"""Fetch one file over a network that may be slow, broken, or not there at all.

Proxies are taken from the environment, and certificates are checked; urllib does both.
"""

import http.client
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from urllib.error import HTTPError, URLError

from tqdm.auto import tqdm

TIMEOUT = 15.0  # seconds without a single byte after which a server counts as silent
PAUSES = (1.0, 2.0, 4.0)  # seconds before each new try
MAX_BYTES = 300 * 2**20  # far more than any file of the course

_unreachable: dict[str, str] = {}  # why, by host: who is offline waits once, not in every cell


def fetch(url: str, path: Path) -> None:
    """Save what `url` gives as `path`, with a progress bar.

    Raises:
        ValueError: if it does not arrive; the message ends with what to do about that.
        OSError: if it cannot be written.
    """
    host = urllib.request.Request(url).host
    if host in _unreachable:  # known, so not even a bar
        raise ValueError(_unreachable[host])
    with (
        path.open("wb") as file,
        tqdm(desc=path.stem, unit="B", unit_scale=True, miniters=1, leave=False) as bar,
    ):
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
    position = reached = failures = 0
    while True:
        request = urllib.request.Request(url, headers={"User-Agent": "pytorch-course"})
        if position:
            request.add_header("Range", f"bytes={position}-")
        hopeless = False
        try:
            with _open(request) as answer:
                if answer.headers.get_content_type() == "text/html":
                    raise ValueError(f"{host} sent a web page; log in to this network in a browser")
                position = position if answer.status == 206 else 0
                size = None if answer.length is None else position + answer.length
                bar.reset(size)
                bar.update(position)
                while piece := answer.read1(2**16):  # what has come, without waiting for more
                    yield position, piece
                    position += len(piece)
            if size in (None, position):
                return
            problem = f"only {position:,} of {size:,} bytes arrived; check the network"
        except HTTPError as error:
            meaning = http.client.responses.get(error.code, "")
            problem = f"{host} answered {error.code} {meaning}; try later or get a newer course"
            hopeless = error.code < 500  # others may be different a moment later
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                reason = f"nothing came for {TIMEOUT:g} seconds"
            safe = repr(str(reason).strip())[1:-1]  # some of it may be words of the server
            problem = f"the connection to {host} failed ({safe}); check the network"
            if not position and isinstance(error, URLError | TimeoutError):
                hopeless = True
                _unreachable[host] = problem
        if position > reached:  # a long way may take many tries
            failures, reached = 0, position
        if hopeless or failures == len(PAUSES):
            raise ValueError(problem)
        bar.set_postfix_str(f"{problem.split(';')[0]}, trying again in {PAUSES[failures]:g} s")
        time.sleep(PAUSES[failures])
        failures += 1
        bar.set_postfix_str("")


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    """Send `request`, with one time limit for looking up, connecting and redirects together."""
    opener = urllib.request.build_opener()  # a new one knows today's proxies
    answer: Future[http.client.HTTPResponse] = Future()

    def send() -> None:
        try:
            answer.set_result(opener.open(request, timeout=TIMEOUT))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=send, daemon=True).start()
    return answer.result(TIMEOUT)

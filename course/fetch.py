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

TIMEOUT = 15.0
"""Seconds without a single byte after which a server counts as silent."""

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each new try. A server may ask for up to `TIMEOUT` seconds."""

TRY_AGAIN = {408, 416, 425, 429, 500, 502, 503, 504}
"""HTTP answers that may be different a moment later."""

MAX_BYTES = 300 * 2**20
"""Far more than any file of the course. A server that sends more sends something else."""

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
        for position, piece in _receive(url, bar):
            if position + len(piece) > MAX_BYTES:
                raise ValueError(f"{url} gives more than {MAX_BYTES:,} bytes; try another network")
            file.seek(position)  # goes back when a server sends everything again after a break
            file.truncate()
            bar.update(file.write(piece))


def _receive(url: str, bar: tqdm) -> Iterator[tuple[int, bytes]]:
    """Yield what `url` gives, each piece with its place in the file.

    After a break it asks again, for the rest if the server can do that. A host that cannot be
    reached at all is asked once.
    """
    host = urllib.request.Request(url).host
    position = reached = failures = 0
    tag = ""  # names this version of the file, so that two versions are not mixed
    while True:
        request = urllib.request.Request(url, headers={"User-Agent": "pytorch-course"})
        if position and tag.startswith('"'):
            request.add_header("Range", f"bytes={position}-")
            request.add_header("If-Range", tag)
        pause, step, hopeless = 0.0, "check the network", False
        bar.set_postfix_str(f"asking {host}")
        try:
            with _open(request) as answer:
                if answer.headers.get_content_type() == "text/html":
                    raise ValueError(f"{host} sent a web page; log in to this network in a browser")
                tag = answer.headers.get("ETag", "")
                position = position if answer.status == 206 else 0
                size = None if answer.length is None else position + answer.length
                bar.set_postfix_str("")
                bar.reset(size)
                bar.update(position)
                while piece := answer.read1(2**16):  # what has come, without waiting for more
                    yield position, piece
                    position += len(piece)
            if size in (None, position):
                return
            problem = f"only {position:,} of {size:,} bytes arrived"
        except HTTPError as error:
            meaning = http.client.responses.get(error.code, "")
            problem = f"{host} answered {error.code} {meaning}".strip()
            if error.code < 400:
                problem = f"the redirects of {host} lead nowhere"
            step = "wait a while or get a newer version of the course"
            asked = error.headers.get("Retry-After", "")
            pause = float(asked) if asked.isdecimal() else 0.0
            hopeless = error.code not in TRY_AGAIN or pause > TIMEOUT
            tag = "" if error.code == 416 else tag  # 416: there is no such rest
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                reason = f"nothing came for {TIMEOUT:g} seconds"
            safe = repr(str(reason).strip())[1:-1]  # some of it may be words of the server
            problem = f"the connection to {host} failed ({safe})"
            if not position and isinstance(error, URLError | TimeoutError):
                hopeless = True
                _unreachable[host] = f"{problem}; {step}"
        if position > reached:  # a long way may take many tries
            failures, reached = 0, position
        if hopeless or failures == len(PAUSES):
            raise ValueError(f"{problem}; {step}")
        pause = max(pause, PAUSES[failures])
        failures += 1
        bar.set_postfix_str(f"{problem}, trying again in {pause:g} s")
        time.sleep(pause)


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

"""A notebook in a real JupyterLab in a real browser: run all, move a slider, no error anywhere."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from course.files import paths

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

CELLS = "window.jupyterapp.shell.currentWidget.content.model.toJSON().cells"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab on a copy of the notebooks; give its address and token."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(paths.PROJECT / "notebooks", folder / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    command += ["--allow-root", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url="]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/api?token={token}")
            yield f"http://127.0.0.1:{port}", token
        finally:
            server.terminate()
            server.wait(timeout=30)


def wait_for(address):
    for _ in range(120):
        try:
            return urllib.request.urlopen(address, timeout=5)
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(address)


@pytest.fixture(scope="module")
def page(lab):
    """A browser page that collects the errors that kernels send."""
    address, token = lab
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.kernel_errors = []

        def watch(socket):
            def check(payload):
                text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
                if '"msg_type": "error"' in text or '"msg_type":"error"' in text:
                    page.kernel_errors.append(text[:2000])

            socket.on("framereceived", check)

        page.on("websocket", watch)
        page.goto(f"{address}/lab/tree/notebooks/02_autograd.ipynb?token={token}")
        yield page
        browser.close()


def test_run_all_and_move_the_slider(page):
    page.wait_for_selector("text=| Idle", timeout=120_000)
    page.click('.lm-MenuBar-itemLabel:text-is("Run")')
    page.click('.lm-Menu-itemLabel:text-is("Run All Cells")')
    page.wait_for_function(
        f"{CELLS}.filter(c => c.cell_type == 'code').every(c => c.execution_count > 0)",
        timeout=240_000,
    )
    outputs = page.evaluate(f"{CELLS}.flatMap(c => c.outputs || [])")
    assert not [o for o in outputs if o["output_type"] == "error"]
    assert not [o for o in outputs if o.get("name") == "stderr"]

    # JupyterLab may keep a cell hidden until the page is near it.
    index = page.evaluate(f"{CELLS}.findIndex(c => [c.source].flat().join().includes('valley()'))")
    page.evaluate(f"jupyterapp.shell.currentWidget.content.scrollToItem({index}, 'center')")
    handle = page.locator(".widget-slider .noUi-handle").first
    handle.scroll_into_view_if_needed()
    picture = page.locator(".jp-OutputArea-output:has(.widget-slider) img, .jupyter-widgets img")
    picture.first.wait_for(timeout=30_000)
    before = picture.first.get_attribute("src")
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => [...document.querySelectorAll('.jupyter-widgets img')]"
        ".some(i => i.src != before)",
        arg=before,
        timeout=30_000,
    )
    assert page.kernel_errors == []

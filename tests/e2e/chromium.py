"""The browser of the tests of pages: headless Chromium, as Debian has it."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import async_playwright, expect

TIMEOUT_MS = 60_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: `apt-get install chromium`"
)


@asynccontextmanager
async def browsing():
    """A browser, in which what is expected of a page may take its time."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        expect.set_options(timeout=TIMEOUT_MS)
        try:
            yield browser
        finally:
            expect.set_options(timeout=None)
            await browser.close()

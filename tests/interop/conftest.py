"""What all tests against software of others need: that it is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from interop import installed
from interop.window import Seen

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session", autouse=True)
def everything_is_installed() -> None:
    if lacking := installed.lacking():
        pytest.fail(f"These tests lack {', '.join(lacking)}: run tests/interop/setup first.", pytrace=False)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    # Nothing leaves this machine.
    here = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=installed.CHROMIUM, args=["--no-sandbox", here, *quiet], timeout=60_000
        )
        yield browser
        browser.close()


@pytest.fixture
def window(chromium: Browser) -> Iterator[Seen]:
    with chromium.new_context() as context:
        yield Seen(context)

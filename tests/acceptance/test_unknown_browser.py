"""The page of unknown devices in a real Chromium: one click adopts, what strangers send is text, every
colour can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.acceptance.contrast import CONTRAST
from tests.acceptance.newcomers_estate import TANK, Gate, open_gate, raw_meter, strangers
from tests.acceptance.pages_harness import SITE, make_estate
from tests.acceptance.test_pages_browser import Served, browser, logged_in, serve

__all__ = ["browser"]  # a fixture

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[tuple[Served, Gate]]:
    estate = make_estate(tmp_path)
    made = open_gate(estate, tmp_path)
    strangers(estate, made)
    raw_meter(estate, made)
    made.shelve(TANK)
    made.shelve(TANK.replace("class: tank", "class: tonk"), "wrong")
    made.shelf.reload()
    made.reread()
    house = serve(estate)
    yield house, made
    house.end()
    estate.records.close()
    estate.runtime.journal.close()


def test_one_click_adopts_and_the_rest_is_there_to_be_changed(
    browser: Browser, gate: tuple[Served, Gate]
) -> None:
    house, made = gate
    page = logged_in(browser, house, login="admin")
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.goto(f"{house.url}/sites/{SITE}/unknown")
    tank = page.locator("article:has-text('T-18')")
    expect(tank).to_contain_text("Acme tank sensor")
    expect(tank).to_contain_text("1.63")
    tank.locator("button:has-text('Adopt')").click()
    expect(page.locator("#toast")).to_contain_text("Adopted")
    expect(page.locator("article:has-text('T-18')")).to_have_count(0)
    made.reread()
    page.goto(f"{house.url}/sites/{SITE}/devices/acme-T-18")
    expect(page.locator("main")).to_contain_text("1.63")
    page.goto(f"{house.url}/sites/{SITE}/unknown")
    meter = page.locator("article:has-text('11111111')")
    page.wait_for_timeout(2_000)  # what was adopted just now renews the page once more
    meter.locator("input[name=id]").fill("A-0101-cold")
    meter.locator("input[name=space]").fill("nowhere")
    meter.locator("button:has-text('Adopt')").click()
    expect(page.locator("#toast")).to_contain_text("nowhere")
    meter.locator("input[name=space]").fill("A")
    meter.locator("button:has-text('Adopt')").click()
    expect(page.locator("#toast")).to_contain_text("Adopted")
    expect(page.locator("article:has-text('11111111')")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("<script>alert(1)</script> 21.5")
    raw = page.locator("article:has-text('water/DN-77/raw')")
    raw.locator("button:has-text('Use it')").first.click()
    expect(page.locator("#toast")).to_contain_text("Profile written")
    made.reread()
    page.reload()
    raw = page.locator("article:has-text('00000000100001')")
    expect(raw).to_contain_text("123.45")
    raw.locator("button:has-text('Not ours')").click()
    expect(raw).to_have_count(0)
    page.locator("summary:has-text('Not ours: 1')").click()
    page.locator("button:has-text('Take back')").click()
    expect(page.locator("#toast")).to_contain_text("Heard again")
    assert said == []


@pytest.mark.parametrize("theme", ["day", "night"])
def test_the_page_can_be_read_and_fits_a_phone(
    browser: Browser, gate: tuple[Served, Gate], theme: str
) -> None:
    house, _ = gate
    page = logged_in(browser, house, width=390, login="admin")
    page.context.add_init_script(f"localStorage.setItem('dutyroom.theme', '{theme}')")
    page.goto(f"{house.url}/sites/{SITE}/unknown")
    assert page.get_attribute("html", "data-theme") == theme
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(CONTRAST) == []

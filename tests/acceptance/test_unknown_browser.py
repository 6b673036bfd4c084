"""The page of unknown devices in a real Chromium: one click adopts, what strangers send is text, every
colour can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect
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


def renewed(page: Page, house: Served) -> None:
    """Something changes in the room, and the page has drawn its parts anew."""
    page.evaluate("document.querySelector('article.stranger').id = 'as-it-was'")
    with house.estate.records.write() as tx:
        tx.change(SITE, house.estate.clock.now(), "device", "")
    expect(page.locator("#as-it-was")).to_have_count(0)


def test_what_was_written_into_a_form_survives_that_the_page_is_drawn_anew(
    browser: Browser, gate: tuple[Served, Gate]
) -> None:
    house, _ = gate
    page = logged_in(browser, house, login="admin")
    page.goto(f"{house.url}/sites/{SITE}/unknown")
    meter = page.locator("article:has-text('11111111')")
    meter.locator("input[name=id]").fill("A-0101-cold")
    meter.locator("input[name=name]").fill("Cold water of 0101")
    chosen = meter.locator("option").nth(1).get_attribute("value")
    meter.locator("select[name=profile]").select_option(index=1)
    meter.locator("input[name=space]").fill("A")
    page.locator("h1").click()
    renewed(page, house)
    assert meter.locator("input[name=id]").input_value() == "A-0101-cold"
    assert meter.locator("input[name=name]").input_value() == "Cold water of 0101"
    assert meter.locator("select[name=profile]").input_value() == chosen
    assert page.locator("article:has-text('T-18') input[name=name]").input_value() == ""
    renewed(page, house)
    meter.locator("button:has-text('Adopt')").click()
    expect(page.locator("#toast")).to_contain_text("Adopted")
    with house.estate.records.read() as tx:
        device = next(d for d in tx.devices.all(SITE) if d.id == "A-0101-cold")
    assert (device.name, device.space, device.profile) == ("Cold water of 0101", "A", chosen)


def test_a_field_in_which_somebody_begins_to_type_is_not_taken_away_by_an_answer_on_its_way(
    browser: Browser, gate: tuple[Served, Gate]
) -> None:
    house, _ = gate
    page = logged_in(browser, house, login="admin")
    page.goto(f"{house.url}/sites/{SITE}/unknown")
    held: list[Route] = []
    page.route("**/unknown", lambda route: route.continue_() if held else held.append(route))
    with house.estate.records.write() as tx:
        tx.change(SITE, house.estate.clock.now(), "device", "")
    while not held:
        page.wait_for_timeout(50)
    meter = page.locator("article:has-text('11111111')")
    meter.locator("input[name=name]").press_sequentially("Cold w")
    held[0].continue_()
    page.wait_for_timeout(500)
    page.keyboard.type("ater")
    assert meter.locator("input[name=name]").input_value() == "Cold water"


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

"""The page for people in a real Chromium: draw, drag, keep, download, with keys alone and on a phone's width.

Needs Chromium and ``pip install playwright``.
"""

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from running_service import running
from small_generators import write_generator

from gancli.config.sample_command import Marking
from gancli.config.serve_command import Limits
from gancli.data.conditions import conditions_of
from gancli.deploy.inspection import inspect
from gancli.deploy.serving.app import Service
from gancli.deploy.serving.models import load_models
from gancli.recipes.base import Spec
from gancli.sampling.stamping import stamper_for

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TOKEN = "0123456789abcdef"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ckpt = write_generator(tmp_path_factory.mktemp("page") / "gen.pth", "cgan", Spec(1, 8, 8, 2), ("cat, or", "dog"))
    limits = Limits()
    known = conditions_of(("smile", "age"), torch.tensor([[0.0, 20.5], [1.0, 59.0]]).double())
    people = ckpt.with_name("people.pth")
    write_generator(people, "cgan", Spec(1, 8, 8, conditions=2), conditions=known)
    models = load_models([f"pets={ckpt}", f"people={people}"], limits, torch.device("cpu"))
    with running(Service(models, limits, stamper_for(Marking(), ".png"), TOKEN)) as client:
        yield f"http://127.0.0.1:{client.port}/"


@pytest.fixture
def page(url: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page of a new browser, past its question for the token; any error in it fails the test."""
    errors: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport=getattr(request, "param", {"width": 1280, "height": 900}))
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
        opened.goto(url)
        opened.get_by_role("textbox", name="Token").fill(TOKEN)
        opened.keyboard.press("Enter")
        opened.wait_for_selector("#gallery img")
        yield opened
        browser.close()
    assert not errors


def numbers_in(page: Any, where: str = "gallery") -> list[str]:
    return page.locator(f"#{where} .caption").all_inner_texts()


def pixels_of(page: Any, image: str) -> np.ndarray:
    content = base64.b64decode(page.locator(image).get_attribute("src").partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content))).astype(int)


def test_a_person_draws_chooses_a_class_and_goes_on(page: Any) -> None:
    assert numbers_in(page)[:3] == ["#0 · cat, or", "#1 · dog", "#2 · cat, or"] and len(numbers_in(page)) == 12
    page.get_by_label("Class").select_option("dog")
    playwright.expect(page.locator("#gallery .caption").first).to_have_text("#0 · dog")
    page.get_by_role("button", name="Next numbers").click()
    playwright.expect(page.locator("#gallery .caption").first).to_have_text("#12 · dog")
    page.get_by_label("How many").fill("1000")
    page.get_by_role("button", name="Draw", exact=True).click()
    assert len(numbers_in(page)) == 12  # the browser says that 256 is the most


def test_conditions_have_fields_with_their_ranges(page: Any) -> None:
    assert page.get_by_role("spinbutton", name="age").count() == 0
    page.get_by_label("Generator").select_option("people")
    playwright.expect(page.locator("#gallery .caption").first).to_have_text("#0 · smile 0, age 20.5")
    assert page.locator("#class").is_hidden()
    page.get_by_role("spinbutton", name="age (20.5 to 59)").fill("30")
    page.keyboard.press("Tab")
    playwright.expect(page.locator("#gallery .caption").nth(1)).to_have_text("#1 · smile 1, age 30")
    page.get_by_role("button", name="Favourite: number 1, age 30").click()
    playwright.expect(page.locator("#favourites-note")).to_contain_text('--condition "age=30" --seed 0 --seeds 1')
    page.get_by_role("button", name="Start at number 1, age 30").first.click()
    page.get_by_role("spinbutton", name="age (20.5 to 59)").fill("50")
    page.keyboard.press("Tab")
    playwright.expect(page.locator("#gallery .caption").nth(1)).to_have_text("#1 · smile 1, age 50")
    page.get_by_role("button", name="End at number 2, age 50").click()
    assert page.locator("#image-a").is_hidden(), "the ends of a way have the same conditions"


def test_dragging_goes_from_one_picture_to_the_other(page: Any) -> None:
    page.get_by_role("button", name="Start at number 0").click()
    page.get_by_role("button", name="End at number 2").click()
    page.wait_for_selector("#image-m:not([hidden])")
    start, end = pixels_of(page, "#image-a"), pixels_of(page, "#image-b")
    slider = page.get_by_label("Way from A to B")
    for key, place, share in ("Home", start, 0), ("End", end, 100):
        slider.press(key)
        playwright.expect(page.locator("#caption-m")).to_have_text(f"{share} % of the way from A to B")
        assert (pixels_of(page, "#image-m") == place).all()
    assert (start != end).any()


def test_favourites_stay_and_downloads_are_marked(page: Any, tmp_path: Path) -> None:
    star = page.get_by_role("button", name="Favourite: number 3")
    star.focus()
    page.keyboard.press("Space")
    page.wait_for_selector("#favourites li")
    page.reload()
    page.wait_for_selector("#favourites li")
    assert numbers_in(page, "favourites") == ["#3 · dog"]
    assert page.get_by_role("button", name="Favourite: number 3").first.get_attribute("aria-pressed") == "true"
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download number 3").first.click()
    downloading.value.save_as(tmp_path / "a.png")
    assert downloading.value.suggested_filename == "pets-seed-0-000003.png"
    assert (mark := inspect(tmp_path / "a.png").mark) is not None and list(mark.numbers) == [3]


@pytest.mark.parametrize("page", [{"width": 320, "height": 640}], indirect=True)
def test_a_phone_needs_no_sideways_scrolling(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    unnamed = (
        "[...document.querySelectorAll('button, input, select')].filter((e) => !e.labels?.length && !e.textContent)"
    )
    assert page.evaluate(f"{unnamed}.length") == 0

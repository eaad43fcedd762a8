"""The page in a real browser: nothing leaves, nothing fails, and it does what it says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.report.making import make_report

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def written(sharded_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report(sharded_package, tmp_path_factory.mktemp("page") / "report")[0]


class Opened:
    """The page, and what it asked for and complained of."""

    def __init__(self, browser: Any, path: Path, scheme: str, width: int = 1000):
        self.page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" else None,
        )
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("body[data-ready=yes]", timeout=60_000)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 375)])
def test_nothing_leaves_and_nothing_fails(
    browser: Any, written: Path, scheme: str, width: int, tmp_path: Path
) -> None:
    opened = Opened(browser, written, scheme, width)
    page = opened.page
    page.wait_for_timeout(300)
    assert [url for url in opened.requests if not url.startswith(("data:", "blob:"))] == [
        written.as_uri()
    ]
    assert opened.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert page.locator("#maps .bk-Figure, #maps div").count() > 0
    page.screenshot(path=str(tmp_path / "page.png"), full_page=True)
    page.close()


def test_light_and_dark(browser: Any, written: Path) -> None:
    page = Opened(browser, written, "light").page
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    page.click("#theme")
    assert page.evaluate(colour) == "rgb(20, 23, 27)"
    assert (
        page.evaluate(
            "Bokeh.documents[0].all_models.size ? "
            "[...Bokeh.documents[0].all_models].find(m => m.type === 'Title').text_color : ''"
        )
        == "#e4e8ec"
    )
    page.click("#theme")
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    page.close()


def test_hover_says_which_clip(browser: Any, written: Path) -> None:
    page = Opened(browser, written, "light").page
    page.evaluate("document.getElementById('maps').scrollIntoView()")
    page.wait_for_timeout(500)
    at = page.evaluate(
        """() => {
          const plot = Bokeh.documents[0].get_model_by_name("map-vggish_vgg16 audio");
          const source = Bokeh.documents[0].get_model_by_name("rows-0");
          const view = Bokeh.index.find_one(plot);
          const box = view.canvas_view.el.getBoundingClientRect();
          const scale = view.frame;
          return [box.left + scale.x_scale.compute(source.data.x0[5]),
                  box.top + scale.y_scale.compute(source.data.y0[5]), source.data.name[5]];
        }"""
    )
    page.mouse.move(at[0] - 3, at[1])
    page.mouse.move(at[0], at[1])
    said = page.locator(".bk-Tooltip")
    said.wait_for(state="visible", timeout=5_000)
    assert at[2] in said.evaluate("tip => tip.shadowRoot.textContent")
    page.close()


def test_class_and_neighbours(browser: Any, written: Path) -> None:
    page = Opened(browser, written, "light").page
    page.select_option("#class", label="barking")
    chosen = "Bokeh.documents[0].get_model_by_name('rows-0').selected.indices.length"
    assert page.evaluate(chosen) == 3
    page.select_option("#class", label="all")
    assert page.evaluate(chosen) == 0
    clip = page.locator("#clip option").nth(3).inner_text()
    page.select_option("#clip", label=clip)
    found = page.locator("#near li").all_inner_texts()
    assert len(found) == 2 * 5
    assert clip not in found
    page.close()

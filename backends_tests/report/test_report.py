"""The report in Chromium: sorting, filtering, the keyboard, dark and light, a phone; nothing is loaded."""

import json
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from conformance.suite.page import write
from conformance.suite.registry import ENTRIES
from conformance.tests.page_sample import COLUMNS, sample

LOSSES = [entry.name for entry in ENTRIES]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser; a missing one is a failure, not a skip."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (program and driver):
        pytest.fail(
            "The report is tested in Chromium: apt-get install chromium chromium-driver", pytrace=False
        )
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()


class Page:
    """The page of a made-up run in the browser."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address
        self.show()

    def show(self, width=1200, height=900, scheme="light", fragment=""):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        self.browser.get("about:blank")
        self.browser.get(self.address + fragment)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()

    @property
    def losses(self):
        return [head.text.replace("\n", "") for head in self.all("#matrix tbody th") if head.is_displayed()]

    @property
    def focused(self):
        return self.browser.switch_to.active_element.get_attribute("aria-label")

    def column(self, number):
        """Texts of a column of libraries, values and gradients."""
        cells = self.all(f"#matrix tbody tr:not([hidden]) td[data-column='{number}']")
        return [[half.text for half in cell.find_elements(By.CSS_SELECTOR, ".half")] for cell in cells]


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Addresses of the two pages: everything agrees, something fails."""
    return [write(tmp_path_factory.mktemp("report"), *sample(failing)).as_uri() for failing in (False, True)]


@pytest.fixture(params=[False, True], ids=["agreeing", "failing"])
def page(request, chromium, written):
    """A page, which afterwards must have loaded nothing and complained of nothing."""
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    page = Page(chromium, written[request.param])
    page.failing = request.param
    yield page
    assert chromium.get_log("browser") == []
    events = (json.loads(entry["message"])["message"] for entry in chromium.get_log("performance"))
    requests = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert requests
    own = ("data:", "about:", "chrome:")  # the last: the tab that a new browser opens by itself
    assert {url for url in requests if url != page.address and not url.startswith(own)} == set()


only_failing = pytest.mark.parametrize("page", [True], ids=["failing"], indirect=True)


def test_every_loss_and_library(page):
    assert page.losses == LOSSES
    assert [head.text for head in page.all("#matrix .sort")] == ["Loss", "Worst", *(c.title for c in COLUMNS)]
    assert len(page.all("#matrix .cell")) == len(LOSSES) * len(COLUMNS)
    assert page.one("h1").text.startswith("4 of " if page.failing else "All agree but ")


def test_sorting(page):
    loss, worst, numpy = page.all("#matrix .sort")[:3]
    head = page.one("#matrix thead th")
    loss.click()
    assert page.losses == sorted(LOSSES)
    assert head.get_attribute("aria-sort") == "ascending"
    loss.send_keys(Keys.ENTER)
    assert page.losses == sorted(LOSSES, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    loss.send_keys(Keys.SPACE)
    assert page.losses == LOSSES
    assert head.get_attribute("aria-sort") is None
    numpy.click()
    shares = [max(int(text.strip("%")) for text in texts) for texts in page.column(0)]
    assert shares == sorted(shares, reverse=True)
    numpy.click()
    assert [max(int(text.strip("%")) for text in texts) for texts in page.column(0)] == sorted(shares)
    worst.click()
    if page.failing:
        assert set(page.losses[:3]) == {"cross_entropy_loss", "focal_loss", "dice_loss"}


def test_filters(page):
    name = page.one("[name=loss]")
    name.send_keys("dice")
    assert page.losses == [loss for loss in LOSSES if "dice" in loss]
    name.send_keys(", lovasz")
    assert page.losses == [loss for loss in LOSSES if "dice" in loss or "lovasz" in loss]
    page.all("[name=library]")[1].click()
    assert [head.text for head in page.all("#matrix .sort") if head.is_displayed()][2:4] == ["NumPy", "JAX"]
    assert page.one("#status").text == f"{len(page.losses)} of {len(LOSSES)} losses on 4 of 5 libraries"
    page.one("[name=failures]").click()
    assert page.losses == (["dice_loss"] if page.failing else [])
    page.one("[type=reset]").click()
    assert page.losses == LOSSES
    Select(page.one("[name=dtype]")).select_by_visible_text("float16")
    assert page.column(4) == [["–", "–"]] * len(LOSSES)  # strict has none
    label = page.one("td[data-column='4'] .cell").get_attribute("aria-label")
    assert label.endswith("float16: not compared: the standard has no half precision")
    shares = page.column(0)
    Select(page.one("[name=unit]")).select_by_visible_text("ulp")
    assert page.column(0) != shares
    assert not any("%" in text for texts in page.column(0) for text in texts)


@only_failing
def test_only_failures(page):
    page.one("[name=failures]").click()
    assert page.losses == [x for x in LOSSES if x in ("cross_entropy_loss", "focal_loss", "dice_loss")]
    assert page.column(1)[LOSSES.index("cross_entropy_loss")] == ["✕ fault", "✕ fault"]
    Select(page.one("[name=dtype]")).select_by_visible_text("float64")
    assert page.losses == []
    assert page.one("#status").text.endswith("nothing disagrees here")


def test_the_keyboard_alone(page):
    first = page.one("#matrix .cell")
    page.run("document.querySelector('[data-key=\"4\"] button').focus()")
    page.press(Keys.TAB)
    assert page.focused == first.get_attribute("aria-label")
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(Keys.ARROW_UP, Keys.ARROW_LEFT)  # over the edge: stays
    assert page.focused == first.get_attribute("aria-label")
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert page.focused.startswith(f"{LOSSES[1]} on {COLUMNS[1].title}")
    dialog = page.one("#detail")
    assert not dialog.is_displayed()
    page.press(Keys.ENTER)
    assert dialog.is_displayed()
    assert page.one("#detail-title").text == f"{LOSSES[1]} on {COLUMNS[1].title}"
    command = page.one("#detail-body .command code").text
    assert f"--loss {LOSSES[1]} --backend {COLUMNS[1].name} --dtype" in command
    page.press(Keys.ESCAPE)
    assert not dialog.is_displayed()
    assert page.focused.startswith(f"{LOSSES[1]} on {COLUMNS[1].title}")
    page.press(Keys.END)
    assert page.focused.startswith(f"{LOSSES[1]} on {COLUMNS[-1].title}")
    page.press(Keys.SPACE)
    assert dialog.is_displayed()
    page.press(Keys.TAB, Keys.ENTER)  # the button that closes
    assert not dialog.is_displayed()
    ActionChains(page.browser).key_down(Keys.CONTROL).send_keys(Keys.HOME).key_up(Keys.CONTROL).perform()
    assert page.focused == first.get_attribute("aria-label")
    # One stop in the matrix; the next is behind it.
    page.press(Keys.TAB)
    assert not page.run("return document.querySelector('#matrix').contains(document.activeElement)")


def test_a_cell_has_an_address(page):
    page.all("#matrix .cell")[7].click()
    title = page.one("#detail-title").text
    fragment = page.run("return location.hash")
    page.show(fragment=fragment)
    assert page.one("#detail").is_displayed()
    assert page.one("#detail-title").text == title


@only_failing
def test_what_failed_is_said_and_never_run(page):
    page.one("#matrix tbody td[data-column='1'] .cell").click()
    assert "✕ raised ValueError: <script>alert('&')</script>" in page.one("#detail-body").text
    assert "What disagrees" in page.one("#detail-body").text
    assert page.all("#detail-body script") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(page, scheme):
    """Contrast of 4.5 at least, the WCAG's level AA, of all text that is shown."""
    page.show(scheme=scheme)
    dark = page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(17, 21, 27)"
    assert dark == (scheme == "dark")
    page.run("document.querySelector('.cell').click()")
    poor = page.run("""
        const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
            .map((v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
            .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
        const behind = (e) => {
            for (; e; e = e.parentElement) {
                const colour = getComputedStyle(e).backgroundColor;
                if (colour.startsWith("rgb(")) return light(numbers(colour));
            }
        };
        return [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility()
            && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())).map((e) => {
                const pair = [light(numbers(getComputedStyle(e).color)), behind(e)].sort((a, b) => a - b);
                return [(pair[1] + .05) / (pair[0] + .05), e.className, e.textContent];
            }).filter(([contrast]) => !(contrast >= 4.5));""")
    assert poor == []


@pytest.mark.parametrize("width", [320, 360, 768])
def test_the_matrix_scrolls_and_the_page_does_not(page, width):
    page.show(width=width, height=740)
    assert page.run("return innerWidth") == width
    assert page.run("return document.documentElement.scrollWidth") <= width
    box = page.one(".scroll")
    assert page.run("return arguments[0].scrollWidth - arguments[0].clientWidth", box) > (
        0 if width > 400 else 200
    )
    head = page.one("#matrix tbody th")
    before = head.rect["x"]
    page.run("arguments[0].scrollLeft = 200", box)
    assert head.rect["x"] == before  # the losses stay in sight
    left = page.run("return arguments[0].getBoundingClientRect().left", box)
    assert page.run("return arguments[0].getBoundingClientRect().left", head) == left  # and cover the rest
    page.run("arguments[0].click()", page.all("#matrix .cell")[3])
    assert page.run("const d = document.querySelector('#detail'); return d.scrollWidth <= d.clientWidth")
    assert page.run("return document.documentElement.scrollWidth") <= width


def test_print(page):
    """On A4 with its margins: the matrix is not cut off, and what only a screen needs is left out."""
    page.show(width=688, height=1000)
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not page.one("#filters").is_displayed()
        assert page.run("return document.querySelector('#matrix').getBoundingClientRect().right") <= 688
        assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})

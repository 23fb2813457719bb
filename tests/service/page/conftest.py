"""The page of a service in a real browser; whatever it logs or asks elsewhere fails the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
HARMLESS = "GPU stall"  # what a screenshot of WebGL without a GPU makes the driver say


@pytest.fixture(scope="module")
def browser_flags() -> tuple[str, ...]:
    return FLAGS


FORGET = """() => Object.keys(localStorage).filter((key) => key !== "hilum-session")
  .forEach((key) => localStorage.removeItem(key))"""


@dataclass
class Seen:
    """A reader's page, with what the browser said and asked for.

    Attributes:
        expected: parts of messages that a test provokes.
        answers: bodies of text that came, by address.
    """

    page: Any
    troubles: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list)

    def watch(self) -> None:
        page = self.page

        def said(message: Any) -> None:
            self._said(message.text)

        def failed(error: Any) -> None:
            self._said(str(error))

        def asked(request: Any) -> None:
            self.requests.append(request.url)

        def opened(dialog: Any) -> None:
            self._said(f"dialog {dialog.message}")
            dialog.dismiss()

        page.on("console", said)
        page.on("pageerror", failed)
        page.on("request", asked)
        page.on("dialog", opened)

    def record(self) -> None:
        """Keep what every answer says from now on."""

        def keep(answer: Any) -> None:
            if "json" in answer.headers.get("content-type", ""):
                self.answers.append((answer.url, answer.text()))

        self.page.on("response", keep)

    def _said(self, text: str) -> None:
        if HARMLESS not in text and not any(part in text for part in self.expected):
            self.troubles.append(text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def listed(self) -> None:
        self.page.locator(".space .row .name a").first.wait_for()

    def film(self, at: int = 0) -> None:
        """Open a film of the list."""
        self.listed()
        self.page.locator(".space .row .name a").nth(at).click()
        self.ready()

    @property
    def film_id(self) -> str:
        return self.page.url.rpartition("/")[2].partition("?")[0]

    def ready(self) -> None:
        """Wait until the film that the address names is on its stage."""
        self.page.wait_for_url("**#/films/*")
        self.page.locator(f".stage.live[data-film='{self.film_id}']").wait_for()

    def saved(self, version: int) -> None:
        self.page.locator(".saved", has_text=f"version {version}").wait_for()


Look = Callable[..., Seen]


@pytest.fixture(scope="module")
def signed_in(browser: Any) -> Iterator[dict[object, Any]]:
    """Contexts of the tests of a file, by reader: who has signed in need not do it again."""
    found: dict[object, Any] = {}
    yield found
    for context in found.values():
        context.close()


@pytest.fixture
def look(browser: Any, signed_in: dict[object, Any]) -> Iterator[Look]:
    """Open the page of a service as a reader with these scopes."""
    opened: list[tuple[Seen, str]] = []

    def call(
        running: Any,
        *scopes: str,
        name: str = "anna",
        size: tuple[int, int] = (1400, 900),
        theme: str = "dark",
        place: str = "",
        record: bool = False,
        **options: Any,
    ) -> Seen:
        reader = (running.url, scopes, name, theme, tuple(sorted(options.items())))
        if reader not in signed_in:
            signed_in[reader] = browser.new_context(**options)
            signed_in[reader].add_init_script(f"localStorage.setItem('hilum-theme', '{theme}')")
        seen = Seen(signed_in[reader].new_page())
        opened.append((seen, running.url))
        seen.watch()
        if record:
            seen.record()
        page = seen.page
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto(f"{running.url}/{place}")
        page.locator("main:not([data-view=start])").wait_for()
        if page.locator("main[data-view=sign-in]").count():
            page.get_by_label("Token").fill(running.token(*(scopes or ("review",)), name=name))
            page.keyboard.press("Enter")
            page.locator("main:not([data-view=start], [data-view=sign-in])").wait_for()
        return seen

    yield call
    for seen, _ in opened:
        seen.page.evaluate(FORGET)
        seen.page.close()
    for seen, url in opened:
        assert seen.troubles == []
        assert [one for one in seen.requests if not one.startswith((url, "blob:"))] == []


@pytest.fixture(scope="session")
def served(start: Any, predicted: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A review of the folder that tests share which leave no reading that others count on."""
    return start("--results", predicted, store=tmp_path_factory.mktemp("served") / "store")


@pytest.fixture(scope="module")
def alone(start: Any, predicted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A review of a file's own, for tests that count versions: each takes a film of its own."""
    running = start("--results", predicted, store=tmp_path_factory.mktemp("alone") / "store")
    yield running
    running.stop()

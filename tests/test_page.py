"""The page, in a real browser, of a real server: what people see, press and are told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT, Project
from deployed import back, go
from gaia.deployments import plan as deploy
from gaia.runtime import artifact, doubt
from gaia.runtime.predictor import Predictor, Said
from pictures import encoded, picture

playwright = pytest.importorskip("playwright.sync_api", reason="`make setup` brings playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="it takes a browser: `apt-get install chromium`")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip  # noqa: E501
HOSTILE = "<img src=x onerror=\"document.title='taken'\">"
KEY = "a key that is long enough"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
expect = playwright.expect
expect.set_options(timeout=20_000)


def serve(project: Project, **environment: str) -> Iterator[str]:
    """The address of a server over the project, while it is asked for."""
    command = [sys.executable, "-m", "gaia", "serve", "--port", "0"]
    about: dict[str, Any] = {"cwd": project.root, "env": project.environment | environment, "text": True}
    with subprocess.Popen(command, stderr=subprocess.PIPE, **about) as running:
        assert running.stderr
        try:
            yield next(found[0] for line in running.stderr if (found := re.search(r"http://[\d.:]+", line)))
        finally:
            running.terminate()


@pytest.fixture(scope="module")
def project(kept: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two table lines that are live, one with a shadow; and a photo line that was never deployed."""
    root = tmp_path_factory.mktemp("page") / "project"
    shutil.copytree(kept.root, root, symlinks=True)
    made = Project(root)
    go(made, "v1.0.0", "v1.1.0")
    go(made, "v1.2.0", stage="staging")
    deploy.carry_out(deploy.deploy("cultures@v1.1.0", reason=f"fewer {HOSTILE}", root=root), root)
    folder = shutil.copytree(ROOT / "tests/artifacts/photo-1", made.path("data/models/plants"))
    artifact.write_json(
        folder / "contract.json", json.loads((folder / "contract.json").read_text()) | {"question": HOSTILE}
    )
    artifact.seal(folder, {"line": "plants"})
    made.path("data/reports/plants").mkdir()
    numbers = {"accuracy": 0.9, "accuracy_low": 0.85, "accuracy_high": 0.95, "n": 120}
    artifact.write_json(made.path("data/reports/plants/metrics.json"), numbers)
    made.edit("params.yaml", lambda params: params["lines"].update(plants={"turn": 1}))
    shutil.copytree(ROOT / "conf/serving", made.path("conf/serving"))
    changes = {"shadow": "staging", "uncertain": {"band": 0.0, "lines": {"cultures": 1.0}}}
    made.edit("conf/serving/default.yaml", lambda said: said.update(changes) or said["inspect"].update(photo="plants"))
    return made


@pytest.fixture(scope="module")
def address(project: Project) -> Iterator[str]:
    yield from serve(project)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    """Opens the page as a browser of some kind. Nothing may leave the server, and the console stays empty, but for the
    statuses of answers that the test expects."""
    wrong: list[str] = []
    contexts = []

    def open_page(refused: str = "", at: str = address, **kind: Any) -> Any:
        context = browser.new_context(**({"locale": "en-GB", "timezone_id": "Europe/Paris"} | kind))
        contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("filechooser", lambda chooser: None)  # from now on: the first one would be missed otherwise
        page.on("request", lambda sent: sent.url.startswith((at, "blob:")) or wrong.append(f"asked {sent.url}"))
        page.on("pageerror", lambda error: wrong.append(f"error {error}"))
        page.on("console", lambda said: (refused and re.search(refused, said.text)) or wrong.append(said.text))
        page.goto(at)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def card(page: Any, line: str) -> Any:
    """The card of a line."""
    return page.get_by_role("article", name=line, exact=True)


def fill(form: Any, species: str = "oyster", days: str = "3") -> None:
    form.get_by_label("species").select_option(species)
    form.get_by_label("days").fill(days)


def photo(seed: int, name: str = "") -> dict[str, Any]:
    return {"name": name or f"{seed}.png", "mimeType": "image/png", "buffer": encoded(picture(seed))}


# --- what is live


def test_a_card_says_what_is_live_how_good_it_is_since_when_by_whom_and_why(visit: Visit) -> None:
    page = visit()
    cultures = card(page, "cultures")
    for said in ("v1.1.0", "live in prod", "91.0%", "since", "by test", f"fewer {HOSTILE}"):
        expect(cultures).to_contain_text(said)
    spores = card(page, "spores")
    for said in ("v1.1.0", "live in prod", "v1.2.0", "live in staging"):
        expect(spores).to_contain_text(said)
    plants = card(page, "plants")
    for said in ("never deployed", "last build", "90.0%", "85.0% to 95.0%, 120 test inputs", HOSTILE):
        expect(plants).to_contain_text(said)
    assert page.title() == "Gaia Vision"
    assert page.locator("article img").count() == 0


def test_a_rollback_appears_while_the_page_is_open(visit: Visit, project: Project) -> None:
    """Its first line, its news, its history; a screen reader is told; what was answered before is marked."""
    page = visit()
    spores = card(page, "spores")
    expect(spores.locator(".version").first).to_contain_text("v1.1.0")
    fill(spores)
    spores.get_by_role("button", name="Ask").click()
    expect(spores.locator(".by")).to_contain_text("by v1.1.0 in prod")
    spores.get_by_label("days").fill("7")
    spores.get_by_text("History of deployments").click()
    expect(spores.locator(".history > li")).to_have_count(3)
    page.evaluate("window.same = true")
    back(project, reason="false alarms")
    expect(spores.locator(".version").first).to_contain_text("v1.0.0")
    expect(spores.locator(".since").first).to_contain_text("false alarms")
    expect(page.get_by_role("list", name="What changed")).to_contain_text(
        "spores: v1.0.0 is live in prod now (rolled back)"
    )
    expect(page.locator("#said")).to_contain_text("spores: v1.0.0 is live in prod now (rolled back)")
    expect(spores.locator(".history > li")).to_have_count(4)
    expect(spores.locator(".history > li").first).to_contain_text(
        re.compile("rolled back.*v1.1.0 → v1.0.0.*false alarms", re.S)
    )
    expect(spores.locator(".by")).to_contain_text("no longer live")
    assert spores.get_by_label("days").input_value() == "7"
    assert page.evaluate("window.same")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("list", name="What changed")).to_be_hidden()
    go(project, "v1.1.0")


def test_a_version_that_can_t_be_loaded_is_said_and_what_was_live_goes_on(visit: Visit, project: Project) -> None:
    page = visit()
    cultures = card(page, "cultures")
    expect(cultures.locator(".version")).to_contain_text("v1.1.0")
    here = project.path("deployments/cultures")
    broken, link = here / "versions/v9.9.9_20261126_000000", here / "current-canary"
    broken.mkdir()
    link.symlink_to(broken.relative_to(here))
    expect(cultures.locator(".live .problem")).to_contain_text(re.compile("canary: .*manifest.json is missing"))
    expect(page.get_by_role("list", name="What changed")).to_contain_text("manifest.json")
    expect(cultures.locator(".version")).to_contain_text("v1.1.0")
    link.unlink()
    broken.rmdir()
    expect(cultures.locator(".live .problem")).to_have_count(0)


# --- answers


def test_photos_are_answered_with_probabilities_the_version_and_what_the_model_looked_at(visit: Visit) -> None:
    page = visit("422")
    plants = card(page, "plants")
    broken = {"name": "<b>broken</b>.png", "mimeType": "image/png", "buffer": b"no picture"}
    plants.get_by_label("Choose photos").set_input_files([photo(1), broken, photo(2)])
    answers = plants.locator(".answers > li")
    expect(answers).to_have_count(3)
    for at, name in ((0, "1.png"), (2, "2.png")):
        expect(answers.nth(at)).to_contain_text(
            re.compile(rf"{name}.*(dandelion|grass).*\d%.*by the last build.* in prod", re.S)
        )
        expect(answers.nth(at).locator(".bars > li")).to_have_count(2)
    expect(answers.nth(1)).to_contain_text("<b>broken</b>.png: not an image.")
    answers.nth(0).get_by_role("button", name="What it looked at").click()
    expect(answers.nth(0).locator("figcaption")).to_contain_text("the model sees no more")
    drawn = """canvas => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const pixels = Array.from({ length: data.length / 4 }, (_, at) => data.slice(at * 4, at * 4 + 4));
        return [pixels.every(each => each[3] === 255), pixels.some(([red, , blue]) => red > blue + 60)];
    }"""
    assert answers.nth(0).locator("canvas").evaluate(drawn) == [True, True], "the photo, and what is warm on it"
    answers.nth(0).get_by_role("button", name="Hide what it looked at").click()
    expect(answers.nth(0).locator("canvas")).to_have_count(0)
    plants.get_by_role("button", name="Clear the answers").click()
    expect(plants.locator(".answers")).to_be_hidden()


def test_a_photo_that_is_dropped_on_its_card_is_answered(visit: Visit) -> None:
    page = visit()
    plants = card(page, "plants")
    expect(plants).to_be_visible()
    content = list(photo(3)["buffer"])
    carried = page.evaluate_handle(
        """bytes => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
            return carried;
        }""",
        content,
    )
    plants.dispatch_event("drop", {"dataTransfer": carried})
    expect(plants.locator(".answers > li")).to_contain_text(re.compile("dropped.png.*in prod", re.S))


def test_a_row_is_asked_by_the_contract_s_form_and_doubt_looks_like_no_answer(visit: Visit) -> None:
    page = visit()
    spores, cultures = card(page, "spores"), card(page, "cultures")
    assert spores.get_by_label("species").locator("option").all_inner_texts() == ["choose…", "oyster", "shiitake"]
    spores.get_by_role("button", name="Fill in an example").click()
    expect(spores.get_by_label("days")).not_to_have_value("")
    fill(spores)
    spores.get_by_role("button", name="Ask").click()
    expect(spores.locator(".verdict")).to_contain_text("healthy")
    expect(spores.locator(".answers")).not_to_contain_text("Uncertain")
    fill(cultures)
    cultures.get_by_role("button", name="Ask").click()
    expect(cultures.locator(".verdict .state")).to_contain_text("Uncertain")
    expect(cultures.locator(".verdict")).to_contain_text(
        re.compile("leans to healthy.*is within 1 of the threshold 0.5", re.S)
    )
    expect(page.locator("#said")).to_contain_text("is within 1 of the threshold 0.5 (healthy)")


def test_the_stage_that_is_asked_can_be_chosen(visit: Visit) -> None:
    page = visit()
    spores = card(page, "spores")
    spores.get_by_label("Stage that is asked").select_option("staging")
    fill(spores)
    spores.get_by_role("button", name="Ask").click()
    expect(spores.locator(".by")).to_contain_text("by v1.2.0 in staging")


def test_an_inspection_names_its_risk_its_reasons_and_the_models_that_spoke(visit: Visit) -> None:
    page = visit()
    inspect = page.get_by_role("region", name="Inspect a culture")
    fill(inspect, days="30")
    inspect.get_by_role("button", name="Inspect", exact=True).click()
    expect(inspect.locator(".verdict")).to_contain_text(
        re.compile("Uncertain.*there is no photo.*A photo would say more", re.S)
    )
    expect(inspect.locator(".spoke > li")).to_have_count(1)
    inspect.get_by_label("Choose a photo").set_input_files(photo(1))
    expect(inspect.get_by_text("1.png")).to_be_visible()
    inspect.get_by_role("button", name="Inspect", exact=True).click()
    expect(inspect.locator(".spoke > li")).to_have_count(2)
    expect(inspect.locator(".spoke")).to_contain_text(re.compile("cultures.*plants", re.S))
    expect(inspect.get_by_text("Risk by the conditions", exact=True)).to_be_visible()


# --- what can be looked up


def test_two_versions_stand_side_by_side_with_the_inputs_whose_answer_changed(visit: Visit) -> None:
    page = visit()
    cultures = card(page, "cultures")
    cultures.get_by_text("Two versions side by side").click()
    expect(cultures.get_by_label("Old")).to_have_value("v1.0.0")
    expect(cultures.get_by_label("New")).to_have_value("v1.1.0")
    cultures.get_by_role("button", name="Compare").click()
    expect(cultures.get_by_role("region", name="Metrics")).to_contain_text(re.compile("v1.0.0.*v1.1.0.*accuracy", re.S))
    expect(cultures.locator(".found")).to_contain_text(["", "turn: 9 -> 13", ""])
    changed = cultures.get_by_role("region", name="Answers")
    expect(changed).to_contain_text(re.compile(r"row \d+.*healthy.*contaminated.*(better|worse|still wrong)", re.S))


def test_the_shadow_s_disagreements_are_shown_and_counted(visit: Visit) -> None:
    page = visit()
    spores = card(page, "spores")
    spores.get_by_text("Shadow’s disagreements").click()
    fill(spores, days="16")  # the live one turns before that, and the shadow after
    spores.get_by_role("button", name="Ask").click()
    expect(spores.locator(".verdict")).to_contain_text("contaminated")
    expect(spores.locator(".found").last).to_contain_text(
        re.compile(r"staging is asked beside prod: it disagreed on \d+ of \d+")
    )
    expect(spores.locator(".sides").first).to_contain_text(re.compile("contaminated.*v1.2.0.*healthy", re.S))


# --- language, errors, keys


def test_why_an_answer_is_doubted_is_said_in_the_reader_s_language(visit: Visit) -> None:
    asked = {"kind": "table", "features": [{"name": "co2", "type": "number", "range": [380.0, 5200.0], "gaps": 0.0}]}
    table = {"labels": ["no", "yes"], "positive": "yes", "threshold": 0.5, "input": asked}
    photo = {"labels": ["a", "b", "c"], "input": {"kind": "photo"}, "strange_above": 1.0}
    shares, three = np.array([[0.52, 0.48]], np.float32), np.array([[0.4, 0.35, 0.25]], np.float32)
    said = [
        *(why for co2 in (9e6, np.nan) for why in doubts(table, pd.DataFrame({"co2": [co2]}), Said(shares))),
        *doubts(photo, np.zeros((1, 1)), Said(three, np.array([2.0], np.float32))),
    ]
    assert len(said) == 6
    page = visit(locale="fr-FR")
    found = "async (said) => [...(await import('/page/answers.js')).reasons(said).children].map((li) => li.textContent)"
    assert page.evaluate(found, said) == [
        "yes 0.48 est à moins de 0.1 du seuil 0.5",
        "co2 vaut 9,000,000\xa0; l’entraînement a vu de 380 à 5,200",
        "yes 0.48 est à moins de 0.1 du seuil 0.5",
        "co2 est vide, ce qui n’arrivait jamais à l’entraînement",
        "ne ressemble à rien de ce que cette version a vu à l’entraînement",
        "a 0.40 et b 0.35 sont à moins de 0.1 l’un de l’autre",
    ]


def doubts(contract: Any, inputs: Any, said: Said) -> list[str]:
    return doubt.reasons(Predictor(contract, lambda asked: said), inputs, said, band=0.1)[0]


def test_the_browser_s_language_is_spoken_until_another_is_chosen(visit: Visit) -> None:
    page = visit(locale="fr-CA")
    expect(card(page, "plants")).to_contain_text("jamais déployée")
    expect(card(page, "plants")).to_contain_text(re.compile(r"90,0\s%"))
    assert page.locator("html").get_attribute("lang") == "fr"
    french = page.locator("body").inner_text()
    page.get_by_role("button", name="English").click()
    expect(card(page, "plants")).to_contain_text("never deployed")
    assert page.locator("html").get_attribute("lang") == "en"
    expect(page.get_by_role("button", name="English")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(card(page, "plants")).to_contain_text("never deployed")
    page.get_by_role("button", name="Français").click()
    expect(page.locator("body")).to_have_text(french, use_inner_text=True)
    assert page.evaluate("async () => (await import('/page/texts.js')).missing()") == []
    other = visit(locale="de-DE")
    expect(card(other, "plants")).to_contain_text("never deployed")


def test_an_error_is_the_sentence_that_the_server_says(visit: Visit, address: str) -> None:
    page = visit("422")
    spores = card(page, "spores")
    spores.get_by_label("days").fill("3")
    with page.expect_response("**/predict**") as answered:
        spores.get_by_role("button", name="Ask").click()
    detail = answered.value.json()["detail"]
    assert "species is not given" in detail
    expect(spores.locator(".answers .problem")).to_contain_text(detail)


def test_a_server_that_is_gone_is_said_and_so_is_its_return(visit: Visit) -> None:
    page = visit("ERR_INTERNET_DISCONNECTED", locale="fr-FR")
    expect(card(page, "plants")).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("Le serveur ne répond pas")
    fill(card(page, "spores"))
    card(page, "spores").get_by_role("button", name="Demander").click()
    expect(card(page, "spores").locator(".answers .problem")).to_contain_text("Le serveur ne répond pas")
    page.context.set_offline(False)
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#said")).to_contain_text("Le serveur répond de nouveau")


def test_a_server_with_a_key_is_asked_with_the_one_that_is_typed(visit: Visit, project: Project) -> None:
    for guarded in serve(project, GAIA_API_KEY=KEY):
        page = visit("401|ERR_", at=guarded)
        dialog = page.get_by_role("dialog", name="This server asks for a key")
        expect(dialog.get_by_label("Key")).to_be_focused()
        page.keyboard.type("not the key")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("That was not the key")
        page.keyboard.press("Escape")
        expect(page.get_by_role("alert")).to_contain_text("the key is missing or wrong")
        page.get_by_role("button", name="Enter the key").click()
        page.keyboard.type(KEY)
        page.keyboard.press("Enter")
        expect(card(page, "plants")).to_be_visible()
        expect(page.get_by_role("alert")).to_be_hidden()
        page.reload()
        expect(card(page, "plants")).to_be_visible()
        expect(dialog).to_be_hidden()


# --- for everybody


def test_all_is_reached_and_done_by_keyboard(visit: Visit) -> None:
    page = visit()
    expect(card(page, "cultures")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the models")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    def tab_to(target: Any) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"{target} is not reached")

    spores = card(page, "spores")
    tab_to(spores.get_by_label("species"))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    expect(spores.locator(".verdict")).to_contain_text("healthy")
    tab_to(spores.locator("summary").first)
    page.keyboard.press("Enter")
    expect(spores.locator(".history > li").first).to_be_visible()
    tab_to(card(page, "plants").get_by_label("Choose photos"))
    with page.expect_file_chooser() as chosen:
        page.keyboard.press("Enter")
    assert chosen.value.is_multiple()


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_a_phone_shows_it_all_without_scrolling_sideways_and_takes_a_photo(visit: Visit, locale: str) -> None:
    page = visit("422", locale=locale, **PHONE)
    plants, cultures = card(page, "plants"), card(page, "cultures")
    plants.locator("input[type=file]").first.set_input_files(photo(1, f"{'a-long-name' * 9}.png"))
    plants.locator(".answer button").click()
    expect(plants.locator("canvas")).to_be_visible()
    cultures.locator("form button.main").first.click()
    for summary in page.locator("summary").all():
        summary.click()
    cultures.locator("details form button").click()
    expect(cultures.locator("table").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    camera = plants.locator("input[capture=environment][accept='image/*']")
    with page.expect_file_chooser():
        plants.locator("label").nth(1).click()
    expect(camera).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_aloud_and_by_poor_eyes(visit: Visit, scheme: str) -> None:
    """Each control has a name, each heading follows its level, no id is there twice; letters differ from their
    background by 4.5 : 1 at least (WCAG 2.2 AA)."""
    page = visit("422", color_scheme=scheme)
    fill(card(page, "cultures"))
    for line in ("cultures", "spores"):
        card(page, line).get_by_role("button", name="Ask").click()
    expect(card(page, "spores").locator(".answers .problem")).to_be_visible()
    expect(card(page, "cultures").locator(".verdict")).to_be_visible()
    card(page, "spores").get_by_text("History of deployments").click()
    expect(card(page, "spores").locator(".history > li").first).to_be_visible()
    assert page.evaluate((ROOT / "tests/readable.js").read_text()) == []


def test_every_file_of_the_page_forbids_what_comes_from_elsewhere(address: str) -> None:
    for name in ("", *(f"page/{file.name}" for file in (ROOT / "src/gaia/serving/page").iterdir())):
        with urlopen(f"{address}/{name}") as answer:
            policy = answer.headers["content-security-policy"]
        assert "default-src 'self'; img-src 'self' blob: data:;" in policy, name
        assert "unsafe" not in policy

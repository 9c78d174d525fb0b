"""What a person does with the console: searches, audits, repairs, tries again, drops, watches, cuts over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from slipstream.app.slipstream import Slipstream
from tests.browser.looking import Look
from tests.browser.world import LONG_S, Site, damage, serving
from tests.until import until


@pytest.fixture
def own(slip: Slipstream) -> Iterator[Site]:
    """The server of the test's own PKG."""
    with serving({"pkg": slip}) as found:
        yield found


def test_a_search_is_filtered_and_expanded(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url)
    console.go("search")
    page = console.page
    page.get_by_role("searchbox", name="Text").fill("river stream current")
    page.get_by_role("combobox", name="Type").select_option("Place")
    page.get_by_role("spinbutton", name="How many").fill("4")
    page.get_by_role("combobox", name="Expand by").select_option("1")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit")).to_have_count(4)
    assert set(page.locator(".hit-head .type").all_inner_texts()) == {"Place"}
    scores = [float(text) for text in page.locator(".hit-score b").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    expect(page.locator(".hits")).to_contain_text("LIVES_AT")
    page.get_by_role("searchbox", name="Text").fill("nobody")
    page.get_by_role("textbox", name="Metadata").fill("lang=xx")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No record passes the filters.")).to_be_visible()


def test_a_hit_says_which_arm_found_it_and_by_what(site: Site, look: Callable[..., Look]) -> None:
    console = look(site.url)
    console.go("search")
    page = console.page
    name = str(site.slips["rich"].get("river-3").properties["name"])
    page.get_by_role("searchbox", name="Text").fill(name.upper())
    page.get_by_role("combobox", name="Search by").select_option("names")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit")).to_have_count(1)
    assert "mode=exact" in page.url
    page.get_by_role("combobox", name="Search by").select_option("everything")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit")).to_have_count(10)
    page.get_by_role("button", name=f"Why is {name} found").click()
    why = page.locator(".why").first
    expect(why).to_contain_text("exact: rank 1")
    expect(why).to_contain_text("keyword: rank")
    expect(why).to_contain_text("The text is its name.")
    expect(why).to_contain_text(f"Words: {name.split(maxsplit=1)[0]}")
    expect(why).to_contain_text("the stored fingerprint is that of the text now")
    console.check_accessible()


def test_while_no_model_answers_words_do_and_the_page_says_so(own: Site, look: Callable[..., Look]) -> None:
    console = look(own.url)
    console.go("search", text="unplugged harbour", k="3")
    page = console.page
    expect(page.locator(".hit")).to_have_count(3)
    expect(page.get_by_text("no model answers: found by names and words alone")).to_be_visible()
    expect(page.get_by_text("Not asked: words")).to_be_visible()


def test_a_divergence_is_found_previewed_repaired_and_gone(
    own: Site, slip: Slipstream, look: Callable[..., Look]
) -> None:
    damage(slip, "river-3", "place-4")
    console = look(own.url)
    console.go("audits")
    page = console.page
    page.get_by_role("button", name="Start an audit").click()
    expect(page.get_by_role("status").filter(has_text="The audit is done: divergent")).to_be_visible()
    page.get_by_role("table", name="Kept audits").get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("table", name="Findings").get_by_role("row")).to_have_count(3)
    expect(page.get_by_role("table", name="Findings")).to_contain_text("e:river-3")
    page.get_by_role("button", name="Preview a repair").click()
    dialog = page.get_by_role("dialog", name="Repair what audit 1 found")
    expect(dialog).to_contain_text("Nothing has been changed yet")
    expect(dialog).to_contain_text("missing")
    console.check_accessible()
    assert len(slip.verify(hurry=True).divergences["missing"]) == 2  # a preview changes nothing
    dialog.get_by_role("button", name="Repair", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="2 keys marked")).to_be_visible()
    assert slip.sync.drain(timeout_s=LONG_S)
    assert slip.verify(hurry=True).is_consistent


def test_a_dead_letter_is_tried_again_and_another_one_dropped(
    own: Site, slip: Slipstream, look: Callable[..., Look]
) -> None:
    for number in (1, 2):
        slip.pkg.create_entity("Person", f"hopeless-{number}", {"name": f"unembeddable {number}"})
    assert slip.sync.drain(timeout_s=LONG_S)
    console = look(own.url)
    console.go("dead-letters")
    page = console.page
    letters = page.get_by_role("table", name="Dead letters")
    expect(letters.get_by_role("row")).to_have_count(3)
    slip.pkg.update_entity("hopeless-1", {"name": "embeddable now"})
    assert slip.sync.drain(timeout_s=LONG_S)
    page.get_by_role("button", name="Replay all").click()
    expect(page.get_by_role("status").filter(has_text="sent back to work")).to_be_visible()
    until(lambda: slip.sync.drain(timeout_s=LONG_S) and slip.sync.status().dead_letters == 1, "one letter is left")
    page.reload()
    expect(letters.get_by_role("row")).to_have_count(2)
    letters.get_by_role("row").nth(1).get_by_role("checkbox").check()
    page.get_by_role("button", name="Discard 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard", exact=True).click()
    expect(page.get_by_text("No dead letters")).to_be_visible()
    assert slip.sync.status().dead_letters == 0


def test_changes_are_shown_as_they_happen_and_held(own: Site, slip: Slipstream, look: Callable[..., Look]) -> None:
    console = look(own.url)
    console.go("changes")
    page = console.page
    log = page.get_by_role("log", name="Changes")
    expect(page.get_by_text("Live: each commit as it happens.")).to_be_visible()
    slip.pkg.create_entity("Person", "newcomer", {"name": "New here"})
    expect(log.get_by_role("row").nth(1)).to_contain_text("newcomer")
    page.get_by_role("button", name="Hold").click()
    slip.pkg.update_entity("newcomer", {"name": "Known by now"})
    expect(page.get_by_role("button", name="Go on (1 new)")).to_be_visible()
    expect(log.get_by_role("row").nth(1)).to_contain_text("entity created")
    page.get_by_role("button", name="Go on").click()
    expect(log.get_by_role("row").nth(1)).to_contain_text("entity updated")
    log.get_by_role("link", name="newcomer").first.click()
    expect(console.heading).to_have_text("Known by now")


def test_generations_are_compared_and_cut_over(own: Site, slip: Slipstream, look: Callable[..., Look]) -> None:
    slip.migrations.start(slip.migrations.candidate(default="other-words"))
    assert slip.migrations.wait(LONG_S)
    console = look(own.url)
    console.go("generations")
    page = console.page
    expect(console.card("Live")).to_contain_text("words")
    expect(console.card("Next")).to_contain_text("other-words")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("status").filter(has_text="compared")).to_be_visible()
    page.get_by_role("button", name="Cut over").click()
    page.get_by_role("dialog").get_by_role("button", name="Cut over", exact=True).click()
    expect(page.get_by_role("listitem").filter(has_text="retired")).to_have_attribute("aria-current", "step")
    expect(console.card("Live")).to_contain_text("other-words")
    assert slip.migrations.generations.phase.value == "retired"
    console.check_accessible()


def test_the_overview_shows_lag_owed_and_alerts(own: Site, slip: Slipstream, look: Callable[..., Look]) -> None:
    console = look(own.url)
    page = console.page
    expect(page.get_by_role("heading", level=2, name="In step")).to_be_visible()
    expect(console.card("By type")).to_contain_text("100 %")
    expect(console.card("Consistency over time")).to_contain_text("Not audited yet")
    slip.pkg.create_entity("Person", "hopeless", {"name": "unembeddable"})
    assert slip.sync.drain(timeout_s=LONG_S)
    expect(console.card("Alerts")).to_contain_text("dead letters")
    expect(page.get_by_role("link", name="Dead letters").locator(".tally")).to_have_text("1")

"""Declared recipes: what an edit in place of the live one means for the one beside it."""

from __future__ import annotations

from slipstream.recipes.declaration import ModelIdentity, RecipeDeclaration
from slipstream.views.declaration import View

MODELS = {"old": ModelIdentity("1", 16), "new": ModelIdentity("1", 32), "side": ModelIdentity("1", 8)}
RETIRED = RecipeDeclaration(
    views=(View("Person", "{{ name }}"), View("Note", "{{ name }}", model="side"), View("Gone")),
    routes={"default": "old"},
    models=MODELS,
)
LIVE = RecipeDeclaration(
    views=RETIRED.views, routes={"default": "old", "Person": "new"}, models=MODELS, generations={"Person": 2}
)


def test_shared_types_are_edited_and_others_stay() -> None:
    declared = RecipeDeclaration(
        views=(View("Person", "edited"), View("Note", "edited", model="side"), View("Fresh", "a new one")),
        routes=LIVE.routes,
        models=MODELS,
    )
    beside = RETIRED.edited_beside(LIVE, declared)
    assert beside.view_of("Person") == View("Person", "{{ name }}")
    assert {view.type for view in beside.views} == {"Person", "Note", "Fresh"}
    live = declared.numbered_as(LIVE)
    for name in ("Note", "Fresh", "Gone"):
        assert beside.view_of(name) == live.view_of(name)
        assert beside.space_of(name) == live.space_of(name)
    assert beside.routes == RETIRED.routes


def test_a_model_that_a_route_names_instead_of_the_view_is_still_the_shared_one() -> None:
    declared = RecipeDeclaration(
        views=(View("Note", "edited"),), routes={**LIVE.routes, "Note": "side"}, models=MODELS
    )
    beside, live = RETIRED.edited_beside(LIVE, declared), declared.numbered_as(LIVE)
    assert beside.space_of("Note") == live.space_of("Note")
    assert beside.space_of("Person") == RETIRED.space_of("Person")

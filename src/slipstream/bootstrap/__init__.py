"""The composition root: configuration in, running objects out. The only place that knows every adapter."""

from slipstream.bootstrap.opening import DATA_FOLDER, initialise, open_pkg, prometheus_page
from slipstream.bootstrap.options import OnOtherRecipe, Options, Wrapping
from slipstream.bootstrap.recipes import edited_recipe, load_candidate

__all__ = [
    "DATA_FOLDER",
    "OnOtherRecipe",
    "Options",
    "Wrapping",
    "initialise",
    "edited_recipe",
    "load_candidate",
    "open_pkg",
    "prometheus_page",
]

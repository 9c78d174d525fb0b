"""The composition root: configuration in, running objects out. The only place that knows every adapter."""

from slipstream.bootstrap.backups import backups_of, checked_backup, exporter_of, restored
from slipstream.bootstrap.glimpse import engine_holder, glimpse
from slipstream.bootstrap.opening import DATA_FOLDER, initialise, open_pkg, prometheus_page
from slipstream.bootstrap.options import OnOtherRecipe, Options, Wrapping
from slipstream.bootstrap.recipes import edited_recipe, load_candidate

__all__ = [
    "DATA_FOLDER",
    "OnOtherRecipe",
    "Options",
    "Wrapping",
    "backups_of",
    "checked_backup",
    "engine_holder",
    "exporter_of",
    "restored",
    "glimpse",
    "initialise",
    "edited_recipe",
    "load_candidate",
    "open_pkg",
    "prometheus_page",
]

"""The composition root: configuration in, running objects out. The only place that knows every adapter."""

from slipstream.app.composition.backups import backups_of, checked_backup, exporter_of, restored
from slipstream.app.composition.clients import connect_pkg
from slipstream.app.composition.doctor import Finding, examined
from slipstream.app.composition.glimpse import engine_holder, glimpse
from slipstream.app.composition.looking_on import Looking, looking_on
from slipstream.app.composition.opening import DATA_FOLDER, directory_of, initialise, open_pkg, prometheus_page
from slipstream.app.composition.options import OnOtherRecipe, Options, Wrapping
from slipstream.app.composition.recipes import edited_recipe, load_candidate
from slipstream.app.composition.service_manager import ServiceManager, service_manager

__all__ = [
    "DATA_FOLDER",
    "OnOtherRecipe",
    "Options",
    "Wrapping",
    "backups_of",
    "checked_backup",
    "connect_pkg",
    "directory_of",
    "engine_holder",
    "examined",
    "Finding",
    "exporter_of",
    "restored",
    "glimpse",
    "initialise",
    "edited_recipe",
    "load_candidate",
    "Looking",
    "looking_on",
    "open_pkg",
    "prometheus_page",
    "ServiceManager",
    "service_manager",
]

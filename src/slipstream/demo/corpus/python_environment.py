"""
The knowledge graph of a Python environment: packages, people, organisations, topics, READMEs, events, code.

    Package ─DEPENDS_ON→ Package          Document ─DESCRIBES→ Package      Event ─INSTALLED→ Package
    Package ─AUTHORED_BY→ Person | Organization                             Package ─HAS_TOPIC→ Concept
    Package ─CONTAINS→ CodeEntity (module) ─DEFINES→ CodeEntity (class, function) ─DEFINES→ CodeEntity (method)
    CodeEntity (module) ─IMPORTS→ CodeEntity (module)

Everything is read from metadata and from sources; no module of the environment is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from slipstream.demo.corpus.code import Definition, ParsedModule, parse_module
from slipstream.demo.corpus.metadata import Dependency, dependencies, package_facts, readme, topics
from slipstream.demo.corpus.people import Contributor, contributors
from slipstream.demo.corpus.report import CorpusReport
from slipstream.demo.corpus.sources import (
    PYTHON,
    InstalledPackage,
    SourceFile,
    canonical_name,
    find_packages,
    installed_file,
    source_files,
)
from slipstream.demo.corpus.text import slug
from slipstream.domain.entities import Entity, Properties, PropertyValue, Relationship
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import ID_SIZE_MAX, RelationshipRef

SOURCE_BYTES_MAX = 1 << 20

Item: TypeAlias = "Entity | Relationship"


def read_environment(
    *,
    entities_max: int | None = None,
    packages: Sequence[str] | None = None,
    report: CorpusReport | None = None,
    site_paths: Sequence[str] | None = None,
    stdlib: Path | None = None,
) -> Iterator[Item]:
    """
    Yield the graph of a Python environment, by default of the one that this process runs in.

    Deterministic in its order and ids; every relationship comes after both of its endpoints, nothing comes twice.
    `packages` restricts it to some packages (`python` is the standard library). Of `entities_max`, half are kept
    for code. `report` is filled on the way. Raises `InvalidInputError` at once for an unknown package.
    """
    if entities_max is not None and entities_max < 1:
        raise InvalidInputError(f"must be at least 1, got {entities_max}", field="entities_max")
    installed = find_packages(site_paths, stdlib)
    if packages is not None:
        wanted = {canonical_name(name) for name in packages}
        if missing := sorted(wanted - installed.keys()):
            raise InvalidInputError(f"not installed here: {', '.join(missing)}", field="packages")
        installed = {name: package for name, package in installed.items() if name in wanted}
    return _Reading(installed, entities_max, report or CorpusReport()).run()


class _Reading:
    """One pass over the environment. Holds one id an entity and the import lists; sources one at a time."""

    def __init__(self, packages: dict[str, InstalledPackage], entities_max: int | None, report: CorpusReport) -> None:
        self._packages, self._entities_max, self._report = packages, entities_max, report
        self._limit = max(1, entities_max // 2) if entities_max is not None else None
        self._ids: set[str] = set()
        self._modules: set[str] = set()
        self._imports: list[tuple[str, Sequence[str]]] = []

    def run(self) -> Iterator[Item]:
        for package_id, package in self._packages.items():
            yield from self._package(f"package:{package_id}", package)
        for package_id, package in self._packages.items():
            yield from self._dependencies(f"package:{package_id}", package)
        self._limit = self._entities_max
        yield from self._code()
        for module, imported in self._imports:
            yield from self._imports_of(module, imported)

    # Every entity and relationship passes one of these two: no duplicates, nothing dangling, all counted.

    def _entity(self, entity_type: str, entity_id: str, properties: Properties) -> Iterator[Entity]:
        if entity_id in self._ids:
            return
        if self._limit is not None and len(self._ids) >= self._limit:
            self._report.truncated = True
            return
        if len(entity_id) > ID_SIZE_MAX:
            self._report.skip("oversized id", entity_id[:100])
            return
        self._ids.add(entity_id)
        self._report.entities[entity_type] += 1
        yield Entity(entity_id, entity_type, {name: value for name, value in properties.items() if value != ""})

    def _relationship(
        self, kind: str, source: str, target: str, properties: Properties | None = None
    ) -> Iterator[Relationship]:
        if source in self._ids and target in self._ids and source != target:
            self._report.relationships[kind] += 1
            yield Relationship(RelationshipRef(kind, source, target), dict(properties or {}))

    def _package(self, package_id: str, package: InstalledPackage) -> Iterator[Item]:
        yield from self._entity("Package", package_id, _package_properties(package))
        yield from self._installation(package_id, package)
        for contributor in _contributors(package):
            entity_type = "Organization" if contributor.is_organization else "Person"
            contributor_id = f"{entity_type.lower()}:{slug(contributor.name)}"
            yield from self._entity(entity_type, contributor_id, {"name": contributor.name})
            roles: list[PropertyValue] = [*contributor.roles]
            yield from self._relationship("AUTHORED_BY", package_id, contributor_id, {"roles": roles})
        if package.distribution is None:
            return
        stated = package.distribution.metadata
        for topic in topics(stated):
            concept_id = f"concept:{topic.path}"
            yield from self._entity("Concept", concept_id, {"name": topic.name, "description": topic.description})
            yield from self._relationship("HAS_TOPIC", package_id, concept_id)
        if text := readme(stated):
            document_id = f"document:{package_id.partition(':')[2]}/readme"
            properties = {"name": f"{package.name} README", "description": text}
            yield from self._entity("Document", document_id, properties)
            yield from self._relationship("DESCRIBES", document_id, package_id)

    def _installation(self, package_id: str, package: InstalledPackage) -> Iterator[Item]:
        path = installed_file(package)
        if path is None:
            self._report.skip("no installation time", package.name)
            return
        event_id = f"event:{package_id.partition(':')[2]}/{slug(package.version)}/installed"
        properties: dict[str, PropertyValue] = {
            "name": f"{package.name} {package.version} installed",
            "description": f"Version {package.version} of {package.name} was installed in this environment.",
            "timestamp": datetime.fromtimestamp(path.stat().st_mtime, UTC),
            "time_source": f"modification time of {path.name}",
        }
        yield from self._entity("Event", event_id, properties)
        yield from self._relationship("INSTALLED", event_id, package_id)

    def _dependencies(self, package_id: str, package: InstalledPackage) -> Iterator[Relationship]:
        stated: list[Dependency] = []
        if package.distribution is not None:
            stated = list(dependencies(package.distribution.metadata).values())
        for dependency in stated:
            properties: dict[str, PropertyValue] = {
                "requirement": dependency.requirement,
                "optional": dependency.optional,
            }
            yield from self._relationship("DEPENDS_ON", package_id, f"package:{dependency.package}", properties)

    def _code(self) -> Iterator[Item]:
        listings = [
            (f"package:{name}", source_files(package, self._report)) for name, package in self._packages.items()
        ]
        self._modules = {file.module for _, files in listings for file in files}
        for package_id, files in listings:
            for file in files:
                if self._is_full():
                    self._report.truncated = True
                    return
                if f"code:{file.module}" in self._ids:
                    self._report.skip("module of two packages", f"{file.module} in {package_id}")
                elif package_id in self._ids and (parsed := self._parse(file)) is not None:
                    yield from self._module(package_id, file, parsed)

    def _is_full(self) -> bool:
        return self._limit is not None and len(self._ids) >= self._limit

    def _parse(self, file: SourceFile) -> ParsedModule | None:
        try:
            with file.path.open("rb") as stream:
                source = stream.read(SOURCE_BYTES_MAX + 1)
            if len(source) > SOURCE_BYTES_MAX:
                self._report.skip("oversized source", file.shown)
                return None
            return parse_module(source, file.module, is_package=file.is_package)
        except OSError as error:
            self._report.skip("missing source", f"{file.shown}: {error.strerror}")
        except InvalidInputError as error:
            self._report.skip("unreadable source", str(error))
        return None

    def _module(self, package_id: str, file: SourceFile, parsed: ParsedModule) -> Iterator[Item]:
        module_id = f"code:{file.module}"
        if parsed.redefined:
            self._report.skipped["definition of the same name"] += parsed.redefined
        kind = "package" if file.is_package else "module"
        properties = {
            "name": file.module.rpartition(".")[2],
            "qualified_name": file.module,
            "kind": kind,
            "description": parsed.description,
            "path": file.shown,
        }
        yield from self._entity("CodeEntity", module_id, properties)
        yield from self._relationship("CONTAINS", package_id, module_id)
        for definition in parsed.definitions:
            yield from self._definition(file, definition)
        self._imports.append((file.module, parsed.imports))

    def _definition(self, file: SourceFile, definition: Definition) -> Iterator[Item]:
        if definition.qualified_name in self._modules:
            self._report.skip("definition that a module has the name of", definition.qualified_name)
            return
        definition_id = f"code:{definition.qualified_name}"
        properties: dict[str, PropertyValue] = {
            "name": definition.name,
            "qualified_name": definition.qualified_name,
            "kind": definition.kind,
            "signature": definition.signature,
            "description": definition.description,
            "path": file.shown,
            "line": definition.line,
        }
        yield from self._entity("CodeEntity", definition_id, properties)
        yield from self._relationship("DEFINES", f"code:{definition.parent}", definition_id)

    def _imports_of(self, module: str, imported: Sequence[str]) -> Iterator[Relationship]:
        targets = {target for name in imported if (target := self._module_of(name)) is not None}
        for target in sorted(targets):
            yield from self._relationship("IMPORTS", f"code:{module}", f"code:{target}")

    def _module_of(self, name: str) -> str | None:
        """Return the module that an imported name is, or is in."""
        while name and name not in self._modules:
            name = name.rpartition(".")[0]
        return name or None


def _package_properties(package: InstalledPackage) -> dict[str, PropertyValue]:
    if package.distribution is None:
        return {
            "name": PYTHON,
            "version": package.version,
            "description": "The Python language: its interpreter and its standard library.",
            "license": "PSF-2.0",
        }
    return {"name": package.name, "version": package.version, **package_facts(package.distribution.metadata)}


def _contributors(package: InstalledPackage) -> list[Contributor]:
    if package.distribution is None:  # what `sys.copyright` says
        return [Contributor("Python Software Foundation", is_organization=True, roles=("author",))]
    return contributors(package.distribution.metadata, package.name)

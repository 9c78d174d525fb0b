"""
NetworkX: a PKG as a graph in memory, and the other way round.

    from slipstream.integrations.networkx import from_networkx, to_networkx

    graph = to_networkx(slip, entity_types=["Person"])
    ranks = networkx.pagerank(networkx.DiGraph(graph))
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.keys import RelationshipRef
from slipstream.integrations.bringing import Brought, Writing, plain
from slipstream.integrations.reading import all_entities, all_relationships

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Brought", "from_networkx", "node_text", "to_networkx"]

ENTITY, RELATED = "Entity", "RELATED_TO"
_SHOWN_MAX = 80


def to_networkx(
    slip: Slipstream,
    *,
    entity_types: Collection[str] | None = None,
    relationship_types: Collection[str] | None = None,
    type_attribute: str = "type",
) -> nx.MultiDiGraph:
    """
    Return the PKG, or some types of it, as a `MultiDiGraph`.

    Nodes are ids, their attributes the properties and the type. The key of an edge is the relationship's own one (0
    for none, a number for the text of one), with the type before it where that is needed to tell edges apart. Only
    relationships between nodes of the graph are in it. It is read page by page, while others may write. Raises
    `ConfigError` without NetworkX, and `InvalidInputError` when a property is called like `type_attribute`.
    """
    graph = _networkx().MultiDiGraph()
    for entity in all_entities(slip, entity_types):
        graph.add_node(entity.id)  # not with **: a property may be called as an argument is
        graph.nodes[entity.id].update(_attributes(entity.type, entity.properties, entity.id, type_attribute))
    for relationship in all_relationships(slip, relationship_types):
        ref = relationship.ref
        if ref.source_id in graph and ref.target_id in graph:
            attributes = _attributes(ref.type, relationship.properties, ref.id, type_attribute)
            _add_edge(graph, ref, attributes, type_attribute)
    return graph


def from_networkx(
    slip: Slipstream,
    graph: nx.Graph,
    *,
    entity_type: str = ENTITY,
    relationship_type: str = RELATED,
    type_attribute: str = "type",
    node_id: Callable[[Any], str] | None = None,
) -> Brought:
    """
    Write a graph of NetworkX into the PKG; repeating it changes nothing.

    Each node becomes an entity with exactly its attributes, each edge a relationship with exactly its own; the types
    given here are those of nodes and edges that have no `type_attribute`. A node without attributes that the PKG
    knows stays as it is there. `node_id` names a node (default: `node_text`). An attribute that is None or NaN is
    absent. An undirected edge becomes one relationship, in the direction in which NetworkX tells it.

    Ids, keys and types are looked at before anything is written; then batches are committed one by one, so that
    after an error, what came before it is there. Raises `InvalidInputError` for what a PKG can not keep.
    """
    named = _names(graph, node_id or node_text)
    for node, attributes in graph.nodes(data=True):
        _said_type(attributes, f"node {_shown(node)}", type_attribute)
    _check_edges(graph, named, relationship_type, type_attribute)
    with Writing(slip) as writing:
        for node, attributes in graph.nodes(data=True):
            place = f"node {_shown(node)}"
            if attributes:
                said = _said_type(attributes, place, type_attribute) or entity_type
                writing.entity(said, named[node], _properties(attributes, place, type_attribute))
            else:
                writing.mention(entity_type, named[node])
        writing.flush()  # nodes stand before all edges
        for source, target, key, attributes in _edges(graph):
            place = f"edge {_shown((source, target))}"
            name = _said_type(attributes, place, type_attribute) or relationship_type
            properties = _properties(attributes, place, type_attribute)
            writing.relate(named[source], name, named[target], properties, _discriminator(key, name))
    if graph.graph:
        writing.brought.notes.append(
            f"attributes of the graph itself are not kept: {', '.join(map(str, graph.graph))}"
        )
    if not graph.is_directed() and graph.number_of_edges():
        writing.brought.notes.append("undirected edges became relationships in one direction each")
    return writing.brought


def node_text(node: Any) -> str:
    """
    Return the id that a node has in a PKG: a text is its own, a number is written out.

    Raises `InvalidInputError` for any other.
    """
    if isinstance(node, str):
        return node
    if isinstance(node, int | float) and not isinstance(node, bool):
        return str(node)
    raise InvalidInputError(
        f"{_shown(node)} is a {type(node).__name__}: ids are texts, so give node_id=…, or relabel the graph "
        "(networkx.relabel_nodes)",
        field="node",
    )


# ---------------------------------------------------------------------- into NetworkX


def _attributes(type_name: str, properties: Mapping[str, Any], identity: str, type_attribute: str) -> dict[str, Any]:
    if type_attribute in properties:
        raise InvalidInputError(
            f"{identity!r} has a property of that name already: call the type otherwise (type_attribute='kind')",
            field=type_attribute,
        )
    return {**properties, type_attribute: type_name}


def _add_edge(graph: Any, ref: RelationshipRef, attributes: Mapping[str, Any], type_attribute: str) -> None:
    source, target = ref.source_id, ref.target_id
    taken = graph.adj[source].get(target, {})
    key = _edge_key(ref, taken)
    if key in taken:  # an edge of another type, whose own key looks like this one with its type
        others = dict(taken[key])
        other = RelationshipRef(others[type_attribute], source, target, _discriminator(key, others[type_attribute]))
        graph.remove_edge(source, target, key)
        _put_edge(graph, other, _long_key(other), others)
    _put_edge(graph, ref, key, attributes)


def _put_edge(graph: Any, ref: RelationshipRef, key: int | str, attributes: Mapping[str, Any]) -> None:
    graph.add_edge(ref.source_id, ref.target_id, key=key)
    graph.edges[ref.source_id, ref.target_id, key].update(attributes)


def _edge_key(ref: RelationshipRef, taken: Collection[Any]) -> int | str:
    """Return the key of an edge, of which `_discriminator` makes the relationship's own one again."""
    own = ref.discriminator
    key: int | str = own or 0
    if isinstance(key, str) and _is_number(key):
        key = int(key)
    if key in taken or _discriminator(key, ref.type) != own:
        return _long_key(ref)
    return key


def _long_key(ref: RelationshipRef) -> str:
    return _type_prefix(ref.type) + ref.discriminator


def _type_prefix(relationship_type: str) -> str:
    """Return a type as it stands before a key, so that no two types and keys look alike."""
    return relationship_type.replace("%", "%25").replace(":", "%3A") + ":"


def _is_number(text: str) -> bool:
    """Return whether a text is a number as Python writes it, but 0."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) < 19 and digits[0] != "0"


# ---------------------------------------------------------------------- out of NetworkX


def _discriminator(key: Any, relationship_type: str) -> str:
    """Return the own key of a relationship: nothing for 0 (the first edge), and no type before it."""
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise InvalidInputError(f"{_shown(key)} is a {type(key).__name__}: a key is a text or a number", field="key")
    if isinstance(key, int):
        return str(key) if key else ""
    return key.removeprefix(_type_prefix(relationship_type))


def _names(graph: nx.Graph, node_id: Callable[[Any], str]) -> dict[Any, str]:
    named: dict[Any, str] = {}
    owners: dict[str, Any] = {}
    for node in graph:
        name = named[node] = node_id(node)
        owner = owners.setdefault(name, node)
        if owner is not node:
            raise InvalidInputError(
                f"{_shown(owner)} and {_shown(node)} would both be {name!r}, and become one: relabel one of them, or "
                "give node_id=…",
                field="node",
            )
    return named


def _check_edges(graph: nx.Graph, named: Mapping[Any, str], relationship_type: str, type_attribute: str) -> None:
    """Refuse edges that would become one, before anything is written."""
    seen: set[tuple[str, str, str, str]] = set()
    for source, target, key, attributes in _edges(graph):
        name = _said_type(attributes, f"edge {_shown((source, target))}", type_attribute) or relationship_type
        place = (named[source], name, named[target], _discriminator(key, name))
        if place in seen:
            raise InvalidInputError(
                f"{_shown((source, target, key))} and another {name} have the same key once it is text: rename it",
                field="key",
            )
        seen.add(place)


def _edges(graph: nx.Graph) -> Iterator[tuple[Any, Any, Any, Mapping[str, Any]]]:
    if graph.is_multigraph():
        yield from graph.edges(keys=True, data=True)
        return
    for source, target, attributes in graph.edges(data=True):
        yield source, target, 0, attributes


def _properties(attributes: Mapping[Any, Any], place: str, type_attribute: str) -> dict[str, Any]:
    """Return the properties of a node or an edge: what it has besides its type."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        if not isinstance(name, str):
            raise InvalidInputError(f"the attribute {_shown(name)} of {place}: names are texts", field="attribute")
        kept = None if name == type_attribute else plain(value, f"{name} of {place}")
        if kept is not None:
            found[name] = kept
    return found


def _said_type(attributes: Mapping[Any, Any], place: str, type_attribute: str) -> str | None:
    """Return the type that a node or an edge says it has; None if it says none."""
    said = plain(attributes.get(type_attribute), f"{type_attribute} of {place}")
    if said is None or isinstance(said, str):
        return said
    raise InvalidInputError(
        f"{said!r} of {place} is no text, so it is no type: name another attribute (type_attribute='kind')",
        field=type_attribute,
    )


def _shown(value: object) -> str:
    return repr(value)[:_SHOWN_MAX]


def _networkx() -> Any:
    try:
        import networkx as nx
    except ImportError as error:
        raise ConfigError("this needs NetworkX, which is not installed: install slipstream-pkg[networkx]") from error
    return nx

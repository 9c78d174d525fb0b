"""Application of corpus edits to a graph."""

from __future__ import annotations

from slipstream.corpus.edits import Edit, EditKind
from slipstream.domain.positions import Position
from slipstream.ports.pkg import PKG


def apply_edit(pkg: PKG, edit: Edit) -> Position:
    """Commit one edit as one transaction and return its position."""
    with pkg.transaction() as tx:
        if edit.kind is EditKind.DELETE:
            tx.delete_entity(edit.entity.id)
        elif edit.kind is EditKind.CREATE:
            tx.upsert_entity(edit.entity.type, edit.entity.id, edit.entity.properties)
        elif edit.changed:
            tx.update_entity(edit.entity.id, edit.changed)
        if edit.relationship is not None:
            ref = edit.relationship.ref
            tx.relate(
                ref.source_id,
                ref.type,
                ref.target_id,
                edit.relationship.properties,
                discriminator=ref.discriminator,
                replace=True,
            )
    return pkg.last_commit

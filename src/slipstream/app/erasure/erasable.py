"""What the facade offers to erase an entity by."""

from __future__ import annotations

from collections.abc import Sequence

from slipstream.app.erasure.erasing import Erasures
from slipstream.domain.erasure import Erasure
from slipstream.domain.errors import UnsupportedError


class Erasable:
    """An open PKG from which entities can be erased."""

    @property
    def erasures(self) -> Erasures | None:
        """What erases entities; None where the graph's adapter can not."""
        raise NotImplementedError

    def erase(
        self,
        entity_id: str,
        *,
        with_neighbours_text: bool = False,
        also: Sequence[str] = (),
        reference: str | None = None,
        backups: Sequence[str] = (),
        dry_run: bool = False,
    ) -> Erasure:
        """
        Remove an entity and its relationships everywhere, also from what was kept and freed; returns its receipt.

        An id that the graph does not hold (any more) is erased from everything else. `with_neighbours_text` takes its
        names out of its neighbours' texts, too; `also` names further texts by which it is recognised in dead letters
        and the like; `reference` is for the receipt alone, and `backups` are folders to look for backups in. With
        `dry_run` everything is counted, and nothing changed. An erasure that is cut short goes on at the next open.

        Raises `UnavailableError` when index or words do not follow, or another program does not let go of a file.
        """
        if self.erasures is None:
            raise UnsupportedError("this graph can not erase: its adapter does not know how")
        return self.erasures.erase(
            entity_id,
            with_neighbours_text=with_neighbours_text,
            also=also,
            reference=reference,
            backups=backups,
            dry_run=dry_run,
        )

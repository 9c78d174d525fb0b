"""The truth: what the graph said at each position, and whether the index has it as the frontier claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.domain.entities import EntityState, RecordState
from slipstream.domain.events import PKGEvent
from slipstream.domain.journal_names import CHECKPOINT, FRONTIER, WORDS_FRONTIER
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.stamps import Deletion, Stamp
from slipstream.domain.words import word_row
from slipstream.recipes.in_force import joined_hops
from slipstream.recipes.view_recipe import ViewRecipe
from tests.simulation.threads.recipes import POISON, word_views
from tests.simulation.threads.scheduler import SimulationError
from tests.simulation.threads.store import Durable


@dataclass(slots=True)
class _Moment:
    """A key as it is from a position on, and what each recipe makes of it (None: no record)."""

    position: Position
    state: RecordState | None
    is_own: bool
    """Whether the key itself was changed, and not only a neighbour that its text shows."""
    prints: dict[int, str | None] = field(default_factory=dict)


class Truth:
    """
    What was committed, and when. `recipes` are all that may come into force, the first `in_force` of them have.

    Nothing here is a switch point: it sees what the threads can not see, all at one moment.
    """

    def __init__(self, graph: MemoryGraph, durable: Durable, recipes: Sequence[ViewRecipe]) -> None:
        self._graph, self._durable, self._recipes = graph, durable, recipes
        self._hops = joined_hops(recipes)
        self._moments: dict[RecordKey, list[_Moment]] = {}
        self._seen: dict[RecordKey, tuple[Stamp, ...]] = {}
        self._deleted: dict[RecordKey, Position] = {}
        """Up to where each key was deleted, by whoever did: a tombstone may be forgotten, this is not."""
        self._tombstones: dict[RecordKey, Position] = {}
        """The tombstones that there should be."""
        self.excused: set[RecordKey] = set()
        """Keys that became dead letters: divergent until they are right again."""
        self.ever_dead: set[RecordKey] = set()
        """Keys that became dead letters, and what was asked for with them."""
        self.owed: set[RecordKey] = set()
        """Keys that something was owed of, ever."""
        self._told = ORIGIN
        self._head = ORIGIN
        self.is_strict = True
        """Whether the published frontier must never go back: it may behind a write that was not acknowledged."""
        self.in_force = 1
        self.frontiers: list[Callable[[], Position]] = []
        """The frontier that each living process has in memory."""
        self._looked_at: tuple[int, ...] = ()
        durable.on_write, durable.on_vacuum = self._written, self._vacuumed

    # ------------------------------------------------------------------ what was committed

    def committed(self) -> None:
        """Take note of what a commit has changed."""
        keys = {row.key: None for row in self._graph.scan(None, 1_000)}
        keys.update(dict.fromkeys(self._moments))
        snapshot = self._graph.read(list(keys), self._hops)
        own = self._named_since(self._head)
        self._head = snapshot.position
        for key in keys:
            state, moments = snapshot.states.get(key), self._moments.setdefault(key, [])
            if (moments[-1].state if moments else None) != state:
                moments.append(_Moment(snapshot.position, state, key in own))

    def _named_since(self, position: Position) -> set[RecordKey]:
        entries = [entry for entry in self._graph.feed.read(position, 1_000) if isinstance(entry, PKGEvent)]
        return {entry.key for entry in entries if entry.key is not None}

    def wanted(self, key: RecordKey, edition: int) -> str | None:
        """Return the fingerprint that a key's record is to have in the end; None for no record."""
        moments = self._moments.get(key)
        return self._print(moments[-1], edition - 1) if moments else None

    def text_now(self, key: RecordKey, edition: int) -> str | None:
        """Return the text that a key's record is to be made of in the end."""
        moments = self._moments.get(key)
        state = moments[-1].state if moments else None
        target = None if state is None else self._recipes[edition - 1].target(state)
        return None if target is None else target.request.content

    def _print(self, moment: _Moment, recipe: int) -> str | None:
        if recipe not in moment.prints:
            target = None if moment.state is None else self._recipes[recipe].target(moment.state)
            moment.prints[recipe] = None if target is None else target.fingerprint
        return moment.prints[recipe]

    # ------------------------------------------------------------------ the index itself

    def _written(self, deletions: Sequence[Deletion]) -> None:
        """Look at what was just written: nothing older over something newer, nothing back from the dead."""
        held = {key: self._durable.index._stamps_of(key) for key in self._durable.index._records}
        for key, stamps in held.items():
            before = {stamp.space: stamp.position for stamp in self._seen.get(key, ())}
            for stamp in stamps:
                if stamp.position < before.get(stamp.space, ORIGIN):
                    raise SimulationError(f"{key} is of {stamp.position}, and was of {before[stamp.space]} before")
                # A known limit: behind a take-over only a tombstone that is still there keeps a late write out.
                is_excused = key in self._durable.late and self._tombstones.get(key, ORIGIN) <= stamp.position
                if stamp.position < self._deleted.get(key, ORIGIN) and stamp.space not in before and not is_excused:
                    raise SimulationError(
                        f"{key} is back as of {stamp.position}, though it was deleted at {self._deleted[key]}"
                    )
        for key in set(held).intersection(self._tombstones):
            del self._tombstones[key]
        for deletion in deletions:
            if deletion.space is None and deletion.key not in held:
                known = self._deleted.get(deletion.key, ORIGIN)
                self._deleted[deletion.key] = self._tombstones[deletion.key] = max(deletion.position, known)
        self._seen = held

    def _vacuumed(self, through: Position) -> None:
        for key in [key for key, position in self._tombstones.items() if position <= through]:
            del self._tombstones[key]

    # ------------------------------------------------------------------ the frontier

    def check(self) -> None:
        """Look whether every frontier is true; raises `SimulationError`."""
        published = self._published(FRONTIER)
        frontier = max([published, *(told() for told in self.frontiers)])
        looked_at = (self._durable.changes, frontier, published)
        if looked_at == self._looked_at:
            return
        self._looked_at = looked_at
        self._note_owed()
        if published < self._told and self.is_strict:
            raise SimulationError(f"the frontier went back from {self._told} to {published}")
        self._told = published
        if max(frontier, self._published(CHECKPOINT)) > self._graph.feed.head():
            raise SimulationError(f"the frontier {frontier}, or the checkpoint, is ahead of the log")
        self.check_reflected(frontier)
        self._check_words(self._published(WORDS_FRONTIER))

    def _check_words(self, frontier: Position) -> None:
        """Raise unless the word rows have every commit up to their frontier; nothing excuses one."""
        for key, moments in self._moments.items():
            at = _last(moments, frontier)
            held = self._durable.words.get(key)
            found = None if held is None else held.digest
            if at is not None and found not in {_word_digest(key, moment) for moment in moments[at:]}:
                raise SimulationError(f"the word row of {key}, changed at {moments[at].position}, is not: {frontier}")

    def _published(self, name: str) -> Position:
        return Position(int(self._durable.journal._state.values.get(name) or 0))

    def check_reflected(self, position: Position, why: str = "the frontier") -> None:
        """Raise unless the index has every commit up to a position, dead letters excepted."""
        dead = self.dead()
        self.excused |= dead
        self.ever_dead |= dead
        for key, moments in self._moments.items():
            found = [stamp.fingerprint for stamp in self._durable.index._stamps_of(key)]
            at = _last(moments, position)
            if at is None:
                continue
            is_last = at == len(moments) - 1
            at = self._since(moments, at)
            wanted = {self._print(moment, recipe) for moment in moments[at:] for recipe in range(self.in_force)}
            is_right = bool(found) and wanted.issuperset(found) if found else None in wanted
            if len(found) > 1 and at == len(moments) - 1 and self._is_alone(key):
                is_right = False
            if is_right and is_last and found in ([self.wanted(key, self.in_force)], []):
                self.excused.discard(key)
            elif not is_right and key not in self.excused and key not in self._durable.late:
                raise SimulationError(
                    f"{key} changed at {moments[at].position}, but the index has {found} instead of {wanted}, "
                    f"though {why} is {position}"
                )

    def _since(self, moments: Sequence[_Moment], at: int) -> int:
        """
        Return from which moment on a key's text will do for what was reflected at one.

        A known limit: neighbours are looked up in the graph as it is. So where a neighbour's change was followed by
        one of the key, which parted them, the first of the two may go by without the key, until the second is
        reflected. And what the views in force do not show need not be reflected by those before an edit.
        """
        newest, is_overtaken = self.in_force - 1, at < len(moments) - 1
        while at > 0:
            is_same = self._print(moments[at - 1], newest) == self._print(moments[at], newest)
            if not is_same and (moments[at].is_own or not is_overtaken):
                break
            at -= 1
        return at

    def _is_alone(self, key: RecordKey) -> bool:
        """Whether nothing is about to move a record between spaces: only commits do, and they are reflected."""
        return self.in_force == 1 and key not in self.excused

    def dead(self) -> set[RecordKey]:
        """Return the keys that are dead letters now."""
        letters = self._durable.journal._state.letters.values()
        return {letter.key for letter in letters if letter.key is not None}

    def _note_owed(self) -> None:
        """Note the keys that somebody has asked to embed anew, and those that durable work names."""
        for key, stamps in self._seen.items():
            if any(stamp.needs_reembedding for stamp in stamps):
                self.owed.add(key)
        self.owed.update(self._durable.journal._state.work)

    # ------------------------------------------------------------------ answers, and the end

    def must_be_found(self, position: Position) -> set[RecordKey]:
        """
        Return the keys that have had a record, in one and the same space, ever since a position.

        A known limit: spaces are searched one after the other, and a key that moves meanwhile may be met in none.
        """
        found: set[RecordKey] = set()
        for key, moments in self._moments.items():
            at = _last(moments, position)
            if at is None or key in self.excused or key in self._durable.late:
                continue
            recipes = range(self.in_force)
            is_there = all(self._print(moment, recipe) is not None for moment in moments[at:] for recipe in recipes)
            if is_there and len({_type(moment.state) for moment in moments[at:]}) == 1:
                found.add(key)
        return found

    def check_end(self, edition: int, frontier: Position) -> None:
        """Raise unless both sides are equal: one record a key, as it is wanted, of the current schema version."""
        dead, version = self.dead(), self._graph.schema().version
        if frontier != self._graph.feed.head():
            raise SimulationError(f"settled, but the frontier is {frontier}")
        if self._durable.journal._state.work:
            raise SimulationError(f"settled, but the journal still has {self._durable.journal._state.work}")
        cured = {key for key in dead if POISON not in (self.text_now(key, edition) or "")}
        if cured and self.is_strict:
            raise SimulationError(f"settled, but {cured} are dead letters, and could be embedded")
        left = set(self._durable.index._records) - set(self._moments)
        if left:
            raise SimulationError(f"left over: {left}")
        self._check_words(self._graph.feed.head())
        if left := set(self._durable.words) - set(self._moments):
            raise SimulationError(f"word rows are left over: {left}")
        for key in self._moments:
            if key in dead or key in self._durable.late:
                continue
            stamps = self._durable.index._stamps_of(key)
            wanted = self.wanted(key, edition)
            if [stamp.fingerprint for stamp in stamps] != ([] if wanted is None else [wanted]):
                raise SimulationError(f"settled, but {key} is {stamps} and not {wanted}")
            for stamp in stamps:
                if stamp.schema_version != version:
                    raise SimulationError(f"settled at schema version {version}, but {key} is of {stamp}")
                if stamp.needs_reembedding:
                    raise SimulationError(f"settled, but {key} still waits to be embedded anew")


def _last(moments: Sequence[_Moment], position: Position) -> int | None:
    """Return the index of the moment that was at a position; None when the key was not heard of until then."""
    found: Iterable[int] = (i for i in range(len(moments) - 1, -1, -1) if moments[i].position <= position)
    return next(iter(found), None)


def _word_digest(key: RecordKey, moment: _Moment) -> bytes | None:
    fields = None if moment.state is None else word_views().fields(moment.state)
    return None if fields is None else word_row(key, moment.position, fields).digest


def _type(state: RecordState | None) -> str | None:
    return state.entity.type if isinstance(state, EntityState) else None

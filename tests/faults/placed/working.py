"""The process to which a fault comes: it opens a PKG, takes one step after the other, and says how each went."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from slipstream.app.composition import OnOtherRecipe, Options, open_pkg
from slipstream.app.config import CONFIG_NAME
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import PoisonEventError, SlipstreamError, UnavailableError
from slipstream.domain.positions import Position
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import Via, View
from tests.faults.placed.world import POISON, Commit, write
from tests.faults.preload import disarm

OLD, NEW = "old", "new"
DIMENSION = 16
INDEXES = ("sqlite", "chroma")
PKG, DUMP, BACKUP = "w/pkg", "dump.jsonl", "w/backup"
"""Where a workload has its things; faults are placed under `w`."""
TRIES_WITH_FAULT, TRIES_MAX = 3, 6
MOMENT_S, PATIENCE_S = 0.5, 20.0

VIEWS = (
    View(
        "Person",
        "{{ name }}. {{ text }} Knows {% for f in friends %}{{ f.name }}, {% endfor %}",
        via={"friends": Via("KNOWS", limit=5)},
        metadata=("n",),
    ),
    View("KNOWS", "{{ source.name }} knows {{ target.name }}", is_relationship=True),
)


class CurableEmbedder(HashEmbedder):
    """Refuses every text with one word in it, until it is cured."""

    is_cured = False

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if not self.is_cured and any(POISON in text for text in texts):
            raise PoisonEventError("this text is poison for the model")
        return super().embed(texts)


class NotYetError(SlipstreamError):
    """What was waited for has not come yet."""


def models(*, cured: bool = False) -> tuple[CurableEmbedder, CurableEmbedder]:
    """Return the model in use, and the one that is migrated to."""
    made = CurableEmbedder(DIMENSION, OLD), CurableEmbedder(DIMENSION, NEW)
    for each in made:
        each.is_cured = cured
    return made


def configure(root: Path, index: str) -> None:
    """Make a PKG's directory with its configuration: one of the indexes, and no audits by schedule."""
    root.mkdir(parents=True)
    (root / CONFIG_NAME).write_text(f'[index]\nadapter = "{index}"\n[scrub]\nenabled = false\n')


def opened(root: Path, embedders: Sequence[CurableEmbedder]) -> Slipstream:
    """Open the PKG with small batches and quick retries."""
    options = Options(
        views=VIEWS,
        embedders=tuple(embedders),
        settings=SyncSettings(
            batch_min=4,
            batch_max=16,
            log_page=32,
            idle_wait_s=0.02,
            attempts_max=2,
            backoff_base_s=0.01,
            backoff_max_s=0.1,
            quiet_after_s=0.05,
        ),
        on_other_recipe=OnOtherRecipe.KEEP,
    )
    return open_pkg(root, options=options)


class Worker:
    """
    Takes steps; a step that fails with an error of ours is said to have failed, and tried again.

    It says `try <step>` before each, `ack <step> <result>` behind it, and `failed <step> <error>` between them. From
    the third failure on the fault is over: then it has to work.
    """

    def __init__(self, base: Path, say: Callable[[str], None]) -> None:
        self.base, self.say = base, say
        self.is_cured = False
        self._embedders = models()
        self._open: Slipstream | None = None
        self._failures = 0

    @property
    def slip(self) -> Slipstream:
        """The open PKG; one whose engine has halted is opened anew, as a user would."""
        if self._open is not None and self._has_stopped(self._open):
            self.say("reopened")
            stopped, self._open = self._open, None
            stopped.close()
        if self._open is None:
            self._embedders = models(cured=self.is_cured)  # an opening that fails closes those that it was given
            self._open = opened(self.base / PKG, self._embedders)
        return self._open

    def cure(self) -> None:
        """Let the models take every text from now on."""
        self.is_cured = True
        for each in self._embedders:
            each.is_cured = True

    def _has_stopped(self, slip: Slipstream) -> bool:
        return slip.sync.engine.halted is not None or slip.sync.failure is not None

    def step(self, name: str, do: Callable[[], object]) -> None:
        """Take one step until it works."""
        self.say(f"try {name}")
        for _ in range(TRIES_MAX):
            try:
                result = do()
            except SlipstreamError as error:
                self._note(name, error)
                continue
            self.say(f"ack {name} {'' if result is None else result}".rstrip())
            return
        raise AssertionError(f"{name} failed {TRIES_MAX} times, though the fault is over: {self.slip.status()}")

    def _note(self, name: str, error: SlipstreamError) -> None:
        self._failures += 1
        self.say(f"failed {name} | {type(error).__name__}: {' '.join(str(error).split())}")
        if self._open is not None:
            status = self._open.status()
            self.say(f"status {status.head} {status.frontier} | {status.outage} | {status.halted}")
        if self._failures >= TRIES_WITH_FAULT:
            disarm()
        time.sleep(0.01)

    # ------------------------------------------------------------------ steps

    def open(self) -> None:
        """Open the PKG."""
        self.step("open", lambda: self.slip and None)

    def commit(self, name: str, commit: Commit) -> Position:
        """Commit, and return where."""
        position = Position(0)

        def do() -> Position:
            nonlocal position
            with self.slip.pkg.transaction() as tx:
                write(tx, commit)
            position = tx.position
            return position

        self.step(name, do)
        return position

    def show(self, position: Position) -> None:
        """Wait until a commit can be found, and say so."""
        self.step("shown", lambda: self._waited(lambda s: self.slip.sync.wait(position, s), position))

    def drain(self) -> None:
        """Wait until nothing is left to do."""
        self.step("drain", lambda: self._waited(self.slip.sync.drain, ""))

    def show_states(self) -> None:
        """Complete the sync view."""
        self.step("states", lambda: self._waited(self.slip.sync.write_back, ""))

    def _waited(self, wait: Callable[[float], bool], result: object) -> object:
        if not wait(MOMENT_S if self._failures < TRIES_WITH_FAULT else PATIENCE_S):
            raise NotYetError("it has not come so far")
        return result

    def replay(self) -> int:
        """Try all dead letters again."""
        return self.slip.replay_dead_letters()

    def discard(self) -> int:
        """Forget all dead letters."""
        return self.slip.discard_dead_letters()

    def close(self) -> None:
        """Close the PKG; it must come to its end whatever fails."""
        self.say("try close")
        try:
            if self._open is not None:
                self._open.close()
        except UnavailableError as error:
            self.say(f"failed close | {type(error).__name__}: {error}")
        self._open = None
        disarm()
        self.say("ack close")

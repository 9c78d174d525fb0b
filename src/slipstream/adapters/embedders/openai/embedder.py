"""The embedder over HTTP: a `Wire` to the server, and the handling of its refusals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from slipstream.adapters.embedders.openai.isolating import KNOWN_GOOD, Isolation, Remembered, empty_rows
from slipstream.adapters.embedders.openai.limits import CHARACTERS_PER_TOKEN, Batches, RequestLimits, TooLong
from slipstream.adapters.embedders.openai.refusals import RefusedError
from slipstream.adapters.embedders.openai.wire import Wire
from slipstream.domain.errors import ConfigError, PoisonEventError
from slipstream.domain.models import ModelSpec

_TOLERANCE = 1e-3  # half precision and server-side batching; measure your server to declare less
_DEFAULT_LIMITS = RequestLimits()


class OpenAIEmbedder:
    """
    Embeds over HTTP. Proxies and certificates of the environment are not looked at.

    `base_url` may end with `/v1` or not. `dimension` is that of the vectors; None asks the server once, now. With
    `shorten` the server is asked for vectors of that dimension (matryoshka models). `version` names the weights
    behind the model's name: change it when they change, for no server tells. `served_as` is the model's name at the
    server, if it differs. `count_tokens` only estimates.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        version: str = "1",
        served_as: str | None = None,
        dimension: int | None = None,
        shorten: bool = False,
        tokens_max: int = 512,
        limits: RequestLimits = _DEFAULT_LIMITS,
        timeout_s: float = 30.0,
        tolerance: float = _TOLERANCE,
    ) -> None:
        if timeout_s <= 0 or (shorten and dimension is None):
            raise ConfigError("timeout_s must be positive, and shorten needs a dimension")
        asked = {"dimensions": dimension} if shorten else {}
        self._wire = Wire(base_url, served_as or model, api_key=api_key, timeout_s=timeout_s, asked=asked)
        self._limits, self._batches, self._known = limits, Batches(limits), Remembered()
        self._dimension = self._wire.dimension = dimension or self._discovered()
        self._spec = ModelSpec(
            model, version + limits.rule, self._dimension, tokens_max, tolerance, counts_tokens=False
        )

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self._wire!r})"

    @property
    def spec(self) -> ModelSpec:
        """Identity and limits of the model."""
        return self._spec

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """
        Return unit-length vectors, in the order of the texts, in requests within the limits.

        Raises `PoisonEventError` that names the texts at fault, `TransientError` while the server can not answer,
        `ConfigError` when it will never answer in this configuration.
        """
        wrong = {text: reason for text in texts if (reason := _unsendable(text))}
        if wrong:
            raise PoisonEventError(self._told(wrong), texts=wrong)
        rows = empty_rows(len(texts), self._dimension)
        cuts = self._limits.too_long is TooLong.CUT
        asking = Isolation(
            self._wire, self._batches, self._known, [self._beginning(text) for text in texts], rows, cuts=cuts
        )
        asking.ask_all()
        if asking.faults:
            faults = {texts[number]: reason for number, reason in asking.faults.items()}
            raise PoisonEventError(self._told(faults), texts=faults)
        return rows

    def shares(self, texts: Sequence[str]) -> Sequence[float | None]:
        """Return the share of each text that went into its vector; None where only the server can know."""
        return [self._share(text) for text in texts]

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Estimate how many tokens each text has: four characters to one."""
        return [1 + len(text) // CHARACTERS_PER_TOKEN for text in texts]

    def close(self) -> None:
        """Close the connections; closing twice is harmless."""
        self._wire.close()

    def _beginning(self, text: str) -> str:
        return text if self._limits.characters_max is None else text[: self._limits.characters_max]

    def _share(self, text: str) -> float | None:
        sent = self._beginning(text)
        kept = self._known.share(sent)
        if kept is None and len(sent) == len(text):
            return None
        return (1.0 if kept is None else kept) * len(sent) / len(text)

    def _told(self, faults: dict[str, str]) -> str:
        text, reason = next(iter(faults.items()))
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        return f"{reason} (a text of {len(text)} characters{more}; the model takes others)"

    def _discovered(self) -> int:
        try:
            return int(self._wire.rows([KNOWN_GOOD]).shape[1])
        except RefusedError as refused:
            self.close()
            raise refused.as_fault_of_all() from refused
        except Exception:
            self.close()
            raise


def _unsendable(text: str) -> str | None:
    """Return why a text is not sent at all, None when it is: servers treat such texts differently, none usefully."""
    if not text:
        return "an empty text has nothing to embed"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it is not valid Unicode (a lone surrogate): correct it"
    return None

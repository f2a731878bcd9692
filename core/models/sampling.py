"""What a call samples by, and which of it a server does not take: models differ, and say so only when asked."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

from core.models.chat import Sampling
from core.models.model import Model

MOST_REFUSED = 1000
"""Values remembered of one server."""

Values = dict[str, Any]


def values_of(model: Model, sampling: Sampling) -> Values:
    """By the names of OpenAI's interface; ``sampling`` stands above what the model's row says."""
    values: Values = {
        "temperature": model.temperature if sampling.temperature is None else sampling.temperature,
        "top_p": model.top_p if sampling.top_p is None else sampling.top_p,
        "top_k": model.top_k if sampling.top_k is None else sampling.top_k,
        "seed": sampling.seed,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "num_beams": sampling.num_beams,
        "stop": list(sampling.stop or model.stop) or None,
    }
    return {name: value for name, value in values.items() if value is not None}


class Refusals:
    """Values that a server refused, by its names of models: they are left out from then on.

    Remembered with the value, since another one of the same name may be allowed: somebody's 2.0 says nothing of 0.7.
    """

    def __init__(self) -> None:
        self._refused: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    def allowed(self, model: str, values: Values) -> Values:
        """What of the values is worth asking for."""
        return {name: value for name, value in values.items() if (model, name, repr(value)) not in self._refused}

    def learn(self, model: str, values: Values, said: str) -> bool:
        """Whether a refusal was about one of the values that were asked for: then it can be asked again without.

        ``said`` is the server's own text about it, which names what it does not take.
        """
        found = [name for name in values if re.search(rf"\b{name}\b", said)]
        for name in found:
            self._refused[model, name, repr(values[name])] = None
            if len(self._refused) > MOST_REFUSED:
                self._refused.popitem(last=False)
        return bool(found)

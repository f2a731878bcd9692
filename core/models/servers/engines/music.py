"""Music and noises by transformers' text-to-audio pipeline, with any model of the hub or a folder."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from core.models.servers.work import Answer, Compose, Request, Setup, Sound, Telling, library, refused, torch_device

MAX_SECONDS = 60.0
MAX_PROMPT = 2000
FRAMES = 50
"""Tokens of a second where a model does not tell: MusicGen's."""


def open_engine(setup: Setup) -> Composing:
    name, model = next(iter(setup.models.items()))
    library("torch").set_num_threads(setup.threads)
    # Files of weights are safetensors only, which cannot carry programs.
    pipeline = library("transformers").pipeline(
        "text-to-audio", model=model, device=torch_device(setup), model_kwargs={"use_safetensors": True}
    )
    return Composing(pipeline, (name,))


@dataclass(frozen=True, slots=True)
class Composing:
    pipeline: Any
    models: Sequence[str]

    def work(self, request: Request, telling: Telling) -> Answer:
        if not isinstance(request, Compose):
            raise refused("This model makes music and noises, and nothing else.")
        if len(request.prompt) > MAX_PROMPT:
            raise refused(f"The description is longer than {MAX_PROMPT} characters.", "too_long")
        if request.seed is not None:
            library("transformers").set_seed(request.seed % 2**32)
        telling.step(0, 100)
        made = self.pipeline(request.prompt, **self._options(request, telling))
        return Sound(as_wave(made["audio"], int(made["sampling_rate"])), "audio/wav")

    def _options(self, request: Request, telling: Telling) -> dict[str, Any]:
        """How long it gets, for models that make it token by token; those that make it at once take no options."""
        assert isinstance(request, Compose)
        model = self.pipeline.model
        if not (hasattr(model, "can_generate") and model.can_generate()):
            return {}
        encoder = getattr(model.config, "audio_encoder", None)
        rate = int(getattr(encoder, "frame_rate", 0) or FRAMES)
        tokens = round(min(max(request.seconds, 1.0), MAX_SECONDS) * rate)

        def each(ids: Any, _: Any, **__: Any) -> Any:
            telling.step(min(99, ids.shape[-1] * 100 // tokens), 100)
            return library("torch").zeros(ids.shape[0], dtype=library("torch").bool)

        stopping = library("transformers").StoppingCriteriaList([each])
        return {"generate_kwargs": {"max_new_tokens": tokens, "stopping_criteria": stopping, "do_sample": True}}


def as_wave(samples: Any, rate: int) -> bytes:
    """Samples between -1 and 1, of any number of channels, as sixteen-bit WAV."""
    numpy = library("numpy")
    array = numpy.atleast_2d(numpy.squeeze(numpy.asarray(samples, dtype=numpy.float32)))
    if array.shape[0] > array.shape[1]:
        array = array.T
    loudest = float(numpy.abs(array).max()) if array.size else 0.0
    values = (numpy.nan_to_num(array) / max(loudest, 1.0) * 32767).astype("<i2")
    target = BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(array.shape[0])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(values.T.tobytes())
    return target.getvalue()

"""Pictures by any pipeline of diffusers: a folder, or a name in the hub. Files of weights are safetensors only, which
cannot carry programs, and no code of a model is run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.models.servers.pictures import as_png, only_input, opened
from core.models.servers.work import Answer, Draw, Pictures, Request, Setup, Telling, library, refused, torch_device

MAX_STEPS = 150
MAX_SIDE = 2048
MULTIPLE = 16
"""Sides are multiples of it: what networks make smaller four times over needs it."""
MAX_COUNT = 8
CHANGED = 0.6
VARIED = 0.75
"""Strength of a change, and of a variation, where none is asked for."""


def open_engine(setup: Setup) -> Diffusion:
    torch, diffusers = library("torch"), library("diffusers")
    torch.set_num_threads(setup.threads)
    diffusers.utils.logging.disable_progress_bar()
    return Diffusion(setup.models, torch_device(setup), tuple(setup.models))


@dataclass(frozen=True, slots=True)
class Diffusion:
    places: Mapping[str, str]
    device: str
    models: Sequence[str]
    loaded: dict[str, Any] = field(default_factory=dict[str, Any])
    """One pipeline: each takes gigabytes."""

    def work(self, request: Request, telling: Telling) -> Answer:
        if not isinstance(request, Draw) or request.op not in ("draw", "edit", "vary"):
            raise refused("This model draws and changes pictures.")
        pipeline = self._pipeline(request)
        options = {**_common(request), **_begin(request)}
        taken = inspect.signature(pipeline.__call__).parameters
        for name, sentence in _NOT_TAKEN.items():
            if name in options and name not in taken:
                raise refused(sentence, "unsupported_parameter", param=name)
        steps = options.get("num_inference_steps")
        pictures = _Watch(telling, request.partials, steps, pipeline)
        if "callback_on_step_end" in taken:
            options["callback_on_step_end"] = pictures.each
        if request.seed is not None and "generator" in taken:
            # On the processor, so that a seed means the same picture on every machine.
            options["generator"] = library("torch").Generator("cpu").manual_seed(request.seed % 2**63)
        telling.step(0, 1)
        made = pipeline(**{name: value for name, value in options.items() if name in taken})
        if any(getattr(made, "nsfw_content_detected", None) or ()):
            raise refused("The model's own filter does not let it out.", "content_policy_violation")
        return Pictures(tuple(as_png(picture.convert("RGB")) for picture in made.images))

    def _pipeline(self, request: Draw) -> Any:
        diffusers, torch = library("diffusers"), library("torch")
        if request.model not in self.loaded:
            self.loaded.clear()
            dtype = torch.float32 if self.device == "cpu" else torch.float16
            found = diffusers.AutoPipelineForText2Image.from_pretrained(
                self.places[request.model], torch_dtype=dtype, use_safetensors=True
            )
            found.set_progress_bar_config(disable=True)
            self.loaded[request.model] = found.to(self.device)
        whole = self.loaded[request.model]
        if not request.inputs:
            return whole
        auto = diffusers.AutoPipelineForInpainting if request.mask else diffusers.AutoPipelineForImage2Image
        try:
            pipeline = auto.from_pipe(whole)
        except ValueError:
            raise refused("This model only draws from words.", "unsupported_operation") from None
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


_NOT_TAKEN = {
    "negative_prompt": "This model takes no negative prompt.",
    "mask_image": "This model takes no mask.",
}


def _common(request: Draw) -> dict[str, Any]:
    if request.steps is not None and not 1 <= request.steps <= MAX_STEPS:
        raise refused(f"Steps are between 1 and {MAX_STEPS}.", param="steps")
    options: dict[str, Any] = {
        "prompt": request.prompt,
        "num_images_per_prompt": min(max(request.count, 1), MAX_COUNT),
    }
    if request.negative:
        options["negative_prompt"] = request.negative
    if request.steps is not None:
        options["num_inference_steps"] = request.steps
    if request.guidance is not None:
        options["guidance_scale"] = request.guidance
    return options


def _begin(request: Draw) -> dict[str, Any]:
    """What it begins with: a picture and perhaps a mask, or noise of the size asked for."""
    if request.op != "draw":
        only_input(request.inputs)
    if not request.inputs:
        return {} if request.size is None else dict(zip(("width", "height"), _fitted(request.size), strict=True))
    resampling = library("PIL.Image").Resampling.LANCZOS
    picture = opened(request.inputs[0])
    size = _fitted(request.size or picture.size)
    strength = request.strength if request.strength is not None else VARIED if request.op == "vary" else CHANGED
    options: dict[str, Any] = {
        "image": picture.convert("RGB").resize(size, resampling),
        # At 0 no step would be left.
        "strength": min(max(strength, 0.05), 1.0),
    }
    if request.mask:
        options |= {"mask_image": _mask(request.mask).resize(size, resampling), "width": size[0], "height": size[1]}
    return options


def _mask(data: bytes) -> Any:
    """White where it may be changed, from a mask that is white or see-through there."""
    mask = opened(data)
    alpha = mask.getchannel("A") if mask.mode == "RGBA" else None
    if alpha is not None and alpha.getextrema()[0] < 255:
        return library("PIL.ImageOps").invert(alpha)
    return mask.convert("L")


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    """The sides as the model can have them, in about the same proportion."""
    scale = min(1.0, MAX_SIDE / max(size))
    width, height = (max(64, int(side * scale) // MULTIPLE * MULTIPLE) for side in size)
    return width, height


@dataclass(slots=True)
class _Watch:
    """Tells each step; now and then what the picture looks like."""

    telling: Telling
    partials: int
    steps: int | None
    pipeline: Any

    def each(self, pipeline: Any, step: int, _: Any, values: dict[str, Any]) -> dict[str, Any]:
        steps = int(getattr(pipeline, "num_timesteps", 0) or self.steps or step + 1)
        self.telling.step(step + 1, steps)
        every = max(1, steps // (self.partials + 1)) if self.partials else 0
        if every and (step + 1) % every == 0 and step + 1 < steps:
            self._show(values["latents"])
        return values

    def _show(self, latents: Any) -> None:
        vae = getattr(self.pipeline, "vae", None)
        scale = getattr(getattr(vae, "config", None), "scaling_factor", None)
        if vae is None or scale is None or latents.ndim != 4:
            # Some keep their latents in a form of their own.
            return
        with library("torch").no_grad():
            decoded = vae.decode(latents[:1] / scale, return_dict=False)[0]
        shown = self.pipeline.image_processor.postprocess(decoded, output_type="pil")[0]
        self.telling.partial(as_png(shown))

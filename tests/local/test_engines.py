"""The engines of small models with their real libraries; tiny random models where no package has weights."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import wave
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageStat

from core.errors import ModelError, ModelFault, RecordingTooLong
from core.models.catalog import Catalog
from core.models.chat import ChatMessage
from core.models.local_models import list_models
from core.models.model import Model
from core.models.openai_api import OpenAIApi
from core.models.servers.environments import python_with
from core.models.servers.servers import LocalServers
from core.models.servers.settings import EnginesSettings
from core.models.settings import LocalSettings
from core.models.wire import Drawing, ImageRequest, ModelCall, Partial, Recording, Step, Utterance
from core.settings import Settings

MAKE_PIPELINE = """
import json, sys, tempfile, torch
from pathlib import Path
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
torch.manual_seed(0)
unet = UNet2DConditionModel(
    block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, sample_size=8, in_channels=4, out_channels=4,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    cross_attention_dim=16, attention_head_dim=4,
)
vae = AutoencoderKL(
    block_out_channels=[8, 16], norm_num_groups=4, latent_channels=4,
    down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
)
text = CLIPTextModel(CLIPTextConfig(
    hidden_size=16, intermediate_size=32, num_attention_heads=2, num_hidden_layers=1, vocab_size=300,
    max_position_embeddings=32, projection_dim=16, bos_token_id=0, eos_token_id=1, pad_token_id=1,
))
with tempfile.TemporaryDirectory() as folder:
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(letter + "</w>" for letter in "abcdefghijklmnopqrstuvwxyz")]
    vocabulary = {word: number for number, word in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    Path(folder, "vocab.json").write_text(json.dumps(vocabulary))
    Path(folder, "merges.txt").write_text("#version: 0.2\\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=32)
    StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=DDIMScheduler(), safety_checker=None,
        feature_extractor=None,
    ).save_pretrained(sys.argv[1])
"""
MAKE_MUSIC = """
import sys, torch
from transformers import (
    EncodecConfig, EncodecFeatureExtractor, MusicgenConfig, MusicgenDecoderConfig, MusicgenForConditionalGeneration,
    MusicgenProcessor, T5Config, T5Tokenizer,
)
torch.manual_seed(0)
audio = EncodecConfig(
    sampling_rate=2400, num_filters=4, hidden_size=16, upsampling_ratios=[4, 4, 3], codebook_size=64, codebook_dim=16,
    num_lstm_layers=1, target_bandwidths=[1.2], num_residual_layers=1,
)
model = MusicgenForConditionalGeneration(MusicgenConfig(
    text_encoder=T5Config(vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2),
    audio_encoder=audio,
    decoder=MusicgenDecoderConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, pad_token_id=64,
        num_codebooks=audio.num_quantizers, max_position_embeddings=2048, bos_token_id=64, activation_function="relu",
    ),
))
made = model.generation_config
made.decoder_start_token_id = made.pad_token_id = made.bos_token_id = 64
made.do_sample, made.guidance_scale = True, 3.0
model.save_pretrained(sys.argv[1])
words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *(("▁" + letter, -1.0) for letter in "abcdefghijklmnopqrstuvw")]
extractor = EncodecFeatureExtractor(sampling_rate=2400)
MusicgenProcessor(extractor, T5Tokenizer(vocab=words, extra_ids=0)).save_pretrained(sys.argv[1])
"""
MAKE_PICKLED = """
import sys, torch
from pathlib import Path
from safetensors.torch import load_file
weights = Path(sys.argv[1], "model.safetensors")
torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
weights.unlink()
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def made(script: str, folder: Path) -> Path:
    python = python_with("local", ("torch",))
    assert python
    subprocess.run([python, "-c", script, str(folder)], check=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion of random weights that makes 64x64 pixels in some milliseconds."""
    return made(MAKE_PIPELINE, tmp_path_factory.mktemp("pipelines") / "tiny")


@asynccontextmanager
async def asked(folder: Path, name: str, **engines: Any) -> AsyncGenerator[tuple[Model, OpenAIApi]]:
    """The local model of that name, and a client of its server."""
    settings = Settings(data=folder, engines=EnginesSettings(threads=2, device="cpu", **engines))
    catalog = Catalog.of(settings)
    servers = LocalServers(settings, catalog)
    servers.open()
    api = OpenAIApi(catalog.endpoints("local", name)[0])
    try:
        yield next(row for row in catalog.all if row.name == name), api
    finally:
        await api.aclose()
        await servers.aclose()


async def drawn(api: OpenAIApi, model: Model, request: ImageRequest) -> tuple[list[Step | Partial], Drawing]:
    async with aclosing(api.draw(model, request)) as events:
        found = [event async for event in events]
    assert isinstance(found[-1], Drawing)
    return [event for event in found if not isinstance(event, Drawing)], found[-1]


def picture(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def as_png(image: Image.Image) -> bytes:
    target = BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def shades(width: int, height: int) -> Image.Image:
    """Smooth, with a disc in it."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    ImageDraw.Draw(image).ellipse((width // 4, height // 4, width // 2, height // 2), fill=(200, 30, 30))
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    found = ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean
    return sum(found) / len(found)


async def test_pipeline_draws_changes_gives_up_and_says_what_is_broken(pipeline: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(pipeline, tmp_path / "models" / "broken")
    weights = next((broken / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    async with asked(tmp_path, "tiny", images=(str(pipeline), "auto", "nobody/nothing")) as (model, api):
        # Step by step, and the same again with the same seed.
        wish = ImageRequest("a house", size="64x96", steps=4, seed=5, count=2, negative="rain")
        events, first = await drawn(api, model, wish)
        steps = [event.done for event in events if isinstance(event, Step)]
        assert steps == sorted(steps)
        assert {0.25, 0.5, 0.75, 1.0} <= set(steps)
        assert [picture(file).size for file in first.pictures] == [(64, 96)] * 2
        assert (await drawn(api, model, wish))[1].pictures == first.pictures
        assert (await drawn(api, model, replace(wish, seed=6)))[1].pictures != first.pictures
        events, _ = await drawn(api, replace(model, partial_images=2), replace(wish, count=1))
        shown = [picture(event.picture).size for event in events if isinstance(event, Partial)]
        assert shown
        assert set(shown) == {(64, 96)}

        # From a picture, with and without a mask.
        given = as_png(shades(64, 64))
        mask = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
        ImageDraw.Draw(mask).rectangle((0, 0, 31, 63), fill=(255, 255, 255, 0))
        wish = ImageRequest("x", size="64x64", steps=4, seed=1, inputs=(given,), op="edit", strength=0.5)
        _, changed = await drawn(api, model, wish)
        assert picture(changed.pictures[0]).size == (64, 64)
        assert (await drawn(api, model, replace(wish, mask=as_png(mask))))[1].pictures != changed.pictures
        with pytest.raises(ModelError, match="cannot be read") as error:
            await drawn(api, model, ImageRequest("x", inputs=(b"\x89PNG no picture",), op="edit"))
        assert error.value.fault is ModelFault.REFUSED

        # What nobody wants any more ends between two steps: this one would take a minute.
        async with aclosing(api.draw(model, ImageRequest("x", size="256x256", steps=150))) as begun:
            while not isinstance(event := await anext(begun), Step) or not event.done:
                pass
        async with asyncio.timeout(20):
            assert (await drawn(api, model, ImageRequest("x", size="64x64", steps=1)))[1].pictures

        # Weights that are cut off, and a model that is neither here nor in a hub that can be reached.
        with pytest.raises(ModelError, match="Unable to load weights") as error:
            await drawn(api, replace(model, id="broken"), ImageRequest("x"))
        assert error.value.fault is ModelFault.SERVER
        with pytest.raises(ModelError, match=r"nobody/nothing|connect|cached"):
            await drawn(api, replace(model, id="nothing"), ImageRequest("x"))
        assert (await drawn(api, model, ImageRequest("x", size="64x64", steps=1)))[1].pictures


async def test_upscaling_makes_the_same_picture_larger_without_seams(tmp_path: Path) -> None:
    async with asked(tmp_path, "real-esrgan") as (model, api):
        small = shades(32, 32)
        _, drawing = await drawn(api, model, ImageRequest("", inputs=(as_png(small),), op="upscale"))
        assert picture(drawing.pictures[0]).size == (64, 64)
        assert difference(picture(drawing.pictures[0]), small.resize((64, 64), Image.Resampling.BICUBIC)) < 12
        # Wider than a tile: a seam would stand out against the smooth picture.
        wide = shades(150, 20)
        events, drawing = await drawn(api, model, ImageRequest("", inputs=(as_png(wide),), op="upscale"))
        assert [event.done for event in events if isinstance(event, Step)] == [0.0, 0.5]
        columns = picture(drawing.pictures[0]).convert("RGB")
        assert columns.size == (300, 40)
        assert difference(columns.crop((255, 0, 256, 40)), columns.crop((256, 0, 257, 40))) < 4
        huge = as_png(Image.new("RGB", (2000, 1000)))
        with pytest.raises(ModelError, match="more than 1050000 pixels"):
            await drawn(api, model, ImageRequest("", inputs=(huge,), op="upscale"))


async def test_background_is_cut_out(tmp_path: Path) -> None:
    scene = Image.new("RGB", (160, 160), (90, 160, 90))
    ImageDraw.Draw(scene).ellipse((45, 30, 115, 130), fill=(230, 200, 170), outline=(40, 20, 10), width=4)
    async with asked(tmp_path, "u2netp") as (model, api):
        _, drawing = await drawn(api, model, ImageRequest("", inputs=(as_png(scene),), op="cutout"))
    alpha = picture(drawing.pictures[0]).getchannel("A")
    assert alpha.size == scene.size
    assert alpha.getpixel((80, 80)) > 200
    assert alpha.getpixel((5, 5)) < 50


async def test_harmless_pictures_are_left_alone(tmp_path: Path) -> None:
    """How much of what it should find it finds is not tested: no such pictures are used here."""
    skin = Image.linear_gradient("L").resize((400, 300))
    scene = Image.new("RGB", (512, 512), "#88bbff")
    pen = ImageDraw.Draw(scene)
    pen.ellipse((150, 100, 360, 310), fill="#f0c8a0")
    pen.rectangle((0, 350, 512, 512), fill="#33aa33")
    pictures = {
        "white": Image.new("RGB", (64, 64), "white"),
        "skin": Image.merge(
            "RGB", (skin, skin.point(lambda value: value * 0.75), skin.point(lambda value: value * 0.6))
        ),
        "noise": Image.effect_noise((300, 300), 80).convert("RGB"),
        "scene": scene,
        "clear": Image.new("RGBA", (50, 50), (0, 0, 0, 0)),
    }
    async with asked(tmp_path, "open-nsfw") as (model, api):
        for name, drawn_here in pictures.items():
            judgement = await api.judge(model, "", [("image/png", as_png(drawn_here))])
            assert judgement.flagged == frozenset(), name
            assert 0 <= judgement.scores["sexual"] < 0.5, name
        with pytest.raises(ModelError, match="cannot be read"):
            await api.judge(model, "", [("image/png", b"no picture")])
        with pytest.raises(ModelError, match="no text"):
            await api.judge(model, "a text alone")


async def test_text_in_a_picture_is_read_line_by_line(tmp_path: Path) -> None:
    page = Image.new("RGB", (420, 120), "white")
    pen = ImageDraw.Draw(page)
    pen.text((10, 10), "Opening hours", fill="black", font=ImageFont.load_default(30))
    pen.text((10, 65), "Monday", fill="black", font=ImageFont.load_default(26))
    pen.text((250, 67), "9 to 17", fill="black", font=ImageFont.load_default(26))
    empty = as_png(Image.new("RGB", (64, 64), "white"))
    async with asked(tmp_path, "rapidocr") as (model, api):
        assert await read(api, model, as_png(page)) == "Opening hours\nMonday  9 to 17"
        assert (await read(api, model, empty)).strip() == ""


async def read(api: OpenAIApi, model: Model, file: bytes) -> str:
    call = ModelCall(model, (ChatMessage("user", "What is written there?", (file,)),), 100)
    async with aclosing(api.stream(call)) as pieces:
        return "".join([piece async for piece in pieces if isinstance(piece, str)])


async def test_whisper_hears_what_piper_says(tmp_path: Path) -> None:
    async with asked(tmp_path, "piper") as (voice, api):
        said = await api.speak(voice, Utterance("The library opens at nine on Monday.", "", "en"))
        assert said.startswith(b"OggS")
        with pytest.raises(ModelError, match="no voice for the language"):
            await api.speak(voice, Utterance("x", "", "xx"))
    async with asked(tmp_path, "whisper-base") as (model, api):
        heard = await api.transcribe(model, Recording("answer.ogg", "audio/ogg", said))
        chats = await list_models(LocalSettings(), tmp_path)
        assert "whisper-base" not in [row.name for row in chats], "it is no chat model of one's own"
        assert "library opens at" in heard.text.lower()
        assert heard.seconds is not None
        assert 1 < heard.seconds < 6
        with pytest.raises(ModelError, match="cannot be read"):
            await api.transcribe(model, Recording("answer.ogg", "audio/ogg", b"no sound at all"))
        # Text that FFmpeg takes for a list of what it would open itself: a port, another file.
        (tmp_path / "run" / "other.wav").write_bytes(silence(1))
        call = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 40000 RTP/AVP 0\n"
        for listing in (call, "ffconcat version 1.0\nfile other.wav\n"):
            async with asyncio.timeout(20):
                with pytest.raises(ModelError, match="cannot be read"):
                    await api.transcribe(model, Recording("answer.ogg", "audio/ogg", listing.encode()))
        # Small as a file, large as sound.
        for recording in (silence(700), silence(40_000, rate=1)):
            with pytest.raises(RecordingTooLong, match="longer than 600 seconds") as caught:
                await api.transcribe(model, Recording("answer.wav", "audio/wav", recording))
            assert caught.value.seconds == 600


def silence(seconds: int, rate: int = 1000) -> bytes:
    target = BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(rate)
        file.writeframes(b"\x80" * seconds * rate)
    return target.getvalue()


async def test_music_of_the_length_asked_for(tmp_path: Path) -> None:
    made(MAKE_MUSIC, tmp_path / "tiny-music")
    async with asked(tmp_path, "tiny-music", music=str(tmp_path / "tiny-music")) as (model, api):
        sound = await api.compose(model, "rain in a forest", 2)
    assert sound.startswith(b"RIFF")
    samples = (len(sound) - 44) // 2
    assert 1.5 < samples / 2400 < 2.5
    made(MAKE_PICKLED, tmp_path / "tiny-music")
    async with asked(tmp_path, "tiny-music", music=str(tmp_path / "tiny-music")) as (model, api):
        with pytest.raises(ModelError, match="Could not load model"):
            await api.compose(model, "rain in a forest", 2)

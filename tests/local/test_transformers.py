"""``transformers serve`` with a tiny random GPT-2, through the server's own supervision and the real client."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest
from openai import AsyncOpenAI, AuthenticationError

from core.models import local_server
from core.models.local_server import LocalModel, LocalServer, interpreter_for
from core.models.settings import LocalSettings

MAKE_GPT2 = """
import sys, torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
torch.manual_seed(0)
words = Tokenizer(models.BPE())
words.pre_tokenizer, words.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size=320, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
)
words.train_from_iterator(["hello world, this is a tiny model that knows few words. "], trainer)
end = "<|endoftext|>"
PreTrainedTokenizerFast(tokenizer_object=words, bos_token=end, eos_token=end).save_pretrained(sys.argv[1])
size = dict(vocab_size=words.get_vocab_size(), n_positions=256, n_embd=32, n_layer=2, n_head=2)
GPT2LMHeadModel(GPT2Config(**size, bos_token_id=0, eos_token_id=None)).save_pretrained(sys.argv[1])
"""


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a GPT-2 of random weights and a tokenizer trained on the spot; no chat form, like the real one."""
    folder = tmp_path_factory.mktemp("models") / "tiny-gpt2"
    subprocess.run([interpreter_for("transformers"), "-c", MAKE_GPT2, str(folder)], check=True, timeout=300)
    return folder


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def silence(_: str) -> None:
    pass


async def streamed(client: AsyncOpenAI, model: LocalModel, question: str, tokens: int = 12) -> tuple[int, str | None]:
    """How many chunks carried text, and the finish reason."""
    stream = await client.chat.completions.create(
        model=model.id, max_tokens=tokens, messages=[{"role": "user", "content": question}], stream=True
    )
    count, reason = 0, None
    async for chunk in stream:
        for choice in chunk.choices:
            count += bool(choice.delta.content)
            reason = choice.finish_reason or reason
    return count, reason


async def test_gpt2_streams_in_a_batch_and_comes_back(
    gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "FIRST_PAUSE_SECONDS", 0.05)
    changes: asyncio.Queue[LocalModel | None] = asyncio.Queue()
    lines: list[str] = []
    server = LocalServer(LocalSettings(model=str(gpt2)), tmp_path, lines.append, changes.put_nowait)
    model = await server.start()
    try:
        assert model is not None
        assert (model.name, model.window, model.small) == ("tiny-gpt2", 256, True)
        assert "tiny-gpt2" in model.source
        assert any("Loading tiny-gpt2" in line for line in lines)
        async with AsyncOpenAI(base_url=model.base_url, api_key=model.api_key, max_retries=0) as client:
            count, reason = await streamed(client, model, "hello")
            assert count > 1
            assert reason == "length"
            # Eight at once, more than there are slots: continuous batching takes them all.
            many = await asyncio.gather(*(streamed(client, model, f"hello {n}") for n in range(8)))
            assert [reason for count, reason in many if count] == ["length"] * 8
        async with AsyncOpenAI(base_url=model.base_url, api_key="wrong", max_retries=0) as stranger:
            with pytest.raises(AuthenticationError):
                await streamed(stranger, model, "hello")

        os.kill(server.pid, signal.SIGKILL)
        assert await asyncio.wait_for(changes.get(), 30) is None
        again = await asyncio.wait_for(changes.get(), 120)
        assert again is not None
        async with AsyncOpenAI(base_url=again.base_url, api_key=again.api_key, max_retries=0) as client:
            assert (await streamed(client, again, "hello"))[0] > 1
    finally:
        await server.stop()
    assert server.pid == 0

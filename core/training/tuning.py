"""Fine-tuning a chat model: LoRA on conversations, what it predicts of others before and after, and a whole model."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.models.local_transformers import PLAIN_CHAT
from core.training import keeping, progress
from core.training.dialogues import Dialogue, digest, read, split
from core.training.order import TrainingError, Tuning, check_name
from core.training.tuned import write_model

IGNORED = -100
"""What torch leaves out of a loss."""
WARM = 0.1
"""Of all steps, in which the optimiser's step grows."""
CLIPPED = 1.0


@dataclass(slots=True)
class Standing:
    """How far it is."""

    epoch: int = 0
    seconds: float = 0.0
    before: float = math.inf
    """Perplexity of what was held out, with the base model."""
    best: float = math.inf
    best_epoch: int = 0
    weights: Mapping[str, Tensor] | None = None
    """Of the adapter, in the best epoch."""


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation in tokens. Only the answers are learned."""

    tokens: tuple[int, ...]
    learned: tuple[bool, ...]


def tune(order: Tuning, tell: Callable[[str], None] = progress.tell) -> Path:
    """Gives the model's folder. Raises TrainingError."""
    check_name(order.name)
    device = keeping.device_of(order.device)
    target = Path(order.out) / order.name
    work = target / "training"
    is_there = (work / "checkpoint.pt").is_file()
    if not order.resume and (is_there or (target / "config.json").exists()):
        raise TrainingError(f"{target} is there already. Go on with --resume, or choose another --name.")
    if order.resume and not is_there:
        raise TrainingError(f"There is nothing to resume: {work} has no checkpoint.")
    dialogues = read(Path(order.data), tell)
    with keeping.alone(work):
        return _Tuning(order, dialogues, target, device, tell).run()


class _Tuning:
    def __init__(
        self,
        order: Tuning,
        dialogues: Sequence[Dialogue],
        target: Path,
        device: torch.device,
        tell: Callable[[str], None],
    ) -> None:
        self.order, self.target, self.device, self.tell = order, target, device, tell
        self.work = target / "training"
        self.same = order.same | {"data": digest(dialogues)}
        keeping.be_exact(order.seed)
        self.tokenizer, self.model = _opened(order)
        self.model.to(device)
        learned, held = split(dialogues, order.seed)
        self.learned = [found for one in learned if (found := self._example(one)) is not None]
        self.held = [found for one in held if (found := self._example(one)) is not None]
        if not self.learned or not self.held:
            raise TrainingError("The answers are all longer than the model's window: there is nothing to learn from.")
        self.adapted = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.per_epoch = -(-len(self.learned) // order.batch)
        self.optimiser = torch.optim.AdamW(self.adapted, order.rate, weight_decay=0.0)
        self.standing = Standing()
        if order.resume:
            self._resume()

    def run(self) -> Path:
        order, now = self.order, self.standing
        self.tell(f"{len(self.learned)} conversations, {len(self.held)} held out.")
        if not now.epoch:
            now.before = self._perplexity()
            self.tell(f"Perplexity before: {now.before:.4g}")
        with progress.watched(self.per_epoch * order.epochs) as told:
            while now.epoch < order.epochs:
                if order.patience and now.epoch - now.best_epoch >= order.patience:
                    self.tell(f"No better one in {order.patience} epochs: it ends here.")
                    break
                began = time.monotonic()
                loss = self._epoch(told)
                self._measure(loss)
                now.seconds += time.monotonic() - began
                self._keep()
        if now.weights is None:
            raise TrainingError("No epoch came to its end.")
        self.model.load_state_dict(now.weights, strict=False)
        merged = self.model.merge_and_unload()
        figures = {
            "conversations": len(self.learned),
            "held out": len(self.held),
            "perplexity before": round(now.before, 3),
            "perplexity after": round(now.best, 3),
            "epoch": now.best_epoch,
            "minutes": round(now.seconds / 60, 1),
        }
        write_model(self.target, self.order, merged, self.tokenizer, figures)
        self.tell(f"Perplexity of what was held out: {now.before:.4g} before, {now.best:.4g} after.")
        return self.target

    def _epoch(self, told: progress.Told) -> float:
        now, size = self.standing, self.order.batch
        self.model.train()
        mixed = torch.randperm(len(self.learned)).tolist()
        total = 0.0
        for number in range(self.per_epoch):
            self._warm(now.epoch * self.per_epoch + number)
            loss = self._loss([self.learned[at] for at in mixed[number * size : (number + 1) * size]]).mean()
            if not torch.isfinite(loss):
                raise TrainingError("The loss is no number any more. Begin anew with another --seed.")
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.adapted, CLIPPED)
            self.optimiser.step()
            total += loss.item() / self.per_epoch
            done = now.epoch * self.per_epoch + number + 1
            told(f"epoch {now.epoch + 1}/{self.order.epochs}", done, {"loss": loss.item()})
        return total

    def _warm(self, step: int) -> None:
        # By the first epoch alone: how many there are may change when it is resumed.
        share = min(1.0, (step + 1) / max(1.0, self.per_epoch * WARM))
        for group in self.optimiser.param_groups:
            group["lr"] = self.order.rate * share

    def _measure(self, loss: float) -> None:
        now = self.standing
        now.epoch += 1
        perplexity = self._perplexity()
        if perplexity < now.best:
            now.best, now.best_epoch = perplexity, now.epoch
            now.weights = self._weights()
        self.tell(f"epoch {now.epoch}/{self.order.epochs}  loss {loss:.4g}  perplexity {perplexity:.4g}")
        progress.log(self.work / "logs", now.epoch, {"loss": loss, "perplexity": perplexity})

    @torch.no_grad()
    def _perplexity(self) -> float:
        """Of the answers that were held out."""
        self.model.eval()
        losses = [
            self._loss(self.held[at : at + self.order.batch]) for at in range(0, len(self.held), self.order.batch)
        ]
        return math.exp(min(torch.cat(losses).double().mean().item(), 50.0))

    def _loss(self, examples: Sequence[Example]) -> Tensor:
        """Of each token that is learned."""
        longest = max(len(example.tokens) for example in examples)
        tokens = torch.zeros(len(examples), longest, dtype=torch.long)
        seen, wanted = torch.zeros_like(tokens), torch.full_like(tokens, IGNORED)
        for row, example in enumerate(examples):
            length = len(example.tokens)
            tokens[row, :length] = torch.tensor(example.tokens)
            seen[row, :length] = 1
            wanted[row, :length] = tokens[row, :length].where(torch.tensor(example.learned), IGNORED)
        found = self.model(input_ids=tokens.to(self.device), attention_mask=seen.to(self.device)).logits[:, :-1]
        wanted = wanted[:, 1:].to(self.device)
        losses = nn.functional.cross_entropy(
            found.flatten(0, 1).float(), wanted.flatten(), reduction="none", ignore_index=IGNORED
        )
        return losses[wanted.flatten() != IGNORED]

    def _example(self, dialogue: Dialogue) -> Example | None:
        """In the model's own chat form; None where no answer is left in its window."""
        window = min(self.order.tokens, int(getattr(self.model.config, "max_position_embeddings", 0) or 10**6))
        tokens: list[int] = []
        learned: list[bool] = []
        messages = dialogue.messages
        for number, message in enumerate(messages, 1):
            if message["role"] != "assistant":
                continue
            asked, whole = self._form(messages[: number - 1], is_asked=True), self._form(messages[:number])
            if whole[: len(asked)] != asked or asked[: len(tokens)] != tokens:
                # A form that changes what was before: only the last answer is learned.
                tokens, learned = [], []
            learned += [False] * (len(asked) - len(tokens)) + [True] * (len(whole) - len(asked))
            tokens = whole
        tokens, learned = tokens[-window:], learned[-window:]
        return Example(tuple(tokens), tuple(learned)) if any(learned[1:]) else None

    def _form(self, messages: Sequence[Mapping[str, str]], *, is_asked: bool = False) -> list[int]:
        text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=is_asked)
        if is_asked or self.tokenizer.chat_template != PLAIN_CHAT:
            return self._tokens(text)
        # The plain form asks for the next answer by itself; the end of one is what a model stops at.
        asked = self.tokenizer.apply_chat_template(list(messages[:-1]), tokenize=False)
        end = [self.tokenizer.eos_token_id] if self.tokenizer.eos_token_id is not None else []
        return self._tokens(asked) + self._tokens(" " + messages[-1]["content"]) + end

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _weights(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self.model.named_parameters() if weight.requires_grad}

    def _keep(self) -> None:
        now = self.standing
        values: dict[str, Any] = {name: getattr(now, name) for name in Standing.__slots__}
        values |= {"same": self.same, "adapter": self._weights(), "optimiser": self.optimiser.state_dict()}
        keeping.save(self.work / "checkpoint.pt", values)

    def _resume(self) -> None:
        path = self.work / "checkpoint.pt"
        kept = keeping.load(path, self.device)
        keeping.check_same(kept.get("same", {}), self.same)
        try:
            self.model.load_state_dict(kept["adapter"], strict=False)
            self.optimiser.load_state_dict(kept["optimiser"])
            self.standing = Standing(**{name: kept[name] for name in Standing.__slots__})
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise TrainingError(f"The checkpoint {path} cannot be read ({type(error).__name__}). Begin anew.") from None
        self.tell(f"Going on after epoch {self.standing.epoch}.")


def _opened(order: Tuning) -> tuple[Any, Any]:
    """The tokenizer, and the model with an adapter. Weights that could carry programs are not read."""
    import transformers
    from peft import LoraConfig, get_peft_model

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    random.seed(order.seed)
    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(order.base)
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(
            order.base, use_safetensors=True, dtype=torch.float32
        )
        if not tokenizer.chat_template:
            tokenizer.chat_template = PLAIN_CHAT
        config = LoraConfig(
            r=order.rank,
            lora_alpha=2 * order.rank,
            lora_dropout=0.05,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        return tokenizer, get_peft_model(model, config)
    except (OSError, ValueError, KeyError, ImportError) as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise TrainingError(f"The model {order.base} cannot be used: {first}") from None

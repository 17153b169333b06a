"""ctxbench token counters: Qwen's tokenizer and the visual-token rules of model families."""

from __future__ import annotations

from collections.abc import Iterable

from ctxbench import TokenCounterRecord, hookimpl
from ctxbench_qwen_tokens.bpe import count, decode, encode

__all__ = ["count", "decode", "encode"]


@hookimpl
def ctxbench_token_counters() -> Iterable[TokenCounterRecord]:
    """Families whose rule for visual tokens is published."""
    here = "ctxbench_qwen_tokens"
    yield TokenCounterRecord("qwen2-vl", "Qwen2-VL: 28 px squares; Qwen2's tokenizer.", f"{here}.qwen:qwen2_vl")
    yield TokenCounterRecord("qwen2.5-vl", "Qwen2.5-VL: 28 px squares; Qwen2's tokenizer.", f"{here}.qwen:qwen2_5_vl")
    yield TokenCounterRecord("qwen3-vl", "Qwen3-VL: 32 px squares; Qwen2's tokenizer.", f"{here}.qwen:qwen3_vl")
    yield TokenCounterRecord("llava-1.5", "LLaVA-1.5: every image is 576 tokens.", f"{here}.others:llava_1_5")
    yield TokenCounterRecord("pixtral", "Pixtral: 16 px patches, and a marker at the end of each row.", f"{here}.others:pixtral")
    yield TokenCounterRecord("idefics3", "Idefics3: 364 px tiles of 169 tokens and one overview.", f"{here}.tiles:idefics3")
    yield TokenCounterRecord("smolvlm", "SmolVLM 256M and 500M: 512 px tiles of 64 tokens and one overview.", f"{here}.tiles:smolvlm")
    yield TokenCounterRecord(
        "internvl2", "InternVL 2: up to 12 tiles of 448 px, 256 tokens each, and one overview.", f"{here}.tiles:internvl2"
    )
    yield TokenCounterRecord(
        "deepseek-ocr", "DeepSeek-OCR: modes tiny, small, base, large (73 to 421 tokens) and gundam.", f"{here}.deepseek:deepseek_ocr"
    )
    yield TokenCounterRecord(
        "deepseek-ocr-2", "DeepSeek-OCR 2: 257 tokens and 144 for each of up to 6 tiles of 768 px.", f"{here}.deepseek:deepseek_ocr_2"
    )
    yield TokenCounterRecord("gpt-4o", "GPT-4o, high detail: 85 tokens and 170 for each 512 px tile.", f"{here}.openai:gpt_4o")
    yield TokenCounterRecord("gpt-5", "GPT-5, high detail: 70 tokens and 140 for each 512 px tile.", f"{here}.openai:gpt_5")
    yield TokenCounterRecord(
        "gpt-5-mini", "GPT-5 mini, GPT-5.2: 1.2 tokens for each of up to 1,536 patches of 32 px.", f"{here}.openai:gpt_5_mini"
    )
    yield TokenCounterRecord("gpt-5.4", "GPT-5.4, GPT-5.5: 1.2 tokens for each of up to 2,500 patches of 32 px.", f"{here}.openai:gpt_5_4")
    yield TokenCounterRecord("claude", "Claude: 28 px squares, at most 4,784 tokens (1,568 before Opus 4.7).", f"{here}.closed:claude")
    yield TokenCounterRecord("gemini-2.5", "Gemini 2: 258 tokens for each tile of 256 to 768 px.", f"{here}.closed:gemini_2_5")
    yield TokenCounterRecord(
        "gemini-3", "Gemini 3: as many tokens as media_resolution allots, 1,120 unless set.", f"{here}.closed:gemini_3"
    )

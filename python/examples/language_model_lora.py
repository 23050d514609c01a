"""Private fine-tuning of a causal language model through low-rank adapters (LoRA).

    python language_model_lora.py        a small network with random weights
    python language_model_lora.py gpt2   the weights of a name or folder, which must be on this machine
"""

from __future__ import annotations

import sys

import torch
import transformers

import dponnx

LENGTH = 32


class LowRank(torch.nn.Module):
    """A frozen linear layer plus a trained product of two thin matrices (Hu et al. 2021)."""

    def __init__(self, layer: torch.nn.Module, rank: int = 4) -> None:
        super().__init__()
        rows, columns = layer.weight.shape  # [in, out], as GPT-2's layers hold them
        self.layer = layer.requires_grad_(False)
        self.down = torch.nn.Linear(rows, rank, bias=False)
        self.up = torch.nn.Linear(rank, columns, bias=False)
        torch.nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + self.up(self.down(x))


def main() -> None:
    torch.manual_seed(0)
    if len(sys.argv) > 1:
        model = transformers.GPT2LMHeadModel.from_pretrained(sys.argv[1], local_files_only=True)
    else:
        model = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=LENGTH, bos_token_id=0, eos_token_id=0
            )
        )
    model.requires_grad_(False)
    for block in model.transformer.h:
        block.attn.c_attn = LowRank(block.attn.c_attn)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    print(f"{len(trained)} tensors train")

    # Texts that repeat a pattern, so that there is something to learn.
    tokens = (torch.arange(LENGTH)[None, :] + torch.randint(0, 8, (512, 1))) % 8 + 1
    result = dponnx.fine_tune(
        model, {"input_ids": tokens[:1]}, {"input_ids": tokens}, loss="causal-lm", epsilon=8, delta=1e-4,
        dataset_size=512, batch_size=64, epochs=4, optimizer="adam", learning_rate=1e-2,
        output="private_language_model.onnx", validation={"input_ids": tokens[:64]},
    )  # fmt: skip
    print(f"epsilon {result.epsilon:.3f} at delta {result.delta}")
    print("on training data, not covered by epsilon:", result.validation)


if __name__ == "__main__":
    main()

"""Private fine-tuning of a text classifier of Hugging Face.

    python text_classifier.py                         a small network with random weights
    python text_classifier.py distilbert-base-uncased the weights of a name or folder, which must be on this machine
"""

from __future__ import annotations

import sys

import torch
import transformers

import dponnx

LENGTH = 24
TEXTS = [("what a fine film", 1), ("dull and far too long", 0), ("I would see it again", 1), ("a waste of time", 0)]


def main() -> None:
    torch.manual_seed(0)
    if len(sys.argv) > 1:
        tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1], local_files_only=True)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            sys.argv[1], num_labels=2, local_files_only=True
        )
        encode = lambda text: tokenizer(text, padding="max_length", truncation=True, max_length=LENGTH)  # noqa: E731
    else:
        words = sorted({word for text, _ in TEXTS for word in text.split()})
        model = transformers.BertForSequenceClassification(
            transformers.BertConfig(
                vocab_size=len(words) + 1, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                intermediate_size=64, num_labels=2,
            )  # fmt: skip
        )

        def encode(text: str) -> dict[str, list[int]]:
            tokens = [words.index(word) + 1 for word in text.split()]
            padding = [0] * (LENGTH - len(tokens))
            return {"input_ids": tokens + padding, "attention_mask": [1] * len(tokens) + padding}

    # Every sample has one length; a real data set has rows of different people.
    dataset = [{**encode(text), "labels": label} for text, label in TEXTS * 64]
    example = {name: torch.tensor([dataset[0][name]]) for name in ("input_ids", "attention_mask")}
    result = dponnx.fine_tune(
        model, example, dataset, epsilon=8, delta=1e-4, dataset_size=len(dataset), batch_size=32, epochs=4,
        optimizer="adam", learning_rate=2e-3, output="private_classifier.onnx", validation=dataset,
    )  # fmt: skip
    print(f"epsilon {result.epsilon:.3f} at delta {result.delta}")
    print("on the training data, not covered by epsilon:", result.validation)


if __name__ == "__main__":
    main()

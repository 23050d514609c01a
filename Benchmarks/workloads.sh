# The workloads' batch sizes, and steps that take a few seconds.
declare -A batch=(
    [mlp]=256 [cnn-mnist]=256 [cnn-groupnorm]=128 [resnet18-32]=32 [resnet18-224]=4 [vit-tiny]=8 [roberta-base]=4
    [gpt2-small]=4 [gpt2-tiny]=8 [lstm]=64
)
declare -A steps=(
    [mlp]=50 [cnn-mnist]=50 [cnn-groupnorm]=8 [resnet18-32]=12 [resnet18-224]=6 [vit-tiny]=6 [roberta-base]=4
    [gpt2-small]=4 [gpt2-tiny]=6 [lstm]=8
)

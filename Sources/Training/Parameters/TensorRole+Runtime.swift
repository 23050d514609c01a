import Operators

extension TensorRole {
    /// The role that an input of one of ONNX Runtime's joined operators has by itself; nil if others decide.
    init?(runtimeInput input: Int, of node: ImportedNode) {
        guard node.domain == "com.microsoft" else { return nil }
        switch (node.operatorType, input) {
        case ("FusedMatMul", 0...1), ("TransposeMatMul", 0...1), ("FusedGemm", 0...1), ("FusedConv", 1),
            ("Attention", 1):
            self = .weight
        case ("FusedGemm", 2), ("FusedConv", 2), ("Attention", 2), ("MultiHeadAttention", 3), ("BiasGelu", 1),
            ("FastGelu", 1), ("BiasSoftmax", 1), ("BiasDropout", 1), ("SkipLayerNormalization", 4),
            ("SkipSimplifiedLayerNormalization", 3), ("MatMulNBits", 5), ("DynamicQuantizeMatMul", 4),
            ("MatMulIntegerToFloat", 6):
            self = .bias
        case ("SimplifiedLayerNormalization", 1), ("SkipLayerNormalization", 2),
            ("SkipSimplifiedLayerNormalization", 2), ("EmbedLayerNormalization", 5), ("GroupQueryAttention", 14...15):
            self = .normalizationScale
        case ("SkipLayerNormalization", 3), ("EmbedLayerNormalization", 6): self = .normalizationBias
        case ("EmbedLayerNormalization", 2...4): self = .table
        case ("GroupQueryAttention", 7...8): self = .setting
        case ("MatMulNBits", 1...3), ("DynamicQuantizeMatMul", 1...3), ("MatMulIntegerToFloat", 0...5),
            ("GroupQueryAttention", 12...13):
            self = .quantization
        default: return nil
        }
    }
}

/// What private training makes of an operator.
public enum TrainingSupport: Hashable, Sendable {
    /// Gradients flow through it to its inputs of float type.
    /// - Parameter parameters: how the per-sample gradient of a parameter among its inputs is found.
    case gradient(parameters: String)
    /// It runs, but nothing in front of it can be trained through it.
    case forwardOnly(because: String)
}

extension OperatorPlugin {
    public var trainingSupport: TrainingSupport { StandardTrainingSupport.support(of: identity) }
}

/// The rules that follow from what the standard operators expand into. An operator that expands into differentiable
/// operations is differentiable; only the others, and those with a rule of their own, are listed.
enum StandardTrainingSupport {
    static func support(of identity: OperatorIdentity) -> TrainingSupport {
        support(of: identity.operatorType, domain: identity.domain)
    }

    static func support(of operatorType: String, domain: String = "") -> TrainingSupport {
        if let reason = reasons[operatorType] { return .forwardOnly(because: reason) }
        let rule = rules["\(domain).\(operatorType)"] ?? rules[operatorType]
        return .gradient(parameters: rule ?? "by its operations")
    }

    private static func labelled(_ text: String, _ operators: String) -> [(String, String)] {
        operators.split(separator: " ").map { (String($0), text) }
    }

    private static let reasons = Dictionary(
        uniqueKeysWithValues:
            labelled("gives sizes", "Shape Size OptionalHasElement SequenceLength")
            + labelled("gives positions", "ArgMax ArgMin NonZero NonMaxSuppression")
            + labelled(
                "gives truth values",
                "Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Not IsNaN IsInf Binarizer")
            + labelled(
                "gives integers or bits",
                "BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BitCast OneHot TfIdfVectorizer")
            + labelled(
                "is constant", "Constant EyeLike Range HannWindow HammingWindow BlackmanWindow MelWeightMatrix")
            + labelled("is constant", "ConstantOfShape SequenceEmpty")
            + labelled(
                "draws random numbers",
                "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial")
            + labelled("is constant between its steps", "Floor Ceil Round Sign Hardmax TreeEnsemble")
            + labelled(
                "rounds; train before quantizing",
                "QuantizeLinear DynamicQuantizeLinear MatMulInteger ConvInteger QLinearMatMul QLinearConv "
                    + "MatMulIntegerToFloat DynamicQuantizeMatMul"))

    private static let rules = Dictionary(
        uniqueKeysWithValues:
            labelled(
                "matrix product: ghost norm or per-sample gradients",
                "MatMul Gemm FusedMatMul FusedGemm Einsum com.microsoft.Attention")
            + labelled(
                "convolution: ghost norm or per-sample gradients",
                "Conv ConvTranspose FusedConv CausalConvWithState")
            + labelled("rows of a table, each sample's own", "Gather EmbedLayerNormalization")
            + labelled("steps of a recurrence", "LSTM GRU RNN")
            + labelled(
                "sum over what it was broadcast to",
                "Add Sub Mul Div Pow Min Max Mean Sum PRelu Where Expand BatchNormalization LayerNormalization "
                    + "GroupNormalization InstanceNormalization RMSNormalization SimplifiedLayerNormalization "
                    + "SkipLayerNormalization SkipSimplifiedLayerNormalization BiasGelu FastGelu"))
}

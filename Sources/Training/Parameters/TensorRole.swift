import Operators

/// What a tensor does at a place where it is read.
enum TensorRole: Hashable {
    /// Multiplies data in a product: a matrix, a kernel, recurrent weights.
    case weight
    /// Rows that data choose.
    case table
    case bias
    case normalizationScale
    case normalizationBias
    /// Slope of a parametric activation.
    case slope
    /// Mean and variance that a BatchNormalization collected.
    case statistics
    /// Sets how an operator works; not differentiated.
    case setting
    /// Scale or zero point of quantized numbers, or what is to be quantized.
    case quantization
    /// Only compared, rounded or measured: no gradient reaches it.
    case compared
    /// Any other arithmetic with data.
    case arithmetic

    /// Whether a gradient can reach the tensor here.
    var isDifferentiable: Bool {
        switch self {
        case .setting, .quantization, .compared: false
        default: true
        }
    }

    /// Whether what is read here is a weight whatever its name.
    var isWeightLike: Bool {
        switch self {
        case .weight, .table, .bias, .normalizationScale, .normalizationBias, .slope: true
        default: false
        }
    }
}

/// A place where a tensor, possibly moved around first, meets data.
struct TensorReading {
    var use: TensorUse
    var role: TensorRole
    /// Whether the tensor comes here with its elements unchanged: transposed, reshaped, cast, sliced or joined at most.
    var isMoved: Bool
}

extension GraphIndex {
    /// Where a tensor that is read at `uses` meets data, followed through nodes that see parameters and constants only.
    func readings(of uses: [TensorUse]) -> [TensorReading] {
        var readings: [TensorReading] = []
        var products: [TensorReading] = []
        var waiting = uses.reversed().map { (use: $0, isMoved: true) }
        var seen: [TensorUse: Bool] = [:]
        while let (use, isMoved) = waiting.popLast() {
            // Seen again, a place matters only if the tensor now comes there unchanged.
            if let earlier = seen[use], earlier || !isMoved { continue }
            seen[use] = isMoved
            let node = node(use)
            let fixed = Self.fixedRole(use.input, of: node)
            if let role = fixed, !role.isDifferentiable || !isFreeOfData(node) {
                readings.append(TensorReading(use: use, role: role, isMoved: isMoved))
            } else if isFreeOfData(node) {
                if isMoved, fixed == .weight && use.input == 1 || Self.isStandardized(use.input, by: node) {
                    products.append(TensorReading(use: use, role: .weight, isMoved: true))
                }
                let stays = isMoved && Self.moves.contains(node.operatorType)
                for output in node.outputs.reversed() {
                    waiting += self.uses(of: output).reversed().map { ($0, stays) }
                }
            } else {
                readings.append(TensorReading(use: use, role: arithmeticRole(use), isMoved: isMoved))
            }
        }
        // A layer applied to constants, such as the network of a table of positions, has weights all the same.
        return readings.contains(where: \.role.isDifferentiable) ? readings + products : readings
    }

    /// Whether a node normalizes a weight by the weight's own mean and variance (weight standardization, Qiao et al. 2019).
    /// Asked of nodes that no data reach.
    private static func isStandardized(_ input: Int, by node: ImportedNode) -> Bool {
        guard input == 0, node.operatorType == "BatchNormalization" else { return false }
        return if case .int(1)? = node.attributes["training_mode"] { true } else { false }
    }

    /// Operators whose output has the input's elements.
    private static let moves: Set<String> = [
        "Identity", "Cast", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Slice", "Split", "Concat",
        "Gather", "Expand",
    ]

    /// The role that operator and input alone decide.
    private static func fixedRole(_ input: Int, of node: ImportedNode) -> TensorRole? {
        if let role = TensorRole(runtimeInput: input, of: node) { return role }
        return switch (node.operatorType, input) {
        case ("MatMul", _), ("Einsum", _), ("Gemm", 0...1), ("Conv", 1), ("ConvTranspose", 1), ("DeformConv", 1),
            ("LSTM", 1...2), ("LSTM", 7), ("GRU", 1...2), ("RNN", 1...2):
            .weight
        case ("Gemm", 2), ("Conv", 2), ("ConvTranspose", 2), ("DeformConv", 3), ("LSTM", 3), ("GRU", 3), ("RNN", 3):
            .bias
        case ("BatchNormalization", 3...4): .statistics
        case ("PRelu", 1): .slope
        case ("Gather", 0): .table
        case (_, 1) where normalizations.contains(node.operatorType): .normalizationScale
        case (_, 2) where normalizations.contains(node.operatorType): .normalizationBias
        case ("QuantizeLinear", _), ("DequantizeLinear", _), ("DynamicQuantizeLinear", _), ("QLinearMatMul", _),
            ("QLinearConv", _), ("MatMulInteger", _), ("ConvInteger", _):
            .quantization
        case ("Resize", 1...), ("Upsample", 1), ("Clip", 1...), ("Pad", 1...), ("Dropout", 1...), ("OneHot", _),
            ("Range", _), ("NonMaxSuppression", _), ("Reshape", 1), ("Expand", 1), ("Slice", 1...), ("Tile", 1),
            ("Gather", 1), ("RotaryEmbedding", 1...):
            .setting
        case ("Where", 0), ("Equal", _), ("Less", _), ("LessOrEqual", _), ("Greater", _), ("GreaterOrEqual", _),
            ("Not", _), ("And", _), ("Or", _), ("Xor", _), ("ArgMax", _), ("ArgMin", _), ("Shape", _), ("Size", _),
            ("IsNaN", _), ("IsInf", _), ("NonZero", _), ("Sign", _), ("Floor", _), ("Ceil", _), ("Round", _):
            .compared
        case ("Cast", _) where !castsToFloat(node): .compared
        default: nil
        }
    }

    static let normalizations: Set<String> = [
        "LayerNormalization", "InstanceNormalization", "GroupNormalization", "BatchNormalization", "RMSNormalization",
    ]

    private static func castsToFloat(_ node: ImportedNode) -> Bool {
        guard case .int(let type)? = node.attributes["to"] else { return true }
        return [1, 10, 11, 16].contains(type)
    }

    /// Tells the biases and scales that exporters write as separate nodes from other arithmetic.
    private func arithmeticRole(_ use: TensorUse) -> TensorRole {
        let node = node(use)
        guard node.inputs.count == 2 else { return .arithmetic }
        let other = node.inputs[1 - use.input]
        switch node.operatorType {
        case "Mul" where isNormalized(other): return .normalizationScale
        case "Add":
            guard let source = producer(of: other, before: ["Cast", "Identity"]) else { return .arithmetic }
            switch source.operatorType {
            case "MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum":
                return source.inputs.contains { !$0.isEmpty && !dependsOnData($0) } ? .bias : .arithmetic
            case "Mul":
                let operands = source.inputs
                let isScale = operands.contains { !dependsOnData($0) } && operands.contains { isNormalized($0) }
                return isScale ? .normalizationBias : .arithmetic
            default: return .arithmetic
            }
        default: return .arithmetic
        }
    }

    /// Whether a value is the result of a normalisation without scale and bias: of an operator, perhaps reshaped back
    /// as where it stands for a group normalisation, or of a division by a square root.
    private func isNormalized(_ name: String) -> Bool {
        guard dependsOnData(name), let node = producer(of: name, before: ["Cast", "Identity", "Reshape"]) else {
            return false
        }
        switch node.operatorType {
        case "Div": return node.inputs.count == 2 && producer(of: node.inputs[1])?.operatorType == "Sqrt"
        case "Mul":
            return node.inputs.contains { input in
                guard let factor = producer(of: input) else { return false }
                switch factor.operatorType {
                case "Reciprocal": return producer(of: factor.inputs[0])?.operatorType == "Sqrt"
                case "Div": return producer(of: factor.inputs[1])?.operatorType == "Sqrt"
                default: return false
                }
            }
        default: return Self.normalizations.contains(node.operatorType)
        }
    }

    /// The node that computes a value, looking through single-input operators of the given types.
    func producer(of name: String, before skipped: Set<String>) -> ImportedNode? {
        var node = producer(of: name)
        while let current = node, skipped.contains(current.operatorType), let input = current.inputs.first {
            node = producer(of: input)
        }
        return node
    }
}

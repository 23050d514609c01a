import Kernels
import TensorGraph

/// Whether `Dropout` nodes in training mode drop anything.
public enum DropoutMode: Hashable, Sendable {
    /// As at inference.
    case off
    /// Every run draws masks, each sample's by itself: from the kernel's entropy, or from a seed so that a sequence of
    /// runs can be repeated.
    case drawn(seed: UInt64?)
}

/// ONNX `Dropout` (Srivastava et al. 2014, in the inverted form that keeps the mean).
enum DropoutOperator {
    static let all: [any OperatorPlugin] = [7, 10, 12, 13, 22].map { version in
        StandardOperator("Dropout", since: version) { node throws(GraphError) in
            if version >= 12, case .drawn(let seed) = node.dropout, let keep = try keptShare(node) {
                return try dropped(&node, keep, seed)
            }
            return try untouched(&node, version)
        }
    }

    /// The share of elements that stay; nil if the node is not in training mode or drops nothing.
    private static func keptShare(_ node: Expansion) throws(GraphError) -> Float? {
        guard try node.constantInts(2, "training_mode") == [1] else { return nil }
        var ratio: Float = 0.5
        if let input = node.optionalInput(1) {
            guard let constant = node.builder.constant(input), constant.type.count == 1 else {
                throw .unsupported("its ratio (input 1) is computed from data; it must be a constant")
            }
            ratio = constant.floatValues[0]
        }
        guard (0..<1).contains(ratio) else { throw .invalid("its ratio is \(ratio), not at least 0 and below 1") }
        return ratio == 0 ? nil : 1 - ratio
    }

    private static func dropped(_ node: inout Expansion, _ keep: Float, _ seed: UInt64?) throws(GraphError)
        -> [ValueID]
    {
        let x = try node.input(0)
        let mask = try node.emit(DropoutMask(keep: keep, node: node.node.origin.description, seed: seed), x)
        let result = try node.builder.multiply(x, mask)
        guard node.node.outputs.count > 1, !node.node.outputs[1].isEmpty else { return [result] }
        return [result, try node.builder.compare(.greater, mask, node.scalar(0))]
    }

    /// Nothing is dropped. Up to version 7 the mask has the data's type.
    private static func untouched(_ node: inout Expansion, _ version: Int) throws(GraphError) -> [ValueID] {
        let x = try node.input(0)
        guard node.node.outputs.count > 1, !node.node.outputs[1].isEmpty else { return [x] }
        let (shape, count) = (node.shape(x), node.type(x).count)
        let mask =
            version < 10
            ? Constant([Float](repeating: 1, count: count), shape: shape)
            : Constant([Bool](repeating: true, count: count), shape: shape)
        return [x, node.constant(mask)]
    }
}

/// 1 / keep with probability `keep`, else 0, in the shape of the input; drawn anew on every run.
struct DropoutMask: RandomOperation {
    let keep: Float
    /// Tells nodes apart that are otherwise equal: they drop different elements.
    let node: String
    let seed: UInt64?

    var description: String { "dropout mask (keeps \(keep))" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .float32 else { throw .invalid("dropout needs a float tensor") }
        return inputs
    }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [inputs[0].factor]
    }

    func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let count = outputs[0].count
        let bits = RunningBits(seed: seed, stream: node)
        // 32 random bits decide: the share is met to 2 parts in 10^10.
        let threshold = UInt32((Double(keep) * 0x1p32).rounded(.down))
        let scale = 1 / keep
        return Kernel { arguments in
            let out = arguments.output(0, as: Float.self)
            let words = UnsafeMutableRawBufferPointer(start: arguments.outputs[0], count: 4 * count)
            bits.fill(words)
            for index in 0..<count {
                out[index] = words.load(fromByteOffset: 4 * index, as: UInt32.self) < threshold ? scale : 0
            }
        }
    }
}

/// Random bits that go on from run to run. A plan runs its nodes one after the other, and so uses this from one thread
/// at a time.
private final class RunningBits: @unchecked Sendable {
    private let generator: any RandomGenerator

    init(seed: UInt64?, stream: String) {
        if let seed {
            // FNV-1a, so that the stream depends on the node's name alone.
            let number = stream.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            generator = SeededRandomGenerator(seed: seed).stream(number)
        } else {
            generator = SecureRandomGenerator()
        }
    }

    func fill(_ bytes: UnsafeMutableRawBufferPointer) { generator.fill(bytes) }
}

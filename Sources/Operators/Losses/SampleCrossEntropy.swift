import Kernels
public import TensorGraph

/// Softmax cross-entropy, the mean over a sample's own positions; targets equal to `ignoredTarget` do not count.
///
/// Inputs: logits [B, T, classes] and targets [B, T] int64. Output: losses [B]; 0 for a sample without a target that
/// counts. The probabilities are never written down. A target that is no class makes the sample's loss not a number,
/// which leaves the sample out of every sum.
public struct SampleCrossEntropy: ExecutableOperation {
    /// The target that PyTorch's cross-entropy ignores by default.
    public static let ignoredTarget: Int64 = -100

    public init() {}

    public var description: String { "cross-entropy per sample" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].rank == 3, inputs[0].elementType == .float32, inputs[0].shape[2] > 0,
            inputs[1] == TensorType(.int64, Array(inputs[0].shape.prefix(2)))
        else { throw .invalid("cross-entropy needs logits [B, T, classes] and integer targets [B, T], not \(inputs)") }
        return [TensorType(.float32, [inputs[0].shape[0]])]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [BatchFactor(axis: 0)]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard index == 0, let seed = outputGradients[0] else { return nil }
        return try builder.emit(SampleCrossEntropyGradient(), node.inputs[0], node.inputs[1], seed)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (batch, positions, classes) = (inputs[0].shape[0], inputs[0].shape[1], inputs[0].shape[2])
        let layout = ClassLayout(outer: positions, classes: classes, ignoredTarget: Self.ignoredTarget)
        return Kernel(scratchBytes: batch * positions * MemoryLayout<Float>.size) { arguments in
            let logits = arguments.input(0, as: Float.self)
            let targets = arguments.input(1, as: Int64.self)
            let rows = arguments.scratch.assumingMemoryBound(to: Float.self)
            let losses = arguments.output(0, as: Float.self)
            arguments.pool.forRanges(batch, grain: max(1, 4096 / (positions * classes))) { samples, _ in
                for sample in samples {
                    let own = targets + sample * positions
                    guard Rows.firstInvalidTarget(own, layout) == nil else {
                        losses[sample] = .nan
                        continue
                    }
                    let counted = countedPositions(own, positions)
                    Rows.crossEntropy(
                        logits: logits + sample * positions * classes, targets: own, into: rows + sample * positions,
                        layout, pool: arguments.pool)
                    var sum = 0.0
                    for row in 0..<positions { sum += Double(rows[sample * positions + row]) }
                    losses[sample] = counted == 0 ? 0 : Float(sum / Double(counted))
                }
            }
        }
    }
}

/// Gradient of `SampleCrossEntropy` with respect to the logits: (softmax - onehot) * seed / counted positions.
///
/// Inputs: logits, targets, seed [B]. A sample of seed zero gets zeros, whatever its logits.
struct SampleCrossEntropyGradient: ExecutableOperation {
    var description: String { "cross-entropy gradient" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] { [inputs[0]] }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [BatchFactor(axis: 0)]
    }

    var overwritableInputs: [Int] { [0] }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (batch, positions, classes) = (inputs[0].shape[0], inputs[0].shape[1], inputs[0].shape[2])
        let layout = ClassLayout(
            outer: positions, classes: classes, ignoredTarget: SampleCrossEntropy.ignoredTarget)
        return Kernel(scratchBytes: batch * positions * MemoryLayout<Float>.size) { arguments in
            let logits = arguments.input(0, as: Float.self)
            let targets = arguments.input(1, as: Int64.self)
            let seeds = arguments.input(2, as: Float.self)
            let weights = arguments.scratch.assumingMemoryBound(to: Float.self)
            let result = arguments.output(0, as: Float.self)
            arguments.pool.forRanges(batch, grain: max(1, 4096 / (positions * classes))) { samples, _ in
                for sample in samples {
                    let own = targets + sample * positions
                    let start = sample * positions * classes
                    guard Rows.firstInvalidTarget(own, layout) == nil else {
                        (result + start).update(repeating: .nan, count: positions * classes)
                        continue
                    }
                    let weight = seeds[sample] / Float(max(countedPositions(own, positions), 1))
                    let row = weights + sample * positions
                    row.update(repeating: weight, count: positions)
                    Rows.crossEntropyGradient(
                        logits: logits + start, targets: own, weights: row, into: result + start, layout,
                        pool: arguments.pool)
                }
            }
        }
    }
}

/// How many of a sample's targets are not ignored.
func countedPositions(_ targets: UnsafePointer<Int64>, _ positions: Int) -> Int {
    (0..<positions).count { targets[$0] != SampleCrossEntropy.ignoredTarget }
}

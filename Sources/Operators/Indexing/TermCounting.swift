import Kernels
public import TensorGraph

/// How often sequences of integers occur along the last axis, with other integers skipped between their members (ONNX
/// TfIdfVectorizer): [.., length] to float32 [.., outputs].
public struct TermCounting: ExecutableOperation {
    /// A sequence that is looked for, and the output entry that counts it.
    public struct Term: Hashable, Sendable {
        public var members: [Int64]
        public var output: Int
    }

    public let terms: [Term]
    public let outputs: Int
    /// Greatest number of integers that are left out between two members.
    public let largestSkip: Int

    public init(_ terms: [Term], outputs: Int, largestSkip: Int) {
        self.terms = terms
        self.outputs = outputs
        self.largestSkip = largestSkip
    }

    public var description: String { "count \(terms.count) terms" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .int64, inputs[0].rank > 0 else {
            throw .invalid("\(inputs[0]) holds no sequences of integers")
        }
        return [TensorType(.float32, inputs[0].shape.dropLast() + [outputs])]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.along([inputs[0].type.rank - 1], inputs[0], "counts terms")]
    }

    /// Counts of integers have no slope.
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? { nil }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let length = inputs[0].shape.last!
        let (rows, width) = (inputs[0].count / max(1, length), self.outputs)
        // By the first member, so that most places are left after one look.
        let byFirst = Dictionary(grouping: terms) { $0.members[0] }
        let largestSkip = largestSkip
        return Kernel(operationCount: Double(inputs[0].count * (largestSkip + 1))) { arguments in
            let (x, out) = (arguments.input(0, as: Int64.self), arguments.output(0, as: Float.self))
            for index in 0..<outputs[0].count { out[index] = 0 }
            arguments.pool.forRanges(rows, grain: 4) { range, _ in
                for row in range {
                    let sequence = UnsafeBufferPointer(start: x + row * length, count: length)
                    for start in 0..<length {
                        for term in byFirst[sequence[start]] ?? [] {
                            out[row * width + term.output] += Float(
                                term.occurrences(in: sequence, from: start, largestSkip: largestSkip))
                        }
                    }
                }
            }
        }
    }
}

extension TermCounting.Term {
    /// How many equal distances between members fit; a single integer has no distance and occurs once.
    fileprivate func occurrences(in sequence: UnsafeBufferPointer<Int64>, from start: Int, largestSkip: Int) -> Int {
        if members.count == 1 { return 1 }
        let distances = 1...largestSkip + 1
        return distances.count { distance in
            start + distance * (members.count - 1) < sequence.count
                && members.indices.allSatisfy { sequence[start + distance * $0] == members[$0] }
        }
    }
}

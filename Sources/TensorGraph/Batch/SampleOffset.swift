/// Indices that count the samples of a batch: value = own + stride * (number of the sample).
///
/// `x[arange(B), chosen]` is exported as such indices. As they stand they tell samples apart by their place in the batch,
/// so their value counts as mixed; what looks up a sample's own entries by them can be computed from `own` alone.
public struct SampleOffset: Sendable {
    /// Entries of the last axis that have one stride.
    public struct Part: Sendable {
        /// Indices that every sample has of its own, of the whole value's shape but for the last axis.
        public let own: ValueID
        public let stride: Int

        public init(own: ValueID, stride: Int) {
            self.own = own
            self.stride = stride
        }
    }

    /// In the order of the last axis; a single part takes all of it.
    public let parts: [Part]

    public init(_ parts: [Part]) { self.parts = parts }
}

/// An operand of an operation that may count samples.
public struct CountingOperand: Sendable {
    public let value: ValueID
    public let offset: SampleOffset?
}

/// An operation that passes indices on that count samples, or uses them.
public protocol CountingOperation: Operation {
    /// What the operation makes of its operands; nil if samples meet.
    func counted(_ operands: [CountingOperand], in builder: inout GraphBuilder) throws(GraphError) -> CountedResult?
}

/// The result of a `CountingOperation`.
public enum CountedResult: Sendable {
    /// The result counts samples itself.
    case offset(SampleOffset)
    /// The result, which is every sample's own.
    case own(ValueID)
}

extension GraphBuilder {
    /// A constant taken apart along the samples of a value that it is combined with, `factor` lying on the constant's own
    /// axis: c[p, b, q] = own[p, q] + stride * b. Nil if it is no such constant.
    public mutating func offset(of value: ValueID, along factor: BatchFactor) -> SampleOffset.Part? {
        guard let constant = constant(value), constant.type.elementType == .int64 else { return nil }
        let shape = constant.type.shape
        guard shape.indices.contains(factor.axis), shape[factor.axis] == factor.outer * batchSize * factor.inner else {
            return nil
        }
        var numbers = constant.int64Values
        let run = factor.trailing(in: shape)
        guard !numbers.isEmpty else { return nil }
        let stride = numbers[run] &- numbers[0]
        for index in numbers.indices.reversed() {
            let sample = index / run % batchSize
            let own = numbers[index - sample * run]
            guard numbers[index] == own &+ stride &* Int64(sample) else { return nil }
            numbers[index] = own
        }
        return SampleOffset.Part(own: addConstant(Constant(numbers, shape: shape)), stride: Int(stride))
    }
}

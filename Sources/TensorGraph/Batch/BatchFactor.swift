/// Where the samples of a batch lie in a tensor.
///
/// Axis `axis` has `outer * B * inner` entries; entry (o, b, i) belongs to sample b. In row-major memory sample b
/// therefore owns the elements (p, b, q) of a [leading, B, trailing] view.
public struct BatchFactor: Hashable, Sendable, CustomStringConvertible {
    public var axis: Int
    public var outer: Int
    public var inner: Int

    public init(axis: Int, outer: Int = 1, inner: Int = 1) {
        self.axis = axis
        self.outer = outer
        self.inner = inner
    }

    /// Number of samples in a value of this shape.
    public func batchSize(in shape: [Int]) -> Int { shape[axis] / (outer * inner) }

    /// Elements before the batch index varies.
    public func leading(in shape: [Int]) -> Int { shape[..<axis].elementCount * outer }

    /// Contiguous elements of one sample.
    public func trailing(in shape: [Int]) -> Int { inner * shape.dropFirst(axis + 1).elementCount }

    public var description: String {
        outer == 1 && inner == 1 ? "axis \(axis)" : "axis \(axis) as (\(outer), B, \(inner))"
    }
}

/// What is known about the batch in a value.
public enum BatchState: Hashable, Sendable {
    /// The same for every batch: constants, parameters and what is computed from them.
    case free
    case factor(BatchFactor)
    /// Computed from several samples at once, or after such a value.
    case mixed

    public var factor: BatchFactor? {
        if case .factor(let factor) = self { factor } else { nil }
    }
}

/// Samples of a batch meet in an operation.
public struct BatchMixing: Error, Hashable, Sendable {
    /// Axis of the operation's input on which the samples lie; nil if the reason is not an axis.
    public var axis: Int?
    public var reason: String

    public init(axis: Int?, _ reason: String) {
        self.axis = axis
        self.reason = reason
    }
}

/// An operation's input as its batch rule sees it.
public struct BatchOperand: Sendable {
    public var type: TensorType
    public var factor: BatchFactor?
    public var constant: Constant?
    public var batchSize: Int

    public init(type: TensorType, factor: BatchFactor?, constant: Constant?, batchSize: Int) {
        self.type = type
        self.factor = factor
        self.constant = constant
        self.batchSize = batchSize
    }

    /// True if the value is the same for every sample along a factor that another operand has on its axis `axis`.
    ///
    /// A batch-free operand with one entry there broadcasts. One with as many entries as the batch must repeat itself
    /// sample by sample, which only a constant can prove.
    public func isUniform(along factor: BatchFactor, axis: Int) -> Bool {
        guard axis >= 0, type.shape[axis] != 1 else { return true }
        guard let constant else { return false }
        var local = factor
        local.axis = axis
        let leading = local.leading(in: type.shape)
        let run = local.trailing(in: type.shape) * type.elementType.size
        for index in 0..<leading {
            let start = index * batchSize * run
            let first = constant.bytes[start..<start + run]
            for sample in 1..<batchSize {
                let next = constant.bytes[start + sample * run..<start + (sample + 1) * run]
                if !first.elementsEqual(next) { return false }
            }
        }
        return true
    }
}

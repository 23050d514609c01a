import Synchronization
import TensorGraph

/// A decoded tensor that all graphs in use share, so that large weights are in memory once; freed with the last of them.
final class SharedConstant: Sendable {
    private struct Reference {
        weak var constant: Constant?
    }

    private let reference = Mutex(Reference())

    /// The tensor in use, or else what `decode` makes.
    func value(decode: () throws -> Constant) throws -> Constant {
        if let constant = reference.withLock({ $0.constant }) { return constant }
        let constant = try decode()
        reference.withLock { $0.constant = constant }
        return constant
    }
}

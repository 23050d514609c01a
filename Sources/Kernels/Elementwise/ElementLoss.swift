import CVectorKernels

/// A loss of one prediction x and one target t; means over a sample are the caller's.
public enum ElementLoss: Hashable, Sendable {
    /// max(x, 0) - x t + log(1 + exp(-|x|)), x a logit, t in [0, 1]
    case binaryCrossEntropyWithLogits
    /// (x - t)^2
    case squared
    /// |x - t|
    case absolute
    /// (x - t)^2 / 2 up to `delta`, then delta (|x - t| - delta / 2), as PyTorch's HuberLoss
    case huber(delta: Float)

    var code: (operation: Int32, a: Float) {
        switch self {
        case .binaryCrossEntropyWithLogits: (Int32(VK_LOSS_BCE_LOGITS), 0)
        case .squared: (Int32(VK_LOSS_SQUARED), 0)
        case .absolute: (Int32(VK_LOSS_ABSOLUTE), 0)
        case .huber(let delta): (Int32(VK_LOSS_HUBER), delta)
        }
    }
}

extension Elementwise {
    /// out = loss(x, t), element by element.
    public static func loss(
        _ loss: ElementLoss, _ x: UnsafePointer<Float>, targets t: UnsafePointer<Float>,
        into out: UnsafeMutablePointer<Float>, count: Int, pool: ThreadPool
    ) {
        let code = loss.code
        pool.forRanges(count, grain: elementGrain) { range, _ in
            let at = range.lowerBound
            vector.pointee.loss(code.operation, x + at, t + at, out + at, Int64(range.count), code.a)
        }
    }

    /// out = g * dloss/dx, element by element; g is 1 where it is nil.
    public static func lossGradient(
        _ loss: ElementLoss, _ x: UnsafePointer<Float>, targets t: UnsafePointer<Float>,
        gradient g: UnsafePointer<Float>? = nil, into out: UnsafeMutablePointer<Float>, count: Int,
        pool: ThreadPool
    ) {
        let code = loss.code
        pool.forRanges(count, grain: elementGrain) { range, _ in
            let at = range.lowerBound
            vector.pointee.loss_gradient(
                code.operation, x + at, t + at, g.map { $0 + at }, out + at, Int64(range.count), code.a)
        }
    }
}

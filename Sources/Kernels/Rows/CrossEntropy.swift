import CVectorKernels

/// Logits [outer, classes, inner] with one target class for every (outer, inner): inner = 1 for [R, K], inner = S
/// for PyTorch's [B, K, S] with targets [B, S].
public struct ClassLayout: Hashable, Sendable {
    public var outer: Int
    public var classes: Int
    public var inner: Int
    /// The target that asks for no loss.
    public var ignoredTarget: Int64

    public init(outer: Int, classes: Int, inner: Int = 1, ignoredTarget: Int64 = -100) {
        self.outer = outer
        self.classes = classes
        self.inner = inner
        self.ignoredTarget = ignoredTarget
    }
}

extension Rows {
    /// The index of the first target that is neither a class nor the ignored one, or nil. The functions below trust
    /// their targets: call this first on anything from a file.
    public static func firstInvalidTarget(_ targets: UnsafePointer<Int64>, _ layout: ClassLayout) -> Int? {
        (0..<layout.outer * layout.inner).first {
            targets[$0] != layout.ignoredTarget && !(0..<Int64(layout.classes)).contains(targets[$0])
        }
    }

    /// losses[outer, inner] = -log softmax(x)[target], 0 where the target is ignored.
    public static func crossEntropy(
        logits x: UnsafePointer<Float>, targets: UnsafePointer<Int64>, into losses: UnsafeMutablePointer<Float>,
        _ layout: ClassLayout, pool: ThreadPool
    ) {
        forTargets(layout, pool) { at, column, shape in
            vector.pointee.cross_entropy(x + at, targets + column, losses + column, shape)
        }
    }

    /// out = (softmax(x) - onehot(target)) * weight, the weight one for each (outer, inner) or 1 where nil. Where the
    /// target is ignored or the weight is 0 the result is exactly 0, whatever the logits. `out` may be x.
    public static func crossEntropyGradient(
        logits x: UnsafePointer<Float>, targets: UnsafePointer<Int64>, weights: UnsafePointer<Float>? = nil,
        into out: UnsafeMutablePointer<Float>, _ layout: ClassLayout, pool: ThreadPool
    ) {
        forTargets(layout, pool) { at, column, shape in
            vector.pointee.cross_entropy_gradient(
                x + at, targets + column, weights.map { $0 + column }, out + at, shape)
        }
    }

    private static func forTargets(
        _ layout: ClassLayout, _ pool: ThreadPool, _ body: (_ offset: Int, _ column: Int, _ shape: vk_classes) -> Void
    ) {
        var shape = vk_classes(
            outer: 1, classes: Int64(layout.classes), inner: Int64(layout.inner), columns: 1,
            ignored: layout.ignoredTarget)
        if layout.inner == 1 {
            pool.forRanges(layout.outer, grain: rowGrain(layout.classes)) { range, _ in
                var rows = shape
                rows.outer = Int64(range.count)
                body(range.lowerBound * layout.classes, range.lowerBound, rows)
            }
            return
        }
        shape.outer = 1
        forSections(outer: layout.outer, n: layout.classes, inner: layout.inner, pool: pool) { at, column, columns in
            var section = shape
            section.columns = Int64(columns)
            body(at, column, section)
        }
    }
}

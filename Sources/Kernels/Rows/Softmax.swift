import CVectorKernels

/// Functions along one axis of a tensor [outer, n, inner]; inner = 1 (rows) is the fast case.
public enum Rows {}

/// softmax(x) or its logarithm.
public enum SoftmaxForm: Hashable, Sendable {
    case softmax, logSoftmax

    var isLog: Int32 { self == .logSoftmax ? 1 : 0 }
}

extension Rows {
    /// out = softmax or log-softmax of x along the middle axis of [outer, n, inner]. A row of -infinity, or one with
    /// +infinity, gives NaN, as in PyTorch. `out` may be x.
    public static func softmax(
        _ form: SoftmaxForm, _ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Float>, outer: Int, n: Int,
        inner: Int = 1, pool: ThreadPool
    ) {
        guard n > 0 else { return }
        if inner == 1 {
            pool.forRanges(outer, grain: rowGrain(n)) { range, _ in
                let at = range.lowerBound * n
                vector.pointee.softmax(x + at, out + at, Int64(range.count), Int64(n), form.isLog)
            }
            return
        }
        forSections(outer: outer, n: n, inner: inner, pool: pool) { at, _, columns in
            vector.pointee.softmax_columns(x + at, out + at, Int64(n), Int64(columns), Int64(inner), form.isLog)
        }
    }

    /// out = dloss/dx from the output y of `softmax` and g = dloss/dy. `out` may be y or g.
    public static func softmaxGradient(
        _ form: SoftmaxForm, output y: UnsafePointer<Float>, gradient g: UnsafePointer<Float>,
        into out: UnsafeMutablePointer<Float>, outer: Int, n: Int, inner: Int = 1, pool: ThreadPool
    ) {
        if inner == 1 {
            pool.forRanges(outer, grain: rowGrain(n)) { range, _ in
                let at = range.lowerBound * n
                vector.pointee.softmax_gradient(y + at, g + at, out + at, Int64(range.count), Int64(n), form.isLog)
            }
            return
        }
        forSections(outer: outer, n: n, inner: inner, pool: pool) { at, _, columns in
            vector.pointee.softmax_gradient_columns(
                y + at, g + at, out + at, Int64(n), Int64(columns), Int64(inner), form.isLog)
        }
    }

    /// The number of rows of n elements worth a thread.
    static func rowGrain(_ n: Int) -> Int { max(1, elementGrain / 2 / max(1, n)) }

    /// Calls `body` with sections of columns that cover [outer, n, inner]: the offset of a section's first element in
    /// that tensor, its offset in [outer, inner], and its columns.
    static func forSections(
        outer: Int, n: Int, inner: Int, pool: ThreadPool,
        _ body: (_ offset: Int, _ column: Int, _ columns: Int) -> Void
    ) {
        let width = 128
        let sections = (inner + width - 1) / width
        pool.forRanges(outer * sections, grain: max(1, elementGrain / (2 * max(1, n) * min(width, max(1, inner))))) {
            range, _ in
            for task in range {
                let start = task % sections * width
                let row = task / sections
                body(row * n * inner + start, row * inner + start, min(width, inner - start))
            }
        }
    }
}

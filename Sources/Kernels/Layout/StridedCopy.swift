import CVectorKernels

/// A copy between two strided views of the same dimensions, reduced to the fewest dimensions: those of 1 dropped, the
/// rest ordered by the destination's strides, neighbours that both sides walk as one merged. Elements of 1, 4 or 8 bytes.
struct StridedCopy {
    struct Dimension {
        var size: Int
        var from: Int
        var to: Int
    }

    private(set) var dimensions: [Dimension] = []
    private let isEmpty: Bool

    init(shape: [Int], from: [Int], to: [Int]) {
        precondition(shape.count == from.count && shape.count == to.count, "strides of another rank")
        isEmpty = shape.contains(0)
        let sorted = shape.indices.filter { shape[$0] != 1 }
            .map { Dimension(size: shape[$0], from: from[$0], to: to[$0]) }
            .enumerated()
            .sorted {
                let (a, b) = (abs($0.element.to), abs($1.element.to))
                return a != b ? a > b : $0.offset < $1.offset
            }
            .map(\.element)
        for dimension in sorted {
            if let last = dimensions.last, last.to == dimension.to * dimension.size,
                last.from == dimension.from * dimension.size
            {
                dimensions[dimensions.count - 1] = Dimension(
                    size: last.size * dimension.size, from: dimension.from, to: dimension.to)
            } else {
                dimensions.append(dimension)
            }
        }
        while dimensions.count < 2 { dimensions.insert(Dimension(size: 1, from: 0, to: 0), at: 0) }
    }

    func run(size: Int32, _ x: UnsafeRawPointer, _ out: UnsafeMutableRawPointer, pool: ThreadPool) {
        if isEmpty { return }
        if let axis = transposedAxis {
            transpose(size, x, out, axis, pool)
            return
        }
        switch size {
        case 1: copy(x.assumingMemoryBound(to: UInt8.self), out.assumingMemoryBound(to: UInt8.self), pool)
        case 4: copy(x.assumingMemoryBound(to: UInt32.self), out.assumingMemoryBound(to: UInt32.self), pool)
        default: copy(x.assumingMemoryBound(to: UInt64.self), out.assumingMemoryBound(to: UInt64.self), pool)
        }
    }

    /// The dimension that the source walks contiguously, where that is not the destination's.
    private var transposedAxis: Int? {
        guard let last = dimensions.last, last.to == 1, last.from != 1, last.from != 0 else { return nil }
        return dimensions.dropLast().firstIndex { $0.from == 1 && $0.to > 0 }
    }

    private func transpose(
        _ size: Int32, _ x: UnsafeRawPointer, _ out: UnsafeMutableRawPointer, _ axis: Int, _ pool: ThreadPool
    ) {
        let inner = dimensions[dimensions.count - 1]
        let across = dimensions[axis]
        let outer = dimensions.indices.dropLast().filter { $0 != axis }.map { dimensions[$0] }
        let width = 64
        let sections = (across.size + width - 1) / width
        let count = outer.reduce(1) { $0 * $1.size }
        pool.forRanges(count * sections, grain: max(1, elementGrain / (min(width, across.size) * inner.size))) {
            range, _ in
            for task in range {
                let start = task % sections * width
                let (from, to) = Self.offsets(task / sections, outer)
                vector.pointee.transpose(
                    size, x + (from + start) * Int(size), Int64(inner.from),
                    out + (to + start * across.to) * Int(size), Int64(across.to), Int64(inner.size),
                    Int64(min(width, across.size - start)))
            }
        }
    }

    @inline(__always)
    private func copy<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, _ out: UnsafeMutablePointer<Element>, _ pool: ThreadPool
    ) {
        let inner = dimensions[dimensions.count - 1]
        let rows = dimensions[dimensions.count - 2]
        let outer = Array(dimensions.dropLast(2))
        let total = outer.reduce(rows.size) { $0 * $1.size }
        if total == 1 {
            pool.forRanges(inner.size, grain: 4 * elementGrain) { range, _ in
                Self.copyRow(
                    x + range.lowerBound * inner.from, inner.from, out + range.lowerBound * inner.to, inner.to,
                    range.count)
            }
            return
        }
        pool.forRanges(total, grain: max(1, 2 * elementGrain / inner.size)) { range, _ in
            var row = range.lowerBound
            while row < range.upperBound {
                let (from, to) = Self.offsets(row / rows.size, outer)
                let first = row % rows.size
                let count = min(rows.size - first, range.upperBound - row)
                for r in first..<first + count {
                    Self.copyRow(
                        x + (from + r * rows.from), inner.from, out + (to + r * rows.to), inner.to, inner.size)
                }
                row += count
            }
        }
    }

    @inline(__always)
    private static func copyRow<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, _ from: Int, _ out: UnsafeMutablePointer<Element>, _ to: Int, _ count: Int
    ) {
        if to == 1 && from == 1 {
            if count >= 16 {
                out.update(from: x, count: count)
            } else {
                for i in 0..<count { out[i] = x[i] }
            }
        } else if to == 1 && from == 0 {
            out.update(repeating: x[0], count: count)
        } else {
            for i in 0..<count { out[i * to] = x[i * from] }
        }
    }

    private static func offsets(_ index: Int, _ dimensions: [Dimension]) -> (from: Int, to: Int) {
        var rest = index
        var from = 0
        var to = 0
        for dimension in dimensions.reversed() {
            let (next, at) = rest.quotientAndRemainder(dividingBy: dimension.size)
            from += at * dimension.from
            to += at * dimension.to
            rest = next
        }
        return (from, to)
    }
}

/// The strides, in elements, of a contiguous row-major tensor.
func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * shape[axis + 1] }
    return strides
}

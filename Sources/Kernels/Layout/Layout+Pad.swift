import CVectorKernels

/// What stands outside of a padded tensor (ONNX Pad).
public enum PadMode: Hashable, Sendable {
    /// Mirrored at the border element, which is not repeated.
    case reflect
    /// The border element.
    case edge
    /// Repeated periodically.
    case wrap
}

extension Layout {
    /// The shape after padding; negative pads crop.
    public static func paddedShape(_ shape: [Int], before: [Int], after: [Int]) -> [Int] {
        shape.indices.map { max(0, shape[$0] + before[$0] + after[$0]) }
    }

    /// out = x with `before` and `after` elements of `value` added along each axis; negative counts crop.
    public static func padConstant<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, shape: [Int], before: [Int], after: [Int], value: Element,
        into out: UnsafeMutablePointer<Element>, pool: ThreadPool
    ) {
        let outShape = paddedShape(shape, before: before, after: after)
        fill(out, with: value, count: outShape.reduce(1, *), pool: pool)
        let shared = overlap(shape, before, outShape)
        guard !shared.sizes.contains(0) else { return }
        StridedCopy(shape: shared.sizes, from: contiguousStrides(shape), to: contiguousStrides(outShape))
            .run(size: elementSize(Element.self), x + shared.inner, out + shared.padded, pool: pool)
    }

    /// dx = the adjoint of `padConstant` applied to g, which has the padded shape: a crop, and zeros where x was cropped.
    public static func padConstantAdjoint(
        _ g: UnsafePointer<Float>, shape: [Int], before: [Int], after: [Int],
        into dx: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let outShape = paddedShape(shape, before: before, after: after)
        let shared = overlap(shape, before, outShape)
        if shared.sizes != shape { fill(dx, with: 0, count: shape.reduce(1, *), pool: pool) }
        guard !shared.sizes.contains(0) else { return }
        StridedCopy(shape: shared.sizes, from: contiguousStrides(outShape), to: contiguousStrides(shape))
            .run(size: 4, g + shared.padded, dx + shared.inner, pool: pool)
    }

    /// The part that a tensor and its padded form share: its shape, and where it starts in each.
    private static func overlap(
        _ shape: [Int], _ before: [Int], _ outShape: [Int]
    ) -> (sizes: [Int], inner: Int, padded: Int) {
        let strides = contiguousStrides(shape)
        let outStrides = contiguousStrides(outShape)
        var sizes: [Int] = []
        var inner = 0
        var padded = 0
        for axis in shape.indices {
            let start = max(0, -before[axis])
            sizes.append(max(0, min(shape[axis], outShape[axis] - before[axis]) - start))
            inner += start * strides[axis]
            padded += max(0, before[axis]) * outStrides[axis]
        }
        return (sizes, inner, padded)
    }

    /// out = x padded with its own elements; negative counts crop. An axis that is padded is not empty.
    public static func pad<Element: BitwiseCopyable>(
        _ mode: PadMode, _ x: UnsafePointer<Element>, shape: [Int], before: [Int], after: [Int],
        into out: UnsafeMutablePointer<Element>, pool: ThreadPool
    ) {
        let walk = PadWalk(mode, shape, before, after)
        switch elementSize(Element.self) {
        case 1: pad(walk, UnsafeRawPointer(x), UnsafeMutableRawPointer(out), as: UInt8.self, pool)
        case 4: pad(walk, UnsafeRawPointer(x), UnsafeMutableRawPointer(out), as: UInt32.self, pool)
        default: pad(walk, UnsafeRawPointer(x), UnsafeMutableRawPointer(out), as: UInt64.self, pool)
        }
    }

    private static func pad<Element: BitwiseCopyable>(
        _ walk: PadWalk, _ x: UnsafeRawPointer, _ out: UnsafeMutableRawPointer, as: Element.Type, _ pool: ThreadPool
    ) {
        let from = x.assumingMemoryBound(to: Element.self)
        let to = out.assumingMemoryBound(to: Element.self)
        pool.forRanges(walk.rows, grain: max(1, elementGrain / max(1, walk.columns.count))) { range, _ in
            for row in range {
                let base = from + walk.source(row)
                let result = to + row * walk.columns.count
                for i in walk.columns.indices { result[i] = base[walk.columns[i]] }
            }
        }
    }

    /// dx = the adjoint of `pad` applied to g, which has the padded shape: every element's gradients summed.
    public static func padAdjoint(
        _ mode: PadMode, _ g: UnsafePointer<Float>, shape: [Int], before: [Int], after: [Int],
        into dx: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        fill(dx, with: 0, count: shape.reduce(1, *), pool: pool)
        let walk = PadWalk(mode, shape, before, after)
        // Rows of different leading indices meet in no element, as long as those axes are not padded.
        let independent = walk.independentRows
        guard independent > 0 else { return }
        let each = walk.rows / independent
        pool.forRanges(independent, grain: max(1, elementGrain / max(1, each * walk.columns.count))) { range, _ in
            for row in range.lowerBound * each..<range.upperBound * each {
                let base = dx + walk.source(row)
                let gradient = g + row * walk.columns.count
                for i in walk.columns.indices { base[walk.columns[i]] += gradient[i] }
            }
        }
    }
}

/// Where each element of a padded tensor comes from: a table for each axis.
private struct PadWalk {
    /// Offsets in x of every index of the leading axes, and of the last one.
    private let leading: [[Int]]
    let columns: [Int]
    let rows: Int
    /// The number of indices of the leading axes before the first that is padded.
    let independentRows: Int

    init(_ mode: PadMode, _ shape: [Int], _ before: [Int], _ after: [Int]) {
        let strides = contiguousStrides(shape)
        var tables = shape.indices.map { axis in
            (0..<max(0, shape[axis] + before[axis] + after[axis])).map {
                Self.source($0 - before[axis], shape[axis], mode) * strides[axis]
            }
        }
        let clean = shape.indices.prefix { before[$0] == 0 && after[$0] == 0 }.count
        columns = tables.popLast() ?? [0]
        leading = tables
        rows = tables.reduce(1) { $0 * $1.count }
        independentRows = tables.prefix(clean).reduce(1) { $0 * $1.count }
    }

    func source(_ row: Int) -> Int {
        var rest = row
        var offset = 0
        for table in leading.reversed() {
            offset += table[rest % table.count]
            rest /= table.count
        }
        return offset
    }

    private static func source(_ index: Int, _ n: Int, _ mode: PadMode) -> Int {
        precondition(n > 0, "padding an empty axis with its own elements")
        switch mode {
        case .edge: return min(max(index, 0), n - 1)
        case .wrap: return ((index % n) + n) % n
        case .reflect:
            if n == 1 { return 0 }
            let period = 2 * (n - 1)
            let at = ((index % period) + period) % period
            return at < n ? at : period - at
        }
    }
}

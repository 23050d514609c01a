import CVectorKernels

/// What a reduction computes over the axes it removes. Sums are accumulated in double.
public enum ReductionFunction: Hashable, Sendable, CaseIterable {
    case sum, mean
    /// A NaN anywhere is the result. Over no elements: -infinity, +infinity.
    case max, min
    case prod, sumSquare, l1, l2, logSum, logSumExp

    var code: Int32 {
        switch self {
        case .sum, .mean, .logSum: Int32(VK_SUM)
        case .max: Int32(VK_MAXIMUM)
        case .min: Int32(VK_MINIMUM)
        case .prod: Int32(VK_PRODUCT)
        case .sumSquare, .l2: Int32(VK_SUM_SQUARE)
        case .l1: Int32(VK_SUM_ABS)
        case .logSumExp: Int32(VK_SUM_EXP)
        }
    }
}

/// How a tensor is walked when some of its axes are reduced: neighbours of one kind merged, dimensions of 1 dropped.
struct ReductionPlan {
    /// Dimensions and strides of the kept and of the reduced axes, all but `run`.
    var kept: [(size: Int, stride: Int)] = []
    var reduced: [(size: Int, stride: Int)] = []
    /// The last, contiguous dimension, and whether it is reduced.
    var run = 1
    var reducesRun = true

    init(shape: [Int], axes: Set<Int>) {
        precondition(axes.allSatisfy(shape.indices.contains), "axes \(axes) of a tensor of rank \(shape.count)")
        var groups: [(size: Int, reduced: Bool)] = []
        for axis in shape.indices where shape[axis] != 1 {
            if let last = groups.last, last.reduced == axes.contains(axis) {
                groups[groups.count - 1].size *= shape[axis]
            } else {
                groups.append((shape[axis], axes.contains(axis)))
            }
        }
        guard let last = groups.popLast() else { return }
        run = last.size
        reducesRun = last.reduced
        var stride = run
        for group in groups.reversed() {
            if group.reduced {
                reduced.insert((group.size, stride), at: 0)
            } else {
                kept.insert((group.size, stride), at: 0)
            }
            stride *= group.size
        }
    }

    var keptCount: Int { kept.reduce(1) { $0 * $1.size } }
    var reducedCount: Int { reduced.reduce(1) { $0 * $1.size } }

    /// The offset of the index-th element of these dimensions.
    static func offset(_ index: Int, _ dimensions: [(size: Int, stride: Int)]) -> Int {
        var rest = index
        var offset = 0
        for dimension in dimensions.reversed() {
            offset += rest % dimension.size * dimension.stride
            rest /= dimension.size
        }
        return offset
    }
}

extension Rows {
    /// out = the reduction of x over `axes`; `out` has the shape without them (or with 1 in their place), and is not x.
    /// No axes at all means a reduction over nothing: each element by itself. The result does not depend on the
    /// number of threads.
    public static func reduce(
        _ function: ReductionFunction, _ x: UnsafePointer<Float>, shape: [Int], axes: Set<Int>,
        into out: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let plan = ReductionPlan(shape: shape, axes: axes)
        let outputs = plan.keptCount * (plan.reducesRun ? 1 : plan.run)
        guard outputs > 0 else { return }
        if function == .logSumExp {
            // The maximum first, so that no exponential overflows; an infinite one is its own answer.
            withUnsafeTemporaryAllocation(of: Float.self, capacity: outputs) { shifts in
                let base = shifts.baseAddress!
                accumulate(Int32(VK_MAXIMUM), plan, x, shifts: nil, pool) { at, value in base[at] = Float(value) }
                for i in 0..<outputs where base[i].isInfinite { base[i] = 0 }
                accumulate(function.code, plan, x, shifts: UnsafePointer(base), pool) { at, value in
                    out[at] = Float(logarithm(value)) + base[at]
                }
            }
            return
        }
        let count = plan.reducedCount * (plan.reducesRun ? plan.run : 1)
        accumulate(function.code, plan, x, shifts: nil, pool) { at, value in
            out[at] =
                switch function {
                case .mean: Float(value / Double(count))
                case .l2: Float(value.squareRoot())
                case .logSum: Float(logarithm(value))
                default: Float(value)
                }
        }
    }

    /// out = the sum of x y over `axes`, for x and y of one shape: products are rounded to float and added in double.
    public static func sumProducts(
        _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, shape: [Int], axes: Set<Int>,
        into out: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let plan = ReductionPlan(shape: shape, axes: axes)
        guard plan.keptCount * (plan.reducesRun ? 1 : plan.run) > 0 else { return }
        accumulate(Int32(VK_SUM), plan, x, times: y, shifts: nil, pool) { at, value in out[at] = Float(value) }
    }

    /// Accumulates every output, of products where there is a second operand, and hands it, with its index, to `store`.
    private static func accumulate(
        _ code: Int32, _ plan: ReductionPlan, _ x: UnsafePointer<Float>, times y: UnsafePointer<Float>? = nil,
        shifts: UnsafePointer<Float>?, _ pool: ThreadPool, _ store: (_ output: Int, _ value: Double) -> Void
    ) {
        let width = plan.reducesRun ? 1 : min(plan.run, 512)
        let tiles = plan.reducesRun ? 1 : (plan.run + width - 1) / width
        let tasks = plan.keptCount * tiles
        let steps = plan.reducedCount
        let cost = steps * (plan.reducesRun ? plan.run : width)
        // Few outputs over much input: cut the reduced indices into parts of a size that depends on the shape alone.
        let parts = tasks < 16 && cost > 8 * elementGrain ? min(steps, 32, cost / (2 * elementGrain)) : 1
        let identity = vk_reduce_identity(code)
        withUnsafeTemporaryAllocation(of: Double.self, capacity: parts > 1 ? tasks * parts * width : 1) { partial in
            let partials = partial.baseAddress!
            pool.forRanges(tasks * parts, grain: max(1, 2 * elementGrain * parts / max(1, cost))) { range, _ in
                withUnsafeTemporaryAllocation(of: Double.self, capacity: width) { local in
                    for index in range {
                        let (task, part) = index.quotientAndRemainder(dividingBy: parts)
                        let start = task % tiles * width
                        let columns = plan.reducesRun ? 1 : min(width, plan.run - start)
                        let at = plan.reducesRun ? task : task / tiles * plan.run + start
                        let sums = parts > 1 ? partials + index * width : local.baseAddress!
                        sums.update(repeating: identity, count: columns)
                        let first = ReductionPlan.offset(task / tiles, plan.kept) + start
                        let own = steps * part / parts..<steps * (part + 1) / parts
                        if let y {
                            sumProducts(plan, x + first, y + first, own, columns, sums)
                        } else {
                            sum(code, plan, x + first, own, columns, sums, shifts.map { $0 + at })
                        }
                        if parts == 1 { for c in 0..<columns { store(at + c, sums[c]) } }
                    }
                }
            }
            guard parts > 1 else { return }
            for task in 0..<tasks {
                let start = task % tiles * width
                let at = plan.reducesRun ? task : task / tiles * plan.run + start
                for c in 0..<(plan.reducesRun ? 1 : min(width, plan.run - start)) {
                    var total = identity
                    for part in 0..<parts {
                        total = combine(code, total, partials[(task * parts + part) * width + c])
                    }
                    store(at + c, total)
                }
            }
        }
    }

    /// Accumulates the given steps of the reduced dimensions from `x`, the first element of an output.
    private static func sum(
        _ code: Int32, _ plan: ReductionPlan, _ x: UnsafePointer<Float>, _ steps: Range<Int>, _ columns: Int,
        _ sums: UnsafeMutablePointer<Double>, _ shifts: UnsafePointer<Float>?
    ) {
        if plan.reducesRun {
            for step in steps {
                vector.pointee.reduce_row(
                    code, x + ReductionPlan.offset(step, plan.reduced), Int64(plan.run), sums, shifts?.pointee ?? 0)
            }
            return
        }
        guard let last = plan.reduced.last else {
            vector.pointee.reduce_columns(code, x, 1, Int64(columns), 0, sums, shifts)
            return
        }
        var step = steps.lowerBound
        while step < steps.upperBound {
            let rows = min(last.size - step % last.size, steps.upperBound - step)
            vector.pointee.reduce_columns(
                code, x + ReductionPlan.offset(step, plan.reduced), Int64(rows), Int64(columns), Int64(last.stride),
                sums, shifts)
            step += rows
        }
    }

    /// As `sum`, of products, which are made in pieces that stay in the level-1 cache.
    private static func sumProducts(
        _ plan: ReductionPlan, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ steps: Range<Int>,
        _ columns: Int, _ sums: UnsafeMutablePointer<Double>
    ) {
        let (piece, code) = (1024, Int32(VK_SUM))
        let length = plan.reducesRun ? plan.run : columns
        withUnsafeTemporaryAllocation(of: Float.self, capacity: min(piece, length)) { buffer in
            let products = buffer.baseAddress!
            for step in steps {
                let row = ReductionPlan.offset(step, plan.reduced)
                for start in stride(from: 0, to: length, by: piece) {
                    let count = Int64(min(piece, length - start))
                    let block = vk_block(rows: 1, columns: count, a_row: 0, a_column: 1, b_row: 0, b_column: 1)
                    vector.pointee.binary_f32(Int32(VK_MUL), x + row + start, y + row + start, products, block)
                    if plan.reducesRun {
                        vector.pointee.reduce_row(code, products, count, sums, 0)
                    } else {
                        vector.pointee.reduce_columns(code, products, 1, count, 0, sums + start, nil)
                    }
                }
            }
        }
    }

    private static func combine(_ code: Int32, _ a: Double, _ b: Double) -> Double {
        switch code {
        case Int32(VK_MAXIMUM): a.isNaN || b.isNaN ? .nan : max(a, b)
        case Int32(VK_MINIMUM): a.isNaN || b.isNaN ? .nan : min(a, b)
        case Int32(VK_PRODUCT): a * b
        default: a + b
        }
    }
}

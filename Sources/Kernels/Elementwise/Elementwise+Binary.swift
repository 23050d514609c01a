import CVectorKernels

/// Arithmetic of two operands.
public enum BinaryFunction: Int, Hashable, Sendable, CaseIterable {
    case add, sub, mul
    /// Integers truncate toward zero; an integer division by zero gives 0.
    case div
    case pow
    /// A NaN on either side is the result.
    case min, max
    /// The remainder with the sign of the divisor (ONNX Mod, fmod = 0). Integers: 0 for a zero divisor.
    case mod
    /// The remainder with the sign of the dividend (ONNX Mod, fmod = 1).
    case fmod
    /// a where a > 0, else a * b.
    case prelu

    var code: Int32 {
        switch self {
        case .add: Int32(VK_ADD)
        case .sub: Int32(VK_SUB)
        case .mul: Int32(VK_MUL)
        case .div: Int32(VK_DIV)
        case .pow: Int32(VK_POW)
        case .min: Int32(VK_MIN)
        case .max: Int32(VK_MAX)
        case .mod: Int32(VK_MOD)
        case .fmod: Int32(VK_FMOD)
        case .prelu: Int32(VK_PRELU)
        }
    }
}

/// Comparisons; with a NaN all are false.
public enum ComparisonFunction: Int, Hashable, Sendable, CaseIterable {
    case equal, less, lessOrEqual, greater, greaterOrEqual

    var code: Int32 {
        switch self {
        case .equal: Int32(VK_EQUAL)
        case .less: Int32(VK_LESS)
        case .lessOrEqual: Int32(VK_LESS_EQUAL)
        case .greater: Int32(VK_GREATER)
        case .greaterOrEqual: Int32(VK_GREATER_EQUAL)
        }
    }
}

public enum LogicalFunction: Int, Hashable, Sendable, CaseIterable {
    case and, or, xor

    var code: Int32 {
        switch self {
        case .and: Int32(VK_AND)
        case .or: Int32(VK_OR)
        case .xor: Int32(VK_XOR)
        }
    }
}

extension Elementwise {
    /// out = f(a, b), both broadcast to `outShape`.
    public static func broadcastBinary(
        _ function: BinaryFunction, _ a: UnsafePointer<Float>, _ aShape: [Int], _ b: UnsafePointer<Float>,
        _ bShape: [Int], into out: UnsafeMutablePointer<Float>, _ outShape: [Int], pool: ThreadPool
    ) {
        forBlocks(aShape, bShape, outShape, pool) { place, aAt, bAt, block in
            vector.pointee.binary_f32(function.code, a + aAt, b + bAt, out + place, block)
        }
    }

    /// out = f(a, b), both broadcast to `outShape`. Overflow wraps.
    public static func broadcastBinary(
        _ function: BinaryFunction, _ a: UnsafePointer<Int64>, _ aShape: [Int], _ b: UnsafePointer<Int64>,
        _ bShape: [Int], into out: UnsafeMutablePointer<Int64>, _ outShape: [Int], pool: ThreadPool
    ) {
        forBlocks(aShape, bShape, outShape, pool) { place, aAt, bAt, block in
            vector.pointee.binary_i64(function.code, a + aAt, b + bAt, out + place, block)
        }
    }

    /// out = f(a, b) as 0 or 1, both broadcast to `outShape`.
    public static func compare(
        _ function: ComparisonFunction, _ a: UnsafePointer<Float>, _ aShape: [Int], _ b: UnsafePointer<Float>,
        _ bShape: [Int], into out: UnsafeMutablePointer<UInt8>, _ outShape: [Int], pool: ThreadPool
    ) {
        forBlocks(aShape, bShape, outShape, pool) { place, aAt, bAt, block in
            vector.pointee.compare_f32(function.code, a + aAt, b + bAt, out + place, block)
        }
    }

    /// out = f(a, b) as 0 or 1, both broadcast to `outShape`.
    public static func compare(
        _ function: ComparisonFunction, _ a: UnsafePointer<Int64>, _ aShape: [Int], _ b: UnsafePointer<Int64>,
        _ bShape: [Int], into out: UnsafeMutablePointer<UInt8>, _ outShape: [Int], pool: ThreadPool
    ) {
        forBlocks(aShape, bShape, outShape, pool) { place, aAt, bAt, block in
            vector.pointee.compare_i64(function.code, a + aAt, b + bAt, out + place, block)
        }
    }

    /// out = f(a, b) as 0 or 1 on truth values 0 and 1, both broadcast to `outShape`.
    public static func compare(
        _ function: ComparisonFunction, _ a: UnsafePointer<UInt8>, _ aShape: [Int], _ b: UnsafePointer<UInt8>,
        _ bShape: [Int], into out: UnsafeMutablePointer<UInt8>, _ outShape: [Int], pool: ThreadPool
    ) {
        forBlocks(aShape, bShape, outShape, pool) { place, aAt, bAt, block in
            vector.pointee.compare_u8(function.code, a + aAt, b + bAt, out + place, block)
        }
    }

    /// out = f(a, b) on truth values (anything but 0 is true), both broadcast to `outShape`.
    public static func logical(
        _ function: LogicalFunction, _ a: UnsafePointer<UInt8>, _ aShape: [Int], _ b: UnsafePointer<UInt8>,
        _ bShape: [Int], into out: UnsafeMutablePointer<UInt8>, _ outShape: [Int], pool: ThreadPool
    ) {
        forBlocks(aShape, bShape, outShape, pool) { place, aAt, bAt, block in
            vector.pointee.logical(function.code, a + aAt, b + bAt, out + place, block)
        }
    }

    /// out = condition ? a : b, all three broadcast to `outShape`; elements of 1, 4 or 8 bytes (UInt8, Float,
    /// Int64, Double).
    public static func select<Element: BitwiseCopyable>(
        _ condition: UnsafePointer<UInt8>, _ conditionShape: [Int], _ a: UnsafePointer<Element>, _ aShape: [Int],
        _ b: UnsafePointer<Element>, _ bShape: [Int], into out: UnsafeMutablePointer<Element>, _ outShape: [Int],
        pool: ThreadPool
    ) {
        let size = elementSize(Element.self)
        let plan = BroadcastPlan(output: outShape, operands: [aShape, bShape, conditionShape])
        plan.forEachBlock(pool: pool) { place, offsets, rows, columns in
            vector.pointee.select(
                size, condition + offsets[2], Int64(plan.rowStride(2)), Int64(plan.columnStride(2)), a + offsets[0],
                b + offsets[1], out + place, block(plan, rows, columns))
        }
    }

    private static func forBlocks(
        _ aShape: [Int], _ bShape: [Int], _ outShape: [Int], _ pool: ThreadPool,
        _ body: (_ output: Int, _ a: Int, _ b: Int, _ block: vk_block) -> Void
    ) {
        let plan = BroadcastPlan(output: outShape, operands: [aShape, bShape])
        plan.forEachBlock(pool: pool) { place, offsets, rows, columns in
            body(place, offsets[0], offsets[1], block(plan, rows, columns))
        }
    }

    private static func block(_ plan: BroadcastPlan, _ rows: Int, _ columns: Int) -> vk_block {
        vk_block(
            rows: Int64(rows), columns: Int64(columns), a_row: Int64(plan.rowStride(0)),
            a_column: Int64(plan.columnStride(0)), b_row: Int64(plan.rowStride(1)),
            b_column: Int64(plan.columnStride(1)))
    }
}

/// The size of an element that the moving kernels take.
func elementSize<Element: BitwiseCopyable>(_: Element.Type) -> Int32 {
    let size = MemoryLayout<Element>.stride
    precondition(size == 1 || size == 4 || size == 8, "elements of \(size) bytes are not stored here")
    return Int32(size)
}

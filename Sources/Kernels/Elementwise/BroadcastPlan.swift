/// How operands of up to the output's rank are walked when broadcast to it (ONNX multidirectional broadcasting), with
/// dimensions of 1 dropped and neighbours merged wherever every operand walks them as one.
struct BroadcastPlan {
    /// The merged output dimensions, at least two.
    let dimensions: [Int]
    /// One row of strides in elements for each operand; 0 where it is repeated.
    let strides: [[Int]]

    init(output: [Int], operands: [[Int]]) {
        var dimensions: [Int] = []
        var strides = [[Int]](repeating: [], count: operands.count)
        let dense = operands.map { Self.strides(of: $0, broadcastTo: output) }
        for axis in output.indices where output[axis] != 1 {
            let merges =
                !dimensions.isEmpty
                && operands.indices.allSatisfy { strides[$0].last! == dense[$0][axis] * output[axis] }
            if merges {
                dimensions[dimensions.count - 1] *= output[axis]
                for k in operands.indices { strides[k][strides[k].count - 1] = dense[k][axis] }
            } else {
                dimensions.append(output[axis])
                for k in operands.indices { strides[k].append(dense[k][axis]) }
            }
        }
        while dimensions.count < 2 {
            dimensions.insert(1, at: 0)
            for k in operands.indices { strides[k].insert(0, at: 0) }
        }
        self.dimensions = dimensions
        self.strides = strides
    }

    var rows: Int { dimensions[dimensions.count - 2] }
    var columns: Int { dimensions[dimensions.count - 1] }

    func rowStride(_ operand: Int) -> Int { strides[operand][dimensions.count - 2] }
    func columnStride(_ operand: Int) -> Int { strides[operand][dimensions.count - 1] }

    /// The strides of a contiguous tensor seen in the output's dimensions.
    static func strides(of shape: [Int], broadcastTo output: [Int]) -> [Int] {
        precondition(shape.count <= output.count, "cannot broadcast \(shape) to \(output)")
        var strides = [Int](repeating: 0, count: output.count)
        var step = 1
        for axis in shape.indices.reversed() {
            let target = output.count - shape.count + axis
            precondition(
                shape[axis] == output[target] || shape[axis] == 1, "cannot broadcast \(shape) to \(output)")
            strides[target] = shape[axis] == 1 ? 0 : step
            step *= shape[axis]
        }
        return strides
    }

    /// Calls `body` with blocks that cover the output: its offset there, the operands' offsets, and its
    /// rows and columns. Blocks are rows of one outer index, or a section of one row.
    func forEachBlock(
        pool: ThreadPool,
        _ body: (_ output: Int, _ operands: UnsafePointer<Int>, _ rows: Int, _ columns: Int) -> Void
    ) {
        let columns = columns
        let rows = rows
        let total = dimensions.dropLast().reduce(1, *)
        guard total > 0, columns > 0 else { return }
        let sections = total == 1 || columns >= 4 * elementGrain ? (columns + elementGrain - 1) / elementGrain : 1
        if sections > 1 {
            pool.forRanges(total * sections, grain: 1) { range, _ in
                withUnsafeTemporaryAllocation(of: Int.self, capacity: strides.count) { offsets in
                    for task in range {
                        let row = task / sections
                        let start = (task % sections) * elementGrain
                        place(row: row, column: start, offsets.baseAddress!)
                        body(
                            row * columns + start, UnsafePointer(offsets.baseAddress!), 1,
                            min(elementGrain, columns - start))
                    }
                }
            }
            return
        }
        pool.forRanges(total, grain: max(1, elementGrain / columns)) { range, _ in
            withUnsafeTemporaryAllocation(of: Int.self, capacity: strides.count) { offsets in
                var row = range.lowerBound
                while row < range.upperBound {
                    let run = min(rows - row % rows, range.upperBound - row)
                    place(row: row, column: 0, offsets.baseAddress!)
                    body(row * columns, UnsafePointer(offsets.baseAddress!), run, columns)
                    row += run
                }
            }
        }
    }

    /// The operands' offsets at a row, counted over all dimensions but the last.
    private func place(row: Int, column: Int, _ offsets: UnsafeMutablePointer<Int>) {
        for k in strides.indices { offsets[k] = column * columnStride(k) }
        var rest = row
        for axis in dimensions.indices.dropLast().reversed() {
            let index = rest % dimensions[axis]
            rest /= dimensions[axis]
            for k in strides.indices { offsets[k] += index * strides[k][axis] }
        }
    }
}

/// The shape of the result of ONNX multidirectional broadcasting, or nil if the shapes do not fit.
public func broadcastShape(_ shapes: [[Int]]) -> [Int]? {
    var result = [Int](repeating: 1, count: shapes.map(\.count).max() ?? 0)
    for shape in shapes {
        for axis in shape.indices {
            let target = result.count - shape.count + axis
            if shape[axis] == 1 || shape[axis] == result[target] { continue }
            if result[target] != 1 { return nil }
            result[target] = shape[axis]
        }
    }
    return result
}

import CVectorKernels

/// A matrix B [depth, columns] in the order in which products A B read it, for those that come one after another: the
/// steps of a recurrence multiply by the same weights.
struct PackedMatrix {
    private let panels: UnsafePointer<Float>
    let depth: Int
    let columns: Int

    /// Floats that a packed matrix takes, whichever kernels pack it.
    static func count(depth: Int, columns: Int) -> Int {
        let widestPanel = 32
        return depth * ((columns + widestPanel - 1) / widestPanel * widestPanel)
    }

    /// Packs `matrix`, stored row by row, or column by column if `transposed` (rows of B^T), into `memory`.
    init(
        _ matrix: UnsafePointer<Float>, transposed: Bool, depth: Int, columns: Int,
        into memory: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let panelWidth = Int(vector.pointee.panel_width)
        let panelCount = (columns + panelWidth - 1) / panelWidth
        pool.forRanges(panelCount, grain: max(1, elementGrain / max(1, depth * panelWidth))) { range, _ in
            let first = range.lowerBound * panelWidth
            let count = min(columns, range.upperBound * panelWidth) - first
            vector.pointee.pack_panels(
                matrix + first * (transposed ? depth : 1), Int64(transposed ? 1 : columns),
                Int64(transposed ? depth : 1), Int64(depth), Int64(count), memory + first * depth)
        }
        panels = UnsafePointer(memory)
        self.depth = depth
        self.columns = columns
    }

    /// C [rows, columns] = A B, or C += A B if `adds`, on the calling thread; rows are `lda` and `ldc` apart.
    func multiply(
        _ a: UnsafePointer<Float>, lda: Int, rows: Int, into c: UnsafeMutablePointer<Float>, ldc: Int, adds: Bool
    ) {
        vector.pointee.product_packed(
            a, Int64(lda), panels, c, Int64(ldc), Int64(rows), Int64(columns), Int64(depth), adds ? 1 : 0)
    }
}

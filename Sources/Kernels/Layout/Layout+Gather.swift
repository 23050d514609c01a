import CVectorKernels

extension Layout {
    /// out[outer, indices, inner] = x[outer, indices[k], inner], x being [outer, n, inner]. The indices lie in 0..<n:
    /// negative ones are normalised and all are checked by the caller (`normalizeIndices`).
    public static func gather<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, outer: Int, n: Int, inner: Int, indices: UnsafePointer<Int64>, count: Int,
        into out: UnsafeMutablePointer<Element>, pool: ThreadPool
    ) {
        let bytes = inner * MemoryLayout<Element>.stride
        let from = UnsafeRawPointer(x)
        let to = UnsafeMutableRawPointer(out)
        pool.forRanges(outer * count, grain: max(1, 4 * elementGrain / max(1, bytes))) { range, _ in
            for task in range {
                let (row, k) = task.quotientAndRemainder(dividingBy: count)
                to.advanced(by: task * bytes)
                    .copyMemory(from: from + (row * n + Int(indices[k])) * bytes, byteCount: bytes)
            }
        }
    }

    /// out[outer, indices[k], inner] += g[outer, k, inner], out being [outer, n, inner]: on zeros the adjoint of
    /// `gather`. Indices may repeat; they are added in their order, whatever the number of threads.
    public static func scatterAdd(
        _ g: UnsafePointer<Float>, indices: UnsafePointer<Int64>, count: Int, into out: UnsafeMutablePointer<Float>,
        outer: Int, n: Int, inner: Int, pool: ThreadPool
    ) {
        // A task owns some columns of one outer index, so that no two tasks add to one element.
        let width = outer > 1 || inner < 128 ? inner : 64
        let sections = width == 0 ? 0 : (inner + width - 1) / width
        pool.forRanges(outer * sections, grain: max(1, elementGrain / 4 / max(1, width * count))) { range, _ in
            for task in range {
                let (row, section) = task.quotientAndRemainder(dividingBy: sections)
                let start = section * width
                let columns = Int64(min(width, inner - start))
                for k in 0..<count {
                    vector.pointee.add_scaled(
                        g + ((row * count + k) * inner + start),
                        out + ((row * n + Int(indices[k])) * inner + start), 1, columns)
                }
            }
        }
    }

    /// out = indices with n added to the negative ones; returns the position of the first that is not in -n..<n, or
    /// nil. `out` may be `indices`.
    public static func normalizeIndices(
        _ indices: UnsafePointer<Int64>, count: Int, axisSize n: Int, into out: UnsafeMutablePointer<Int64>
    ) -> Int? {
        for k in 0..<count {
            let index = indices[k]
            guard index >= -Int64(n), index < Int64(n) else { return k }
            out[k] = index < 0 ? index + Int64(n) : index
        }
        return nil
    }
}

internal import CVectorKernels

extension RandomGenerator {
    /// Overwrites `output` with independent normals of mean 0 and standard deviation `scale`.
    ///
    /// Box and Muller's transform in float32: tails reach 9.4 standard deviations.
    /// - Precondition: `scale` is finite and not negative.
    public func fillNormals(_ output: UnsafeMutableBufferPointer<Float>, scale: Float = 1) {
        precondition(scale >= 0 && scale.isFinite, "a standard deviation is finite, not negative")
        forEachBlockOfNormals(output) { normals, piece, count in
            vk_scale_normals(normals, scale, count, piece)
        }
    }

    /// Adds an independent normal of mean 0 and standard deviation `scale` to every element of `output`.
    ///
    /// With `scale` 0 nothing is drawn and nothing changes.
    /// - Precondition: `scale` is finite and not negative.
    public func addNormals(to output: UnsafeMutableBufferPointer<Float>, scale: Float) {
        precondition(scale >= 0 && scale.isFinite, "a standard deviation is finite, not negative")
        if scale == 0 { return }
        forEachBlockOfNormals(output) { normals, piece, count in
            vk_add_scaled_normals(normals, scale, count, piece)
        }
    }

    /// Draws standard normals for `output` block by block; the last block draws no more pairs than it needs.
    private func forEachBlockOfNormals(
        _ output: UnsafeMutableBufferPointer<Float>,
        _ use: (_ normals: UnsafePointer<Float>, _ piece: UnsafeMutablePointer<Float>, _ count: Int) -> Void
    ) {
        guard let base = output.baseAddress else { return }
        let blockPairs = 1024
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 3 * blockPairs) { words in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * blockPairs) { normals in
                guard let bits = words.baseAddress, let values = normals.baseAddress else { return }
                for start in stride(from: 0, to: output.count, by: 2 * blockPairs) {
                    let count = min(2 * blockPairs, output.count - start)
                    let pairs = (count + 1) / 2
                    fill(UnsafeMutableRawBufferPointer(start: bits, count: 12 * pairs))
                    vk_normals(bits, pairs, values)
                    use(values, base + start, count)
                }
                wipe(UnsafeMutableRawBufferPointer(words))
                wipe(UnsafeMutableRawBufferPointer(normals))
            }
        }
    }
}

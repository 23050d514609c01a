internal import CVectorKernels

extension RandomGenerator {
    /// Replaces every element s by step (round(s / step) + round(n / step)), n being an independent normal of standard
    /// deviation `deviation`.
    ///
    /// The noise is an integer that does not depend on s: whatever s has below `step` is gone, and so is what the
    /// arithmetic of normals could tell about it. Normals are computed in double precision from 64 bits for the radius,
    /// which reach 9.4 deviations, and 54 for the angle.
    /// - Precondition: `step` is a positive power of two; `deviation` is positive, finite and less than 2^40 steps.
    public func releaseOnGrid(
        _ sums: UnsafeMutableBufferPointer<Float>, step: Double, deviation: Double
    ) {
        precondition(step > 0 && step.significand == 1, "the step of a grid is a power of two")
        precondition(deviation > 0 && deviation < step * 0x1p40, "noise fits into a double's integers")
        guard let base = sums.baseAddress else { return }
        let blockPairs = 512
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2 * blockPairs) { words in
            withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * blockPairs) { normals in
                guard let bits = words.baseAddress, let values = normals.baseAddress else { return }
                for start in stride(from: 0, to: sums.count, by: 2 * blockPairs) {
                    let count = min(2 * blockPairs, sums.count - start)
                    let pairs = (count + 1) / 2
                    fill(UnsafeMutableRawBufferPointer(start: bits, count: 16 * pairs))
                    vk_normals(bits, pairs, values)
                    vk_release_on_grid(values, deviation / step, step, count, base + start)
                }
                wipe(UnsafeMutableRawBufferPointer(words))
                wipe(UnsafeMutableRawBufferPointer(normals))
            }
        }
    }
}

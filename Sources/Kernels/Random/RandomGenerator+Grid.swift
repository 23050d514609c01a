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
        precondition(deviation > 0 && deviation < step * 0x1p40, "noise fits into a double's integers")
        forNormals(sums, step: step) { normals, count, start in
            vk_release_on_grid(normals, deviation / step, step, count, sums.baseAddress! + start)
        }
    }

    /// Replaces every element s by step (round(s / step) + n) with noise n that is correlated with earlier noise: n is
    /// round((z - sum_k c_k n_k) / c), z being an independent normal of standard deviation `deviation` / `step`, n_k
    /// earlier noise, c the `diagonal` and c_k the `coefficients`.
    ///
    /// - Parameters:
    ///   - history: what was kept of earlier steps, as long as `sums`, one for each of `coefficients`.
    ///   - kept: receives n; may be the last of `history`.
    /// - Precondition: as above; `diagonal` is positive, and n and all of history are less than 2^31.
    public func releaseOnGrid(
        _ sums: UnsafeMutableBufferPointer<Float>, step: Double, deviation: Double, diagonal: Double,
        coefficients: [Double], history: [UnsafeMutablePointer<Int32>], kept: UnsafeMutablePointer<Int32>
    ) {
        precondition(diagonal > 0 && history.count == coefficients.count, "one coefficient for each earlier step")
        forNormals(sums, step: step) { normals, count, start in
            let earlier = history.map { UnsafePointer($0 + start) as UnsafePointer<Int32>? }
            vk_correlate(normals, deviation / step, 1 / diagonal, coefficients, earlier, earlier.count, count)
            vk_release_kept(normals, step, count, kept + start, sums.baseAddress! + start)
        }
    }

    /// Calls `body` with fresh standard normals for stretches of `sums`: their number, and where the stretch starts.
    private func forNormals(
        _ sums: UnsafeMutableBufferPointer<Float>, step: Double,
        _ body: (UnsafeMutablePointer<Double>, Int, Int) -> Void
    ) {
        precondition(step > 0 && step.significand == 1, "the step of a grid is a power of two")
        let blockPairs = 512
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 2 * blockPairs) { words in
            withUnsafeTemporaryAllocation(of: Double.self, capacity: 2 * blockPairs) { normals in
                guard let bits = words.baseAddress, let values = normals.baseAddress else { return }
                for start in stride(from: 0, to: sums.count, by: 2 * blockPairs) {
                    let count = min(2 * blockPairs, sums.count - start)
                    let pairs = (count + 1) / 2
                    fill(UnsafeMutableRawBufferPointer(start: bits, count: 16 * pairs))
                    vk_normals(bits, pairs, values)
                    body(values, count, start)
                }
                wipe(UnsafeMutableRawBufferPointer(words))
                wipe(UnsafeMutableRawBufferPointer(normals))
            }
        }
    }
}

import Execution
import Kernels
import PrivacyAccounting

/// The noise of a mechanism whose steps have correlated noise: row t of C^-1 Z, for a banded strategy C.
///
/// Noise is integers on the grid of the sums. With n_t = round((z_t - sum_k C[t, t-k] n_{t-k}) / C[t, t]) the release
/// R_t = X_t + n_t equals round(((C X + Z)_t - sum_k C[t, t-k] R_{t-k}) / C[t, t]): a function of the accounted mechanism's
/// output C X + Z and of what was released before, rounding included. So what is remembered is the rounded noise, exactly.
/// It is as secret as noise always is, and never leaves memory.
final class BandedNoise {
    /// Steps taken.
    private(set) var step = 0
    let strategy: BandedStrategy
    private let blocks: [NoiseBlock]
    /// Noise of the last `bands` - 1 steps, by block; that of step t lies in place t modulo their number.
    private let memory: [[UnsafeMutablePointer<Int32>]]

    /// Bytes that a mechanism's noise is remembered in.
    static func memoryBytes(_ mechanism: PrivacyMechanism, parameterCount: Int) -> Int {
        guard let bands = mechanism.bands, mechanism.noiseMultiplier > 0 else { return 0 }
        return max(0, min(bands, mechanism.currentSteps) - 1) * parameterCount * MemoryLayout<Int32>.size
    }

    /// - Throws: `DataError` if noise would be so many steps of the grid that it cannot be remembered.
    init(_ strategy: BandedStrategy, blocks: [NoiseBlock], grid: NoiseGrid) throws(DataError) {
        // No normal is longer than 9.4 deviations.
        guard grid.deviation / grid.step * 9.5 * strategy.largestGain < 0x1p31 else {
            throw DataError(
                .mismatch,
                "correlated noise does not fit its grid for so many weights; use less noise or --mechanism gaussian")
        }
        self.strategy = strategy
        self.blocks = blocks
        memory = blocks.map { block in
            (0..<min(strategy.bands, strategy.steps) - 1).map { _ in .allocate(capacity: block.range.count) }
        }
    }

    deinit { for pointer in memory.joined() { pointer.deallocate() } }

    /// Turns the clipped sums into the step's noisy release.
    /// - Precondition: the strategy has a further step.
    func release(_ engine: GradientEngine, grid: NoiseGrid, pool: ThreadPool) {
        precondition(step < strategy.steps, "the strategy has no further step")
        let row = step
        let lags = 1..<min(max(1, min(strategy.bands, strategy.steps)), row + 1)
        let diagonal = strategy.entry(row: row, lag: 0)
        let coefficients = lags.isEmpty ? [] : lags.map { strategy.entry(row: row, lag: $0) }
        pool.forEach(blocks.count) { index, _ in
            let (block, places) = (blocks[index], memory[index])
            let sums = UnsafeMutableBufferPointer(rebasing: engine.sum(of: block.parameter)[block.range])
            guard !places.isEmpty else {
                grid.release(sums, block.generator)
                return
            }
            block.generator.releaseOnGrid(
                sums, step: grid.step, deviation: grid.deviation, diagonal: diagonal, coefficients: coefficients,
                history: coefficients.indices.map { places[(row - 1 - $0) % places.count] },
                kept: places[row % places.count])
        }
        step += 1
    }
}

import Glibc
import Kernels
import PrivacyAccounting
import Testing
import Training

/// Poisson sampling as training uses it: every row is in every batch with probability q, whatever else happens.
@Suite struct BatchDrawingTests {
    @Test func everyRowIsDrawnByItselfInEveryStep() {
        let (rows, steps, rate) = (400, 6000, 0.05)
        var drawing = BatchDrawing(.poisson(rate: rate), SecureRandomGenerator())
        let batches = (0..<steps).map { _ in drawing.next(of: rows) }
        var counts = [Int](repeating: 0, count: rows)
        var pairs = [Int](repeating: 0, count: rows * rows)
        for batch in batches {
            for row in batch {
                counts[row] += 1
                for other in batch where other < row { pairs[row * rows + other] += 1 }
            }
        }
        let variance = rate * (1 - rate) * Double(steps)
        let squares = counts.reduce(0) { $0 + pow(Double($1) - rate * Double(steps), 2) / variance }
        // Chi-square with one degree of freedom per row; six deviations of chance, here and below.
        #expect(abs(squares / Double(rows) - 1) < 6 * (2 / Double(rows)).squareRoot())
        // Two rows come together by chance only: counts of pairs are binomial too, with correlations that are small.
        let both = rate * rate
        let (mean, spread) = (both * Double(steps), both * (1 - both) * Double(steps))
        let excess = (0..<rows).flatMap { row in
            (0..<row).map { pow(Double(pairs[row * rows + $0]) - mean, 2) / spread }
        }
        #expect(abs(excess.reduce(0, +) / Double(excess.count) - 1) < 0.1)
        // Nor does a batch tell of the next one, or of one much later.
        for lag in [1, 2, steps / 2] {
            let shared = zip(batches, batches.dropFirst(lag)).reduce(0) { $0 + Set($1.0).intersection($1.1).count }
            let expected = both * Double(rows * (steps - lag))
            #expect(abs(Double(shared) - expected) < 6 * expected.squareRoot(), "\(lag)")
        }
    }
}

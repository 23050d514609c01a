import Glibc

/// The strategy matrix C of banded matrix factorisation (Choquette-Choo, Ganesh, McKenna, McMahan, Rush, Thakurta and Xu,
/// "(Amplified) Banded Matrix Factorization", 2023): lower triangular, `steps` square, with `bands` diagonals.
///
/// Step t releases its clipped sum plus (C^-1 Z)_t, which is a function of C X + Z, X being the sums and Z independent
/// noise. A unit that takes part in steps at least `bands` apart meets columns of C that have no row in common, and every
/// column has norm 1: each participation costs what it costs under independent noise. What the update rule makes of
/// the released sums, A X with noise A C^-1 Z, has less noise than A Z, for later noise takes back part of earlier noise.
///
/// Diagonals are constant but for the normalisation of the last columns, which the last row cuts short.
public struct BandedStrategy: Hashable, Sendable {
    /// What an update rule adds up: A, lower triangular with constant diagonals.
    public struct Workload: Hashable, Sendable {
        /// mu of momentum; 0 for plain sums of all gradients so far.
        public var momentum: Double

        /// - Precondition: `momentum` lies in 0..<1.
        public init(momentum: Double = 0) {
            precondition((0..<1).contains(momentum), "momentum lies in 0..<1")
            self.momentum = momentum
        }

        /// The diagonals of A: 1 + mu + ... + mu^k, the share of a gradient in the weights after k further steps of the same
        /// learning rate.
        func diagonals(_ count: Int) -> [Double] {
            var (sum, power) = (0.0, 1.0)
            return (0..<count).map { _ in
                sum += power
                power *= momentum
                return sum
            }
        }
    }

    public let bands: Int
    public let steps: Int
    /// The diagonals, the main one first; their squares add up to 1.
    public let diagonals: [Double]
    /// Norms that the last columns would have with these diagonals: that of a column with k rows, k = 1...bands.
    private let shortNorms: [Double]

    /// The strategy that makes the mean squared error of `workload` over all steps about as small as it can be.
    ///
    /// - Precondition: `bands` and `steps` are positive.
    public init(bands: Int, steps: Int, workload: Workload = Workload()) {
        precondition(bands > 0 && steps > 0, "a strategy has bands and steps")
        self.init(
            diagonals: StrategySearch(bands: min(bands, steps), steps: steps, workload: workload).best(), steps: steps,
            bands: bands)
    }

    init(diagonals: [Double], steps: Int, bands: Int) {
        self.steps = steps
        self.bands = bands
        let norm = diagonals.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let scaled = diagonals.map { $0 / norm }
        self.diagonals = scaled
        var square = 0.0
        shortNorms = scaled.map {
            square += $0 * $0
            return square.squareRoot()
        }
    }

    /// C[row, row - lag]; zero outside the bands.
    /// - Precondition: 0 <= `lag` <= `row` < `steps`.
    public func entry(row: Int, lag: Int) -> Double {
        guard lag < diagonals.count else { return 0 }
        let rows = min(diagonals.count, steps - (row - lag))
        return diagonals[lag] / shortNorms[rows - 1]
    }

    /// An upper bound on the absolute values that C^-1 makes of noise of at most 1.
    public var largestGain: Double {
        StrategySearch.inverse(diagonals, count: min(steps, 4096)).reduce(0) { $0 + abs($1) }
    }

    /// Mean over the steps of the variance that unit noise has in what the update rule adds up: the square of
    /// ||A C^-1||_F / sqrt(steps), before the last columns are normalised, which lowers it further.
    public func meanSquaredError(_ workload: Workload = Workload()) -> Double {
        StrategySearch(bands: diagonals.count, steps: steps, workload: workload).value(diagonals)
    }
}

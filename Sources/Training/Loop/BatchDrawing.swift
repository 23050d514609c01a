public import Kernels
public import PrivacyAccounting

/// Draws the logical batches of a run, one after the other.
public struct BatchDrawing {
    private let sampler: BatchSampler
    private let generator: any RandomGenerator
    /// Members of each part, for a sampler that divides the rows.
    private var parts: [[Int]] = []
    private var drawn = 0

    public init(_ sampler: BatchSampler, _ generator: any RandomGenerator) {
        self.sampler = sampler
        self.generator = generator
    }

    /// The rows of the next batch out of 0..<`count`, ascending.
    ///
    /// - Precondition: `count` is the same in every call where the sampler divides the rows into parts.
    public mutating func next(of count: Int) -> [Int] {
        defer { drawn += 1 }
        switch sampler {
        case .full: return Array(0..<count)
        case .poisson(let rate): return generator.poissonSample(of: count, rate: rate)
        case .truncatedPoisson(let rate, let largestBatch):
            var rows = generator.poissonSample(of: count, rate: rate)
            guard rows.count > largestBatch else { return rows }
            generator.shuffle(&rows)
            return rows.prefix(largestBatch).sorted()
        case .cyclicPoisson(_, let subsets):
            if drawn == 0 { divide(count, into: subsets) }
            precondition(parts.reduce(0) { $0 + $1.count } == count, "the rows have been divided already")
            let part = parts[drawn % subsets]
            return generator.poissonSample(of: part.count, rate: sampler.drawingRate).map { part[$0] }
        }
    }

    /// Puts every row into a part of its own choice, so that none depends on which other rows there are.
    private mutating func divide(_ count: Int, into subsets: Int) {
        parts = Array(repeating: [], count: subsets)
        for row in 0..<count { parts[Int(generator.uniform(below: UInt64(subsets)))].append(row) }
    }
}
